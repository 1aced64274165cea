//! Compression behind the writer: chunks go in, finished Blosc2 chunks come out in order.

use crate::backend::process_id;
use crate::chunk::{ChunkLayout, Compressor, Params};
use crate::error::{Error, Result};
use crate::store::block_checksum::{block_sum, prefix_sum};
use crate::wire::{AlignedBuf, to_usize};
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Decoded bytes of finished chunks from which on they are written: so many share a leaf.
pub(crate) const TOGETHER: u64 = 2 << 20;
/// Chunks written together that are counted when the writer has to wait, at most.
const TOGETHER_MAX: u64 = 64;

/// A chunk to compress.
struct Task {
    chunk: u64,
    block: u32,
    data: Arc<AlignedBuf>,
    /// Memory for the result.
    space: Vec<u8>,
}

/// A compressed chunk with its checksums.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) bytes: Vec<u8>,
    pub(crate) prefix_sum: u64,
    pub(crate) sums: Vec<u64>,
}

/// Worker threads, each with a C context of its own. They start with the first chunk and end
/// with the pool.
#[derive(Debug)]
pub(crate) struct Pool {
    params: Params,
    file: [u8; 16],
    threads: usize,
    /// Chunks that the writer holds back and then writes together.
    together: usize,
    running: Option<Running>,
    /// Chunks given out and not yet taken back.
    under_way: usize,
    done: BTreeMap<u64, Result<Finished>>,
    spare: Vec<Vec<u8>>,
    process: u32,
}

#[derive(Debug)]
struct Running {
    tasks: Sender<Task>,
    results: Receiver<(u64, Result<Finished>)>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn new(params: Params, file: [u8; 16], threads: usize, chunk_size: u64) -> Self {
        Self {
            params,
            file,
            threads: threads.max(1),
            together: to_usize(TOGETHER.div_ceil(chunk_size.max(1)).min(TOGETHER_MAX)).unwrap_or(1),
            running: None,
            under_way: 0,
            done: BTreeMap::new(),
            spare: Vec::new(),
            process: process_id(),
        }
    }

    /// Chunks that may be under way before the writer has to wait: so many that the threads have work
    /// while it writes those that are finished.
    pub(crate) const fn depth(&self) -> usize {
        self.threads + 1 + self.together
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Gives out a chunk.
    pub(crate) fn submit(&mut self, chunk: u64, block: u32, data: Arc<AlignedBuf>) -> Result<()> {
        let depth = self.depth();
        let running = match &mut self.running {
            Some(r) => r,
            none => none.insert(start(self.params, self.file, self.threads, depth)?),
        };
        running
            .tasks
            .send(Task { chunk, block, data, space: self.spare.pop().unwrap_or_default() })
            .map_err(|_| Error::Thread { doing: "compression" })?;
        self.under_way += 1;
        Ok(())
    }

    /// The chunk `chunk`, if it is finished; waits for it if `wait`.
    pub(crate) fn take(&mut self, chunk: u64, wait: bool) -> Option<Result<Finished>> {
        loop {
            if let Some(r) = self.done.remove(&chunk) {
                self.under_way -= 1;
                return Some(r);
            }
            let results = &self.running.as_ref()?.results;
            let (at, result) = if wait && self.under_way > self.done.len() {
                results.recv().ok()?
            } else {
                results.try_recv().ok()?
            };
            self.done.insert(at, result);
        }
    }

    /// Takes back the memory of a finished chunk.
    pub(crate) fn recycle(&mut self, bytes: Vec<u8>) {
        if self.spare.len() <= self.depth() {
            self.spare.push(bytes);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        if self.process != process_id() {
            // A forked child has no such threads, and their locks may be held for ever.
            std::mem::forget(running);
            return;
        }
        let Running { tasks, results, workers } = running;
        {
            drop(tasks);
            drop(results);
            for w in workers {
                // A worker only ends by running out of tasks; there is nothing to learn here.
                drop(w.join());
            }
        }
    }
}

fn start(params: Params, file: [u8; 16], threads: usize, depth: usize) -> Result<Running> {
    let (tasks, todo) = bounded::<Task>(depth);
    let (finished, results) = unbounded();
    let workers = (0..threads)
        .map(|i| {
            let (todo, finished) = (todo.clone(), finished.clone());
            std::thread::Builder::new()
                .name(format!("vlstore-{i}"))
                .spawn(move || work(params, file, &todo, &finished))
                .map_err(|e| Error::io("start a compression thread", e))
        })
        .collect::<Result<_>>()?;
    Ok(Running { tasks, results, workers })
}

fn work(
    params: Params,
    file: [u8; 16],
    todo: &Receiver<Task>,
    finished: &Sender<(u64, Result<Finished>)>,
) {
    let mut made: Option<(u32, Compressor)> = None;
    while let Ok(task) = todo.recv() {
        if made.as_ref().is_none_or(|(block, _)| *block != task.block) {
            made = match Compressor::new(params, task.block) {
                Ok(c) => Some((task.block, c)),
                Err(e) => {
                    drop(finished.send((task.chunk, Err(e))));
                    continue;
                }
            };
        }
        let Some((_, compressor)) = &mut made else { continue };
        let result = finish(compressor, file, task.chunk, &task.data, task.space);
        drop(task.data);
        if finished.send((task.chunk, result)).is_err() {
            return;
        }
    }
}

/// Compresses one chunk and sums its parts.
pub(crate) fn finish(
    compressor: &mut Compressor,
    file: [u8; 16],
    chunk: u64,
    data: &[u8],
    space: Vec<u8>,
) -> Result<Finished> {
    let mut bytes = space;
    compressor.compress(data, &mut bytes)?;
    let (prefix_sum, sums) = sums(file, chunk, &bytes)?;
    Ok(Finished { bytes, prefix_sum, sums })
}

/// Checksums of the prefix and the blocks of a Blosc2 chunk.
pub(crate) fn sums(file: [u8; 16], chunk: u64, bytes: &[u8]) -> Result<(u64, Vec<u64>)> {
    let most = u32::MAX;
    let bad = || Error::corrupt("chunk", 0, "its blocks lie outside it");
    let header = bytes.get(..ChunkLayout::HEADER_LEN).ok_or_else(bad)?;
    let prefix = bytes.get(..ChunkLayout::prefix_len(header, most)?).ok_or_else(bad)?;
    let layout = ChunkLayout::parse(prefix, most)?;
    let sums = (0..layout.blocks())
        .map(|i| {
            let range = layout.block_range(i);
            let stream = bytes.get(range.start as usize..range.end as usize).ok_or_else(bad)?;
            Ok(block_sum(file, chunk, i, stream))
        })
        .collect::<Result<_>>()?;
    Ok((prefix_sum(file, chunk, prefix), sums))
}
