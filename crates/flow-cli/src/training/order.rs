//! Orders of rank 0, which decides, to the other ranks.

use anyhow::{Result, bail};
use flow_glow::ranks::Ranks;

/// The next thing that all ranks do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// Take the step of the gradient at hand, with this share of the training done.
    Apply(f64),
    /// Leave out the batch at hand.
    Pass,
    /// Take the gradient at hand again.
    Again,
    /// Go back to the last good state.
    RollBack,
    /// Measure the probe.
    Probe,
    /// Measure all test images.
    Test,
    /// Compare weights.
    Compare,
    /// End.
    End,
}

impl Order {
    /// Sends the order to the other ranks, if there are any.
    pub(super) fn give(self, ranks: &dyn Ranks) -> Result<()> {
        if !ranks.is_alone() {
            ranks.broadcast(&mut self.encode())?;
        }
        Ok(())
    }

    /// Waits for the next one.
    pub(super) fn wait(ranks: &dyn Ranks) -> Result<Self> {
        let mut bytes = [0; 9];
        ranks.broadcast(&mut bytes)?;
        Self::decode(bytes)
    }

    fn encode(self) -> [u8; 9] {
        let (kind, share) = match self {
            Self::Apply(share) => (0, share),
            Self::Pass => (1, 0.0),
            Self::Again => (2, 0.0),
            Self::RollBack => (3, 0.0),
            Self::Probe => (4, 0.0),
            Self::Test => (5, 0.0),
            Self::Compare => (6, 0.0),
            Self::End => (7, 0.0),
        };
        let mut bytes = [kind; 9];
        bytes[1..].copy_from_slice(&f64::to_le_bytes(share));
        bytes
    }

    fn decode(bytes: [u8; 9]) -> Result<Self> {
        let [kind, share @ ..] = bytes;
        Ok(match kind {
            0 => Self::Apply(f64::from_le_bytes(share)),
            1 => Self::Pass,
            2 => Self::Again,
            3 => Self::RollBack,
            4 => Self::Probe,
            5 => Self::Test,
            6 => Self::Compare,
            7 => Self::End,
            _ => bail!("the ranks run different versions of this program"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were_given() {
        use Order::{Again, Apply, Compare, End, Pass, Probe, RollBack, Test};
        for order in [
            Apply(0.37),
            Pass,
            Again,
            RollBack,
            Probe,
            Test,
            Compare,
            End,
        ] {
            assert_eq!(Order::decode(order.encode()).unwrap(), order);
        }
        assert!(Order::decode([8; 9]).is_err());
    }
}
