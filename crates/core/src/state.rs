//! All payments' state: what the events so far add up to, and the indexes that keep every lookup
//! and every tick at the cost of what it finds.

use crate::{
    amount::UnixMillis,
    chain::Head,
    held::Held,
    ids::{LedgerId, PartId, PaymentHash, PaymentId},
    index::Index,
    outbox::Outbox,
    part::Part,
    payment::Payment,
    slab::{Handle, Slab},
    status::Status,
    stray::Stray,
    tombstone::Tombstone,
};

/// The fold of a log: every payment, remembered outcome and unread notification.
///
/// Evolve ([`State::evolve`]) is its only way to change; equal logs give equal states, bit for bit
/// ([`State::digest`]).
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) ledger: LedgerId,
    pub(crate) head: Head,
    pub(crate) epoch: u64,
    pub(crate) recovering: bool,
    pub(crate) gap: bool,
    pub(crate) misfit: Option<u64>,
    pub(crate) tick: u64,
    pub(crate) tick_reference: Option<UnixMillis>,
    pub(crate) tick_unfinished: bool,
    pub(crate) anomalies_unread: u32,
    pub(crate) anomalies_folded: u64,
    pub(crate) payments: Slab<Payment>,
    pub(crate) tombstones: Slab<Tombstone>,
    pub(crate) strays: Slab<Stray>,
    pub(crate) held: Held,
    pub(crate) outbox: Outbox,
    pub(crate) index: Index,
}

/// Who has a payment hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HashHolder {
    /// A payment, live or remembered.
    Payment(PaymentId),
    /// A stray part, out or paid.
    Stray(PartId),
    /// The node holds it: something is out under it.
    Held,
}

impl core::fmt::Display for HashHolder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Payment(id) => write!(f, "payment {id}"),
            Self::Stray(part) => write!(f, "stray part {part}"),
            Self::Held => f.write_str("a hold"),
        }
    }
}

/// Where an id or a hash leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Payment(Handle),
    Tombstone(Handle),
    Stray(Handle),
}

/// Where a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartPlace {
    Payment(Handle, usize),
    Stray(Handle),
}

impl State {
    /// The state of an empty log. `seed` keys the hash tables, since payees choose payment hashes:
    /// random and secret; nothing observable depends on it.
    #[must_use]
    pub fn new(ledger: LedgerId, seed: u64) -> Self {
        Self {
            ledger,
            head: Head::genesis(ledger),
            epoch: 0,
            recovering: false,
            gap: false,
            misfit: None,
            tick: 0,
            tick_reference: None,
            tick_unfinished: false,
            anomalies_unread: 0,
            anomalies_folded: 0,
            payments: Slab::default(),
            tombstones: Slab::default(),
            strays: Slab::default(),
            held: Held::default(),
            outbox: Outbox::default(),
            index: Index::new(seed),
        }
    }

    /// Where this id leads, to a payment or a tombstone.
    pub(crate) fn place(&self, id: &PaymentId) -> Option<Place> {
        self.index.by_id.find(self.index.hash(id.as_bytes()), |place| self.id_at(place) == id)
    }

    pub(crate) fn live(&self, id: &PaymentId) -> Option<(Handle, &Payment)> {
        match self.place(id)? {
            Place::Payment(handle) => Some((handle, self.payments.get(handle))),
            _ => None,
        }
    }

    pub(crate) fn id_at(&self, place: Place) -> &PaymentId {
        match place {
            Place::Payment(handle) => &self.payments.get(handle).id,
            Place::Tombstone(handle) => &self.tombstones.get(handle).id,
            Place::Stray(handle) => &self.strays.get(handle).payment,
        }
    }

    pub(crate) fn hash_at(&self, place: Place) -> Option<&PaymentHash> {
        match place {
            Place::Payment(handle) => self.payments.get(handle).hash(),
            Place::Tombstone(handle) => self.tombstones.get(handle).payment_hash.as_ref(),
            Place::Stray(handle) => Some(&self.strays.get(handle).payment_hash),
        }
    }

    /// Where a hash leads, in no order that means anything.
    pub(crate) fn places_of(&self, payment_hash: &PaymentHash) -> impl Iterator<Item = Place> {
        let hash = self.index.hash(payment_hash.as_bytes());
        let same = |place: &Place| self.hash_at(*place) == Some(payment_hash);
        self.index.by_hash.all(hash).filter(same)
    }

