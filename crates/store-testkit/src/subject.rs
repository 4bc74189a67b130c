//! A store in the middle of a case, and what it should hold.

use std::ops::ControlFlow;

use payonce_core::{
    Entry, Event, EventSource, EventStore, Head, LedgerId, PaymentHash, StoreError, UnixMillis,
};

use crate::harness::Harness;

/// The result of a case: the error says how the store breaks the contract.
pub(crate) type Verdict<T = ()> = Result<T, String>;

pub(crate) const LEDGER: LedgerId = LedgerId::from_bytes([0x5a; 32]);

/// The first seq and the bytes of an entry.
pub(crate) type Held = (u64, Vec<u8>);

/// A harness, the handle that is open, and everything that was acknowledged.
pub(crate) struct Subject<'a, H: Harness> {
    pub(crate) harness: &'a mut H,
    pub(crate) store: H::Store,
    /// The head before the first entry and after each.
    pub(crate) heads: Vec<Head>,
    pub(crate) entries: Vec<Held>,
}

/// An entry of `events` events, 34 bytes each.
pub(crate) fn entry(before: Head, epoch: u64, events: u16) -> Entry {
    let event = |nth: u16| {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&nth.to_le_bytes());
        Event::HashBlocked { payment_hash: PaymentHash::from_bytes(hash), engine: "".into() }
    };
    let events: Vec<_> = (0..events).map(event).collect();
    Entry::new(before, epoch, UnixMillis(before.seq), &events).expect("within the limits")
}

/// Entries that continue `head` and each other, of this many events each.
pub(crate) fn batch(mut head: Head, sizes: &[u16]) -> Vec<Entry> {
    let mut next = |size: &u16| {
        let entry = entry(head, 1, *size);
        head = entry.after();
        entry
    };
    sizes.iter().map(&mut next).collect()
}

