//! What an auditor does with a log: reads the history of one payment, as a table and as JSON lines,
//! verifies the whole chain, and notices that a byte was edited. Nothing here can write to the log.
//!
//! `audit_trail DIRECTORY [PAYMENT_ID]` reads your own log (`pay_invoice --dir d` leaves one in
//! `d/log`); without arguments it makes one.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

mod common;

use std::{
    env,
    error::Error,
    fs::{self, DirEntry},
    path::Path,
};

use payonce::{
    ClaimPart, Dispatch, Event, FinalizePart, Ledger, LedgerId, MaxFee, Msat, NewPart, Opening,
    PartId, Pay, PaymentId, Preimage, Remember, Request, RetryPolicy, UnixMillis,
    audit::EventSource,
    store_fs::{FsReader, FsStore, Options},
};

use crate::common::Line;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    if let Some(directory) = arguments.next() {
        let payment = arguments.next().map(|id| id.parse()).transpose()?;
        return audit(Path::new(&directory), payment);
    }
    let temporary = tempfile::tempdir()?;
    let directory = temporary.path().join("log");
    let [first, _] = make_log(&directory)?;
    audit(&directory, Some(first))?;
    edit_one_byte(&directory)?;
    match FsReader::open(&directory).map_err(Box::from).and_then(|log| verify(&log)) {
        Ok(_) => Err("the edited byte was not noticed".into()),
        Err(error) => {
            println!("edited: {error}");
            Ok(())
        }
    }
}

/// An event for programs to read. Its fields follow; preimages are hidden.
#[derive(serde::Serialize)]
struct JsonLine<'a> {
    seq: u64,
    run: u64,
    #[serde(flatten)]
    event: &'a Event,
}

/// Prints the history of one payment, or of all, and verifies the log.
fn audit(directory: &Path, payment: Option<PaymentId>) -> Result<(), Box<dyn Error>> {
    let log = FsReader::open(directory)?;
    let mut lines = common::lines(&log)?;
    lines.retain(|line| payment.is_none() || line.event.payment() == payment.as_ref());
    println!("{}", common::event_table(&lines));
    for Line { seq, run, event, .. } in &lines {
        println!("{}", serde_json::to_string(&JsonLine { seq: *seq, run: *run, event })?);
    }
    println!("{}", verify(&log)?);
    Ok(())
}

/// Reads every byte, checks every hash, and folds every event.
fn verify(log: &FsReader) -> Result<String, Box<dyn Error>> {
    let state = payonce::machine::verify(log, 0)?;
    let counts = state.counts();
    Ok(format!(
        "verified: {} events, {} paid, {} pending",
        log.head()?.seq,
        counts.fulfilled,
        counts.pending
    ))
}

/// A log with one payment that is paid and one that is accepted.
fn make_log(directory: &Path) -> Result<[PaymentId; 2], Box<dyn Error>> {
    let ledger = LedgerId::from_bytes([7; 32]);
    let (store, _) = FsStore::create(directory, ledger, Options::default())?;
    let opening = Opening::new(Remember::Forever, 42);
    let mut ledger = Ledger::open(store, &opening, NOW)?.finish(NOW)?;
    let preimages = [1, 2].map(|byte| Preimage::from_bytes([byte; 32]));
    let ids = preimages.map(|preimage| PaymentId::from_payment_hash(preimage.payment_hash()));
    for (id, preimage) in ids.into_iter().zip(preimages) {
        let request = Request::invoice(
            preimage.payment_hash(),
            Msat(25_000),
            MaxFee::AtMost(Msat(100)),
            RetryPolicy::Manual,
        );
        ledger.execute(Pay::new(id, request), NOW)?;
    }
    let (id, part) = (ids[0], PartId::from_bytes([3; 32]));
    let parts = vec![NewPart::htlc(part, Msat(25_000), Msat(30), 900_144)];
    ledger.execute(Dispatch { id, attempt: 1, parts }, NOW)?;
    ledger.execute(ClaimPart::new(id, part, preimages[0]), NOW.plus(800))?;
    ledger.execute(FinalizePart { id, part }, NOW.plus(1_500))?;
    Ok(ids)
}

/// Flips a bit in an early entry, as a disk or a forger might.
fn edit_one_byte(directory: &Path) -> Result<(), Box<dyn Error>> {
    let files: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    let is_segment = |file: &&DirEntry| file.path().extension().is_some_and(|end| end == "log");
    let segment = files.iter().find(is_segment).ok_or("a log has a segment")?.path();
    let mut bytes = fs::read(&segment)?;
    bytes[700] ^= 1;
    Ok(fs::write(segment, bytes)?)
}
