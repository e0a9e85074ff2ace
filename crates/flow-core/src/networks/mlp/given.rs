//! A network with a bound context.

use super::{Mlp, incremental};
use crate::bijection::Detached;
use crate::runs::Rows;
use crate::{Conditioner, Incremental, Result, shape};
use candle_core::Tensor;

/// A network with the outputs of its context layers.
pub(super) struct Given {
    pub(super) mlp: Mlp,
    pub(super) shift: Tensor,
    pub(super) gates: Vec<Tensor>,
}

impl Conditioner for Given {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = Rows::all(shape::batch("mlp", x)?);
        self.mlp
            .run(x, Some(&rows.of_context(&self.shift)?), &self.gates)
    }

    fn incremental(&self, rows: usize) -> Result<Option<Box<dyn Incremental + '_>>> {
        let shift = Rows::all(rows).of_context(&self.shift)?;
        incremental::evaluation(&self.mlp, Some(&shift), &self.gates, rows)
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        self.mlp.sizes()
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Conditioner + '_>>> {
        let with = |mlp| Given {
            mlp,
            shift: self.shift.clone(),
            gates: self.gates.clone(),
        };
        Ok(self.mlp.drawn(seed).map(|mlp| Box::new(with(mlp)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        let gates = self.gates.iter().map(|gate| rows.of_context(gate));
        let gates = gates.map(|gate| Ok(gate?.detach()));
        Ok(Box::new(Detached(Given {
            mlp: self.mlp.detached()?,
            shift: rows.of_context(&self.shift)?.detach(),
            gates: gates.collect::<Result<_>>()?,
        })))
    }
}
