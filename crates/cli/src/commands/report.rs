//! `payonce report`: one HTML file with everything, for a browser.

use std::{io::Write, path::Path};

use crate::{
    address::Address,
    commands::{With, verify},
    fresh::create_file,
    io::{Failure, Io, Outcome},
    log::reading,
    report::{collect, render},
    units::{Clock, bytes},
};

pub(crate) fn run(address: &Address, output: &Path, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    if output.symlink_metadata().is_ok() {
        return Err(Failure::refused(format!("{} exists: name a new file", output.display())));
    }
    let verdict = verify::judge(address, None, io.shows_progress)?;
    let verified = verdict.in_a_line();
    // The page is the same wherever it is made.
    let clock = Clock { zone: None, now: io.now };
    let with = With { clock: &clock, ..with };
    let data = reading(address, |log| collect(log, with))?;
    let page = render(&data, &verified, &clock)?;
    let mut file = create_file(output)?;
    file.write_all(page.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = std::fs::remove_file(output);
        Failure::refused(format!("cannot write {}: {error}", output.display()))
    })?;
    let (shown, size) = (output.display(), bytes(page.len() as u64));
    writeln!(io.out, "wrote {shown}, {size}: {verified}")?;
    if verdict.sound { Ok(()) } else { Err(Failure::Findings) }
}
