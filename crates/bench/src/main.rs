//! Side by side, in one process run: payonce, the floor that the disk sets, and what people would
//! otherwise keep payments in. docs/BENCHMARKS.md says what is measured and how to read it.

// Without the rivals, what only they read is left.
#![cfg_attr(not(feature = "rivals"), expect(dead_code, reason = "read by the rivals alone"))]

mod floor;
mod flushes;
mod heap;
mod life;
mod log_files;
mod markdown;
mod place;
mod plots;
mod report;
#[cfg(feature = "postgres")]
mod server;
mod stats;
mod subjects;
mod workloads;

use std::path::PathBuf;

use clap::Parser;

use crate::{
    life::Entries,
    place::Place,
    report::Report,
    workloads::{Bench, Scale},
};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Whatever a rival may fail with.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures payonce next to the disk's floor and to what people would otherwise use.
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer repeats and shorter slices: within three minutes.
    #[arg(long)]
    quick: bool,
    /// How many interleaved repeats the medians are taken of [default: 7, with --quick 3].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: Option<u16>,
    /// Run only these workloads.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Compare only these subjects; the floor always takes part.
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<String>,
    /// Where to write; a fresh directory is made in it and removed [default: ./target].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Write the figures to this file, as an array of JSON objects.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw the plots into this directory.
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print the README's table.
    #[arg(long)]
    markdown: bool,
    /// Do not measure: take the figures that an earlier run wrote with --json.
    #[arg(long, conflicts_with_all = ["quick", "repeats", "only", "subjects", "dir"])]
    from: Option<PathBuf>,
}

fn main() -> std::process::ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payonce-bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let report = match &arguments.from {
        Some(path) => Report::read(path)?,
        None => measure(arguments)?,
    };
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    if let Some(directory) = &arguments.plots {
        println!("drawn: {}", plots::draw(&report, directory)?.join(", "));
    }
    if arguments.markdown {
        print!("{}", markdown::table(&report));
    }
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let known: Vec<_> = workloads::ALL.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = arguments.only.iter().find(|name| !known.contains(&&***name)) {
        return Err(format!("there is no workload {unknown}: {}", known.join(", ")).into());
    }
    let mut subjects = subjects::all();
    let names: Vec<_> = subjects.iter().map(|subject| subject.name()).collect();
    if let Some(unknown) = arguments.subjects.iter().find(|name| !names.contains(&&***name)) {
        return Err(format!("there is no subject {unknown}: {}", names.join(", ")).into());
    }
    if !arguments.subjects.is_empty() {
        subjects.retain(|subject| arguments.subjects.iter().any(|name| name == subject.name()));
    }
    let parent = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => default_directory()?,
    };
    let place = Place::below(&parent)?;
    println!("{place}");
    let repeats = arguments.repeats.map_or(if arguments.quick { 3 } else { 7 }, usize::from);
    let scale = Scale { repeats, divisor: if arguments.quick { 4 } else { 1 } };
    let entries = Entries::new();
    println!("record:  {:.0} bytes on average; {repeats} repeats\n", entries.mean_bytes());
    let chosen_subjects = arguments.subjects.clone();
    let bench = Bench { place, subjects, entries, scale, chosen_subjects };
    workloads::run(&bench, &arguments.only)
}

/// `target` below the current directory: beside the build, on the same disk.
fn default_directory() -> Result<PathBuf> {
    let directory = std::env::current_dir()?.join("target");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}
