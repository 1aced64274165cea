//! Channels as crossbeam's, of loom's mutex and condition variable.

use loom::sync::{Arc, Condvar, Mutex};
use std::collections::VecDeque;

struct State<T> {
    queue: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    most: usize,
}

pub struct Sender<T>(Arc<Shared<T>>);
pub struct Receiver<T>(Arc<Shared<T>>);
#[derive(Debug)]
pub struct Closed;

pub fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), senders: 1, receivers: 1 };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), most });
    (Sender(shared.clone()), Receiver(shared))
}

pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

impl<T> Sender<T> {
    pub fn send(&self, item: T) -> Result<(), Closed> {
        let mut state = self.0.state.lock().unwrap();
        while state.queue.len() >= self.0.most && state.receivers > 0 {
            state = self.0.changed.wait(state).unwrap();
        }
        if state.receivers == 0 {
            return Err(Closed);
        }
        state.queue.push_back(item);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub fn recv(&self) -> Result<T, Closed> {
        let mut state = self.0.state.lock().unwrap();
        loop {
            if let Some(item) = state.queue.pop_front() {
                self.0.changed.notify_all();
                return Ok(item);
            }
            if state.senders == 0 {
                return Err(Closed);
            }
            state = self.0.changed.wait(state).unwrap();
        }
    }

    pub fn try_recv(&self) -> Result<T, Closed> {
        let item = self.0.state.lock().unwrap().queue.pop_front().ok_or(Closed);
        self.0.changed.notify_all();
        item
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().unwrap().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().unwrap().receivers += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap();
        state.receivers -= 1;
        // What nobody will receive goes with the last receiver, not under the lock.
        let left =
            if state.receivers == 0 { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        drop(state);
        self.0.changed.notify_all();
        drop(left);
    }
}