    /// The first of the places where a hash leads that fit: live payments come before remembered
    /// ones, and these before strays, each by age.
    pub(crate) fn first_place_of(
        &self,
        payment_hash: &PaymentHash,
        fits: impl Fn(&Place) -> bool,
    ) -> Option<Place> {
        self.places_of(payment_hash).filter(fits).min_by_key(|place| match place {
            Place::Payment(handle) => (0, self.payments.get(*handle).created_seq, None),
            Place::Tombstone(handle) => (1, 0, Some(self.tombstones.get(*handle).id)),
            Place::Stray(handle) => (2, self.strays.get(*handle).created_seq, None),
        })
    }

    pub(crate) fn part_place(&self, part: &PartId) -> Option<PartPlace> {
        let hash = self.index.hash(part.as_bytes());
        let owner = self.index.by_part.find(hash, |owner| self.part_of(owner, part).is_some())?;
        self.part_of(owner, part)
    }

    /// The place of a part among those of one owner.
    fn part_of(&self, owner: Place, part: &PartId) -> Option<PartPlace> {
        match owner {
            Place::Payment(handle) => {
                let parts = &self.payments.get(handle).parts;
                let index = parts.iter().position(|own| own.id == *part)?;
                Some(PartPlace::Payment(handle, index))
            }
            Place::Stray(handle) => {
                let own = self.strays.get(handle).part.id;
                (own == *part).then_some(PartPlace::Stray(handle))
            }
            Place::Tombstone(_) => None,
        }
    }

    pub(crate) fn part_at(&self, place: PartPlace) -> &Part {
        match place {
            PartPlace::Payment(handle, index) => &self.payments.get(handle).parts[index],
            PartPlace::Stray(handle) => &self.strays.get(handle).part,
        }
    }

    pub(crate) fn created_at_place(&self, place: PartPlace) -> u64 {
        match place {
            PartPlace::Payment(handle, _) => self.payments.get(handle).created_seq,
            PartPlace::Stray(handle) => self.strays.get(handle).created_seq,
        }
    }

    /// Who forbids paying this hash in the name of `payment`: whoever else has it out or paid.
    pub(crate) fn hash_blocker(
        &self,
        payment_hash: &PaymentHash,
        payment: &PaymentId,
    ) -> Option<HashHolder> {
        let blocks = |place: &Place| match place {
            Place::Payment(handle) => {
                let other = self.payments.get(*handle);
                let out = !other.is_resolved();
                let paid = other.status == Status::Fulfilled;
                other.id != *payment && (out || paid)
            }
            Place::Tombstone(handle) => {
                let other = self.tombstones.get(*handle);
                other.id != *payment && other.is_paid()
            }
            Place::Stray(handle) => self.strays.get(*handle).blocks(),
        };
        let place = self.first_place_of(payment_hash, blocks);
        place.map(|place| self.holder_at(place)).or_else(|| self.hold_of(payment_hash))
    }

    /// Who else has this hash at all.
    pub(crate) fn hash_holder(
        &self,
        payment_hash: &PaymentHash,
        payment: &PaymentId,
    ) -> Option<HashHolder> {
        self.holder_where(payment_hash, |other| other != payment)
    }

    pub(crate) fn holder_where(
        &self,
        payment_hash: &PaymentHash,
        counts: impl Fn(&PaymentId) -> bool,
    ) -> Option<HashHolder> {
        let holds = |place: &Place| match place {
            Place::Payment(_) | Place::Tombstone(_) => counts(self.id_at(*place)),
            Place::Stray(handle) => self.strays.get(*handle).blocks(),
        };
        let place = self.first_place_of(payment_hash, holds);
        place.map(|place| self.holder_at(place)).or_else(|| self.hold_of(payment_hash))
    }

    /// A part of an earlier try of this payment that is out under that try's hash: what it pays is
    /// the same obligation.
    pub(crate) fn former_part_out(&self, payment: &Payment) -> Option<HashHolder> {
        if payment.rare.former.is_empty() {
            return None;
        }
        let mut strays = self.strays.iter().filter(|stray| stray.payment == payment.id);
        let out =
            |stray: &&Stray| stray.part.fate.is_unresolved() && payment.is_former(&stray.part.id);
        strays.find(out).map(|stray| HashHolder::Stray(stray.part.id))
    }

    fn holder_at(&self, place: Place) -> HashHolder {
        match place {
            Place::Payment(_) | Place::Tombstone(_) => HashHolder::Payment(*self.id_at(place)),
            Place::Stray(handle) => HashHolder::Stray(self.strays.get(handle).part.id),
        }
    }

    fn hold_of(&self, payment_hash: &PaymentHash) -> Option<HashHolder> {
        self.held.contains(payment_hash).then_some(HashHolder::Held)
    }

    /// No verdicts are drawn: recovery is not finished, or the gap is not closed.
    pub(crate) const fn withholds_verdicts(&self) -> bool {
        self.recovering || self.gap
    }
}
