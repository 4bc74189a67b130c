//! A server for the tests that need none of their own, and ledgers with names of their own on it.

use std::ops::ControlFlow;
use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use payonce_core::{Entry, Event, EventSource, Head, LedgerId, PaymentHash, UnixMillis};
use payonce_store_postgres::cluster::{Cluster, is_available};

static SHARED: OnceLock<Option<Mutex<Cluster>>> = OnceLock::new();

/// The server that tests share, which none of them kills; `None`, said aloud, where there is no
/// PostgreSQL.
pub(crate) fn shared(test: &str) -> Option<MutexGuard<'static, Cluster>> {
    let shared = SHARED.get_or_init(|| is_available(test).then(|| Mutex::new(Cluster::start())));
    if shared.is_none() {
        let _ = is_available(test);
    }
    shared.as_ref().map(|cluster| cluster.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A name that no other test has.
pub(crate) fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("ledger-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) const LEDGER: LedgerId = LedgerId::from_bytes([0x5a; 32]);

/// An entry of one event after this head; different tags make different entries.
pub(crate) fn entry(before: Head, tag: u64) -> Entry {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&tag.to_le_bytes());
    let event =
        Event::HashBlocked { payment_hash: PaymentHash::from_bytes(hash), engine: "".into() };
    Entry::new(before, 1, UnixMillis(tag), &[event]).expect("within the limits")
}

/// An entry of nearly a mebibyte.
pub(crate) fn large_entry(before: Head, tag: u64) -> Entry {
    let event =
        Event::HashBlocked { payment_hash: PaymentHash::from_bytes([7; 32]), engine: "".into() };
    let events = vec![event; 30_000];
    Entry::new(before, 1, UnixMillis(tag), &events).expect("within the limits")
}

/// The heads after each entry of the whole log, as an auditor replays it: the chain is checked by the
/// core's own code, and two entries at one seq, or none, are an error.
pub(crate) fn heads(source: &impl EventSource) -> Vec<Head> {
    let mut heads = vec![Head::genesis(source.ledger_id())];
    payonce_core::history(source, |record| {
        heads.push(record.after);
        ControlFlow::Continue(())
    })
    .expect("a sound log");
    heads
}

/// A tenth in CI, all of it in `.ci/long`.
pub(crate) fn is_long() -> bool {
    std::env::var_os("PAYONCE_LONG").is_some()
}
