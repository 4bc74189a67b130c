//! Replay for people: the program `payonce`, which reads, checks and explains a log.
//!
//! A thin `main` over this library: [`run`] takes a command line and the streams, and gives the exit code,
//! so that every command is tested without a process. [CLI] describes what each command
//! writes, and the schemas of its JSON and CSV.
//!
//! [CLI]: https://github.com/payonce/payonce/blob/main/docs/CLI.md

#![forbid(unsafe_code)]

pub mod address;
mod advice;
pub mod cli;
mod commands;
mod copy;
mod demo;
mod fresh;
pub mod io;
#[cfg(feature = "kv")]
mod kv;
pub mod log;
mod payments;
mod picture;
#[cfg(feature = "postgres")]
mod postgres;
mod postings;
mod report;
pub mod rows;
mod scan;
mod search;
mod story;
pub mod units;
mod view;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};
use jiff::tz::TimeZone;
use payonce::Remember;

use crate::{
    cli::{Cli, Command, When},
    io::{Failure, Io, Outcome},
    units::Clock,
};

/// Runs a command line; gives the exit code: 0 fine, 1 findings, 2 it cannot be read or done.
pub fn run(arguments: impl IntoIterator<Item = OsString>, io: &mut Io<'_>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.render();
            let text = if io.colour { text.ansi().to_string() } else { text.to_string() };
            let told = if error.use_stderr() { &mut *io.err } else { &mut *io.out };
            let _ = write!(told, "{text}");
            let _ = io.out.flush();
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    match cli.shown.color {
        When::Auto => {}
        When::Always => io.colour = true,
        When::Never => io.colour = false,
    }
    let outcome = dispatch(&cli, io).and_then(|()| Ok(io.out.flush()?));
    match outcome {
        Ok(()) | Err(Failure::Closed) => 0,
        Err(Failure::Findings) => {
            let _ = io.out.flush();
            1
        }
        Err(Failure::Refused(text)) => {
            let _ = io.out.flush();
            let _ = writeln!(io.err, "payonce: {text}");
            2
        }
    }
}

fn dispatch(cli: &Cli, io: &mut Io<'_>) -> Outcome {
    let shown = &cli.shown;
    let zone = shown.local.then(TimeZone::system);
    let clock = Clock { zone, now: io.now };
    let with = commands::With { shown, clock: &clock };
    match &cli.command {
        Command::Status(dir) => commands::status::run(&dir.dir, with, io),
        Command::List { dir, list } => commands::list::run(dir, list, with, io),
        Command::Show { dir, id } => commands::show::run(dir, id, with, io),
        Command::Log(arguments) => commands::log::run(arguments, with, io),
        Command::At { dir, when, list, show } => {
            commands::at::run(dir, *when, (*list, show.as_deref()), with, io)
        }
        Command::Diff { dir, from, to } => commands::diff::run(dir, (*from, *to), with, io),
        Command::Verify { dir, since } => commands::verify::run(dir, since.as_deref(), with, io),
        Command::Demo { dir, payments, seed, forget } => {
            let remember = if *forget { Remember::Window } else { Remember::Forever };
            commands::demo::run(dir, *payments, *seed, remember, io)
        }
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "payonce", &mut io.out);
            Ok(())
        }
        Command::Man { dir } => commands::man::run(dir, io),
        Command::Salvage(of) => commands::salvage::run(&of.src, &of.dst, with, io),
        Command::Export { dir, what, output } => {
            commands::export::run(dir, *what, output.as_deref(), with, io)
        }
        Command::Copy(of) => commands::copy::run(&of.src, &of.dst, io),
        Command::Import { file, dst } => commands::import::run(file, dst, io),
        Command::Backup(of) => commands::backup::run(&of.src, &of.dst, io),
        Command::Resolve(arguments) => commands::resolve::run(arguments, with, io),
        Command::Report { dir, output } => commands::report::run(dir, output, with, io),
    }
}
