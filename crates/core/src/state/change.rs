//! Changes of a state: every change of a payment goes through here, so that no index is forgotten.

use alloc::vec::Vec;

use crate::{
    base::amount::UnixMillis,
    base::ids::{PartId, PaymentHash, PaymentId},
    base::slab::Handle,
    event::hash_paid::HashPaid,
    event::request::ShortDigest,
    event::status::StatusKind,
    payment::details::Rest,
    payment::foreign_part::ForeignPart,
    payment::payment::Payment,
    payment::tombstone::Tombstone,
    state::index::{DUE, Double, Gathered, Hashed, IDLE, Keys, overdue_at, swap},
    state::place::{PartPlace, Place},
    state::state::State,
    state::table::Packed,
};

/// Many payments at once, into a state without any payment, tombstone or foreign part.
impl State {
    /// Makes room for this many payments; what is gathered of them belongs to this state.
    pub(crate) fn expect_payments(&mut self, count: usize) -> Gathered {
        for table in [&mut self.index.by_id, &mut self.index.by_hash, &mut self.index.by_part] {
            table.reserve(count);
        }
        Gathered {
            seed: self.index.seed.clone(),
            next: Handle(0),
            hashed: Hashed::default(),
            by_status: Vec::with_capacity(count),
            waiting: Vec::new(),
            resting: Vec::new(),
            lapsing: Vec::new(),
            lapsing_by_tick: Vec::new(),
            undecided: Vec::new(),
            overdue: Vec::new(),
            former: Vec::new(),
            tick_waiters: 0,
            unresolved_parts: 0,
        }
    }

    /// Enters payments under their ids, their hashes and their parts, each looked up and entered at
    /// once. They are in the slab, and no two parts of one payment have the same id.
    ///
    /// # Errors
    /// What two of them have in common; the state must not be used then.
    pub(crate) fn enter_payments(&mut self, hashed: Hashed) -> Result<(), Double> {
        let Self { index, payments, .. } = self;
        let other = |at: Place| match at {
            Place::Payment(handle) => Some(payments.get(handle)),
            Place::Tombstone(_) | Place::ForeignPart(_) | Place::HashPaid(_) => None,
        };
        for (hash, handle) in hashed.ids {
            let same = |at| other(at).is_some_and(|other| other.id == payments.get(handle).id);
            if !index.by_id.enter(hash, Place::Payment(handle), same) {
                return Err(Double::Id);
            }
        }
        for (hash, handle) in hashed.hashes {
            index.by_hash.insert(hash, Place::Payment(handle));
        }
        for (hash, handle) in hashed.parts {
            let parts = || payments.get(handle).parts.iter();
            let shares = |other: &Payment| parts().any(|part| other.part(&part.id).is_some());
            // Two parts of one payment may share a hash, but no id.
            let has = |at| at != Place::Payment(handle) && other(at).is_some_and(shares);
            if !index.by_part.enter(hash, Place::Payment(handle), has) {
                return Err(Double::Part);
            }
        }
        Ok(())
    }

    /// Builds the indexes that have an order, once every payment is entered.
    pub(crate) fn index_gathered(&mut self, mut gathered: Gathered) {
        gathered.by_status.sort_unstable();
        for (kind, _, handle) in gathered.by_status {
            self.index.by_status.push(kind as usize, handle);
        }
        gathered.waiting.sort_unstable();
        for (list, _, handle) in gathered.waiting {
            self.index.waiting.push(list, handle);
        }
        let resting = gathered.resting.iter();
        self.index.resting = resting.clone().map(|(rest, seq, at)| (rest.at, *seq, *at)).collect();
        self.index.resting_by_tick =
            resting.map(|(rest, seq, at)| (rest.tick, *seq, *at)).collect();
        self.index.lapsing = gathered.lapsing.into_iter().collect();
        self.index.lapsing_by_tick = gathered.lapsing_by_tick.into_iter().collect();
        self.index.undecided = gathered.undecided.into_iter().collect();
        self.index.overdue = gathered.overdue.into_iter().collect();
        self.index.former.extend(gathered.former);
        self.index.tick_waiters = gathered.tick_waiters;
        self.index.unresolved_parts = gathered.unresolved_parts;
    }
}

