//! An image: the state as it was at one moment, to be encoded on another thread while the state changes.

use alloc::vec::Vec;

use crate::{
    base::amount::UnixMillis,
    base::bounded::Many,
    base::head::Head,
    base::ids::LedgerId,
    base::slab::Contents,
    base::state_digest::StateDigest,
    base::vocabulary::Vocabulary,
    base::wire::{Sink, UnknownFields, Wire, layout},
    event::blocked_hash::BlockedHash,
    event::hash_paid::HashPaid,
    event::notification::Unread,
    payment::foreign_part::ForeignPart,
    payment::payment::Payment,
    payment::tombstone::Tombstone,
    state::state::{Dropped, State},
};

/// A state as it was when the image was taken: everything that is encoded, and no index.
///
/// Taking one costs microseconds and a few bytes for every thousand payments, so it can be taken
/// between two commands and encoded on another thread; later commands copy what they change while
/// it lives.
#[derive(Debug, Clone)]
pub struct Image {
    prelude: Prelude,
    payments: Contents<Payment>,
    tombstones: Contents<Tombstone>,
    foreign_parts: Contents<ForeignPart>,
    hashes_paid: Contents<HashPaid>,
    blocked: Contents<BlockedHash>,
    outbox: Contents<(u64, Unread)>,
}

/// The fields that come before the lists in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prelude {
    pub(crate) ledger: LedgerId,
    pub(crate) head: Head,
    pub(crate) epoch: u64,
    pub(crate) recovering: bool,
    pub(crate) recovery_since: u64,
    pub(crate) gap: bool,
    pub(crate) tick: u64,
    pub(crate) tick_reference: Option<UnixMillis>,
    pub(crate) tick_unfinished: bool,
    pub(crate) tick_doubted: Option<UnixMillis>,
    pub(crate) first_reading: UnixMillis,
    pub(crate) height: Option<u32>,
    pub(crate) anomalies_unread: u32,
    pub(crate) anomalies_folded: u64,
    pub(crate) dropped: Many<Dropped>,
    pub(crate) vocabulary: Vocabulary,
    /// Of the blocked hashes those whose engine was named, in their order.
    pub(crate) blocked_by_engines: Many<BlockedHash>,
    pub(crate) unknown: UnknownFields,
}

layout! {
    record Prelude "a snapshot" {
        ledger, head, epoch;
        2 recovering,
        4 recovery_since,
        6 gap,
        8 tick,
        10 tick_reference,
        12 tick_unfinished,
        14 tick_doubted,
        16 first_reading,
        18 height,
        20 anomalies_unread,
        22 anomalies_folded,
        24 dropped,
        26 vocabulary,
        28 blocked_by_engines;
        .. unknown
    }
}

impl State {
    /// The state as it is now. A runtime asks for it with
    /// [`Machine::query`](crate::Machine::query), whose ticket gives it once its head is durable, and
    /// encodes it on a thread that nobody waits for.
    #[must_use]
    pub fn image(&self) -> Image {
        Image {
            prelude: self.prelude(),
            payments: self.payments.image(),
            tombstones: self.tombstones.image(),
            foreign_parts: self.foreign_parts.image(),
            hashes_paid: self.hashes_paid.image(),
            blocked: self.blocked.image(),
            outbox: self.outbox.image(),
        }
    }

    fn prelude(&self) -> Prelude {
        Prelude {
            ledger: self.ledger,
            head: self.head,
            epoch: self.epoch,
            recovering: self.recovering,
            recovery_since: self.recovery_since,
            gap: self.gap,
            tick: self.tick,
            tick_reference: self.tick_reference,
            tick_unfinished: self.tick_unfinished,
            tick_doubted: self.tick_doubted,
            first_reading: self.first_reading,
            height: self.height,
            anomalies_unread: self.anomalies_unread,
            anomalies_folded: self.anomalies_folded,
            dropped: self.dropped.clone(),
            vocabulary: self.vocabulary,
            // Sorted only once they are encoded.
            blocked_by_engines: Many::new(),
            unknown: self.unknown.clone(),
        }
    }
}

impl Image {
    /// The end of the last entry folded when the image was taken: where its snapshot belongs.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.prelude.head
    }

    /// What [`State::digest`] would have given at that moment.
    ///
    /// # Panics
    /// Never: what was encoded begins with its version.
    #[must_use]
    pub fn digest(&self) -> StateDigest {
        StateDigest::of(&self.encode()).expect("its own version")
    }

    /// What [`State::encode`] would have given at that moment.
    ///
    /// # Panics
    /// Never: what a state contains was read from entries, or has the same limits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut sink = Sink::with_capacity(256);
        sink.version_first();
        let mut blocked: Vec<_> = self.blocked.iter().collect();
        blocked.sort_unstable();
        let (blocked, by_engines): (Vec<_>, Vec<_>) =
            blocked.into_iter().partition(|block| block.engine.is_empty());
        let blocked_by_engines = by_engines.into_iter().cloned().collect();
        Prelude { blocked_by_engines, ..self.prelude.clone() }.put(&mut sink);
        put_sorted(&self.payments, |payment| payment.created_seq, &mut sink);
        put_sorted(&self.tombstones, |tombstone| tombstone.id, &mut sink);
        put_sorted(&self.foreign_parts, |foreign_part| foreign_part.created_seq, &mut sink);
        put_sorted(&self.hashes_paid, |paid| paid.payment_hash, &mut sink);
        sink.number(blocked.len() as u64);
        for block in blocked {
            block.payment_hash.put(&mut sink);
        }
        put_sorted(&self.outbox, |(seq, _)| *seq, &mut sink);
        sink.with_version().expect("a state holds nothing that is too long")
    }
}

fn put_sorted<T: Wire, K: Ord>(contents: &Contents<T>, key: impl Fn(&T) -> K, sink: &mut Sink) {
    let mut items: Vec<_> = contents.iter().collect();
    items.sort_unstable_by_key(|item| key(item));
    sink.number(items.len() as u64);
    for item in items {
        item.put(sink);
    }
}
