//! An object that is read by ranges, in memory or in a file, which counts what is asked of it and fails when
//! told to.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "shared by tests and a benchmark, none of which uses all of it"
)]

use std::io;
use std::ops::Range;
use std::sync::Mutex;
use vlstore::backend::{Backend, Begun, RangeSource};
use vlstore::{Error, Result};

/// What was asked: round trips, requests (the ranges of a round trip run side by side), bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    pub rounds: usize,
    pub requests: usize,
    pub bytes: u64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next so many round trips fail.
    Fails(usize),
    /// Answers have one byte less.
    Short,
    /// Answers differ here and there.
    Flipped,
    /// The object was replaced.
    Replaced,
}

#[derive(Debug)]
pub struct Far<B> {
    pub content: B,
    pub cost: Mutex<Cost>,
    pub fault: Mutex<Option<Fault>>,
    /// The ranges of all requests.
    pub asked: Mutex<Vec<Range<u64>>>,
    pub version: Option<&'static str>,
}

impl<B: Backend> Far<B> {
    pub fn new(content: B) -> Self {
        Self {
            content,
            cost: Mutex::default(),
            fault: Mutex::default(),
            asked: Mutex::default(),
            version: Some("1"),
        }
    }

    /// What was asked since the last time.
    pub fn cost(&self) -> Cost {
        std::mem::take(&mut *self.cost.lock().unwrap())
    }

    pub fn set(&self, fault: impl Into<Option<Fault>>) {
        *self.fault.lock().unwrap() = fault.into();
    }

    fn get(&self, range: &Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.content.read_at(range.start, &mut bytes)?;
        Ok(bytes)
    }

    fn fault(&self) -> Result<Option<Fault>> {
        let mut fault = self.fault.lock().unwrap();
        match *fault {
            Some(Fault::Fails(0)) => *fault = None,
            Some(Fault::Fails(n)) => {
                *fault = Some(Fault::Fails(n - 1));
                return Err(Error::io("read", io::Error::other("the network is away")));
            }
            Some(Fault::Replaced) => return Err(Error::Replaced),
            _ => {}
        }
        Ok(*fault)
    }
}

impl<B: Backend> RangeSource for Far<B> {
    fn name(&self) -> &str {
        "test://here/store"
    }

    fn begin(&self, most: u64) -> Result<Begun> {
        let replaced = *self.fault.lock().unwrap() == Some(Fault::Replaced);
        let len = self.content.len()?;
        let bytes = self.get(&(0..most.min(len)))?;
        let mut cost = self.cost.lock().unwrap();
        cost.rounds += 1;
        cost.requests += 1;
        cost.bytes += bytes.len() as u64;
        let version = if replaced { Some("2".into()) } else { self.version.map(Into::into) };
        Ok(Begun { len, version, bytes })
    }

    fn read(&self, ranges: &[Range<u64>], version: Option<&str>) -> Result<Vec<Vec<u8>>> {
        assert_eq!(version, self.version);
        assert!(
            ranges.is_sorted_by(|a, b| a.end <= b.start) && ranges.iter().all(|r| !r.is_empty())
        );
        {
            let mut cost = self.cost.lock().unwrap();
            cost.rounds += 1;
            cost.requests += ranges.len();
            cost.bytes += ranges.iter().map(|r| r.end - r.start).sum::<u64>();
        }
        self.asked.lock().unwrap().extend_from_slice(ranges);
        let fault = self.fault()?;
        let one = |range: &Range<u64>| {
            let mut bytes = self.get(range)?;
            match fault {
                Some(Fault::Short) => drop(bytes.pop()),
                Some(Fault::Flipped) => {
                    bytes.iter_mut().step_by(100).for_each(|byte| *byte ^= 1);
                }
                _ => {}
            }
            Ok(bytes)
        };
        ranges.iter().map(one).collect()
    }
}
