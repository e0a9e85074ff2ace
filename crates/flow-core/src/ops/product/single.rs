//! Words of one f32 each, for every instruction set that `pulp` supports.

use super::{Arithmetic, Job};
use pulp::{Arch, Simd, WithSimd};

/// Runs `job` with the instructions of `arch`.
pub(super) fn run<J: Job>(arch: Arch, job: J) -> J::Output {
    struct InSingle<J>(J);
    impl<J: Job> WithSimd for InSingle<J> {
        type Output = J::Output;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> J::Output {
            self.0.run(Single(simd))
        }
    }
    arch.dispatch(InSingle(job))
}

#[derive(Clone, Copy)]
struct Single<S>(S);

impl<S: Simd> Arithmetic for Single<S> {
    type Simd = S;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn multiply_add(self, a: S::f32s, b: S::f32s, sum: S::f32s) -> S::f32s {
        self.0.mul_add_e_f32s(a, b, sum)
    }

    #[inline(always)]
    fn words() -> usize {
        S::F32_LANES
    }

    #[inline(always)]
    fn load(self, words: &[f32]) -> S::f32s {
        S::as_simd_f32s(words).0[0]
    }

    #[inline(always)]
    fn store(self, numbers: S::f32s, words: &mut [f32]) {
        S::as_mut_simd_f32s(words).0[0] = numbers;
    }

    #[inline(always)]
    fn interleave(self, [row, _]: [&[f32]; 2], stack: &mut [f32]) {
        stack.copy_from_slice(row);
    }
}
