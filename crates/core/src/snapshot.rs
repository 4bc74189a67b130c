//! Snapshots: the whole durable state at an entry's end, encoded. An accelerator for opening, and
//! the base of a log whose history was dropped.

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use crate::{
    codec::{DecodeError, check_version, decode_canonical},
    evolve::has_doubles,
    ids::{PaymentHash, sha256},
    image::Prelude,
    index::Gathered,
    notification::Unread,
    payment::Payment,
    state::State,
    stray::Stray,
    tombstone::Tombstone,
};

const INSIDE: &str = "a snapshot";

impl State {
    /// The whole state as bytes (docs/FORMAT.md): the same for equal states, whatever the seed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.image().encode()
    }

    /// The SHA-256 of the encoded state: two states with the same digest are the same.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.encode())
    }

    /// Reads a state back. `seed` keys the hash tables, as in [`State::new`].
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not the one encoding of a state, contradict themselves,
    /// or come from a newer version.
    pub fn decode(bytes: &[u8], seed: u64) -> Result<Self, DecodeError> {
        check_version(*bytes.first().ok_or(DecodeError::Truncated { inside: INSIDE })?)?;
        let mut rest = bytes;
        let prelude: Prelude = take(&mut rest)?;
        let mut state = Self::new(prelude.ledger, seed);
        state.restore_prelude(&prelude)?;
        let mut payments = state.restore_payments(&mut rest)?;
        take_sorted(
            &mut rest,
            |tombstone: &Tombstone| tombstone.id,
            |tombstone| {
                require(state.place(&tombstone.id).is_none(), "two payments with one id")?;
                state.insert_tombstone(tombstone);
                Ok(())
            },
        )?;
        take_sorted(
            &mut rest,
            |stray: &Stray| stray.created_seq,
            |stray| {
                require(state.part_place(&stray.part.id).is_none(), "two parts with one id")?;
                state.insert_stray(stray);
                Ok(())
            },
        )?;
        take_sorted(
            &mut rest,
            |payment_hash: &PaymentHash| *payment_hash,
            |payment_hash| {
                state.held.insert(payment_hash);
                Ok(())
            },
        )?;
        take_sorted(
            &mut rest,
            |(seq, _): &(u64, Unread)| *seq,
            |(seq, unread)| {
                payments.unread -= i64::from(unread.content.owner().is_some());
                state.outbox.push(seq, unread);
                Ok(())
            },
        )?;
        if !rest.is_empty() {
            return Err(DecodeError::LeftOver { inside: INSIDE, left: rest.len() });
        }
        state.check_unread(payments.unread)?;
        Ok(state)
    }

    fn restore_prelude(&mut self, prelude: &Prelude) -> Result<(), DecodeError> {
        require(prelude.misfit.is_none(), "a state with an event that did not fit")?;
        require(prelude.head.seq < u64::MAX >> 1, "a seq beyond all logs")?;
        self.head = prelude.head;
        self.epoch = prelude.epoch;
        self.recovering = prelude.recovering;
        self.gap = prelude.gap;
        self.tick = prelude.tick;
        self.tick_reference = prelude.tick_reference;
        self.tick_unfinished = prelude.tick_unfinished;
        self.anomalies_unread = prelude.anomalies_unread;
        self.anomalies_folded = prelude.anomalies_folded;
        Ok(())
    }

    /// Reads the payments; their indexes are built at once.
    fn restore_payments(&mut self, rest: &mut &[u8]) -> Result<Restored, DecodeError> {
        let mut restored = Restored { keys: Gathered::default(), unread: 0 };
        self.reserve_payments(rest.len() / LEAST_BYTES_A_PAYMENT);
        take_sorted(
            rest,
            |payment: &Payment| payment.created_seq,
            |payment| {
                require(self.place(&payment.id).is_none(), "two payments with one id")?;
                let twice = has_doubles(payment.parts.iter().map(|part| part.id));
                let known = payment.parts.iter().any(|part| self.part_place(&part.id).is_some());
                require(!twice && !known, "two parts with one id")?;
                let quiet_later = payment.quiet().is_some_and(|quiet| quiet.tick > self.tick);
                require(!quiet_later, "a payment quiet since a later tick")?;
                restored.unread += i64::from(payment.unread);
                self.gather_payment(payment, &mut restored.keys);
                Ok(())
            },
        )?;
        self.index_gathered(core::mem::take(&mut restored.keys));
        Ok(restored)
    }

    /// Every notification's payment is there and counts it; `uncounted` is how many more the
    /// payments count than there are.
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

/// Payments that were read.
struct Restored {
    keys: Gathered,
    /// How many unread notifications they count.
    unread: i64,
}

/// What an encoded payment takes at least: no count makes more room than there are bytes for.
const LEAST_BYTES_A_PAYMENT: usize = 64;

fn require(holds: bool, what: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::Malformed { inside: INSIDE, what: what.into() }) }
}

fn take<T: Decode<()> + Encode>(rest: &mut &[u8]) -> Result<T, DecodeError> {
    let (value, used) = decode_canonical::<T>(rest, INSIDE)?;
    *rest = &rest[used..];
    Ok(value)
}

/// Reads a list, item by item, each with a larger key than the one before.
fn take_sorted<T: Decode<()> + Encode, K: Ord>(
    rest: &mut &[u8],
    key: impl Fn(&T) -> K,
    mut each: impl FnMut(T) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let count: u64 = take(rest)?;
    if count > u64::from(u32::MAX) {
        return Err(DecodeError::OverLimit { inside: INSIDE });
    }
    let mut last = None;
    for _ in 0..count {
        let item: T = take(rest)?;
        let next = Some(key(&item));
        if next <= last {
            return Err(DecodeError::NotCanonical { inside: INSIDE });
        }
        last = next;
        each(item)?;
    }
    Ok(())
}
