//! The command line: arguments and dispatch; one file for each verb.
//!
//! Knows how a person asks and how the answer is shown. What is true of stores and
//! trajectories is in the library; nothing here reads or writes a byte of a file by itself.

mod archive;
mod bench;
mod choices;
mod columns;
mod compact;
mod consolidate;
mod copy;
mod demo;
mod export;
mod follow;
mod get;
mod import;
mod info;
mod interrupt;
mod keys;
mod layout;
mod ls;
mod merge;
mod open;
mod outcome;
mod output;
mod parts;
mod plot;
mod progress;
mod publish;
mod pull;
mod push;
mod put;
mod ranges;
mod recover;
mod resume_command;
mod rm;
mod seal;
mod shard;
mod shell;
mod sizes;
mod split;
mod stat;
mod topology;
mod transfer;
mod verify;
mod work;

use crate::outcome::{Exit, Outcome, is_full, tell};
use clap::{CommandFactory, Parser, Subcommand};
use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use vlstore::Error;
use vlstore::printable::printable_lines;

const HELP: &str = "\
Exit status:
    0  done
    1  failed; the message says what failed, where, and what to do
    2  the arguments cannot be understood
    3  damage was found or prevented the work, or an older state than the newest was shown
    4  the record does not exist
  130  interrupted by Ctrl-C (143: by a termination signal); what was done is committed

Keys: an integer is an integer key, as frames have; anything else is a string key. str:7 is the
string 7, int:7 the integer, hex:00ff bytes, json:\"a\\u001bb\" a string with characters that cannot
be typed, as `ls` shows it.

`vlstore VERB --help` shows examples.";

/// A compressed store for variable-length records: trajectories and other data in one small
/// file, safe if a job is killed, readable while it grows
#[derive(Debug, Parser)]
#[command(name = "vlstore", version, after_help = HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Import(import::Args),
    Export(export::Args),
    Info(info::Args),
    Ls(ls::Args),
    Columns(columns::Args),
    Get(get::Args),
    Put(put::Args),
    Rm(rm::Args),
    Verify(verify::Args),
    Seal(seal::Args),
    Stat(stat::Args),
    Topology(topology::Args),
    Follow(follow::Args),
    Plot(plot::Args),
    Compact(compact::Args),
    Recover(recover::Args),
    Copy(copy::Args),
    Merge(merge::Args),
    Split(split::Args),
    Shard(shard::Args),
    Publish(publish::Args),
    Push(push::Args),
    Pull(pull::Args),
    Archive(archive::Args),
    Consolidate(consolidate::Args),
    Bench(bench::Args),
    Demo(demo::Args),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// Does what `args` ask for, the first of which is the name of the program, and returns the exit
/// status. The Python package, which brings this command too, calls it as well.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    open::begin();
    let words: Vec<OsString> = args.into_iter().collect();
    let verb = match Cli::try_parse_from(&words) {
        Ok(cli) => cli.verb,
        Err(asked) => {
            refuse(&asked);
            return u8::try_from(asked.exit_code()).unwrap_or(2);
        }
    };
    let again = match &verb {
        Verb::Import(args) => {
            Some(resume_command::ResumeCommand::new(&words, args.reads_standard()))
        }
        _ => None,
    };
    let (outcome, hint): (Outcome, fn(&Error) -> Option<&'static str>) = match verb {
        Verb::Import(args) => match &again {
            Some(again) => (import::run(&args, again), |_| None),
            None => return 2,
        },
        Verb::Export(args) => (export::run(&args), export::hint),
        Verb::Info(args) => (info::run(&args), |_| None),
        Verb::Ls(args) => (ls::run(&args), |_| None),
        Verb::Columns(args) => (columns::run(&args), columns::hint),
        Verb::Get(args) => (get::run(&args), get::hint),
        Verb::Put(args) => (put::run(&args), put::hint),
        Verb::Rm(args) => (rm::run(&args), |_| None),
        Verb::Verify(args) => (verify::run(&args), |_| None),
        Verb::Seal(args) => (seal::run(&args), |_| None),
        Verb::Stat(args) => (stat::run(&args), |_| None),
        Verb::Topology(args) => (topology::run(&args), |_| None),
        Verb::Follow(args) => (follow::run(&args), |_| None),
        Verb::Plot(args) => (plot::run(&args), plot::hint),
        Verb::Compact(args) => (compact::run(&args), compact::hint),
        Verb::Recover(args) => (recover::run(&args), recover::hint),
        Verb::Copy(args) => (copy::run(&args), copy::hint),
        Verb::Merge(args) => (merge::run(&args), merge::hint),
        Verb::Split(args) => (split::run(&args), split::hint),
        Verb::Shard(args) => (shard::run(&args), shard::hint),
        Verb::Publish(args) => (publish::run(&args), publish::hint),
        Verb::Push(args) => (push::run(&args), |_| None),
        Verb::Pull(args) => (pull::run(&args), |_| None),
        Verb::Archive(args) => (archive::run(&args), archive::hint),
        Verb::Consolidate(args) => (consolidate::run(&args), consolidate::hint),
        Verb::Bench(args) => (bench::run(&args), |_| None),
        Verb::Demo(args) => (demo::run(&args), |_| None),
        Verb::Completions(args) => (shell::completions(&args, Cli::command()), |_| None),
        Verb::Man(args) => (shell::man(&args, Cli::command()), |_| None),
    };
    match outcome {
        Ok(Exit::Done) if open::saw_older() => 3,
        Ok(Exit::Done) => 0,
        Ok(Exit::Damage) => 3,
        Ok(Exit::Failed) => 1,
        Err(error) if nobody_reads(&error) => 0,
        Err(error) if matches!(error.root(), Error::Interrupted) => interrupt::status(),
        Err(error) => {
            tell(&error);
            let resume = again.and_then(|again| again.hint(error.root()));
            let hint = resume.or_else(|| hint(error.root()).or(room(error.root())).map(Into::into));
            if let Some(hint) = hint {
                output::complain(&format!("hint: {hint}"));
            }
            match error.root() {
                Error::Corrupt(_) | Error::Older { .. } | Error::DataSet { .. } => 3,
                Error::NotFound { .. } => 4,
                _ => 1,
            }
        }
    }
}

/// Shows help, or why the arguments are refused; where it cannot be shown, nobody reads it.
fn refuse(asked: &clap::Error) {
    let text = asked.render().to_string();
    match printable_lines(&text) {
        // What was typed is repeated in it.
        Cow::Owned(escaped) if asked.use_stderr() => output::complain(escaped.trim_end()),
        _ => drop(asked.print()),
    }
}

/// What to do where there is no room left to write to.
fn room(error: &Error) -> Option<&'static str> {
    is_full(error).then_some("nothing is left half written; free some space, then run it again")
}

/// Whether whoever read the output has gone, as `head` does: nothing to complain about.
fn nobody_reads(error: &Error) -> bool {
    matches!(error.root(), Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}
