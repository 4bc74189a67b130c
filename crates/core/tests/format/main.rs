//! The bytes: what docs/FORMAT.md says, what two decoders written from it read, what the golden
//! files hold, and what damage does.

#[path = "../oracle/decode.rs"]
mod oracle;

mod damage;
mod decoders;
mod golden;
mod limits;
mod many;
mod samples;
mod shortest;
mod states;
mod tails;

use payonce_core::{Entry, Event, Head, LedgerId, UnixMillis};

const LEDGER: LedgerId = LedgerId::from_bytes([0x1e; 32]);
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// The first entry of a log.
fn first_entry(events: &[Event]) -> Entry {
    Entry::new(Head::genesis(LEDGER), 1, NOW, events).expect("a sample is within the limits")
}
