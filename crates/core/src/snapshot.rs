//! Snapshots: the whole durable state at an entry's end, encoded. An accelerator for opening, and
//! the base of a log whose history was dropped.

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use crate::{
    codec::{DecodeError, Many, check_canonical, check_version, decode_prefix},
    ids::{PaymentHash, sha256},
    image::Prelude,
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
        let payments: Many<Payment> = take(&mut rest)?;
        let tombstones: Many<Tombstone> = take(&mut rest)?;
        let strays: Many<Stray> = take(&mut rest)?;
        let held: Many<PaymentHash> = take(&mut rest)?;
        let outbox: Many<(u64, Unread)> = take(&mut rest)?;
        if !rest.is_empty() {
            return Err(DecodeError::LeftOver { inside: INSIDE, left: rest.len() });
        }
        let mut state = Self::new(prelude.ledger, seed);
        state.restore_prelude(&prelude)?;
        for payment in payments.into_vec() {
            state.restore_payment(payment)?;
        }
        for tombstone in tombstones.into_vec() {
            require(state.place(&tombstone.id).is_none(), "two payments with one id")?;
            state.insert_tombstone(tombstone);
        }
        for stray in strays.into_vec() {
            require(state.part_place(&stray.part.id).is_none(), "two parts with one id")?;
            state.insert_stray(stray);
        }
        // What is there twice is left out, and shows below.
        for payment_hash in held.into_vec() {
            state.held.insert(payment_hash, ());
        }
        for (seq, unread) in outbox.into_vec() {
            state.outbox.insert(seq, unread);
        }
        state.check_unread()?;
        // Lists out of order or with doubles show here.
        check_same(&state.encode(), bytes)?;
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

    fn restore_payment(&mut self, payment: Payment) -> Result<(), DecodeError> {
        require(self.place(&payment.id).is_none(), "two payments with one id")?;
        let mut ids: Vec<_> = payment.parts.iter().map(|part| part.id).collect();
        ids.sort_unstable();
        let twice = ids.windows(2).any(|pair| pair[0] == pair[1]);
        let known = ids.iter().any(|part| self.part_place(part).is_some());
        require(!twice && !known, "two parts with one id")?;
        let quiet_later = payment.quiet.is_some_and(|quiet| quiet.tick > self.tick);
        require(!quiet_later, "a payment quiet since a later tick")?;
        self.insert_payment(payment);
        Ok(())
    }

    /// Every notification's payment is there and counts it.
    fn check_unread(&self) -> Result<(), DecodeError> {
        let mut counted = alloc::collections::BTreeMap::new();
        let mut without = 0_u32;
        for (_, unread) in self.outbox.iter() {
            match unread.content.owner() {
                Some(owner) => *counted.entry(*owner).or_insert(0_u32) += 1,
                None => without += 1,
            }
        }
        require(without == self.anomalies_unread, "anomalies that nobody counts")?;
        for payment in self.payments.iter() {
            let unread = counted.remove(&payment.id).unwrap_or(0);
            require(unread == payment.unread, "notifications that nobody counts")?;
        }
        require(counted.is_empty(), "a notification of no payment")
    }
}

fn require(holds: bool, what: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::Malformed { inside: INSIDE, what: what.into() }) }
}

fn check_same(encoded: &[u8], bytes: &[u8]) -> Result<(), DecodeError> {
    if encoded == bytes { Ok(()) } else { Err(DecodeError::NotCanonical { inside: INSIDE }) }
}

fn take<T: Decode<()> + Encode>(rest: &mut &[u8]) -> Result<T, DecodeError> {
    let (value, used) = decode_prefix::<T>(rest, INSIDE)?;
    check_canonical(&value, &rest[..used], INSIDE)?;
    *rest = &rest[used..];
    Ok(value)
}