/// Changes, each of which keeps the indexes correct.
impl State {
    pub(crate) fn insert_payment(&mut self, payment: Payment) -> Handle {
        let id = payment.id;
        let handle = self.payments.insert(payment);
        self.insert_id(&id, Place::Payment(handle));
        self.index_payment(handle);
        handle
    }

    pub(crate) fn remove_payment(&mut self, handle: Handle) -> Payment {
        let id = self.payments.get(handle).id;
        self.unindex_payment(handle);
        self.remove_id(&id, Place::Payment(handle));
        self.payments.remove(handle)
    }

    /// Replaces a payment by another one under the same id.
    pub(crate) fn replace_payment(&mut self, handle: Handle, payment: Payment) {
        self.unindex_payment(handle);
        *self.payments.get_mut(handle) = payment;
        self.index_payment(handle);
    }

    /// Applies a change to one payment. `touched` is the part whose status or terms it may change; parts
    /// that it adds are found without it.
    pub(crate) fn change_payment<R>(
        &mut self,
        handle: Handle,
        touched: Option<usize>,
        change: impl FnOnce(&mut Payment) -> R,
    ) -> R {
        let view = touched.map(|index| {
            let place = PartPlace::Payment(handle, index);
            (place, self.indexed_at(place))
        });
        let payment = self.payments.get_mut(handle);
        let (old, parts_before) = (Keys::of(payment), payment.parts.len());
        let hashes_before = other_hashes(payment);
        let result = change(payment);
        let (new, parts_after) = (Keys::of(payment), payment.parts.len());
        let (created, hashes_after) = (payment.created_seq, other_hashes(payment));
        if old != new {
            self.index.rekey(handle, created, &old, &new);
            if old.hash != new.hash {
                self.rehash(Place::Payment(handle), old.hash, new.hash);
            }
        }
        if hashes_before != hashes_after {
            self.rehash_all(Place::Payment(handle), &hashes_before, &hashes_after);
        }
        for index in parts_before..parts_after {
            self.index_part(PartPlace::Payment(handle, index));
        }
        if let Some((place, before)) = view {
            self.restand(place, before);
        }
        result
    }

    /// Changes many parts of one payment.
    pub(crate) fn change_parts<R>(
        &mut self,
        handle: Handle,
        change: impl FnOnce(&mut Payment) -> R,
    ) -> R {
        let parts = self.payments.get(handle).parts.len();
        let places: Vec<_> = (0..parts).map(|index| PartPlace::Payment(handle, index)).collect();
        let before: Vec<_> = places.iter().map(|place| self.indexed_at(*place)).collect();
        let result = self.change_payment(handle, None, change);
        for (place, before) in places.into_iter().zip(before) {
            self.restand(place, before);
        }
        result
    }

    pub(crate) fn insert_tombstone(&mut self, tombstone: Tombstone) {
        let (id, hashes) = (tombstone.id, tombstone.hashes());
        let handle = self.tombstones.insert(tombstone);
        let place = Place::Tombstone(handle);
        self.index.add_former(&self.tombstones.get(handle).tries, place);
        self.insert_id(&id, place);
        self.rehash_all(place, &[], &hashes);
    }

    pub(crate) fn remove_tombstone(&mut self, handle: Handle) -> Tombstone {
        let place = Place::Tombstone(handle);
        let (id, hashes) = {
            let tombstone = self.tombstones.get(handle);
            (tombstone.id, tombstone.hashes())
        };
        self.rehash_all(place, &hashes, &[]);
        self.remove_id(&id, place);
        let tombstone = self.tombstones.remove(handle);
        self.index.remove_former(&tombstone.tries, place);
        tombstone
    }

    pub(crate) fn insert_foreign_part(&mut self, foreign_part: ForeignPart) {
        let (hash, payment) = (foreign_part.payment_hash, foreign_part.payment);
        let handle = self.foreign_parts.insert(foreign_part);
        self.rehash(Place::ForeignPart(handle), None, Some(hash));
        self.index.foreign_parts_of.insert((payment, handle));
        self.index_part(PartPlace::ForeignPart(handle));
    }

