//! Names of subjects, tasks, arrays and objects: they become names of files and of groups.

use crate::error::{Error, Result};

/// Longest name, in bytes of UTF-8: file systems end names at 255, and a suffix such as `.vls`
/// is added.
pub const NAME_MAX: usize = 240;

/// What the name of the file of a task ends with.
pub(super) const SUFFIX: &str = ".vls";

/// The task whose store a file of this name is.
pub(super) fn task_of(file: &str) -> Option<&str> {
    file.strip_suffix(SUFFIX).filter(|task| !task.is_empty() && !task.starts_with('.'))
}

/// The number that a name is, written as numbers are: `7`, but neither `07` nor `+7`.
pub(super) fn ordinal(name: &str) -> Option<u64> {
    name.parse().ok().filter(|n: &u64| n.to_string() == name)
}

/// Files of a task of the original program: its table, and what those of its arrays end with.
pub(super) const TABLE: &str = "trials.csv";
pub(super) const ARRAYS: &str = ".hdf5";

/// Whether a file of this name shows that the folder in which it lies is a task of the original
/// program.
pub(super) fn is_original(name: &str) -> bool {
    name == TABLE || name.strip_suffix(ARRAYS).is_some_and(|array| !array.is_empty())
}

/// Refuses what cannot be the name of a file in every place where an experiment is written to.
///
/// # Errors
/// [`Error::Invalid`] that says why.
pub(super) fn check(what: &'static str, name: &str) -> Result<()> {
    let refused = |why: String| Err(Error::invalid(what, why));
    if name.is_empty() {
        return refused("the name is empty; give it at least one character".into());
    }
    if name.len() > NAME_MAX {
        let (len, start) = (name.len(), name.chars().take(20).collect::<String>());
        return refused(format!(
            "the name {start:?}... is {len} bytes long; names of files end at 255, so take one of \
             at most {NAME_MAX}"
        ));
    }
    if name.starts_with('.') {
        return refused(format!(
            "{name:?} begins with a dot, as `..` and hidden files do; take another first character"
        ));
    }
    if let Some(c) = name.chars().find(|c| matches!(c, '/' | '\\') || c.is_control()) {
        return refused(format!(
            "{name:?} contains {c:?}; a name has no separators of folders and no control characters"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_and_spaces_pass_and_what_leads_elsewhere_does_not() {
        for name in ["p01", "Größe 1", "\u{65e5}\u{672c}", "a.b", "-", &"x".repeat(NAME_MAX)] {
            check("subject", name).unwrap();
        }
        let long = "x".repeat(300);
        for name in ["", ".", "..", "a/b", "../a", "a\\b", "/", "a\0b", "a\nb", ".hidden", &long] {
            let why = check("subject", name).unwrap_err().to_string();
            assert!(why.starts_with("subject: "), "{why}");
            assert!(why.len() < 200, "{why}");
        }
    }
}
