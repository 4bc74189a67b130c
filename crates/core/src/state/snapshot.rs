//! Snapshots: the whole durable state at an entry's end, encoded. An accelerator for opening, and
//! the base of a log whose history was dropped.

use alloc::vec::Vec;

use crate::{
    base::bounded::Blob,
    base::ids::{PaymentHash, PaymentId},
    base::slab::Filled,
    base::state_digest::StateDigest,
    base::wire::{DecodeError, Source, Wire},
    event::blocked_hash::BlockedHash,
    event::hash_paid::HashPaid,
    event::notification::{Anomaly, Unread},
    event::status::Status,
    payment::foreign_part::ForeignPart,
    payment::payment::Payment,
    payment::tombstone::Tombstone,
    state::evolve::has_doubles,
    state::image::Prelude,
    state::index::{Double, Gathered, Hashed},
    state::state::State,
};

const INSIDE: &str = "a snapshot";

impl State {
    /// The whole state as bytes ([FORMAT]): the same for equal states, whatever the seed.
    ///
    /// [FORMAT]: https://github.com/payonce/payonce/blob/main/docs/FORMAT.md
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.image().encode()
    }

    /// The digest of the encoded state: two states with the same digest are the same.
    #[must_use]
    pub fn digest(&self) -> StateDigest {
        self.image().digest()
    }

    /// Reads a state back. `seed` keys the hash tables, as in [`State::new`].
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not the one encoding of a state, contradict themselves,
    /// or come from a newer version.
    pub fn decode(bytes: &[u8], seed: u64) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, seed, |state, source| {
            take_sorted(
                source,
                |tombstone: &Tombstone| tombstone.id,
                |tombstone| {
                    require(state.place(&tombstone.id).is_none(), "two payments with one id")?;
                    state.insert_tombstone(tombstone);
                    Ok(())
                },
            )
        })
    }

    /// As [`decode`](Self::decode), with those remembered payments alone whose encoding `keep` admits, and
    /// the [first bytes](first_bytes) of the ids of the others, in order.
    pub(crate) fn decode_some(
        bytes: &[u8],
        seed: u64,
        mut keep: impl FnMut(&[u8]) -> bool,
    ) -> Result<(Self, Vec<u64>), DecodeError> {
        let mut passed_over = Vec::new();
        let live = Self::decode_with(bytes, seed, |state, source| {
            let count = source.count(u32::MAX as usize)?;
            passed_over.reserve(count.min(source.rest.len() / LEAST_BYTES_A_TOMBSTONE));
            let mut last = None;
            for _ in 0..count {
                let before = source.rest;
                let id = Tombstone::pass_over(source)?;
                let is_next = last.is_none_or(|last| last < id);
                require(is_next && state.place(&id).is_none(), "two payments with one id")?;
                last = Some(id);
                let encoded = &before[..before.len() - source.rest.len()];
                if keep(encoded) {
                    let mut own = Source::of_version(encoded, INSIDE, source.stated);
                    state.insert_tombstone(Tombstone::take(&mut own)?);
                } else {
                    passed_over.push(first_bytes(&id));
                }
            }
            // What the stated version was needed for may be in what was passed over.
            source.since(source.stated);
            Ok(())
        })?;
        Ok((live, passed_over))
    }

    /// Reads a state back; `remembered` reads the payments of which only the outcome is left.
    fn decode_with(
        bytes: &[u8],
        seed: u64,
        remembered: impl FnOnce(&mut Self, &mut Source<'_>) -> Result<(), DecodeError>,
    ) -> Result<Self, DecodeError> {
        let mut source = Source::versioned(bytes, INSIDE)?;
        let prelude = Prelude::take(&mut source)?;
        let mut state = Self::new(prelude.ledger, seed);
        state.restore_prelude(prelude)?;
        let mut uncounted = state.restore_payments(&mut source)?;
        remembered(&mut state, &mut source)?;
        take_sorted(
            &mut source,
            |foreign_part: &ForeignPart| foreign_part.created_seq,
            |foreign_part| {
                require(
                    state.part_place(&foreign_part.part.id).is_none(),
                    "two parts with one id",
                )?;
                state.insert_foreign_part(foreign_part);
                Ok(())
            },
        )?;
        take_sorted(
            &mut source,
            |paid: &HashPaid| paid.payment_hash,
            |paid| {
                require(paid.idle_since.is_none_or(|tick| tick <= state.tick), LATER_TICK)?;
                state.insert_hash_paid(paid);
                Ok(())
            },
        )?;
        take_sorted(
            &mut source,
            |payment_hash: &PaymentHash| *payment_hash,
            |payment_hash| {
                state.blocked.insert(BlockedHash { payment_hash, engine: Blob::EMPTY });
                Ok(())
            },
        )?;
        take_sorted(
            &mut source,
            |(seq, _): &(u64, Unread)| *seq,
            |(seq, unread)| {
                require(seq <= state.head.seq, "a notification beyond the head")?;
                uncounted -= i64::from(unread.content.owner().is_some());
                let key = unread.content.anomaly().and_then(Anomaly::repeats_by);
                let twice =
                    key.is_some_and(|key| state.index.anomalies_unread.insert(key, seq).is_some());
                require(!twice, "an anomaly that is told twice")?;
                state.outbox.push(seq, unread);
                Ok(())
            },
        )?;
        source.check_end()?;
        state.check_unread(uncounted)?;
        Ok(state)
    }

    fn restore_prelude(&mut self, prelude: Prelude) -> Result<(), DecodeError> {
        require(prelude.recovery_since <= prelude.epoch, "a recovery of a later writer")?;
        require(prelude.dropped.len() <= 2, "more bases than one and the next")?;
        // These numbers only count up, and no real log comes near their end.
        let most = u64::MAX >> 1;
        let reached = [prelude.head.seq, prelude.epoch, prelude.tick, prelude.anomalies_folded];
        require(reached.iter().all(|number| *number < most), "a number beyond all logs")?;
        self.head = prelude.head;
        self.epoch = prelude.epoch;
        self.recovering = prelude.recovering;
        self.recovery_since = prelude.recovery_since;
        self.gap = prelude.gap;
        self.tick = prelude.tick;
        self.tick_reference = prelude.tick_reference;
        self.tick_unfinished = prelude.tick_unfinished;
        self.tick_doubted = prelude.tick_doubted;
        self.first_reading = prelude.first_reading;
        self.height = prelude.height;
        self.anomalies_unread = prelude.anomalies_unread;
        self.anomalies_folded = prelude.anomalies_folded;
        self.dropped = prelude.dropped;
        self.vocabulary = prelude.vocabulary;
        self.unknown = prelude.unknown;
        self.restore_blocked_by_engines(prelude.blocked_by_engines.into_vec())
    }

    fn restore_blocked_by_engines(&mut self, blocks: Vec<BlockedHash>) -> Result<(), DecodeError> {
        let mut last = None;
        for block in blocks {
            // Those of no engine are in a list of their own.
            if block.engine.is_empty() || last.is_some_and(|last| last >= block) {
                return Err(DecodeError::NotCanonical { inside: INSIDE });
            }
            last = Some(block.clone());
            self.blocked.insert(block);
        }
        Ok(())
    }

    /// Reads the payments and builds their indexes, and says how many unread notifications they
    /// count.
    fn restore_payments(&mut self, source: &mut Source<'_>) -> Result<i64, DecodeError> {
        let count = source.count(u32::MAX as usize)?;
        let most = source.rest.len() / LEAST_BYTES_A_PAYMENT;
        let mut reading = Reading {
            sorted: Sorted::new(source, count, |payment| payment.created_seq),
            tick: self.tick,
            gathered: self.expect_payments(count.min(most)),
            unread: 0,
            outcome: Ok(()),
        };
        // What was read before a damage is built of as well: what comes first in the bytes is told first.
        while let Some(load) = reading.load() {
            self.build(load)?;
        }
        reading.outcome?;
        self.index_gathered(reading.gathered);
        Ok(reading.unread)
    }

    fn build(&mut self, load: Load) -> Result<(), DecodeError> {
        load.payments.into_iter().for_each(|chunk| self.payments.extend(chunk));
        self.enter_payments(load.hashed).map_err(|double| match double {
            Double::Id => malformed("two payments with one id"),
            Double::Part => malformed("two parts with one id"),
        })
    }

    /// Checks that every notification's payment is there and counts it; `uncounted` is how many more
    /// notifications the payments count than there are.
    fn check_unread(&self, uncounted: i64) -> Result<(), DecodeError> {
        let mut counted = alloc::collections::BTreeMap::new();
        let mut without = 0_u32;
        for (_, unread) in self.outbox.from(0) {
            match unread.content.owner() {
                Some(owner) => *counted.entry(*owner).or_insert(0_u32) += 1,
                None => without += 1,
            }
        }
        require(without == self.anomalies_unread, "anomalies that nobody counts")?;
        for (owner, unread) in counted {
            let payment = self.payment(&owner);
            require(payment.is_some(), "a notification of no payment")?;
            let counts = payment.is_some_and(|payment| payment.unread == unread);
            require(counts, "notifications that nobody counts")?;
        }
        require(uncounted == 0, "notifications that nobody counts")
    }
}

