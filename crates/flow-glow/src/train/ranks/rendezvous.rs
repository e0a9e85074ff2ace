//! Rendezvous of ranks without MPI: rank 0 answers whoever connects to MASTER_ADDR:MASTER_PORT.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
#[cfg(feature = "nccl")]
use {
    super::Launch,
    crate::{Error, Result},
    std::env,
};

/// Time that a rank waits for the others to start.
const PATIENCE: Duration = Duration::from_mins(2);

/// Interval between two attempts.
const INTERVAL: Duration = Duration::from_millis(100);

/// Sends rank 0's `bytes` to everyone.
#[cfg(feature = "nccl")]
pub(super) fn share(launch: &Launch, bytes: &mut [u8]) -> Result<()> {
    let variable = |name: &str| {
        let unset = |_| {
            Error::Ranks(format!(
                "`{name}` is not set; it says where rank 0 is to be found"
            ))
        };
        env::var(name).map_err(unset)
    };
    let address = format!("{}:{}", variable("MASTER_ADDR")?, variable("MASTER_PORT")?);
    let shared = if launch.rank == 0 {
        serve(&address, launch.size - 1, bytes)
    } else {
        ask(&address, bytes)
    };
    shared.map_err(|error| {
        Error::Ranks(format!(
            "cannot meet the other ranks at `{address}`: {error}"
        ))
    })
}

fn serve(address: &str, others: usize, bytes: &[u8]) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let began = Instant::now();
    let mut served = 0;
    while served < others {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.write_all(bytes)?;
                served += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => nap(began)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn ask(address: &str, bytes: &mut [u8]) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                return stream.read_exact(bytes);
            }
            // Rank 0 may start later.
            Err(_) => nap(began)?,
        }
    }
}

fn nap(began: Instant) -> io::Result<()> {
    if began.elapsed() > PATIENCE {
        return Err(io::ErrorKind::TimedOut.into());
    }
    thread::sleep(INTERVAL);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ranks_get_the_bytes_of_the_first() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        thread::scope(|scope| {
            let others = [(); 3].map(|()| {
                scope.spawn(|| {
                    let mut bytes = [0; 128];
                    ask(&address, &mut bytes).unwrap();
                    bytes
                })
            });
            serve(&address, 3, &[7; 128]).unwrap();
            for other in others {
                assert_eq!(other.join().unwrap(), [7; 128]);
            }
        });
    }
}
