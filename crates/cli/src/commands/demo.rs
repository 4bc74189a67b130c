//! `payonce demo`: a ledger to look at.

use payonce::Remember;

use crate::{
    address::Address,
    commands::copy::make,
    demo::write,
    io::{Io, Outcome},
};

pub(crate) fn run(
    dst: &Address,
    payments: u32,
    seed: u64,
    remember: Remember,
    io: &mut Io<'_>,
) -> Outcome {
    let written = make(dst, |directory| write(directory, payments, seed, remember))?;
    let shown = dst.quoted();
    writeln!(io.out, "{payments} payments in {dst}: {}", written.head)?;
    writeln!(io.out, "look at it:  payonce status {shown}")?;
    writeln!(io.out, "             payonce list {shown} --limit 20")?;
    Ok(writeln!(io.out, "             payonce report {shown} -o report.html")?)
}
