//! Looks for a payment by the beginning of an id and tells its story, in one reading of the log: entries
//! that do not contain what is looked for are not decoded.

use std::{collections::BTreeSet, ops::ControlFlow};

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem::Finder;
use payonce::{
    Event, Head, LedgerId, PaymentHash, PaymentId, UnixMillis,
    audit::{Entry, ReplayError, StoredEntry, decode_events},
};

use crate::{
    log::Log,
    scan::{Block, scan},
    story::{Story, Teller},
};

/// What a log tells under the beginning of an id.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// The payments whose id, hash or part begins so.
    pub(crate) ids: BTreeSet<PaymentId>,
    /// The story of the one, if it is one and its own id begins so: from its first event on.
    pub(crate) story: Option<Story>,
    /// The hashes that it has or had.
    pub(crate) hashes: Vec<PaymentHash>,
}

/// What is found in which entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Those that contain the bytes that are looked for.
    Quick,
    /// All of them: the hash of a spontaneous payment stands in none, only its preimage.
    Thorough,
}

/// So many payments are named where a beginning fits several.
pub(crate) const SHOWN: usize = 20;

/// Reads the events up to a seq.
pub(crate) fn search(
    log: &Log,
    until: u64,
    prefix: &str,
    depth: Depth,
) -> Result<Hits, ReplayError> {
    let mut search = Search::new(until, prefix, depth);
    scan(log, |block| search.block(block))?;
    let Search { found: ids, teller, .. } = search;
    let hashes = teller.names().1.copied().collect();
    let mut stories = teller.into_stories();
    let is_own = ids.len() == 1 && ids.iter().all(|id| begins(id.as_bytes(), prefix));
    let story = stories.next().filter(|_| is_own).map(|(_, story)| story);
    Ok(Hits { ids, story, hashes })
}

struct Search<'a> {
    until: u64,
    prefix: &'a str,
    depth: Depth,
    found: BTreeSet<PaymentId>,
    teller: Teller,
    /// Everything that an entry of interest contains one of.
    needles: Needles,
    names: usize,
}

impl<'a> Search<'a> {
    fn new(until: u64, prefix: &'a str, depth: Depth) -> Self {
        let needles = match depth {
            Depth::Quick => Needles::new([bytes_of(prefix)]),
            Depth::Thorough => Needles::Everywhere,
        };
        let (found, teller) = (BTreeSet::new(), Teller::of_wanted());
        Self { until, prefix, depth, found, teller, needles, names: 0 }
    }

    fn block(&mut self, block: &Block) -> Result<ControlFlow<()>, ReplayError> {
        let mut at = 0;
        while at < block.bytes.len()
            && let Some(hit) = self.needles.find(&block.bytes, at)
        {
            let (entry, next) = block.entry_at(hit);
            if entry.first_seq > self.until {
                return Ok(ControlFlow::Break(()));
            }
            self.entry(entry)?;
            at = next;
        }
        let is_enough = self.found.len() > SHOWN || block.is_behind(self.until);
        Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn entry(&mut self, entry: StoredEntry<'_>) -> Result<(), ReplayError> {
        let mut events = Vec::new();
        let header = decode_events(entry.bytes, |_, event| events.push(event))
            .map_err(|error| ReplayError::Entry { seq: entry.first_seq, error })?;
        for event in &events {
            let Some(id) = event.payment() else { continue };
            if begins(id.as_bytes(), self.prefix) || names(event, self.prefix) {
                self.found.insert(*id);
                self.teller.want(*id);
            }
        }
        // Of several nothing is told but their names.
        if self.found.len() < 2 {
            self.teller.entry(&header, &events);
            self.learn();
        }
        Ok(())
    }

    /// Later events may name a payment by its parts, its hash, or the seq of a notification alone.
    fn learn(&mut self) {
        let (parts, hashes, notes) = self.teller.names();
        let names = parts.len() + hashes.len() + notes.len();
        if names == self.names || self.depth == Depth::Thorough {
            return;
        }
        let parts = parts.map(|part| part.as_bytes().to_vec());
        let hashes = hashes.map(|hash| hash.as_bytes().to_vec());
        let notes = notes.map(|seq| acknowledgement(*seq));
        let own = [bytes_of(self.prefix)].into_iter();
        self.needles = Needles::new(own.chain(parts).chain(hashes).chain(notes));
        self.names = names;
    }
}

/// Byte sequences that are looked for at once.
#[derive(Debug)]
pub(crate) enum Needles {
    /// One after the other, each many bytes at a time.
    Few(Vec<Finder<'static>>),
    /// All in one go, byte by byte.
    Many(AhoCorasick),
    /// One of them is empty.
    Everywhere,
}

/// So many are quicker to look for one after the other.
const FEW: usize = 16;

impl Needles {
    pub(crate) fn new(needles: impl IntoIterator<Item = Vec<u8>>) -> Self {
        // An id is often the payment hash.
        let needles: BTreeSet<_> = needles.into_iter().collect();
        if needles.contains(&Vec::new()) {
            return Self::Everywhere;
        }
        if needles.len() <= FEW {
            return Self::Few(
                needles.iter().map(|needle| Finder::new(needle).into_owned()).collect(),
            );
        }
        let all = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(needles);
        all.map_or(Self::Everywhere, Self::Many)
    }

