//! `vlstore completions` and `vlstore man`: for the shell and for `man`.

use crate::output::Out;
use crate::{Cli, Exit, Outcome};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;
use vlstore::Error;

const COMPLETIONS: &str = "\
Examples:
  $ vlstore completions bash
  $ vlstore completions fish

Bash: put the output into ~/.local/share/bash-completion/completions/vlstore. Zsh: into _vlstore in
a folder of $fpath. Fish: into ~/.config/fish/completions/vlstore.fish.";

/// Print what a shell needs to complete verbs and options
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

const MAN: &str = "\
Examples:
  $ vlstore man .

One page for vlstore and one for each verb, as in `man vlstore-import`.";

/// Write the manual pages to a folder
#[derive(Debug, clap::Args)]
#[command(after_help = MAN)]
pub(crate) struct Man {
    /// The folder, which must be there
    folder: PathBuf,
}

pub(crate) fn completions(args: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vlstore", &mut script);
    let mut out = Out::new();
    out.bytes(&script)?;
    out.end()?;
    Ok(Exit::Done)
}

pub(crate) fn man(args: &Man) -> Outcome {
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .map_err(|e| Error::io("write the manual pages", e).at(&args.folder))?;
    Ok(Exit::Done)
}
