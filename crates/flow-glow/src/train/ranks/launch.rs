//! Rank and size of a job, from the variables of its launcher.

use std::env;

/// Position of a process in a job, from the variables that launchers set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Rank of this process, from 0.
    pub rank: usize,
    /// Number of processes.
    pub size: usize,
    /// Rank among the processes of this host, from 0.
    pub local_rank: usize,
    /// True if an MPI library connects the processes: its own launcher or Slurm's started them.
    pub by_mpi: bool,
}

/// Variables for rank, size and local rank: Open MPI, MPICH and its relatives, Slurm's `srun`,
/// torchrun.
const VARIABLES: [([&str; 3], bool); 4] = [
    (
        [
            "OMPI_COMM_WORLD_RANK",
            "OMPI_COMM_WORLD_SIZE",
            "OMPI_COMM_WORLD_LOCAL_RANK",
        ],
        true,
    ),
    (["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"], true),
    (["RANK", "WORLD_SIZE", "LOCAL_RANK"], false),
    (
        ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"],
        true,
    ),
];

impl Launch {
    /// The launch of this process; `None` without a launcher.
    pub fn from_env() -> Option<Self> {
        Self::found(|name| env::var(name).ok())
    }

    fn found(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.parse::<usize>().ok();
        VARIABLES.iter().find_map(|([rank, size, local], by_mpi)| {
            let (rank, size) = (number(rank)?, number(size)?);
            (rank < size).then(|| Self {
                rank,
                size,
                local_rank: number(local).unwrap_or(0),
                by_mpi: *by_mpi,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_told_apart() {
        let launch = |set: &[(&str, &str)]| {
            Launch::found(|name| {
                let found = set.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(launch(&[]), None);
        // A Slurm batch script is not a job step.
        assert_eq!(
            launch(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]),
            None
        );
        assert_eq!(launch(&[("RANK", "2"), ("WORLD_SIZE", "2")]), None);
        assert_eq!(launch(&[("RANK", "one"), ("WORLD_SIZE", "2")]), None);
        let torchrun = [("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")];
        let expected = Launch {
            rank: 5,
            size: 8,
            local_rank: 1,
            by_mpi: false,
        };
        assert_eq!(launch(&torchrun), Some(expected));
        let both = [
            &torchrun[..],
            &[("OMPI_COMM_WORLD_RANK", "3"), ("OMPI_COMM_WORLD_SIZE", "4")],
        ]
        .concat();
        let expected = Launch {
            rank: 3,
            size: 4,
            local_rank: 0,
            by_mpi: true,
        };
        assert_eq!(launch(&both), Some(expected));
    }
}
