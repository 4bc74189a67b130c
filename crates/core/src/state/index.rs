//! The indexes of a state: they find things at the cost of what is found.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{
    hash::{BuildHasher, Hasher},
    mem,
};

use crate::{
    base::amount::UnixMillis,
    base::ids::{PaymentHash, PaymentId},
    base::list::Lists,
    base::slab::Handle,
    event::part::PartKind,
    event::request::ShortDigest,
    event::status::StatusKind,
    payment::details::Rest,
    payment::former::FormerTry,
    payment::part::Part,
    payment::payment::{ConclusionDue, Payment},
    state::place::Place,
    state::table::{Packed, Table},
};

/// The indexes. Everything here follows from the rest of the state, contains handles and not keys, and
/// is ordered by seq, never by handle or by hash.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) seed: Seed,
    pub(crate) by_id: Table,
    pub(crate) by_hash: Table,
    pub(crate) by_part: Table,
    /// Parts of earlier tries and of remembered payments, and the payments that they belong to.
    pub(crate) former: BTreeSet<(ShortDigest, Packed)>,
    /// By payment, so that all that was reported under an id is found without looking at every foreign
    /// part.
    pub(crate) foreign_parts_of: BTreeSet<(PaymentId, Handle)>,
    /// The unread anomalies without a payment, by the key that makes another one a repeat.
    pub(crate) anomalies_unread: BTreeMap<(u8, PaymentHash), u64>,
    /// Paid hashes that are not needed any more, by the tick number since when.
    pub(crate) idle_hashes: BTreeSet<(u64, Handle)>,
    /// By status, each in the order in which the payments got that status.
    pub(crate) by_status: Lists<5>,
    /// Payments for which a batch may be dispatched, and idle payments in the order in which they became
    /// idle: no payment is both.
    pub(crate) waiting: Lists<2>,
    /// Payments for which a batch may be dispatched after a rest, by the end of the rest: by the clock,
    /// then by ticks.
    pub(crate) resting: BTreeSet<(UnixMillis, u64, Handle)>,
    pub(crate) resting_by_tick: BTreeSet<(u64, u64, Handle)>,
    pub(crate) lapsing: BTreeSet<(UnixMillis, u64, Handle)>,
    pub(crate) lapsing_by_tick: BTreeSet<(u64, u64, Handle)>,
    pub(crate) tick_waiters: usize,
    pub(crate) undecided: BTreeSet<(u64, Handle)>,
    /// Unresolved parts by the height at which they expire.
    pub(crate) overdue: BTreeSet<(u32, Packed)>,
    pub(crate) unresolved_parts: usize,
}

/// The key of a ledger's hash tables.
#[derive(Debug, Clone)]
pub(crate) struct Seed(foldhash::fast::FixedState);

impl Seed {
    pub(crate) fn hash(&self, key: &[u8; 32]) -> u32 {
        let mut hasher = self.0.build_hasher();
        let (words, _) = key.as_chunks::<8>();
        for word in words {
            hasher.write_u64(u64::from_le_bytes(*word));
        }
        (hasher.finish() >> 32) as u32
    }
}

/// The lists of [`Index::waiting`].
pub(crate) const DUE: usize = 0;
pub(crate) const IDLE: usize = 1;

/// The keys of one payment in the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Keys {
    pub(crate) hash: Option<PaymentHash>,
    pub(crate) status: Option<(StatusKind, u64)>,
    pub(crate) due: bool,
    pub(crate) rests_until: Option<Rest>,
    pub(crate) lapses_at: Option<UnixMillis>,
    pub(crate) lapses_above_tick: Option<u64>,
    pub(crate) waits_by_tick: bool,
    pub(crate) idle: Option<u64>,
    pub(crate) undecided: bool,
}

