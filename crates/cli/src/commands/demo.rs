//! `payonce demo`: a ledger to look at.

use std::path::Path;

use crate::{
    demo::write,
    io::{Io, Outcome},
};

pub(crate) fn run(directory: &Path, payments: u32, seed: u64, io: &mut Io<'_>) -> Outcome {
    let written = write(directory, payments, seed)?;
    let shown = directory.display();
    writeln!(io.out, "{payments} payments in {shown}: {}", written.head)?;
    writeln!(io.out, "look at it:  payonce status {shown}")?;
    writeln!(io.out, "             payonce list {shown} --limit 20")?;
    Ok(writeln!(io.out, "             payonce report {shown} -o report.html")?)
}