/// The first 8 bytes of an id, in the order of ids.
pub(crate) const fn first_bytes(id: &PaymentId) -> u64 {
    match id.as_bytes().first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => 0,
    }
}

const LATER_TICK: &str = "a hash that is needed no more since a later tick";

/// The least bytes that an encoded payment takes, so that a count never reserves more memory than the
/// bytes can fill.
const LEAST_BYTES_A_PAYMENT: usize = 64;
/// The same of a remembered one.
const LEAST_BYTES_A_TOMBSTONE: usize = 38;

fn require(holds: bool, what: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(malformed(what)) }
}

#[cold]
fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { inside: INSIDE, what: what.into() }
}

/// Reads a list, item by item, each with a larger key than the one before.
fn take_sorted<T: Wire, K: Ord>(
    source: &mut Source<'_>,
    key: impl Fn(&T) -> K,
    mut each: impl FnMut(T) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let count = source.count(u32::MAX as usize)?;
    let mut sorted = Sorted::new(source, count, key);
    while sorted.left > 0 {
        each(sorted.next()?)?;
    }
    Ok(())
}

/// A list of which some items are still to be read.
struct Sorted<'r, 'b, F, K> {
    source: &'r mut Source<'b>,
    /// How many items are still to come.
    left: usize,
    key: F,
    last: Option<K>,
}