impl Keys {
    pub(crate) fn of(payment: &Payment) -> Self {
        let due = payment.admits_batch();
        Self {
            hash: payment.hash().copied(),
            status: Some((payment.status.kind(), payment.status_seq)),
            due,
            rests_until: payment.details.rests_until.filter(|_| due),
            lapses_at: payment.lapses_at(),
            lapses_above_tick: payment.lapses_above_tick(),
            waits_by_tick: payment.waits_by_ticks(),
            idle: payment.idle().map(|idle| idle.seq),
            undecided: payment.conclusion_due != ConclusionDue::No,
        }
    }

    pub(crate) const fn waiting(&self) -> Option<(usize, u64)> {
        match self.idle {
            Some(seq) => Some((IDLE, seq)),
            None if self.due && self.rests_until.is_none() => Some((DUE, 0)),
            None => None,
        }
    }
}

impl Index {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed: Seed(foldhash::fast::FixedState::with_seed(seed)),
            by_id: Table::default(),
            by_hash: Table::default(),
            by_part: Table::default(),
            former: BTreeSet::new(),
            foreign_parts_of: BTreeSet::new(),
            anomalies_unread: BTreeMap::new(),
            idle_hashes: BTreeSet::new(),
            by_status: Lists::default(),
            waiting: Lists::default(),
            resting: BTreeSet::new(),
            resting_by_tick: BTreeSet::new(),
            lapsing: BTreeSet::new(),
            lapsing_by_tick: BTreeSet::new(),
            tick_waiters: 0,
            undecided: BTreeSet::new(),
            overdue: BTreeSet::new(),
            unresolved_parts: 0,
        }
    }

    pub(crate) fn hash(&self, key: &[u8; 32]) -> u32 {
        self.seed.hash(key)
    }

    pub(crate) fn add_former(&mut self, tries: &[FormerTry], owner: Place) {
        let owner = owner.into();
        self.former.extend(digests(tries).map(|digest| (digest, owner)));
    }

    pub(crate) fn remove_former(&mut self, tries: &[FormerTry], owner: Place) {
        let owner = owner.into();
        for digest in digests(tries) {
            self.former.remove(&(digest, owner));
        }
    }

    pub(crate) fn rekey(&mut self, handle: Handle, created: u64, old: &Keys, new: &Keys) {
        let list = |(kind, _): (StatusKind, u64)| kind as usize;
        relist(&mut self.by_status, handle, old.status, new.status, list);
        relist(&mut self.waiting, handle, old.waiting(), new.waiting(), |(list, _)| list);
        swap(&mut self.resting, old.rests_until, new.rests_until, |rest| {
            (rest.at, created, handle)
        });
        swap(&mut self.resting_by_tick, old.rests_until, new.rests_until, |rest| {
            (rest.tick, created, handle)
        });
        swap(&mut self.lapsing, old.lapses_at, new.lapses_at, |at| (at, created, handle));
        swap(&mut self.lapsing_by_tick, old.lapses_above_tick, new.lapses_above_tick, |tick| {
            (tick, created, handle)
        });
        swap(&mut self.undecided, mark(old.undecided), mark(new.undecided), |()| (created, handle));
        self.tick_waiters += usize::from(new.waits_by_tick);
        self.tick_waiters -= usize::from(old.waits_by_tick);
    }
}

pub(crate) fn digests(tries: &[FormerTry]) -> impl Iterator<Item = ShortDigest> {
    tries.iter().flat_map(|of| of.parts.iter().map(|part| part.digest))
}

pub(crate) fn mark(is: bool) -> Option<()> {
    is.then_some(())
}

/// Moves a handle to the end of another list, or of the same, if its key changed.
pub(crate) fn relist<K: PartialEq + Copy, const N: usize>(
    lists: &mut Lists<N>,
    handle: Handle,
    old: Option<K>,
    new: Option<K>,
    list: impl Fn(K) -> usize,
) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        lists.remove(list(old), handle);
    }
    if let Some(new) = new {
        lists.push(list(new), handle);
    }
}

