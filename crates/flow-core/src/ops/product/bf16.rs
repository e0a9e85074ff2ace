//! Words of two numbers in bf16, by AVX512-BF16.

// `pulp` has no bf16 products; every block states its requirements.
#![allow(unsafe_code)]

use super::{Arithmetic, Job};
use half::bf16;
use pulp::{Simd, f32x16, x86::V4};
use std::arch::x86_64::{
    __m256i, __m512, __m512bh, __m512i, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh,
    _mm512_dpbf16_ps, _mm512_or_si512, _mm512_slli_epi32,
};
use std::mem::transmute;

/// Proof that the processor has AVX512-BF16: only `detect` makes a value.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Bf16(V4);

/// Packs two numbers, the first into the lower half.
pub(super) fn word(numbers: [f32; 2]) -> f32 {
    let [low, high] = numbers.map(|number| u32::from(bf16::from_f32(number).to_bits()));
    f32::from_bits(low | high << 16)
}

impl Bf16 {
    pub(super) fn detect() -> Option<Self> {
        let v4 = V4::try_new()?;
        std::arch::is_x86_feature_detected!("avx512bf16").then_some(Self(v4))
    }

    pub(super) fn run<J: Job>(self, job: J) -> J::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16")]
        #[target_feature(enable = "avx2,bmi1,bmi2,fma,lzcnt,popcnt")]
        fn enter<J: Job>(bf16: Bf16, job: J) -> J::Output {
            job.run(bf16)
        }
        // SAFETY: `detect` found AVX512-BF16, and `V4` all the others.
        unsafe { enter(self, job) }
    }
}

impl Arithmetic for Bf16 {
    type Simd = V4;

    #[inline(always)]
    fn simd(self) -> V4 {
        self.0
    }

    #[inline(always)]
    fn multiply_add(self, a: f32x16, b: f32x16, sum: f32x16) -> f32x16 {
        // SAFETY: `self` proves that the instruction exists; the types are vectors of equal size,
        // of which every bit pattern is valid.
        unsafe {
            let [a, b] = [a, b].map(|words| transmute::<f32x16, __m512bh>(words));
            transmute(_mm512_dpbf16_ps(transmute::<f32x16, __m512>(sum), a, b))
        }
    }

    #[inline(always)]
    fn words() -> usize {
        V4::F32_LANES / 2
    }

    #[inline(always)]
    fn load(self, words: &[f32]) -> f32x16 {
        // SAFETY: as in `multiply_add`.
        unsafe { transmute(_mm512_slli_epi32::<16>(widen(words))) }
    }

    #[inline(always)]
    fn store(self, numbers: f32x16, words: &mut [f32]) {
        // SAFETY: as in `multiply_add`.
        let halves: [f32; 8] =
            unsafe { transmute(_mm512_cvtneps_pbh(transmute::<f32x16, __m512>(numbers))) };
        words[..8].copy_from_slice(&halves);
    }

    #[inline(always)]
    fn interleave(self, [low, high]: [&[f32]; 2], stack: &mut [f32]) {
        let rows = low.chunks_exact(8).zip(high.chunks_exact(8));
        for ((low, high), stack) in rows.zip(stack.chunks_exact_mut(16)) {
            // SAFETY: as in `multiply_add`.
            let words: [f32; 16] = unsafe {
                let high = _mm512_slli_epi32::<16>(widen(high));
                transmute(_mm512_or_si512(widen(low), high))
            };
            stack.copy_from_slice(&words);
        }
    }
}

/// Sixteen halves of eight words, each in the lower half of its own word.
///
/// # Safety
/// The processor must have AVX-512F.
#[inline(always)]
unsafe fn widen(words: &[f32]) -> __m512i {
    let halves: [f32; 8] = words[..8].try_into().expect("eight words were taken");
    // SAFETY: as required of the caller; the types are of equal size, and every bit pattern is
    // valid.
    unsafe { _mm512_cvtepu16_epi32(transmute::<[f32; 8], __m256i>(halves)) }
}
