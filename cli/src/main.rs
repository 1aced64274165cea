//! The program `vlstore`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(vlstore_cli::run(std::env::args_os()))
}