/// Replaces one key of a set, if it changed.
pub(crate) fn swap<K: PartialEq, T: Ord>(
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

/// What two payments must not have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Double {
    Id,
    Part,
}

/// What the indexes will contain about many payments, gathered while each payment is in the cache, so
/// that building the indexes need not read the payments again.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) seed: Seed,
    /// The handle of the next payment.
    pub(crate) next: Handle,
    pub(crate) hashed: Hashed,
    pub(crate) by_status: Vec<(StatusKind, u64, Handle)>,
    pub(crate) waiting: Vec<(usize, u64, Handle)>,
    pub(crate) resting: Vec<(Rest, u64, Handle)>,
    pub(crate) lapsing: Vec<(UnixMillis, u64, Handle)>,
    pub(crate) lapsing_by_tick: Vec<(u64, u64, Handle)>,
    pub(crate) undecided: Vec<(u64, Handle)>,
    pub(crate) overdue: Vec<(u32, Packed)>,
    pub(crate) former: Vec<(ShortDigest, Packed)>,
    pub(crate) tick_waiters: usize,
    pub(crate) unresolved_parts: usize,
}

/// What goes into the tables: hashes of keys, and the places that they lead to.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    pub(crate) ids: Vec<(u32, Handle)>,
    pub(crate) hashes: Vec<(u32, Handle)>,
    pub(crate) parts: Vec<(u32, Handle)>,
}

impl Gathered {
    /// Gathers a payment, which will follow those before it in the slab.
    pub(crate) fn add(&mut self, payment: &Payment) {
        let handle = self.next;
        self.next = Handle(handle.0 + 1);
        let (keys, created) = (Keys::of(payment), payment.created_seq);
        self.hashed.ids.push((self.seed.hash(payment.id.as_bytes()), handle));
        let hash = keys.hash.map(|hash| self.seed.hash(hash.as_bytes()));
        self.hashed.hashes.extend(hash.map(|hash| (hash, handle)));
        if !payment.has_one_hash() {
            let others = payment.other_hashes();
            let others = others.iter().map(|hash| (self.seed.hash(hash.as_bytes()), handle));
            self.hashed.hashes.extend(others);
        }
        self.by_status.extend(keys.status.map(|(kind, seq)| (kind, seq, handle)));
        self.waiting.extend(keys.waiting().map(|(list, seq)| (list, seq, handle)));
        self.resting.extend(keys.rests_until.map(|rest| (rest, created, handle)));
        self.lapsing.extend(keys.lapses_at.map(|at| (at, created, handle)));
        self.lapsing_by_tick.extend(keys.lapses_above_tick.map(|tick| (tick, created, handle)));
        self.undecided.extend(keys.undecided.then_some((created, handle)));
        self.tick_waiters += usize::from(keys.waits_by_tick);
        let owner = Place::Payment(handle).into();
        let former = digests(&payment.details.former);
        self.former.extend(former.map(|digest| (digest, owner)));
        for part in payment.parts.iter() {
            self.hashed.parts.push((self.seed.hash(part.id.as_bytes()), handle));
            self.unresolved_parts += usize::from(part.status.is_unresolved());
            self.overdue.extend(overdue_at(part).map(|height| (height, owner)));
        }
    }

    /// What was gathered for the tables since the last time.
    pub(crate) fn take_hashed(&mut self) -> Hashed {
        let room = self.hashed.ids.len();
        let next = Hashed {
            ids: Vec::with_capacity(room),
            hashes: Vec::with_capacity(room),
            parts: Vec::with_capacity(room),
        };
        mem::replace(&mut self.hashed, next)
    }
}

pub(crate) const fn overdue_at(part: &Part) -> Option<u32> {
    match part.kind {
        PartKind::Htlc { cltv_expiry, .. } if part.status.is_unresolved() => cltv_expiry,
        _ => None,
    }
}