/// How many chunks of payments are decoded before they are built of: few enough to stay in a cache, enough
/// that the tables are filled in long runs.
const LOAD: usize = 16;

impl<'r, 'b, F, K: Ord> Sorted<'r, 'b, F, K> {
    const fn new(source: &'r mut Source<'b>, left: usize, key: F) -> Self {
        Self { source, left, key, last: None }
    }

    fn next<T: Wire>(&mut self) -> Result<T, DecodeError>
    where
        F: Fn(&T) -> K,
    {
        let item = T::take(self.source)?;
        self.follow(&item)?;
        Ok(item)
    }

    fn follow<T>(&mut self, item: &T) -> Result<(), DecodeError>
    where
        F: Fn(&T) -> K,
    {
        let next = Some((self.key)(item));
        if next <= self.last {
            return Err(DecodeError::NotCanonical { inside: INSIDE });
        }
        self.last = next;
        self.left -= 1;
        Ok(())
    }
}

/// Payments that were decoded and are not in the state yet.
struct Load {
    payments: Vec<Filled<Payment>>,
    /// What the tables will hold of them.
    hashed: Hashed,
}

/// Payments on their way out of a snapshot.
struct Reading<'r, 'b> {
    sorted: Sorted<'r, 'b, fn(&Payment) -> u64, u64>,
    /// The snapshot's tick number.
    tick: u64,
    gathered: Gathered,
    /// How many unread notifications the payments count.
    unread: i64,
    outcome: Result<(), DecodeError>,
}

impl Reading<'_, '_> {
    /// Reads some payments; those before a damage as well.
    fn load(&mut self) -> Option<Load> {
        let mut payments = Vec::with_capacity(LOAD);
        while self.sorted.left > 0 && payments.len() < LOAD && self.outcome.is_ok() {
            let chunk;
            (chunk, self.outcome) = Filled::by(|slot| self.fill(slot));
            payments.push(chunk);
        }
        (!payments.is_empty()).then(|| Load { payments, hashed: self.gathered.take_hashed() })
    }

    /// Reads a payment to its place, if one is left.
    fn fill(&mut self, slot: &mut Option<Payment>) -> Result<(), DecodeError> {
        if self.sorted.left == 0 {
            return Ok(());
        }
        let payment = slot.insert(Payment::take(self.sorted.source)?);
        self.sorted.follow(payment)?;
        let twice = has_doubles(payment.parts.iter().map(|part| part.id));
        require(!twice, "two parts with one id")?;
        let quiet_later = payment.idle().is_some_and(|idle| idle.tick > self.tick);
        require(!quiet_later, "a payment idle since a later tick")?;
        let failed = matches!(payment.status, Status::Failed { .. });
        let told = payment.details.failed_notification.is_some();
        require(!failed || told, "a failed payment that was told to nobody")?;
        self.unread += i64::from(payment.unread);
        self.gathered.add(payment);
        Ok(())
    }
}
