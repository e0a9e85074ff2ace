//! In-place updates of parameters, on the CPU.

use crate::Result;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, bail};

/// dst ← f(dst, sources), number by number.
pub(super) struct Elementwise<F>(pub(super) F);

impl<F> Elementwise<F> {
    fn run<const N: usize>(
        &self,
        (dst, layout): (&mut CpuStorage, &Layout),
        sources: [(&CpuStorage, &Layout); N],
    ) -> Result<()>
    where
        F: Fn(f32, [f32; N]) -> f32,
    {
        let (start, end) = range(layout)?;
        let CpuStorage::F32(dst) = dst else {
            bail!("optimizer: parameters updated in place must be f32");
        };
        let mut operands = [&[][..]; N];
        for (operand, (storage, layout)) in operands.iter_mut().zip(sources) {
            let (start, end) = range(layout)?;
            *operand = &storage.as_slice::<f32>()?[start..end];
        }
        for (i, value) in dst[start..end].iter_mut().enumerate() {
            *value = (self.0)(*value, operands.map(|operand| operand[i]));
        }
        Ok(())
    }
}

impl<F: Fn(f32, [f32; 1]) -> f32> InplaceOp2 for Elementwise<F> {
    fn name(&self) -> &'static str {
        "optimizer"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_l: &Layout,
        s: &CpuStorage,
        l: &Layout,
    ) -> Result<()> {
        self.run((dst, dst_l), [(s, l)])
    }
}

impl<F: Fn(f32, [f32; 2]) -> f32> InplaceOp3 for Elementwise<F> {
    fn name(&self) -> &'static str {
        "optimizer"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_l: &Layout,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<()> {
        self.run((dst, dst_l), [(s1, l1), (s2, l2)])
    }
}

fn range(layout: &Layout) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(range) => Ok(range),
        None => bail!("optimizer: parameters and gradients must be contiguous"),
    }
}
