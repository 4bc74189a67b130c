//! The indexes of a state: what leads to what, at the cost of what is found. Every change of a
//! payment goes through here, so that none is forgotten.

use alloc::collections::{BTreeMap, BTreeSet};
use core::hash::BuildHasher;

use hashbrown::HashTable;

use crate::{
    amount::UnixMillis,
    ids::{PartId, PaymentHash, PaymentId},
    payment::{Payment, VerdictDue},
    request::ShortDigest,
    slab::Handle,
    state::{PartPlace, Place, State},
    status::StatusKind,
    stray::Stray,
    tombstone::Tombstone,
};

/// What leads to what. Everything here follows from the rest of the state, holds handles and not
/// keys, and orders what it yields by seq, never by handle or by hash.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) hasher: foldhash::fast::FixedState,
    pub(crate) by_id: HashTable<Place>,
    pub(crate) by_hash: HashTable<Place>,
    pub(crate) by_part: HashTable<PartPlace>,
    /// Parts of earlier tries and of remembered payments, and how often each digest stands there.
    former: BTreeMap<ShortDigest, u32>,
    by_status: [BTreeSet<(u64, Handle)>; 5],
    due: BTreeSet<(UnixMillis, u64, Handle)>,
    lapsing: BTreeSet<(UnixMillis, u64, Handle)>,
    lapsing_by_tick: BTreeSet<(u64, u64, Handle)>,
    tick_waiters: usize,
    quiet: BTreeSet<(u64, u64, Handle)>,
    undecided: BTreeSet<(u64, Handle)>,
    overdue: BTreeSet<(u32, u64, PartPlace)>,
    unresolved_parts: usize,
}

/// The keys under which one payment stands in the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Keys {
    hash: Option<PaymentHash>,
    status: Option<(StatusKind, u64)>,
    due: Option<UnixMillis>,
    lapses_at: Option<UnixMillis>,
    lapses_above_tick: Option<u64>,
    waits_by_tick: bool,
    quiet: Option<(u64, u64)>,
    undecided: bool,
}

impl Keys {
    fn of(payment: &Payment) -> Self {
        Self {
            hash: payment.payment_hash,
            status: Some((payment.status.kind(), payment.status_seq)),
            due: payment.admits_batch().then(|| payment.cutoff()),
            lapses_at: payment.lapses_at(),
            lapses_above_tick: payment.lapses_above_tick(),
            waits_by_tick: payment.tick_limit().is_some(),
            quiet: payment.quiet.map(|quiet| (quiet.tick, quiet.seq)),
            undecided: payment.verdict_due != VerdictDue::No,
        }
    }
}

impl Index {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            hasher: foldhash::fast::FixedState::with_seed(seed),
            by_id: HashTable::new(),
            by_hash: HashTable::new(),
            by_part: HashTable::new(),
            former: BTreeMap::new(),
            by_status: Default::default(),
            due: BTreeSet::new(),
            lapsing: BTreeSet::new(),
            lapsing_by_tick: BTreeSet::new(),
            tick_waiters: 0,
            quiet: BTreeSet::new(),
            undecided: BTreeSet::new(),
            overdue: BTreeSet::new(),
            unresolved_parts: 0,
        }
    }

    fn add_former(&mut self, parts: &[ShortDigest]) {
        for part in parts {
            *self.former.entry(*part).or_insert(0) += 1;
        }
    }

    fn remove_former(&mut self, parts: &[ShortDigest]) {
        for part in parts {
            match self.former.get_mut(part) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.former.remove(part)),
            }
        }
    }

    fn rekey(&mut self, handle: Handle, created: u64, old: &Keys, new: &Keys) {
        if old.status != new.status {
            if let Some((kind, seq)) = old.status {
                self.by_status[kind as usize].remove(&(seq, handle));
            }
            if let Some((kind, seq)) = new.status {
                self.by_status[kind as usize].insert((seq, handle));
            }
        }
        swap(&mut self.due, old.due, new.due, |cutoff| (cutoff, created, handle));
        swap(&mut self.lapsing, old.lapses_at, new.lapses_at, |at| (at, created, handle));
        swap(&mut self.lapsing_by_tick, old.lapses_above_tick, new.lapses_above_tick, |tick| {
            (tick, created, handle)
        });
        swap(&mut self.quiet, old.quiet, new.quiet, |(tick, seq)| (tick, seq, handle));
        swap(&mut self.undecided, mark(old.undecided), mark(new.undecided), |()| (created, handle));
        self.tick_waiters += usize::from(new.waits_by_tick);
        self.tick_waiters -= usize::from(old.waits_by_tick);
    }
}

fn mark(is: bool) -> Option<()> {
    is.then_some(())
}

/// Replaces one key of a set, if it changed.
fn swap<K: PartialEq, T: Ord>(
    set: &mut BTreeSet<T>,
    old: Option<K>,
    new: Option<K>,
    key: impl Fn(K) -> T,
) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        set.remove(&key(old));
    }
    if let Some(new) = new {
        set.insert(key(new));
    }
}

