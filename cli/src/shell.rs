//! `vlstore completions` and `vlstore man`: for the shell and for `man`.

use crate::outcome::{Exit, Outcome};
use crate::output::Out;
use clap::Command;
use clap_complete::Shell;
use std::fs;
use std::path::PathBuf;
use vlstore::Error;
use vlstore::Existing;
use vlstore::backend::Output;

const COMPLETIONS: &str = "\
Examples:
  $ vlstore completions bash
  $ vlstore completions fish

Bash: put the output into ~/.local/share/bash-completion/completions/vlstore. Zsh: into _vlstore in
a folder of $fpath. Fish: into ~/.config/fish/completions/vlstore.fish.";

/// Print the completions of verbs and options for a shell
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
    /// The folder, which must exist
    folder: PathBuf,
}

pub(crate) fn completions(args: &Completions, mut program: Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "vlstore", &mut script);
    let mut out = Out::new();
    out.bytes(&script)?;
    out.end()?;
    Ok(Exit::Done)
}

pub(crate) fn man(args: &Man, program: Command) -> Outcome {
    let failed = |e| Error::io("make the manual pages", e);
    if !args.folder.is_dir() {
        return Err(Error::invalid("folder", "it does not exist").at(&args.folder));
    }
    let made = tempfile::tempdir().map_err(failed)?;
    clap_mangen::generate_to(program, made.path()).map_err(failed)?;
    for page in fs::read_dir(made.path()).map_err(failed)? {
        let page = page.map_err(failed)?;
        let to = args.folder.join(page.file_name());
        let mut output = Output::create(&to, Existing::Replace, &mut || Ok(()))?;
        let text = fs::read(page.path()).map_err(failed)?;
        output.write(&text).and_then(|()| output.publish()).map_err(|e| e.at(&to))?;
    }
    Ok(Exit::Done)
}
