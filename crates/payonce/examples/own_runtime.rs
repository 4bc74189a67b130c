//! The two-step form, for a runtime of your own: decide several commands, append their entries with
//! one sync, then read the replies. No reply can be read earlier: its ticket is sealed.
//!
//! `Ledger` does the same with one command at a time, `payonce-runtime` for many threads.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

use std::error::Error;

use payonce::{
    Config, Dispatch, DispatchReply, EventStore, LedgerId, MaxFee, Msat, NewPart, PartId, Pay,
    PaymentId, Preimage, Remember, Request, RetryPolicy, UnixMillis,
    audit::{EventSource, Replay},
    machine::{FinishRecovery, Machine, ReleaseError, Step},
};
use payonce_store_memory::{Failure, MemoryDisk};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));

    // Open: shut former writers out, replay, and append the entry that says who writes now.
    let mut store = disk.open();
    let stored = store.fence()?.head;
    let mut replay = Replay::from_beginning(&store, 42)?;
    replay.entries(&store)?;
    let config = Config::new(Remember::Forever);
    let (mut machine, opened) =
        Machine::open(replay.finish(stored)?, config, "own_runtime 0.1", false, NOW);
    // Nothing was out, so recovery has no questions. Answers would be submitted before this.
    let Step { entry: recovered, ticket } = machine.submit(FinishRecovery, NOW);
    let entries: Vec<_> = [Some(opened), recovered].into_iter().flatten().collect();
    store.append(&entries)?;
    machine.confirmed(entries)?;
    machine.release(ticket)??;

    // Five callers want to pay. Each command is decided on the state after those before it, while
    // none of them is durable yet.
    let mut entries = Vec::new();
    let mut tickets = Vec::new();
    for caller in 1..=5 {
        let hash = Preimage::from_bytes([caller; 32]).payment_hash();
        let id = PaymentId::from_payment_hash(hash);
        let (max_fee, retry) = (MaxFee::AtMost(Msat(100)), RetryPolicy::Manual);
        let pay = Pay::new(id, Request::invoice(hash, Msat(10_000), max_fee, retry));
        let part = NewPart::htlc(PartId::from_bytes([caller; 32]), Msat(10_000), Msat(5), 900_144);
        let sent = machine.submit(pay, NOW);
        let dispatched = machine.submit(Dispatch { id, attempt: 1, parts: vec![part] }, NOW);
        entries.extend([sent.entry, dispatched.entry].into_iter().flatten());
        tickets.push(dispatched.ticket);
    }
    println!("decided: {} entries wait for the disk", machine.in_flight());

    // Append before act: a reply is the right to offer parts, so it cannot be read now.
    let first = tickets.remove(0);
    let first = match machine.release(first) {
        Err(ReleaseError::NotDurable(ticket)) => {
            println!("sealed: the reply waits for seq {}", ticket.waits_for());
            ticket
        }
        _ => unreachable!("nothing is durable yet"),
    };

    // One append, one sync, ten entries.
    store.append(&entries)?;
    let head = machine.confirmed(entries)?;
    println!("durable: up to seq {}", head.seq);
    for ticket in std::iter::once(first).chain(tickets) {
        match machine.release(ticket)?? {
            DispatchReply::Recorded { parts, .. } => println!("offer now: {parts:?}"),
            // Abandoned meanwhile, or recorded before: nothing may be offered.
            other => println!("offer nothing: {other:?}"),
        }
    }

    // A query is a reply like any other. It needs no append, only a writer that is not shut out.
    let pending = machine.query(|state| state.counts().pending);
    store.confirm_owner()?;
    println!("pending: {}", machine.release(pending)?);

    // If the store fails, the outcome is unknown: nothing is answered until the log is read again.
    let Step { entry, ticket } = machine.submit(payonce::Tick::new(), NOW);
    assert!(entry.is_none(), "no payment waits for a tick");
    disk.fail_nth(1, Failure::BeforeEffect);
    if let Err(error) = store.confirm_owner() {
        machine.poison();
        println!("failed: {error}");
    }
    match machine.release(ticket) {
        Err(error) => println!("sealed for good: {error}"),
        Ok(_) => unreachable!("a poisoned machine answers nothing"),
    }
    println!("on disk: seq {}", disk.open().head()?.seq);
    Ok(())
}
