//! Independent distributions of groups of columns.

use super::Distribution;
use crate::bijections::groups::Groups;
use crate::runs::Rows;
use crate::{Result, random, shape};
use candle_core::Tensor;
use std::sync::Arc;

/// A distribution for each group of columns of `[B, D]`, independent of the others: von Mises for
/// the angles and normal for the other numbers, say.
///
/// ```text
/// ln p(z) = Σ_g ln p_g(z_g)
/// ```
///
/// It costs what its parts cost.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::distribution::{Distribution, Product, StandardNormal, VonMises};
///
/// let angle = VonMises::new(&[0.0], &[1.0], DType::F32, &Device::Cpu)?;
/// let others = StandardNormal::new(2, DType::F32, &Device::Cpu);
/// let base = Product::new(vec![(Box::new(angle), vec![1]), (Box::new(others), vec![0, 2])])?;
/// assert_eq!(base.sample(5, 0)?.dims(), [5, 3]);
/// # candle_core::Result::Ok(())
/// ```
pub struct Product {
    parts: Vec<Arc<dyn Distribution>>,
    groups: Groups,
}

impl Product {
    /// The distributions with the indices of their columns.
    ///
    /// # Errors
    /// If a column from 0 to the last is in no group, or in two.
    pub fn new(groups: Vec<(Box<dyn Distribution>, Vec<usize>)>) -> Result<Self> {
        let (parts, columns): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        Ok(Self {
            groups: Groups::new("product", &columns)?,
            parts: parts.into_iter().map(Arc::from).collect(),
        })
    }

    /// The product of the same groups with other parts.
    fn with(&self, parts: Vec<Arc<dyn Distribution>>) -> Arc<dyn Distribution> {
        let groups = self.groups.clone();
        Arc::new(Self { parts, groups })
    }

    /// The product in which the parts for which `replace` gives another have that one; `None` if
    /// there are none.
    fn replaced(
        &self,
        replace: impl Fn(&dyn Distribution) -> Result<Option<Arc<dyn Distribution>>>,
    ) -> Result<Option<Arc<dyn Distribution>>> {
        let parts = self.parts.iter().map(|part| replace(&**part));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        if parts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let parts = parts.into_iter().zip(&self.parts);
        let parts = parts.map(|(own, all)| own.unwrap_or_else(|| all.clone()));
        Ok(Some(self.with(parts.collect())))
    }
}

impl Distribution for Product {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        shape::vectors("product", z, self.groups.channels())?;
        let columns = self.groups.split("product", z)?;
        let mut total = Tensor::zeros(z.dim(0)?, z.dtype(), z.device())?;
        for (part, z) in self.parts.iter().zip(&columns) {
            total = part.add_log_prob(&total, z)?;
        }
        Ok(total)
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let parts = self.parts.iter().enumerate();
        let draws = parts.map(|(index, part)| {
            part.sample(count, random::derive(seed, &format!("part {index}")))
        });
        self.groups.join(&draws.collect::<Result<Vec<_>>>()?)
    }

    fn context(&self) -> Option<usize> {
        self.parts.iter().find_map(|part| part.context())
    }

    /// Binds the parts that take a context.
    fn given(&self, context: &Tensor) -> Result<Arc<dyn Distribution>> {
        if self.context().is_none() {
            return shape::refuse_context(context);
        }
        let parts = self.parts.iter().map(|part| match part.context() {
            Some(_) => part.given(context),
            None => Ok(part.clone()),
        });
        Ok(self.with(parts.collect::<Result<_>>()?))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Arc<dyn Distribution>>> {
        self.replaced(|part| part.in_training(seed))
    }

    fn frozen(&self, rows: &Rows) -> Result<Option<Arc<dyn Distribution>>> {
        self.replaced(|part| part.frozen(rows))
    }
}
