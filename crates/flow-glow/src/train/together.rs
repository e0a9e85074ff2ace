//! Trainers of several ranks with one state: its distribution, and the check that it is the same.

use super::ranks::{Ranks, gather, patience};
use super::trainer::Trainer;
use crate::{Error, Result};
use candle_core::DType;
use flow_core::transfer;
use std::time::Instant;

#[allow(clippy::float_cmp)] // Counts and checksums are sent without loss.
impl Trainer {
    /// Sends rank 0's weights, average and moments to everyone, bit by bit. Checks that all ranks
    /// are at the same step and have the same last good state.
    ///
    /// # Errors
    /// [`Error::Ranks`] if the ranks resumed from different files.
    pub fn unite(&mut self, ranks: &dyn Ranks) -> Result<()> {
        if ranks.is_alone() {
            return Ok(());
        }
        let pieces = self.state.pieces().collect::<Vec<_>>();
        let counts = [pieces.len() as f64, self.progress.step as f64];
        let own = (2 * ranks.rank()..).zip(counts);
        let all = gather(ranks, 2 * ranks.size(), own, None)?;
        let all = all.as_chunks::<2>().0;
        if all
            .iter()
            .any(|other| other.map(f64::to_bits) != counts.map(f64::to_bits))
        {
            return Err(Error::Ranks(
                "the ranks resume from different trainings; let `--out` be a folder that all hosts share"
                    .into(),
            ));
        }
        for (_, piece) in pieces {
            let tensor = piece.get()?;
            let numbers = transfer::numbers(&tensor.detach())?.into_iter();
            let mut bytes: Vec<u8> = numbers
                .flat_map(|number| (number as f32).to_le_bytes())
                .collect();
            ranks.broadcast(&mut bytes)?;
            if !ranks.leads() {
                let numbers = bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|bytes| f32::from_le_bytes(*bytes))
                    .collect::<Vec<_>>();
                let numbers =
                    transfer::upload(numbers, tensor.shape(), DType::F32, tensor.device())?;
                piece.set(&numbers)?;
            }
        }
        self.check_united(ranks)
    }

    /// # Errors
    /// [`Error::Ranks`] if the state of another rank differs from rank 0's in a bit.
    pub fn check_united(&self, ranks: &dyn Ranks) -> Result<()> {
        if ranks.is_alone() {
            return Ok(());
        }
        let began = Instant::now();
        let own = f64::from(self.checksum()?);
        let all = gather(ranks, ranks.size(), [(ranks.rank(), own)], patience(began))?;
        match all.iter().position(|sum| sum.to_bits() != all[0].to_bits()) {
            None => Ok(()),
            Some(rank) => Err(Error::Ranks(format!(
                "after step {}, the weights of rank {rank} are not those of rank 0; let all hosts be alike, \
                 and go on from the last checkpoint with `--resume`",
                self.progress.step
            ))),
        }
    }

    /// Checksum of all numbers that training changes, and of the last good ones.
    fn checksum(&self) -> Result<u32> {
        let mut hash = 0x811c_9dc5_u32;
        let good = self.good.iter().flat_map(|good| good.tensors.values());
        let own = self.state.pieces().map(|(_, piece)| piece);
        for piece in own.chain(good.cloned()) {
            for number in transfer::numbers(&piece.get()?.detach())? {
                // FNV-1a, by words.
                hash = (hash ^ (number as f32).to_bits()).wrapping_mul(0x0100_0193);
            }
        }
        Ok(hash)
    }
}
