//! What is kept in memory of a leaf for reading single records at random: groups of its records,
//! parsed and checked once.

use crate::index::leaf::{Firsts, KeptKeys, KeptPlaces};
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Looks at a leaf before anything of it is kept: reading its first keys costs about as much as so many
/// searches, and to read a few records none of this is needed.
const LOOKS: usize = 16;
/// Bytes that all leaves of a process keep, from which on they keep no more.
const MOST: usize = 64 << 20;

static KEPT: AtomicUsize = AtomicUsize::new(0);

/// What is kept of a leaf.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    looks: AtomicUsize,
    groups: OnceBox<Vec<Group>>,
    /// The first keys of its groups; nothing if they are many, or cannot be read.
    firsts: OnceBox<Option<Firsts>>,
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Group {
    places: OnceBox<KeptPlaces>,
    keys: OnceBox<KeptKeys>,
}

impl Kept {
    /// Whether the leaf is looked at often enough; counts the look.
    fn pays(&self) -> bool {
        self.looks.load(Ordering::Relaxed) >= LOOKS
            || self.looks.fetch_add(1, Ordering::Relaxed) >= LOOKS
    }

    /// What `place` holds from now on, if there is room for it.
    fn keep<'a, T>(
        &self,
        place: &'a OnceBox<T>,
        make: impl FnOnce() -> Option<T>,
        size: impl FnOnce(&T) -> usize,
    ) -> Option<&'a T> {
        if KEPT.load(Ordering::Relaxed) >= MOST {
            return None;
        }
        let made = make()?;
        // Made by two threads at once, it is counted twice until the leaf goes.
        let size = size(&made);
        KEPT.fetch_add(size, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        Some(place.get_or_init(|| Box::new(made)))
    }

    /// Group `g` of `groups`.
    fn group(&self, g: usize, groups: usize) -> Option<&Group> {
        if let Some(all) = self.groups.get() {
            return all.get(g);
        }
        let make = || Some((0..groups).map(|_| Group::default()).collect());
        if !self.pays() {
            return None;
        }
        self.keep(&self.groups, make, |_| groups * size_of::<Group>())?.get(g)
    }

    /// The places of group `g` of `groups`.
    pub(crate) fn places(
        &self,
        g: usize,
        groups: usize,
        make: impl FnOnce() -> Option<KeptPlaces>,
    ) -> Option<&KeptPlaces> {
        let place = &self.group(g, groups)?.places;
        place.get().or_else(|| self.keep(place, make, KeptPlaces::size))
    }

    /// The keys of group `g` of `groups`.
    pub(crate) fn keys(
        &self,
        g: usize,
        groups: usize,
        make: impl FnOnce() -> Option<KeptKeys>,
    ) -> Option<&KeptKeys> {
        let place = &self.group(g, groups)?.keys;
        place.get().or_else(|| self.keep(place, make, KeptKeys::size))
    }

    /// The first keys of the groups.
    pub(crate) fn firsts(&self, make: impl FnOnce() -> Option<Firsts>) -> Option<&Firsts> {
        let found = match self.firsts.get() {
            Some(found) => found,
            None if !self.pays() => return None,
            None => {
                let size = |made: &Option<Firsts>| made.as_ref().map_or(0, Firsts::size);
                self.keep(&self.firsts, || Some(make()), size)?
            }
        };
        found.as_ref()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}