/// Changes, each leaving the indexes true.
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
        self.remove_id(&id);
        self.payments.remove(handle)
    }

    /// Puts another payment in the place of this one, under the same id.
    pub(crate) fn replace_payment(&mut self, handle: Handle, payment: Payment) {
        self.unindex_payment(handle);
        *self.payments.get_mut(handle) = payment;
        self.index_payment(handle);
    }

    /// Applies a change to one payment. `touched` names the parts whose standing it may change;
    /// parts it adds are found by themselves.
    pub(crate) fn change_payment<R>(
        &mut self,
        handle: Handle,
        touched: Option<&PartId>,
        change: impl FnOnce(&mut Payment) -> R,
    ) -> R {
        let place = touched.and_then(|part| self.part_place(part));
        if let Some(place) = place {
            self.unindex_standing(place);
        }
        let payment = self.payments.get_mut(handle);
        let (old, parts_before) = (Keys::of(payment), payment.parts.len());
        let result = change(payment);
        let (new, parts_after) = (Keys::of(payment), payment.parts.len());
        let created = payment.created_seq;
        if old != new {
            self.index.rekey(handle, created, &old, &new);
            if old.hash != new.hash {
                self.rehash(Place::Payment(handle), old.hash, new.hash);
            }
        }
        for index in parts_before..parts_after {
            self.index_part(part_place(handle, index));
        }
        if let Some(place) = place {
            self.index_standing(place);
        }
        result
    }

    pub(crate) fn insert_tombstone(&mut self, tombstone: Tombstone) {
        let (id, hash) = (tombstone.id, tombstone.payment_hash);
        self.index.add_former(&tombstone.parts);
        let handle = self.tombstones.insert(tombstone);
        self.insert_id(&id, Place::Tombstone(handle));
        self.rehash(Place::Tombstone(handle), None, hash);
    }

    pub(crate) fn remove_tombstone(&mut self, handle: Handle) -> Tombstone {
        let (id, hash) = {
            let tombstone = self.tombstones.get(handle);
            (tombstone.id, tombstone.payment_hash)
        };
        self.rehash(Place::Tombstone(handle), hash, None);
        self.remove_id(&id);
        let tombstone = self.tombstones.remove(handle);
        self.index.remove_former(&tombstone.parts);
        tombstone
    }

    pub(crate) fn insert_stray(&mut self, stray: Stray) {
        let hash = stray.payment_hash;
        let handle = self.strays.insert(stray);
        self.rehash(Place::Stray(handle), None, Some(hash));
        self.index_part(PartPlace::Stray(handle));
    }

    pub(crate) fn change_stray<R>(
        &mut self,
        handle: Handle,
        change: impl FnOnce(&mut Stray) -> R,
    ) -> R {
        self.unindex_standing(PartPlace::Stray(handle));
        let result = change(self.strays.get_mut(handle));
        self.index_standing(PartPlace::Stray(handle));
        result
    }

    fn index_payment(&mut self, handle: Handle) {
        let payment = self.payments.get(handle);
        let (new, created, parts) = (Keys::of(payment), payment.created_seq, payment.parts.len());
        self.index.rekey(handle, created, &Keys::default(), &new);
        self.index.add_former(&self.payments.get(handle).former);
        self.rehash(Place::Payment(handle), None, new.hash);
        (0..parts).for_each(|index| self.index_part(part_place(handle, index)));
    }

    fn unindex_payment(&mut self, handle: Handle) {
        let payment = self.payments.get(handle);
        let (old, created, parts) = (Keys::of(payment), payment.created_seq, payment.parts.len());
        (0..parts).for_each(|index| self.unindex_part(part_place(handle, index)));
        self.rehash(Place::Payment(handle), old.hash, None);
        self.index.rekey(handle, created, &old, &Keys::default());
        self.index.remove_former(&self.payments.get(handle).former);
    }

    fn insert_id(&mut self, id: &PaymentId, place: Place) {
        let hash = self.index.hasher.hash_one(id);
        let Self { index, payments, tombstones, strays, .. } = self;
        let hasher = index.hasher.clone();
        index.by_id.insert_unique(hash, place, |place| {
            hasher.hash_one(match place {
                Place::Payment(handle) => &payments.get(*handle).id,
                Place::Tombstone(handle) => &tombstones.get(*handle).id,
                Place::Stray(handle) => &strays.get(*handle).payment,
            })
        });
    }

    fn remove_id(&mut self, id: &PaymentId) {
        let hash = self.index.hasher.hash_one(id);
        let Self { index, payments, tombstones, strays, .. } = self;
        let is = |place: &Place| match place {
            Place::Payment(handle) => payments.get(*handle).id == *id,
            Place::Tombstone(handle) => tombstones.get(*handle).id == *id,
            Place::Stray(handle) => strays.get(*handle).payment == *id,
        };
        if let Ok(entry) = index.by_id.find_entry(hash, is) {
            entry.remove();
        }
    }

    fn rehash(&mut self, place: Place, old: Option<PaymentHash>, new: Option<PaymentHash>) {
        let Self { index, payments, tombstones, strays, .. } = self;
        let hasher = index.hasher.clone();
        if let Some(old) = old
            && let Ok(entry) = index.by_hash.find_entry(hasher.hash_one(old), |at| *at == place)
        {
            entry.remove();
        }
        if let Some(new) = new {
            index.by_hash.insert_unique(hasher.hash_one(new), place, |place| {
                hasher.hash_one(match place {
                    Place::Payment(handle) => payments.get(*handle).payment_hash.unwrap_or(new),
                    Place::Tombstone(handle) => tombstones.get(*handle).payment_hash.unwrap_or(new),
                    Place::Stray(handle) => strays.get(*handle).payment_hash,
                })
            });
        }
    }

    fn index_part(&mut self, place: PartPlace) {
        let hash = self.index.hasher.hash_one(self.part_at(place).id);
        let Self { index, payments, strays, .. } = self;
        let hasher = index.hasher.clone();
        index.by_part.insert_unique(hash, place, |place| {
            hasher.hash_one(match place {
                PartPlace::Payment(handle, at) => payments.get(*handle).parts[*at as usize].id,
                PartPlace::Stray(handle) => strays.get(*handle).part.id,
            })
        });
        self.index_standing(place);
    }

    fn unindex_part(&mut self, place: PartPlace) {
        self.unindex_standing(place);
        let hash = self.index.hasher.hash_one(self.part_at(place).id);
        if let Ok(entry) = self.index.by_part.find_entry(hash, |at| *at == place) {
            entry.remove();
        }
    }

    fn index_standing(&mut self, place: PartPlace) {
        let key = self.overdue_key(place);
        self.index.unresolved_parts += usize::from(self.part_at(place).fate.is_unresolved());
        self.index.overdue.extend(key);
    }

    fn unindex_standing(&mut self, place: PartPlace) {
        self.index.unresolved_parts -= usize::from(self.part_at(place).fate.is_unresolved());
        if let Some(key) = self.overdue_key(place) {
            self.index.overdue.remove(&key);
        }
    }

    fn overdue_key(&self, place: PartPlace) -> Option<(u32, u64, PartPlace)> {
        let part = self.part_at(place);
        match part.kind {
            crate::part::PartKind::Htlc { cltv_expiry: Some(height), .. }
                if part.fate.is_unresolved() =>
            {
                Some((height, self.created_at_place(place), place))
            }
            _ => None,
        }
    }
}

