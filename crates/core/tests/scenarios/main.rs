//! The acceptance scenarios and the rules between them, as scripts over the public API. One runner
//! plays each live, reopened after every step, and with a crash at every operation of the store.
//!
//! `sNN` in a test's name is the number of its acceptance scenario. Scenario 26, the prefix property,
//! is checked at the end of every script (`support/prefix.rs`); 27 and 28 need a disk.

#[path = "../oracle/judge.rs"]
mod judge;
#[path = "../support/mod.rs"]
mod support;
#[path = "../common/translation.rs"]
mod translation;
#[path = "../common/trial.rs"]
mod trial;

mod acceptance;
mod admission;
mod adoption;
mod anomalies;
mod bad_input;
mod conversions;
mod corrections;
mod dispatch;
mod facts;
mod hashes;
mod images;
mod invoice_requests;
mod limits;
mod listing;
mod machine;
mod obligations;
mod offers;
mod orders;
mod orders_of_facts;
mod past;
mod readings;
mod recovery;
mod replays;
mod retries;
mod stalls;
mod sums;
mod time;
mod tombstones;
mod window;
mod wrong_facts;
