//! Names of the views in an archive: free, also where letters of both cases are the same and some
//! characters cannot stand in a name.

use std::collections::BTreeSet;

/// Names that are taken in one folder or archive.
#[derive(Debug)]
pub(super) struct Places {
    taken: BTreeSet<String>,
}

impl Places {
    pub(super) fn new<'a>(taken: impl IntoIterator<Item = &'a str>) -> Self {
        Self { taken: taken.into_iter().map(folded).collect() }
    }

    /// `folder` and `name`, with a number behind it if that is taken; it is taken from now on.
    pub(super) fn free(&mut self, folder: &str, name: &str) -> String {
        let mut found = name.to_owned();
        let mut n = 1;
        while !self.taken.insert(folded(&found)) {
            found = format!("{name}.{n}");
            n += 1;
        }
        format!("{folder}{found}")
    }
}

/// What is the same for two names that some system does not tell apart: Windows and macOS do not
/// know the case, and on Windows unpacking replaces characters and drops dots and spaces at the end.
pub(super) fn folded(name: &str) -> String {
    let part = |part: &str| {
        let part = part.trim_end_matches(['.', ' ']).to_lowercase();
        part.replace(['<', '>', ':', '"', '|', '?', '*'], "_")
    };
    name.trim_end_matches('/').split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_system_does_not_tell_apart_get_numbers() {
        let mut places = Places::new(["trials.csv", "root/P01/"]);
        assert_eq!(places.free("a/", "trials.csv"), "a/trials.csv.1");
        assert_eq!(places.free("a/", "Trials.CSV"), "a/Trials.CSV.2");
        assert_eq!(places.free("a/", "emg"), "a/emg");
        assert_eq!(places.free("a/", "EMG"), "a/EMG.1");
        assert_eq!(places.free("", "x:y"), "x:y");
        assert_eq!(places.free("", "x?y."), "x?y..1");
        assert_eq!(places.free("", "root/p01"), "root/p01.1");
    }
}
