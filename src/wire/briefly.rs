//! Locks that are tried for a moment.

/// Tries so often: a lock that is held for a few assignments is free by then.
const TRIES: usize = 100;

/// What `attempt` gets of a lock that others hold for a moment only. It is not waited for, as a child would wait
/// for ever for what another thread of its parent held when it forked; after some tries there is `None`.
pub fn briefly<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 1..TRIES {
        if let Some(found) = attempt() {
            return Some(found);
        }
        std::hint::spin_loop();
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_lock_that_is_held_for_ever_is_given_up() {
        let lock = Mutex::new(1);
        let mut tries = 0;
        let held = lock.lock().unwrap();
        let found = briefly(|| {
            tries += 1;
            lock.try_lock().ok().map(|value| *value)
        });
        assert_eq!((found, tries), (None, TRIES));
        drop(held);
        assert_eq!(briefly(|| lock.try_lock().ok().map(|value| *value)), Some(1));
    }
}
