//! The bodies of the fuzz targets: each takes any bytes and must not panic.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several crates, none of which uses all of it"
)]

use payonce_core::{
    Acknowledge, CloseGap, Config, Entry, EntryHeader, FinishRecovery, Head, LedgerId, LogHash,
    Machine, Operation, Record, Remember, Replay, State, StoredEntry, Tick, UnixMillis,
};

use crate::commands::{self, Machinery, STEP};

const LEDGER: LedgerId = LedgerId::from_bytes([0xf0; 32]);

/// What decodes as an entry is the one encoding of what it says, and folds, or is refused. Gives
/// whether it decoded.
pub fn decode_entry(data: &[u8]) -> bool {
    let Ok(header) = EntryHeader::read(data) else { return false };
    let before = Head { seq: header.first_seq - 1, chain: LogHash::from_bytes([1; 32]) };
    let Ok(Record { events, unknown, .. }) = Record::read(before, data) else { return false };
    let again = Entry::with_unknown(before, header.epoch, header.now, &events, &unknown);
    assert_eq!(again.expect("it was decoded").bytes(), data, "there is one encoding");
    let mut replay = Replay::new(LEDGER, 1);
    if replay.entry(StoredEntry { first_seq: header.first_seq, bytes: data }).is_ok() {
        decode_snapshot(&replay.state().encode());
    }
    true
}

/// What decodes as a snapshot is the one encoding of its state, and a ledger can open on it. Gives
/// whether it decoded.
pub fn decode_snapshot(data: &[u8]) -> bool {
    let Ok(state) = State::decode(data, 1) else { return false };
    assert_eq!(state.encode(), data, "there is one encoding");
    ask(&state);
    let config = Config::new(Remember::Forever);
    let (mut machine, opened) = Machine::open(state, config, "fuzz", false, UnixMillis(0));
    machine.confirmed([opened]).expect("the first entry");
    run(&mut machine, FinishRecovery);
    run(&mut machine, CloseGap);
    run(&mut machine, Tick::at_height(u32::MAX));
    let state = machine.durable_state().expect("nothing is in flight");
    let ids = state.outbox().map(|told| told.id).take(100).collect();
    run(&mut machine, Acknowledge { ids });
    true
}

fn run(machine: &mut Machine, operation: impl Operation) {
    // As late as can be: every limit in time is past.
    let step = machine.submit(operation, UnixMillis(u64::MAX));
    machine.confirmed(step.entry).expect("in order");
    drop(machine.release(step.ticket));
}

fn ask(state: &State) {
    let counts = state.counts();
    assert_eq!(counts.unresolved_parts, state.unresolved().len(), "unresolved parts");
    assert_eq!(counts.unread, state.outbox().count(), "the outbox");
    let late = state.overdue(u32::MAX);
    assert!(late.len() <= counts.unresolved_parts, "what is overdue is out");
    let open = counts.pending + counts.awaiting_invoice;
    assert!(state.due(UnixMillis(0)).len() <= open, "what is due is open");
}

/// Any history: the bytes choose the settings and the steps. Nothing panics, the queries agree with each
/// other after each step, and at each opening the log and a snapshot give the same state. Gives whether
/// there was a history.
pub fn operations(data: &[u8]) -> bool {
    let Some((bits, steps)) = data.split_first() else { return false };
    let mut machinery = Machinery::new(*bits);
    for chunk in steps.chunks_exact(STEP) {
        let bytes = chunk.try_into().expect("a chunk is a step");
        let step = commands::step(machinery.state(), bytes);
        machinery.take(step);
        ask(machinery.state());
    }
    machinery.reopen(false);
    !steps.is_empty()
}
