//! All-reduce: gradients summed over all ranks, in a few large flat buffers that serve every step.
//!
//! Gradients fill a buffer in the order in which they arrive, which is the same on all ranks. A
//! full buffer is sent while the next one fills. Training by inversion overlaps this with the
//! backward pass of the next blocks; plain training, with the copies of the batch's gradients.

use super::ranks::{Alone, Ranks, gather, patience};
use crate::Result;
use candle_core::{DType, Shape, Tensor};
use flow_core::Gradients;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

/// Numbers in a buffer: enough to make latency small beside transfer, or a quarter of a small
/// model.
const LARGEST: usize = 1 << 22;
const SMALLEST: usize = 1 << 16;
const SHARE: usize = 4;

/// All-reduce of gradients over ranks.
pub struct AllReduce {
    ranks: Rc<dyn Ranks>,
    capacity: usize,
    buffers: Vec<Tensor>,
}

impl AllReduce {
    /// Among `ranks`, for a model of `parameters` scalar parameters.
    pub fn new(ranks: Rc<dyn Ranks>, parameters: usize) -> Self {
        Self {
            ranks,
            capacity: (parameters / SHARE).clamp(SMALLEST, LARGEST),
            buffers: Vec::new(),
        }
    }

    /// Of one rank, whose own gradients are the sum.
    pub(super) fn alone() -> Self {
        Self::new(Rc::new(Alone), 0)
    }

    /// The participating ranks.
    pub fn ranks(&self) -> &dyn Ranks {
        &*self.ranks
    }

    /// Replaces everyone's numbers by rank 0's.
    pub(super) fn agree<const N: usize>(&self, numbers: [&mut f64; N]) -> Result<()> {
        if self.ranks.is_alone() {
            return Ok(());
        }
        let mut bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        self.ranks.broadcast(&mut bytes)?;
        for (number, bytes) in numbers.into_iter().zip(bytes.as_chunks().0) {
            *number = f64::from_le_bytes(*bytes);
        }
        Ok(())
    }

    /// Begins the all-reduce of a batch's gradients.
    pub(super) fn begin(&mut self) -> Sums<'_> {
        Sums {
            all_reduce: self,
            places: Vec::new(),
            buffer: 0,
            used: 0,
            began: Instant::now(),
        }
    }
}

/// Gradients of one batch in flight.
pub(super) struct Sums<'a> {
    all_reduce: &'a mut AllReduce,
    places: Vec<Place>,
    /// The buffer that is being filled, and its fill level.
    buffer: usize,
    used: usize,
    began: Instant,
}

/// Position of a parameter's gradient.
struct Place {
    name: String,
    shape: Shape,
    buffer: usize,
    range: Range<usize>,
}

impl Sums<'_> {
    /// Sends gradients that are final on this rank.
    pub(super) fn send(&mut self, grads: &Gradients) -> Result<()> {
        if self.all_reduce.ranks.is_alone() {
            return Ok(());
        }
        for (name, _, grad) in grads.iter() {
            let count = grad.elem_count();
            if self.used + count > self.all_reduce.capacity {
                self.dispatch()?;
            }
            let range = self.used..self.used + count;
            let buffer = self.buffer(range.end)?;
            buffer.slice_set(&grad.flatten_all()?.contiguous()?, 0, range.start)?;
            self.used = range.end;
            self.places.push(Place {
                name: name.to_owned(),
                shape: grad.shape().clone(),
                buffer: self.buffer,
                range,
            });
        }
        self.all_reduce.ranks.advance()
    }

    /// Replaces the sent gradients by their sums over all ranks.
    pub(super) fn receive(mut self, grads: &mut Gradients) -> Result<()> {
        if self.all_reduce.ranks.is_alone() {
            return Ok(());
        }
        self.dispatch()?;
        self.all_reduce.ranks.finish_sums(patience(self.began))?;
        for place in &self.places {
            let Range { start, end } = place.range;
            let sum = self.all_reduce.buffers[place.buffer].narrow(0, start, end - start)?;
            // A copy, because the next step reuses the buffer. `Tensor::copy` would copy all of it.
            grads.replace(&place.name, sum.reshape(&place.shape)?.force_contiguous()?)?;
        }
        Ok(())
    }

    /// The `numbers` of each rank, in rank order.
    pub(super) fn gather<const N: usize>(&self, numbers: [f64; N]) -> Result<Vec<f64>> {
        let ranks = self.all_reduce.ranks();
        let places = ranks.rank() * N..;
        gather(
            ranks,
            ranks.size() * N,
            places.zip(numbers),
            patience(self.began),
        )
    }

    /// The buffer that is being filled, with room for `length` numbers.
    fn buffer(&mut self, length: usize) -> Result<&Tensor> {
        let AllReduce {
            ranks,
            capacity,
            buffers,
        } = &mut *self.all_reduce;
        let zeros = || Tensor::zeros(length.max(*capacity), DType::F32, ranks.device());
        match buffers.get(self.buffer) {
            None => buffers.push(zeros()?),
            Some(buffer) if buffer.elem_count() < length => buffers[self.buffer] = zeros()?,
            Some(_) => {}
        }
        Ok(&buffers[self.buffer])
    }

    /// Sends the buffer that is being filled, and starts the next.
    fn dispatch(&mut self) -> Result<()> {
        if self.used > 0 {
            let filled = self.all_reduce.buffers[self.buffer].narrow(0, 0, self.used)?;
            self.all_reduce.ranks.begin_sum(&filled)?;
            self.buffer += 1;
            self.used = 0;
        }
        Ok(())
    }
}