    pub(crate) fn remove_foreign_part(&mut self, handle: Handle) -> ForeignPart {
        let (hash, payment) = {
            let foreign_part = self.foreign_parts.get(handle);
            (foreign_part.payment_hash, foreign_part.payment)
        };
        self.unindex_part(PartPlace::ForeignPart(handle));
        self.index.foreign_parts_of.remove(&(payment, handle));
        self.rehash(Place::ForeignPart(handle), Some(hash), None);
        self.foreign_parts.remove(handle)
    }

    pub(crate) fn insert_hash_paid(&mut self, paid: HashPaid) {
        let (hash, idle) = (paid.payment_hash, paid.idle_since);
        let handle = self.hashes_paid.insert(paid);
        self.rehash(Place::HashPaid(handle), None, Some(hash));
        self.index.idle_hashes.extend(idle.map(|tick| (tick, handle)));
    }

    pub(crate) fn change_hash_paid(&mut self, handle: Handle, change: impl FnOnce(&mut HashPaid)) {
        let paid = self.hashes_paid.get_mut(handle);
        let before = paid.idle_since;
        change(paid);
        let after = paid.idle_since;
        swap(&mut self.index.idle_hashes, before, after, |tick| (tick, handle));
    }

    pub(crate) fn remove_hash_paid(&mut self, handle: Handle) {
        let paid = self.hashes_paid.remove(handle);
        self.rehash(Place::HashPaid(handle), Some(paid.payment_hash), None);
        if let Some(tick) = paid.idle_since {
            self.index.idle_hashes.remove(&(tick, handle));
        }
    }

    pub(crate) fn change_foreign_part<R>(
        &mut self,
        handle: Handle,
        change: impl FnOnce(&mut ForeignPart) -> R,
    ) -> R {
        let place = PartPlace::ForeignPart(handle);
        let before = self.indexed_at(place);
        let result = change(self.foreign_parts.get_mut(handle));
        self.restand(place, before);
        result
    }

    fn index_payment(&mut self, handle: Handle) {
        let payment = self.payments.get(handle);
        let (new, created, parts) = (Keys::of(payment), payment.created_seq, payment.parts.len());
        let others = other_hashes(payment);
        self.index.rekey(handle, created, &Keys::default(), &new);
        let former = &self.payments.get(handle).details.former;
        self.index.add_former(former, Place::Payment(handle));
        self.rehash(Place::Payment(handle), None, new.hash);
        self.rehash_all(Place::Payment(handle), &[], &others);
        (0..parts).for_each(|index| self.index_part(PartPlace::Payment(handle, index)));
    }

    fn unindex_payment(&mut self, handle: Handle) {
        let payment = self.payments.get(handle);
        let (old, created, parts) = (Keys::of(payment), payment.created_seq, payment.parts.len());
        let others = other_hashes(payment);
        (0..parts).for_each(|index| self.unindex_part(PartPlace::Payment(handle, index)));
        self.rehash(Place::Payment(handle), old.hash, None);
        self.rehash_all(Place::Payment(handle), &others, &[]);
        self.index.rekey(handle, created, &old, &Keys::default());
        let former = &self.payments.get(handle).details.former;
        self.index.remove_former(former, Place::Payment(handle));
    }

    fn insert_id(&mut self, id: &PaymentId, place: Place) {
        self.index.by_id.insert(self.index.hash(id.as_bytes()), place);
    }

    fn remove_id(&mut self, id: &PaymentId, place: Place) {
        self.index.by_id.remove(self.index.hash(id.as_bytes()), place);
    }

    fn rehash(&mut self, place: Place, old: Option<PaymentHash>, new: Option<PaymentHash>) {
        if let Some(old) = old {
            self.index.by_hash.remove(self.index.hash(old.as_bytes()), place);
        }
        if let Some(new) = new {
            self.index.by_hash.insert(self.index.hash(new.as_bytes()), place);
        }
    }

    fn rehash_all(&mut self, place: Place, old: &[PaymentHash], new: &[PaymentHash]) {
        for hash in old {
            self.rehash(place, Some(*hash), None);
        }
        for hash in new {
            self.rehash(place, None, Some(*hash));
        }
    }

