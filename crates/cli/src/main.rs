//! The program `payonce`. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    payonce_cli::io::on_terminal(|io| payonce_cli::run(std::env::args_os(), io)).into()
}
