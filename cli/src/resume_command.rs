//! The command that goes on with an import, as a person would type it.

use crate::outcome::is_full;
use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use vlstore::{Error, Unresumed};

/// How `import` was called, and how far it came.
#[derive(Debug)]
pub(crate) struct ResumeCommand {
    words: Vec<OsString>,
    standard: bool,
    begun: Cell<bool>,
    frame: Cell<u64>,
}

/// Options that hold for the first time alone: the store is there then, and what was to be deleted
/// or added anew has been.
const ONCE: [&str; 4] = ["--overwrite", "--drop-newer", "--keep-all", "--append"];

impl ResumeCommand {
    /// From the words of the command line; `standard` if one of the inputs is standard input, which
    /// cannot be read again.
    pub(crate) fn new(words: &[OsString], standard: bool) -> Self {
        Self { words: words.to_vec(), standard, begun: Cell::new(false), frame: Cell::new(0) }
    }

    /// The store is there.
    pub(crate) fn begun(&self) {
        self.begun.set(true);
    }

    /// So many frames of the inputs were read.
    pub(crate) fn came_to(&self, frame: u64) {
        self.frame.set(frame);
    }

    /// The command that resumes the import: all that was asked for, but with `--append`.
    pub(crate) fn command(&self) -> String {
        if self.standard {
            let from = format!("--from-frame={}", self.frame.get());
            return format!("{} (with the same standard input)", self.with(&["--keep-all", &from]));
        }
        self.with(&[])
    }

    /// That command with these options.
    fn with(&self, more: &[&str]) -> String {
        let mut words = self.words.iter();
        let program = words.next().map_or(OsStr::new("vlstore"), OsString::as_os_str);
        let named = std::path::Path::new(program).file_stem() == Some(OsStr::new("vlstore"));
        let mut out = vec![quoted(if named { program } else { OsStr::new("vlstore") })];
        let (mut rest, mut literal, mut value) = (Vec::new(), false, false);
        let begin = more.iter().any(|m| m.starts_with("--from-frame"));
        for word in words {
            let text = word.to_str().unwrap_or_default();
            let skipped = std::mem::take(&mut value)
                || (!literal
                    && (ONCE.contains(&text)
                        || more.contains(&text)
                        || (begin && text.starts_with("--from-frame="))));
            value = !literal && begin && text == "--from-frame";
            literal |= text == "--";
            if !skipped && !value {
                rest.push(quoted(word));
            }
        }
        let mut rest = rest.into_iter();
        out.extend(rest.next());
        out.push("--append".into());
        out.extend(more.iter().map(|m| (*m).to_owned()));
        out.extend(rest);
        out.join(" ")
    }

    /// What to type after this error.
    pub(crate) fn hint(&self, error: &Error) -> Option<String> {
        let with = |more: &[&str]| self.with(more);
        Some(match error {
            Error::Exists { .. } => {
                format!("to add to the store: {}; --overwrite replaces it", with(&[]))
            }
            Error::Resume { reason, .. } => match reason {
                Unresumed::Unknown | Unresumed::Changed => format!(
                    "to add all frames of the inputs: {}; --from-frame N begins at frame N of them, \
                     --from-step S at step S",
                    with(&["--keep-all"])
                ),
                Unresumed::Unfinished if self.words.iter().any(|w| w == "--keep-all") => format!(
                    "to resume it: {}; to add all frames of the inputs anyway: {}",
                    with(&[]),
                    with(&["--keep-all", "--from-frame=0"])
                ),
                Unresumed::Unfinished => {
                    format!("to leave it as it is and add these: {}", with(&["--keep-all"]))
                }
                Unresumed::Replaced => format!(
                    "to add all of it as another run, import it alone: {}; to replace what is stored \
                     of it: --from-step S --drop-newer, or --from-frame N --drop-newer",
                    with(&["--keep-all"])
                ),
                Unresumed::OutOfOrder => {
                    format!("to add them there: {}", with(&["--out-of-order"]))
                }
                Unresumed::Sites => {
                    format!("to accept any number of atoms: {}", with(&["--mixed"]))
                }
                Unresumed::Stream => with(&["--keep-all"]),
                _ => "omit that option, or import into another store".into(),
            },
            error if self.begun.get() && is_full(error) => {
                format!("every commit is kept; free some space, then resume: {}", self.command())
            }
            Error::Format { format, .. } if self.begun.get() && *format != "trajectory" => format!(
                "the frames before it are stored; when the input is whole, to resume: {}",
                self.command()
            ),
            _ if self.begun.get() => format!("every commit is kept; to resume: {}", self.command()),
            _ => return None,
        })
    }
}

/// A word as a shell reads it back.
fn quoted(word: &OsStr) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    let bytes = word.as_encoded_bytes();
    if !bytes.is_empty() && bytes.iter().all(|b| plain(*b)) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if let Some(text) = word.to_str()
        && !text.chars().any(char::is_control)
    {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    // Bytes that are no text: as bash, zsh and ksh read them.
    let mut out = String::from("$'");
    for b in bytes {
        if plain(*b) {
            out.push(char::from(*b));
        } else {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn again(line: &[&str]) -> ResumeCommand {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        let crate::Verb::Import(args) = crate::Cli::parse_from(&words).verb else { panic!() };
        ResumeCommand::new(&words, args.reads_standard())
    }

    #[test]
    fn the_command_that_goes_on_has_all_that_was_asked_for_but_what_holds_once() {
        let line = "vlstore import --overwrite --precision 100 -q a.xtc b.xtc c.vls";
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(
            again(&words).command(),
            "vlstore import --append --precision 100 -q a.xtc b.xtc c.vls"
        );
        let words = ["x/vlstore", "import", "--name-prefix", "it's ", "--", "--append", "b.vls"];
        assert_eq!(
            again(&words).command(),
            "x/vlstore import --append --name-prefix 'it'\\''s ' -- --append b.vls"
        );
        let stdin = again(&["vlstore", "import", "--from-frame", "3", "-", "c.vls"]);
        stdin.came_to(12);
        assert_eq!(
            stdin.command(),
            "vlstore import --append --keep-all --from-frame=12 - c.vls (with the same standard input)"
        );
    }

    #[cfg(unix)]
    #[test]
    fn words_that_are_no_text_are_quoted_as_bytes() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(quoted(OsStr::from_bytes(b"\xffa b")), "$'\\xffa\\x20b'");
        assert_eq!(quoted(OsStr::new("")), "''");
    }
}