    fn index_part(&mut self, place: PartPlace) {
        let hash = self.index.hash(self.part_at(place).id.as_bytes());
        self.index.by_part.insert(hash, place.owner());
        self.index_dues(place, self.indexed_at(place));
    }

    fn unindex_part(&mut self, place: PartPlace) {
        self.unindex_dues(place, self.indexed_at(place));
        let hash = self.index.hash(self.part_at(place).id.as_bytes());
        self.index.by_part.remove(hash, place.owner());
    }

    fn indexed_at(&self, place: PartPlace) -> IndexedPart {
        let part = self.part_at(place);
        IndexedPart { unresolved: part.status.is_unresolved(), overdue_at: overdue_at(part) }
    }

    /// Updates the indexes after a part may have changed.
    fn restand(&mut self, place: PartPlace, before: IndexedPart) {
        let now = self.indexed_at(place);
        if now != before {
            self.unindex_dues(place, before);
            self.index_dues(place, now);
        }
    }

    fn index_dues(&mut self, place: PartPlace, part: IndexedPart) {
        let owner = place.owner().into();
        self.index.unresolved_parts += usize::from(part.unresolved);
        self.index.overdue.extend(part.overdue_at.map(|height| (height, owner)));
    }

    fn unindex_dues(&mut self, place: PartPlace, part: IndexedPart) {
        self.index.unresolved_parts -= usize::from(part.unresolved);
        if let Some(height) = part.overdue_at
            && !self.has_another_at(height, place)
        {
            self.index.overdue.remove(&(height, place.owner().into()));
        }
    }

    /// Whether another part of the same payment expires at this height.
    fn has_another_at(&self, height: u32, place: PartPlace) -> bool {
        let PartPlace::Payment(handle, index) = place else { return false };
        let mut parts = self.payments.get(handle).parts.iter().enumerate();
        parts.any(|(at, part)| at != index && overdue_at(part) == Some(height))
    }
}

/// The other hashes under which a payment is found.
fn other_hashes(payment: &Payment) -> Vec<PaymentHash> {
    if payment.has_one_hash() { Vec::new() } else { payment.other_hashes() }
}

/// What the indexes say of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IndexedPart {
    unresolved: bool,
    overdue_at: Option<u32>,
}

impl PartPlace {
    const fn owner(self) -> Place {
        match self {
            Self::Payment(handle, _) => Place::Payment(handle),
            Self::ForeignPart(handle) => Place::ForeignPart(handle),
        }
    }
}

/// Lookups in the order of seqs, each at the cost of what it yields.
impl State {
    pub(crate) fn with_status(&self, kind: StatusKind) -> impl Iterator<Item = &Payment> {
        self.index.by_status.iter(kind as usize).map(|handle| self.payments.get(handle))
    }

    pub(crate) const fn count_with_status(&self, kind: StatusKind) -> usize {
        self.index.by_status.len(kind as usize)
    }

    pub(crate) const fn unresolved_parts(&self) -> usize {
        self.index.unresolved_parts
    }

    /// Open payments with something missing for which no deadline is past and no rest lasts, in
    /// unspecified order. Payments that are past a deadline cost as much, until a tick fails them.
    pub(crate) fn dispatchable(&self, now: UnixMillis) -> impl Iterator<Item = &Payment> {
        let tick = self.tick;
        let due = self.index.waiting.iter(DUE);
        let rested = self.index.resting.iter();
        let rested = rested.take_while(move |(at, ..)| at.is_past(now)).map(|(.., at)| *at);
        let by_tick = self.index.resting_by_tick.iter();
        let by_tick = by_tick.take_while(move |(limit, ..)| *limit <= tick).map(|(.., at)| *at);
        let still = move |rest: Option<Rest>| rest.is_some_and(|rest| !rest.at.is_past(now));
        let by_tick = by_tick.filter(move |at| still(self.payments.get(*at).details.rests_until));
        let all = due.chain(rested).chain(by_tick).map(|handle| self.payments.get(handle));
        all.filter(move |payment| !payment.is_past(now, tick))
    }