fn part_place(handle: Handle, index: usize) -> PartPlace {
    PartPlace::Payment(handle, u32::try_from(index).expect("an entry adds at most 256 parts"))
}

/// Lookups in the order of seqs, each at the cost of what it yields.
impl State {
    pub(crate) fn with_status(&self, kind: StatusKind) -> impl Iterator<Item = &Payment> {
        let set = &self.index.by_status[kind as usize];
        set.iter().map(|(_, handle)| self.payments.get(*handle))
    }

    pub(crate) fn count_with_status(&self, kind: StatusKind) -> usize {
        self.index.by_status[kind as usize].len()
    }

    pub(crate) const fn unresolved_parts(&self) -> usize {
        self.index.unresolved_parts
    }

    /// Open payments with something missing that time does not forbid to dispatch.
    pub(crate) fn dispatchable(&self, now: UnixMillis) -> impl Iterator<Item = &Payment> {
        let from = (UnixMillis(now.0.saturating_add(1)), 0, Handle(0));
        self.index.due.range(from..).map(|(_, _, handle)| self.payments.get(*handle))
    }

    pub(crate) fn lapsed(&self, now: UnixMillis) -> impl Iterator<Item = &Payment> {
        let set = self.index.lapsing.iter();
        set.take_while(move |(at, ..)| at.is_past(now)).map(|(.., at)| self.payments.get(*at))
    }

    pub(crate) fn lapsed_by_tick(&self, tick: u64) -> impl Iterator<Item = &Payment> {
        let set = self.index.lapsing_by_tick.iter();
        set.take_while(move |(limit, ..)| tick > *limit).map(|(.., at)| self.payments.get(*at))
    }

    /// Paid payments in the order in which they became quiet.
    pub(crate) fn quiet(&self) -> impl Iterator<Item = &Payment> {
        self.index.quiet.iter().map(|(.., handle)| self.payments.get(*handle))
    }

    /// Whether anything waits for the tick number to grow.
    pub(crate) fn waits_by_ticks(&self) -> bool {
        self.index.tick_waiters > 0 || !self.index.quiet.is_empty()
    }

    /// Whether this part belonged to an earlier try or to a remembered payment.
    pub(crate) fn is_former(&self, part: &PartId) -> bool {
        !self.index.former.is_empty() && self.index.former.contains_key(&ShortDigest::of(part))
    }

    pub(crate) fn undecided(&self) -> impl Iterator<Item = &Payment> {
        self.index.undecided.iter().map(|(_, handle)| self.payments.get(*handle))
    }

    /// Unresolved parts whose CLTV expiry is at or below this height.
    pub(crate) fn overdue_places(&self, height: u32) -> impl Iterator<Item = PartPlace> {
        let set = self.index.overdue.iter();
        set.take_while(move |(cltv, ..)| *cltv <= height).map(|(.., place)| *place)
    }
}