    /// Where the first of them begins, from a place on.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let bytes = &bytes[from..];
        let found = match self {
            Self::Few(few) => few.iter().fold(None, |first, needle| {
                // What begins later than one that is found already is of no interest.
                let end = first.map_or(bytes.len(), |first| first + needle.needle().len());
                needle.find(&bytes[..end.min(bytes.len())]).or(first)
            }),
            Self::Many(many) => many.find(bytes).map(|hit| hit.start()),
            Self::Everywhere => Some(0),
        };
        found.map(|found| from + found)
    }

    pub(crate) fn are_in(&self, bytes: &[u8]) -> bool {
        self.find(bytes, 0).is_some()
    }
}

/// The whole bytes that a beginning of an id stands for.
pub(crate) fn bytes_of(prefix: &str) -> Vec<u8> {
    let nibble =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, _) = prefix.as_bytes().as_chunks::<2>();
    pairs.iter().filter_map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

/// How an acknowledgement of this notification is encoded: an event's bytes are its entry's behind the
/// header.
fn acknowledgement(seq: u64) -> Vec<u8> {
    let before = Head::genesis(LedgerId::from_bytes([0; 32]));
    let entry = |seq| {
        let entry = Entry::new(before, 1, UnixMillis(0), &[Event::Acknowledged { seq }]);
        entry.map(|entry| entry.bytes().to_vec()).unwrap_or_default()
    };
    let (one, other) = (entry(seq), entry(1));
    // The headers are the same; the last byte that may differ from that of seq 1 is the number.
    let header = other.len() - EVENT_OF_SEQ_1;
    one.get(header..).unwrap_or_default().to_vec()
}

/// The bytes of the acknowledgement of seq 1: its kind, a number of one byte, and no tail.
const EVENT_OF_SEQ_1: usize = 3;

/// Whether an id begins with these hex digits.
pub(crate) fn begins(bytes: &[u8], prefix: &str) -> bool {
    let digits = prefix.as_bytes();
    digits.len() <= bytes.len() * 2
        && digits.iter().enumerate().all(|(nth, digit)| {
            let nibble = if nth % 2 == 0 { bytes[nth / 2] >> 4 } else { bytes[nth / 2] & 15 };
            char::from(*digit).to_digit(16) == Some(nibble.into())
        })
}

/// Whether an event names a hash or a part that begins so.
fn names(event: &Event, prefix: &str) -> bool {
    let hash = |hash: Option<PaymentHash>| hash.is_some_and(|hash| begins(hash.as_bytes(), prefix));
    match event {
        Event::PaymentAccepted { request, .. } => hash(request.target.payment_hash()),
        Event::PaymentAdopted { payment_hash, .. } => hash(*payment_hash),
        Event::InvoiceReceived { invoice, .. } => hash(Some(invoice.payment_hash)),
        Event::PartsDispatched { parts, .. } => {
            parts.iter().any(|part| begins(part.id.as_bytes(), prefix))
        }
        Event::PartAdopted { part, .. } => begins(part.part.as_bytes(), prefix),
        _ => false,
    }
}