    pub(crate) fn lapsed(&self, now: UnixMillis) -> impl Iterator<Item = &Payment> {
        let set = self.index.lapsing.iter();
        set.take_while(move |(at, ..)| at.is_past(now)).map(|(.., at)| self.payments.get(*at))
    }

    pub(crate) fn lapsed_by_tick(&self, tick: u64) -> impl Iterator<Item = &Payment> {
        let set = self.index.lapsing_by_tick.iter();
        set.take_while(move |(limit, ..)| tick > *limit).map(|(.., at)| self.payments.get(*at))
    }

    /// Paid payments in the order in which they became idle.
    pub(crate) fn idle(&self) -> impl Iterator<Item = &Payment> {
        self.index.waiting.iter(IDLE).map(|handle| self.payments.get(handle))
    }

    /// Whether anything waits for the tick number to grow.
    pub(crate) fn waits_by_ticks(&self) -> bool {
        self.index.tick_waiters > 0
            || self.index.waiting.len(IDLE) > 0
            || !self.index.idle_hashes.is_empty()
    }

    /// Whose part this was in an earlier try, or before the payment was remembered.
    pub(crate) fn former_owners(&self, part: &PartId) -> impl Iterator<Item = Place> {
        let digest = (!self.index.former.is_empty()).then(|| ShortDigest::of(part));
        let own = digest.into_iter().flat_map(|digest| {
            let first = (digest, Packed::LEAST);
            self.index.former.range(first..).take_while(move |(other, _)| *other == digest)
        });
        own.map(|(_, owner)| (*owner).into())
    }

    /// The foreign parts of a payment, oldest first.
    pub(crate) fn foreign_parts_of(
        &self,
        payment: &PaymentId,
    ) -> impl Iterator<Item = (Handle, &ForeignPart)> {
        let first = (*payment, Handle(0));
        let payment = *payment;
        let own =
            self.index.foreign_parts_of.range(first..).take_while(move |(id, _)| *id == payment);
        own.map(|(_, handle)| (*handle, self.foreign_parts.get(*handle)))
    }

    /// Paid hashes that are not needed any more, the one that has been so longest first.
    pub(crate) fn idle_hashes(&self) -> impl Iterator<Item = (u64, Handle, &HashPaid)> {
        let set = self.index.idle_hashes.iter();
        set.map(|(tick, handle)| (*tick, *handle, self.hashes_paid.get(*handle)))
    }

    pub(crate) fn undecided(&self) -> impl Iterator<Item = &Payment> {
        self.index.undecided.iter().map(|(_, handle)| self.payments.get(*handle))
    }

    /// Whether an unresolved part is at or past its CLTV expiry.
    pub(crate) fn is_overdue(&self, height: u32) -> bool {
        self.index.overdue.first().is_some_and(|(expiry, _)| *expiry <= height)
    }

    /// Unresolved parts whose CLTV expiry is at or below this height.
    pub(crate) fn overdue_places(&self, height: u32) -> Vec<PartPlace> {
        let owners = self.index.overdue.iter().take_while(|(expiry, _)| *expiry <= height);
        let places = owners.flat_map(|(expiry, owner)| self.unresolved_at_height(*expiry, *owner));
        let mut places: Vec<_> = places.collect();
        places.sort_by_key(|(expiry, place)| (*expiry, self.created_at_place(*place), *place));
        places.into_iter().map(|(_, place)| place).collect()
    }

    fn unresolved_at_height(
        &self,
        height: u32,
        owner: Packed,
    ) -> impl Iterator<Item = (u32, PartPlace)> {
        let (payment, foreign_part) = match owner.into() {
            Place::Payment(handle) => (Some(handle), None),
            Place::ForeignPart(handle) => (None, Some(PartPlace::ForeignPart(handle))),
            Place::Tombstone(_) | Place::HashPaid(_) => (None, None),
        };
        let own = payment.into_iter().flat_map(move |handle| {
            let parts = self.payments.get(handle).parts.iter().enumerate();
            let there = parts.filter(move |(_, part)| overdue_at(part) == Some(height));
            there.map(move |(index, _)| PartPlace::Payment(handle, index))
        });
        own.chain(foreign_part).map(move |place| (height, place))
    }
}
