//! Copying a ledger from one store to another: the same bytes, the same head.

use alloc::vec::Vec;
use core::{mem, ops::ControlFlow};

use crate::{
    base::head::Head,
    base::ids::LedgerId,
    base::wire::DecodeError,
    log::entry::Entry,
    log::store::{EventSource, EventStore, StoreError},
};

/// How many bytes of entries are in memory at a time, plus at most one entry.
const BATCH_BYTES: usize = 1 << 20;

/// Why a ledger was not copied, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The target is another ledger: create it with the ledger id of the source.
    #[error("the target is of ledger {found}, not of {expected}: create it with that id")]
    OtherLedger {
        /// The ledger of the target.
        found: LedgerId,
        /// The ledger of the source.
        expected: LedgerId,
    },
    /// The target's head is not the end of an entry of the source: it is not a beginning of the same log.
    #[error(
        "the target ends at {at}, which is no entry's end of the source: copy into an empty one"
    )]
    NotAPrefix {
        /// The head of the target.
        at: Head,
    },
    /// The source no longer has what the target lacks.
    #[error(
        "the source has dropped its history up to seq {base}, and the target ends at {at}: create the \
         target from the base of the source (create_from)"
    )]
    Dropped {
        /// The seq of the base of the source.
        base: u64,
        /// The head of the target.
        at: Head,
    },
    /// What the source holds is no entry, or not the next one.
    #[error("the source is damaged after {after}: {error}")]
    Entry {
        /// The end of the entry before.
        after: Head,
        /// What is wrong with the bytes of the entry after it.
        error: DecodeError,
    },
    /// The entries of the source do not end at the head that it reports.
    #[error("the entries lead to {copied}, but the source ends at {expected}")]
    HeadDiffers {
        /// The head of the target.
        copied: Head,
        /// The head of the source.
        expected: Head,
    },
    /// A store failed. What was appended to the target is a beginning of the source: the copy can be
    /// continued once the target was opened again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Appends to the target what the source has and the target lacks, byte for byte, and returns their
/// common head. The target was created with the source's ledger id, and is empty or a beginning of the
/// same log, so an interrupted copy can be continued. The target is fenced first. Nothing may write to
/// the source any more, or the copy lacks its end. Afterwards use only one of the two.
///
/// # Errors
/// [`CopyError`]; the source is as it was.
pub fn copy(
    source: &(impl EventSource + ?Sized),
    target: &mut (impl EventStore + ?Sized),
) -> Result<Head, CopyError> {
    let (found, expected) = (target.ledger_id(), source.ledger_id());
    if found != expected {
        return Err(CopyError::OtherLedger { found, expected });
    }
    let (end, begin) = (source.head()?, target.fence()?.head);
    check_prefix(source, begin)?;
    let mut copied = begin;
    let mut batch = Batch::default();
    let mut failed = None;
    source.replay(begin.seq + 1, &mut |stored| {
        let entry = Entry::from_stored(copied, stored.bytes.to_vec());
        let outcome = match entry {
            Ok(entry) => {
                copied = entry.after();
                batch.push(entry, target)
            }
            Err(error) => Err(CopyError::Entry { after: copied, error }),
        };
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    batch.flush(target)?;
    if copied == end { Ok(end) } else { Err(CopyError::HeadDiffers { copied, expected: end }) }
}

/// Entries on their way.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    bytes: usize,
}

impl Batch {
    fn push(
        &mut self,
        entry: Entry,
        target: &mut (impl EventStore + ?Sized),
    ) -> Result<(), CopyError> {
        self.bytes += entry.bytes().len();
        self.entries.push(entry);
        if self.bytes >= BATCH_BYTES { self.flush(target) } else { Ok(()) }
    }

    fn flush(&mut self, target: &mut (impl EventStore + ?Sized)) -> Result<(), CopyError> {
        self.bytes = 0;
        Ok(target.append(&mem::take(&mut self.entries))?)
    }
}

/// Checks that this head is in the source's log: at its beginning, or at the end of an entry with the
/// same log hash.
fn check_prefix(source: &(impl EventSource + ?Sized), at: Head) -> Result<(), CopyError> {
    let base = source.base()?.map_or_else(|| Head::genesis(source.ledger_id()), |base| base.at);
    if at.seq < base.seq {
        return Err(CopyError::Dropped { base: base.seq, at });
    }
    let mut head = base;
    let mut failed = None;
    if at != base {
        source.replay(base.seq + 1, &mut |stored| {
            match Entry::from_stored(head, stored.bytes.to_vec()) {
                Ok(entry) => head = entry.after(),
                Err(error) => failed = Some(CopyError::Entry { after: head, error }),
            }
            if failed.is_none() && head.seq < at.seq {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
    }
    match failed {
        Some(error) => Err(error),
        None if head == at => Ok(()),
        None => Err(CopyError::NotAPrefix { at }),
    }
}
