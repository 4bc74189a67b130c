//! `payonce man`: the manual pages, out of the command line's definition.

use std::{fs, path::Path};

use clap::CommandFactory;

use crate::{
    cli::Cli,
    io::{Failure, Io, Outcome},
};

pub(crate) fn run(directory: &Path, io: &mut Io<'_>) -> Outcome {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for page in pages {
        let name = match page.get_name() {
            "payonce" => "payonce.1".to_owned(),
            other => format!("payonce-{other}.1"),
        };
        let path = directory.join(&name);
        let mut text = Vec::new();
        clap_mangen::Man::new(page.clone()).render(&mut text)?;
        fs::write(&path, text).map_err(|error| {
            Failure::refused(format!("cannot write {}: {error}", path.display()))
        })?;
        writeln!(io.out, "{}", path.display())?;
    }
    Ok(())
}