/// What the store yields to a replay.
pub(crate) fn replay(store: &impl EventSource, from: u64) -> Result<Vec<Held>, StoreError> {
    let mut held = Vec::new();
    store.replay(from, &mut |entry| {
        held.push((entry.first_seq, entry.bytes.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(held)
}

/// Turns an error where success is required into a breach that says what was done.
pub(crate) fn must<T>(what: &str, outcome: Result<T, StoreError>) -> Verdict<T> {
    outcome.map_err(|error| format!("{what} failed: {error}"))
}

/// Checks that `found` is `expected`.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Verdict {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}")) }
}

/// Checks that there is an error that `is_meant` accepts.
pub(crate) fn refused<T: std::fmt::Debug>(
    what: &str,
    outcome: Result<T, StoreError>,
    is_meant: impl FnOnce(&StoreError) -> bool,
) -> Verdict {
    match outcome {
        Err(error) if is_meant(&error) => Ok(()),
        Err(error) => Err(format!("{what} was refused with another error: {error}")),
        Ok(answer) => Err(format!("{what} was not refused: {answer:?}")),
    }
}

pub(crate) fn is_missing(error: &StoreError) -> bool {
    matches!(error, StoreError::Missing { .. })
}

pub(crate) fn is_poisoned(error: &StoreError) -> bool {
    matches!(error, StoreError::Poisoned { .. })
}

pub(crate) fn is_not_next(error: &StoreError) -> bool {
    matches!(error, StoreError::NotNext { .. })
}

impl<'a, H: Harness> Subject<'a, H> {
    /// A new log, fenced.
    pub(crate) fn new(harness: &'a mut H) -> Verdict<Self> {
        let mut store = must("creating the log", harness.create(LEDGER))?;
        let head = must("the first fence", store.fence())?.head;
        same("the head of a new log", head, Head::genesis(LEDGER))?;
        Ok(Self { harness, store, heads: vec![head], entries: Vec::new() })
    }

    /// A new log of three appends: of one entry, of two, and of seven, some of several events.
    pub(crate) fn filled(harness: &'a mut H) -> Verdict<Self> {
        let mut subject = Self::new(harness)?;
        subject.append(&[1])?;
        subject.append(&[2, 1])?;
        subject.append(&[1, 3, 1, 2, 40, 1, 1])?;
        Ok(subject)
    }

    pub(crate) fn head(&self) -> Head {
        self.heads[self.heads.len() - 1]
    }

    /// Appends entries, which must be acknowledged.
    pub(crate) fn append(&mut self, sizes: &[u16]) -> Verdict {
        let entries = batch(self.head(), sizes);
        must("an append", self.store.append(&entries))?;
        self.note(&entries);
        Ok(())
    }

    /// Expects these entries from now on.
    pub(crate) fn note(&mut self, entries: &[Entry]) {
        self.heads.extend(entries.iter().map(Entry::after));
        let held = entries.iter().map(|entry| (entry.first_seq(), entry.bytes().to_vec()));
        self.entries.extend(held);
    }

    /// Ends the process, starts another one, and checks where the log ends.
    pub(crate) fn restart(self) -> Verdict<Self> {
        let mut subject = self.restart_unchecked()?;
        let found = must("the fence after a restart", subject.store.fence())?.head;
        same("the head after a restart", found, subject.head())?;
        Ok(subject)
    }

    /// Ends the process and starts another one, which has not fenced yet.
    pub(crate) fn restart_unchecked(self) -> Verdict<Self> {
        let Self { harness, store, heads, entries } = self;
        harness.kill(store);
        let store = must("opening again", harness.reopen())?;
        Ok(Self { harness, store, heads, entries })
    }

    /// Checks that the log has exactly what was acknowledged from `from` on.
    pub(crate) fn expect_log(&self, from: u64) -> Verdict {
        let held = must("a replay", replay(&self.store, from))?;
        let expected: Vec<_> = self.entries.iter().filter(|(seq, _)| *seq >= from).collect();
        let seqs = |held: &mut dyn Iterator<Item = u64>| held.collect::<Vec<_>>();
        same(
            "the seqs that a replay yields",
            seqs(&mut held.iter().map(|(seq, _)| *seq)),
            seqs(&mut expected.iter().map(|(seq, _)| *seq)),
        )?;
        match held.iter().zip(expected).find(|(found, expected)| found != expected) {
            None => Ok(()),
            Some(((seq, _), _)) => Err(format!("the entry at seq {seq} came back changed")),
        }
    }

    /// Saves a snapshot at a head, which must succeed. Its state shows where it was taken.
    pub(crate) fn snapshot(&mut self, at: Head) -> Verdict {
        must("saving a snapshot", self.store.save_snapshot(at, &state_at(at)))
    }

    /// Checks that the newest snapshot at or before a seq is the one taken there.
    pub(crate) fn expect_snapshot(&self, at_most: u64, at: Option<Head>) -> Verdict {
        let found = must("loading a snapshot", self.store.load_snapshot(at_most))?;
        same("where the newest snapshot was taken", found.as_ref().map(|found| found.at), at)?;
        match found {
            Some(found) if found.bytes != state_at(found.at) => {
                Err("a snapshot came back changed".into())
            }
            _ => Ok(()),
        }
    }

    /// Checks that this is the base.
    pub(crate) fn expect_base(&self, at: Option<Head>) -> Verdict {
        let found = must("reading the base", self.store.base())?;
        same("where the base was taken", found.as_ref().map(|found| found.at), at)?;
        match found {
            Some(found) if found.bytes != state_at(found.at) => {
                Err("the base came back changed".into())
            }
            _ => Ok(()),
        }
    }
}

/// A state of some length, different at each head, with a run of zeros.
pub(crate) fn state_at(at: Head) -> Vec<u8> {
    let mut state = at.chain.as_bytes().to_vec();
    state.resize(2_000, 0);
    state.extend(at.seq.to_le_bytes());
    state
}
