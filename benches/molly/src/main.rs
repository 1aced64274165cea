//! Reads all frames of an XTC file with molly, several times, and prints the seconds of each time: `read-with-molly
//! FILE ROUNDS`. The memory of one frame is used for all.

use molly::{Frame, XTCReader};
use std::io::{BufReader, Error, ErrorKind, Read, Result};
use std::time::Instant;

/// Reads to the end; the number of frames, and of all positions.
fn read(file: impl Read) -> Result<(u64, u64)> {
    let mut reader = XTCReader::new(file);
    let (mut frame, mut frames, mut positions) = (Frame::default(), 0, 0);
    loop {
        match reader.read_frame(&mut frame) {
            Ok(()) => (frames, positions) = (frames + 1, positions + frame.natoms() as u64),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Ok((frames, positions));
            }
            Err(error) => return Err(error),
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || Error::other("usage: read-with-molly FILE ROUNDS");
    let path = arguments.next().ok_or_else(usage)?;
    let rounds: u32 = arguments.next().and_then(|n| n.parse().ok()).ok_or_else(usage)?;
    for _ in 0..rounds {
        // Small reads of a header go through a buffer, as in our reader.
        let start = Instant::now();
        let (frames, positions) =
            read(BufReader::with_capacity(1 << 18, std::fs::File::open(&path)?))?;
        println!("{} {frames} {positions}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
