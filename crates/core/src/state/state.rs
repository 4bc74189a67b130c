//! The state of all payments: what the events so far add up to, and the indexes with which every lookup
//! and every tick costs only what it finds.

use alloc::vec::Vec;

use crate::{
    base::amount::UnixMillis,
    base::bounded::Many,
    base::faults::Fault,
    base::head::Head,
    base::ids::{LedgerId, NodeId, PartId, PaymentHash, PaymentId, Preimage},
    base::slab::{Handle, Slab},
    base::state_digest::StateDigest,
    base::vocabulary::Vocabulary,
    base::wire::{UnknownFields, layout},
    base::{faults, limits},
    event::hash_paid::{HashPaid, PaidElsewhere},
    payment::foreign_part::ForeignPart,
    payment::part::Part,
    payment::payment::Payment,
    payment::tombstone::Tombstone,
    state::blocked::BlockedHashes,
    state::index::Index,
    state::outbox::Outbox,
    state::place::{PartPlace, Place},
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
    /// The epoch in which the last recovery began, whether it is finished or not.
    pub(crate) recovery_since: u64,
    pub(crate) gap: bool,
    pub(crate) inconsistent: Option<u64>,
    pub(crate) tick: u64,
    pub(crate) tick_reference: Option<UnixMillis>,
    pub(crate) tick_unfinished: bool,
    /// A reading at a tick that was not believed.
    pub(crate) tick_doubted: Option<UnixMillis>,
    /// When the log was first opened, or the earliest of its openings: what the readings of ticks are
    /// compared with before the first one counts.
    pub(crate) first_reading: UnixMillis,
    /// The last block height that was recorded.
    pub(crate) height: Option<u32>,
    pub(crate) anomalies_unread: u32,
    pub(crate) anomalies_folded: u64,
    /// The base that stands for dropped history, and the next one if its drop was recorded.
    pub(crate) dropped: Many<Dropped>,
    /// The newest format version that the present writer's program knows.
    pub(crate) vocabulary: Vocabulary,
    /// Fields of a snapshot that a newer program wrote and this one keeps.
    pub(crate) unknown: UnknownFields,
    pub(crate) payments: Slab<Payment>,
    pub(crate) tombstones: Slab<Tombstone>,
    pub(crate) foreign_parts: Slab<ForeignPart>,
    pub(crate) hashes_paid: Slab<HashPaid>,
    pub(crate) blocked: BlockedHashes,
    pub(crate) outbox: Outbox,
    pub(crate) index: Index,
}

/// History that was dropped: the base that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) base: Head,
    pub(crate) digest: StateDigest,
}

layout! { record Dropped "a base" { base, digest } }

/// What has a payment hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HashHolder {
    /// A payment, live or remembered.
    Payment(PaymentId),
    /// A foreign part, out or paid.
    ForeignPart(PartId),
    /// The node has blocked it: something is out under it.
    Blocked,
    /// It is known as paid, although no payment of the ledger shows it.
    Paid,
}

impl core::fmt::Display for HashHolder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Payment(id) => write!(f, "payment {id}"),
            Self::ForeignPart(part) => write!(f, "foreign part {part}"),
            Self::Blocked => f.write_str("a block"),
            Self::Paid => f.write_str("nobody here, and is paid"),
        }
    }
}

impl State {
    /// The state of an empty log. `seed` keys the hash tables: make it random and secret, since payees
    /// choose payment hashes. Nothing observable depends on it.
    #[must_use]
    pub fn new(ledger: LedgerId, seed: u64) -> Self {
        Self {
            ledger,
            head: Head::genesis(ledger),
            epoch: 0,
            recovering: false,
            recovery_since: 0,
            gap: false,
            inconsistent: None,
            tick: 0,
            tick_reference: None,
            tick_unfinished: false,
            tick_doubted: None,
            first_reading: UnixMillis(0),
            height: None,
            anomalies_unread: 0,
            anomalies_folded: 0,
            dropped: Many::new(),
            vocabulary: Vocabulary::default(),
            unknown: UnknownFields::NONE,
            payments: Slab::default(),
            tombstones: Slab::default(),
            foreign_parts: Slab::default(),
            hashes_paid: Slab::default(),
            blocked: BlockedHashes::default(),
            outbox: Outbox::default(),
            index: Index::new(seed),
        }
    }

    /// Where this id leads, to a payment or a tombstone.
    pub(crate) fn place(&self, id: &PaymentId) -> Option<Place> {
        self.index.by_id.find(self.index.hash(id.as_bytes()), |place| self.id_at(place) == Some(id))
    }

    pub(crate) fn live(&self, id: &PaymentId) -> Option<(Handle, &Payment)> {
        match self.place(id)? {
            Place::Payment(handle) => Some((handle, self.payments.get(handle))),
            _ => None,
        }
    }

    /// The id of a payment or a tombstone, or the one under which a foreign part was reported.
    pub(crate) fn id_at(&self, place: Place) -> Option<&PaymentId> {
        match place {
            Place::Payment(handle) => Some(&self.payments.get(handle).id),
            Place::Tombstone(handle) => Some(&self.tombstones.get(handle).id),
            Place::ForeignPart(handle) => Some(&self.foreign_parts.get(handle).payment),
            Place::HashPaid(_) => None,
        }
    }

    /// Whether a place is one to which a hash leads.
    fn has_hash(&self, place: Place, payment_hash: &PaymentHash) -> bool {
        match place {
            Place::Payment(handle) => {
                let payment = self.payments.get(handle);
                payment.hash() == Some(payment_hash)
                    || (!payment.has_one_hash() && payment.other_hashes().contains(payment_hash))
            }
            Place::Tombstone(handle) => {
                let tombstone = self.tombstones.get(handle);
                tombstone.payment_hash.as_ref() == Some(payment_hash)
                    || tombstone
                        .tries
                        .iter()
                        .any(|of| of.payment_hash.as_ref() == Some(payment_hash))
            }
            Place::ForeignPart(handle) => {
                self.foreign_parts.get(handle).payment_hash == *payment_hash
            }
            Place::HashPaid(handle) => self.hashes_paid.get(handle).payment_hash == *payment_hash,
        }
    }

    /// Where a hash leads, in unspecified order; also to payments that had it only in an earlier try.
    pub(crate) fn places_of(&self, payment_hash: &PaymentHash) -> impl Iterator<Item = Place> {
        let hash = self.index.hash(payment_hash.as_bytes());
        self.index.by_hash.all(hash).filter(|place| self.has_hash(*place, payment_hash))
    }

    /// The first matching place that a hash leads to: live payments come before remembered ones, those
    /// before foreign parts, each by age.
    pub(crate) fn first_place_of(
        &self,
        payment_hash: &PaymentHash,
        fits: impl Fn(Place) -> bool,
    ) -> Option<Place> {
        let places = self.places_of(payment_hash).filter(|place| fits(*place));
        places.min_by_key(|place| match place {
            Place::Payment(handle) => (0, self.payments.get(*handle).created_seq, None),
            Place::Tombstone(handle) => (1, 0, Some(self.tombstones.get(*handle).id)),
            Place::ForeignPart(handle) => (2, self.foreign_parts.get(*handle).created_seq, None),
            Place::HashPaid(handle) => (3, self.hashes_paid.get(*handle).created_seq, None),
        })
    }

    /// The proof of a hash, if known: a payment's, a foreign part's, or that of a paid hash without a
    /// payment.
    pub(crate) fn proof_of(&self, payment_hash: &PaymentHash) -> Option<Preimage> {
        self.places_of(payment_hash).find_map(|place| match place {
            Place::Payment(handle) => self.payments.get(handle).proof_of(payment_hash),
            Place::Tombstone(handle) => self.tombstones.get(handle).proof_of(payment_hash),
            Place::ForeignPart(handle) => self.foreign_parts.get(handle).preimage,
            Place::HashPaid(handle) => self.hashes_paid.get(handle).preimage,
        })
    }

    /// Where a hash is kept that is known as paid although no payment shows it.
    pub(crate) fn hash_paid(&self, payment_hash: &PaymentHash) -> Option<Handle> {
        if self.hashes_paid.is_empty() {
            return None;
        }
        self.places_of(payment_hash).find_map(|place| match place {
            Place::HashPaid(handle) => Some(handle),
            _ => None,
        })
    }

    /// The live payments that hold a hash, oldest first.
    pub(crate) fn holders(&self, payment_hash: &PaymentHash) -> Vec<Handle> {
        let places = self.places_of(payment_hash).filter_map(|place| match place {
            Place::Payment(handle) => Some(handle),
            _ => None,
        });
        let mut holders: Vec<_> =
            places.filter(|handle| self.payments.get(*handle).holds(payment_hash)).collect();
        holders.sort_by_key(|handle| self.payments.get(*handle).created_seq);
        holders
    }

    /// The live payments that have paid a hash.
    pub(crate) fn payers(&self, payment_hash: &PaymentHash) -> Vec<Handle> {
        let paid = |place: Place| match place {
            Place::Payment(handle) => Some(handle),
            _ => None,
        };
        let all = self.places_of(payment_hash).filter_map(paid);
        all.filter(|handle| self.payments.get(*handle).has_paid(payment_hash)).collect()
    }

    /// Whether a foreign part is out or was claimed under a hash, and nobody has said that it is not its
    /// payment's.
    pub(crate) fn is_foreign_hash(&self, payment_hash: &PaymentHash) -> bool {
        self.places_of(payment_hash).any(|place| match place {
            Place::ForeignPart(handle) => {
                let foreign_part = self.foreign_parts.get(handle);
                foreign_part.part.status.is_unresolved() || foreign_part.awaits_word()
            }
            _ => false,
        })
    }

    /// Whether a live payment other than these holds a hash, has paid it, or has named it in any of its
    /// tries.
    pub(crate) fn is_needed_beside(&self, payment_hash: &PaymentHash, but: &[PaymentId]) -> bool {
        self.places_of(payment_hash).any(|place| {
            let Place::Payment(handle) = place else { return false };
            let payment = self.payments.get(handle);
            let named = payment.named_since(payment_hash).is_some();
            let has = payment.holds(payment_hash) || payment.has_paid(payment_hash);
            (named || has) && !but.contains(&payment.id)
        })
    }

    /// The seq from which the payment at a place, live or remembered, has named a hash.
    fn named_since(&self, place: Place, payment_hash: &PaymentHash) -> Option<u64> {
        match place {
            Place::Payment(handle) => self.payments.get(handle).named_since(payment_hash),
            Place::Tombstone(handle) => self.tombstones.get(handle).named_since(payment_hash),
            Place::ForeignPart(_) | Place::HashPaid(_) => None,
        }
    }

    /// The payment, live or remembered, that was the first to name a hash in a request or an invoice, in
    /// any of its tries, before this seq.
    pub(crate) fn namer_of_hash(&self, payment_hash: &PaymentHash, before: u64) -> Option<Place> {
        let named = |place: Place| Some((self.named_since(place, payment_hash)?, place));
        let named = self.places_of(payment_hash).filter_map(named);
        let live_first = |(seq, place): &(u64, Place)| (matches!(place, Place::Tombstone(_)), *seq);
        let first = named.filter(|(seq, _)| *seq < before).min_by_key(live_first);
        first.map(|(_, place)| place)
    }

    /// As [`namer_of_hash`](Self::namer_of_hash), but the payment under whose id a part is reported
    /// comes first, if it names the hash.
    pub(crate) fn namer_for(
        &self,
        id: &PaymentId,
        payment_hash: &PaymentHash,
        before: u64,
    ) -> Option<Place> {
        let own = self
            .place(id)
            .filter(|place| self.named_since(*place, payment_hash).is_some_and(|seq| seq < before));
        own.filter(|_| !faults::is(Fault::NamerBeatsId))
            .or_else(|| self.namer_of_hash(payment_hash, before))
    }

    /// The payment that a hash belongs to if neither a part nor an id decides: the one that names it,
    /// else the oldest that holds it for a part.
    pub(crate) fn owner_of_hash(&self, payment_hash: &PaymentHash) -> Option<Place> {
        let holder = || self.holders(payment_hash).first().copied().map(Place::Payment);
        let remembered = || {
            self.first_place_of(payment_hash, |place| match place {
                Place::Payment(handle) => self.payments.get(handle).has_paid(payment_hash),
                Place::Tombstone(handle) => self.tombstones.get(handle).had(payment_hash),
                Place::ForeignPart(_) | Place::HashPaid(_) => false,
            })
        };
        let named = self.namer_of_hash(payment_hash, u64::MAX);
        named.or_else(holder).or_else(remembered)
    }

    /// Whether a payment is known by its parts alone, without a request.
    pub(crate) fn is_adopted(&self, place: Place) -> bool {
        match place {
            Place::Payment(handle) => self.payments.get(handle).is_adopted(),
            Place::Tombstone(handle) => self.tombstones.get(handle).request.is_none(),
            Place::ForeignPart(_) | Place::HashPaid(_) => false,
        }
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
            Place::ForeignPart(handle) => {
                let own = self.foreign_parts.get(handle).part.id;
                (own == *part).then_some(PartPlace::ForeignPart(handle))
            }
            Place::Tombstone(_) | Place::HashPaid(_) => None,
        }
    }

    pub(crate) fn foreign_part_of(&self, part: &PartId) -> Option<&ForeignPart> {
        match self.part_place(part)? {
            PartPlace::ForeignPart(handle) => Some(self.foreign_parts.get(handle)),
            PartPlace::Payment(..) => None,
        }
    }

    pub(crate) fn part_at(&self, place: PartPlace) -> &Part {
        match place {
            PartPlace::Payment(handle, index) => &self.payments.get(handle).parts[index],
            PartPlace::ForeignPart(handle) => &self.foreign_parts.get(handle).part,
        }
    }

    pub(crate) fn created_at_place(&self, place: PartPlace) -> u64 {
        match place {
            PartPlace::Payment(handle, _) => self.payments.get(handle).created_seq,
            PartPlace::ForeignPart(handle) => self.foreign_parts.get(handle).created_seq,
        }
    }

    /// What forbids `payment` to pay this hash: anything else that has it out or paid, or a block.
    pub(crate) fn hash_blocker(
        &self,
        payment_hash: &PaymentHash,
        payment: &PaymentId,
    ) -> Option<HashHolder> {
        if faults::is(Fault::HashOutTwice) {
            return None;
        }
        // If parts for one invoice are out under two ids, the payee may claim both (SEMANTICS 3, row 8).
        let blocks = |place: Place| match place {
            Place::Payment(handle) => {
                let other = self.payments.get(handle);
                let out = other.holds(payment_hash) && other.is_out_under(payment_hash);
                other.id != *payment && (out || other.has_paid(payment_hash))
            }
            Place::Tombstone(handle) => {
                let other = self.tombstones.get(handle);
                other.id != *payment && other.has_paid(payment_hash)
            }
            Place::ForeignPart(handle) => self.foreign_parts.get(handle).blocks_hash(),
            Place::HashPaid(_) => true,
        };
        self.first_place_of(payment_hash, blocks)
            .map(|place| self.holder_at(place))
            .or_else(|| self.hold_of(payment_hash))
    }

    /// What else has this hash at all.
    pub(crate) fn hash_holder(
        &self,
        payment_hash: &PaymentHash,
        payment: &PaymentId,
    ) -> Option<HashHolder> {
        self.holder_where(payment_hash, |other| other != payment)
    }

    /// What else has paid this hash, or has something out under it that is not a payment's; or a holder,
    /// if too many payments hold it.
    pub(crate) fn hash_over(
        &self,
        payment_hash: &PaymentHash,
        payment: &PaymentId,
    ) -> Option<HashHolder> {
        let over = |place: Place| match place {
            Place::Payment(handle) => {
                let other = self.payments.get(handle);
                other.id != *payment && other.has_paid(payment_hash)
            }
            Place::Tombstone(handle) => {
                let other = self.tombstones.get(handle);
                other.id != *payment && other.has_paid(payment_hash)
            }
            Place::ForeignPart(handle) => self.foreign_parts.get(handle).blocks_hash(),
            Place::HashPaid(_) => true,
        };
        // When the hash is paid, all of them end in one entry, so that none can pay again; the entry
        // must stay below its limit (SEMANTICS 9).
        let holders = self.holders(payment_hash);
        let most = holders.first().filter(|_| holders.len() >= limits::HASH_PAYMENTS);
        let most = most.map(|handle| HashHolder::Payment(self.payments.get(*handle).id));
        self.first_place_of(payment_hash, over)
            .map(|place| self.holder_at(place))
            .or_else(|| self.hold_of(payment_hash))
            .or(most)
    }

    /// Whether the payment that has a hash is to the same payee; `None` if either payee is not known.
    pub(crate) fn same_payee(&self, other: &HashHolder, payee: Option<&NodeId>) -> Option<bool> {
        let HashHolder::Payment(id) = other else { return None };
        let payee = payee?;
        match self.place(id)? {
            Place::Payment(handle) => self.payments.get(handle).same_payee(payee),
            Place::Tombstone(handle) => {
                let request = self.tombstones.get(handle).request.as_ref()?;
                request.same_payee(payee)
            }
            Place::ForeignPart(_) | Place::HashPaid(_) => None,
        }
    }

    pub(crate) fn holder_where(
        &self,
        payment_hash: &PaymentHash,
        counts: impl Fn(&PaymentId) -> bool,
    ) -> Option<HashHolder> {
        let holds = |place: Place| match place {
            Place::Payment(handle) => {
                let other = self.payments.get(handle);
                let holds = other.holds(payment_hash) || other.has_paid(payment_hash);
                counts(&other.id) && holds
            }
            Place::Tombstone(handle) => {
                let other = self.tombstones.get(handle);
                let own = other.payment_hash.as_ref() == Some(payment_hash);
                counts(&other.id) && (own || other.has_paid(payment_hash))
            }
            Place::ForeignPart(handle) => self.foreign_parts.get(handle).blocks_hash(),
            Place::HashPaid(_) => true,
        };
        let place = self.first_place_of(payment_hash, holds);
        place.map(|place| self.holder_at(place)).or_else(|| self.hold_of(payment_hash))
    }

    /// Whether a hash is known as paid.
    pub(crate) fn is_paid(&self, payment_hash: &PaymentHash) -> bool {
        self.places_of(payment_hash).any(|place| match place {
            Place::Payment(handle) => self.payments.get(handle).has_paid(payment_hash),
            Place::Tombstone(handle) => self.tombstones.get(handle).has_paid(payment_hash),
            Place::ForeignPart(handle) => self.foreign_parts.get(handle).part.status.is_settled(),
            Place::HashPaid(_) => true,
        })
    }

    /// Which payment other than this one has paid a hash, as far as is known now.
    pub(crate) fn payer_of(
        &self,
        payment_hash: &PaymentHash,
        but: &PaymentId,
    ) -> Option<PaidElsewhere> {
        let paid = |place: Place| match place {
            Place::Payment(handle) => {
                let other = self.payments.get(handle);
                other.id != *but && other.has_paid(payment_hash)
            }
            Place::Tombstone(handle) => {
                let other = self.tombstones.get(handle);
                other.id != *but && other.has_paid(payment_hash)
            }
            Place::ForeignPart(handle) => self.foreign_parts.get(handle).part.status.is_settled(),
            Place::HashPaid(_) => true,
        };
        self.first_place_of(payment_hash, paid).map(|place| match place {
            Place::Payment(handle) => {
                let payment = self.payments.get(handle);
                let proven = payment.proof_of(payment_hash).is_some();
                PaidElsewhere { payer: Some(payment.id), proven }
            }
            Place::Tombstone(handle) => {
                let tombstone = self.tombstones.get(handle);
                let proven = tombstone.proof_of(payment_hash).is_some();
                PaidElsewhere { payer: Some(tombstone.id), proven }
            }
            Place::ForeignPart(handle) => {
                let proven = self.foreign_parts.get(handle).preimage.is_some();
                PaidElsewhere { payer: None, proven }
            }
            Place::HashPaid(handle) => {
                let paid = self.hashes_paid.get(handle);
                PaidElsewhere { payer: None, proven: paid.preimage.is_some() }
            }
        })
    }

    /// What forbids a dispatch for this payment apart from its hash: a part reported under its id that
    /// is out, or that was paid and may have been for this obligation. The dispatch would pay it again.
    pub(crate) fn dispatch_holder(&self, payment: &Payment) -> Option<PartId> {
        let earlier = payment.parts.iter();
        let mut earlier =
            earlier.filter(|part| part.details.earlier_try && part.status.is_unresolved());
        let foreign_parts = || {
            let own = self
                .foreign_parts_of(&payment.id)
                .filter(|(_, foreign_part)| foreign_part.holds_payment());
            own.min_by_key(|(_, foreign_part)| foreign_part.created_seq)
                .map(|(_, foreign_part)| foreign_part.part.id)
        };
        let earlier = earlier.next().filter(|_| !faults::is(Fault::EarlierTriesDispatch));
        earlier.map(|part| part.id).or_else(foreign_parts)
    }

    /// Whether something other than its own parts blocks a payment, which then must not fail, be
    /// forgotten or be tried again. `but` is not counted: it is about to end.
    pub(crate) fn is_blocked(&self, payment: &Payment, but: Ending<'_>) -> bool {
        if (self.foreign_parts.is_empty() && self.blocked.is_empty())
            || faults::is(Fault::FailsWhileBlocked)
        {
            return false;
        }
        let told = |foreign_part: &ForeignPart| match but {
            Ending::ForeignParts(parts) => !parts.contains(&foreign_part.part.id),
            Ending::Told(part) => *part != foreign_part.part.id,
            _ => true,
        };
        let on_channel = |foreign_part: &ForeignPart| match but {
            Ending::ForeignParts(parts) => !parts.contains(&foreign_part.part.id),
            Ending::OnChannel(part) => *part != foreign_part.part.id,
            _ => true,
        };
        let mut foreign_parts = self.foreign_parts_of(&payment.id);
        if foreign_parts.any(|(_, foreign_part)| foreign_part.holds_payment() && told(foreign_part))
        {
            return true;
        }
        let holds = |hash: &PaymentHash| {
            let blocked = !matches!(but, Ending::Block(other) if other == hash);
            let out = |place: Place| match place {
                Place::ForeignPart(handle) => {
                    let foreign_part = self.foreign_parts.get(handle);
                    foreign_part.part.status.is_unresolved() && on_channel(foreign_part)
                }
                _ => false,
            };
            (blocked && self.blocked.contains(hash)) || self.places_of(hash).any(out)
        };
        payment.hash().is_some_and(holds)
            || (!payment.has_one_hash()
                && payment.other_hashes().iter().any(|hash| payment.holds(hash) && holds(hash)))
    }

    /// Whether a hash is blocked, or out as a foreign part's.
    pub(crate) fn is_hash_blocked(&self, payment_hash: Option<&PaymentHash>) -> bool {
        let Some(hash) = payment_hash else { return false };
        let out = |place: Place| match place {
            Place::ForeignPart(handle) => {
                self.foreign_parts.get(handle).part.status.is_unresolved()
            }
            _ => false,
        };
        self.blocked.contains(hash) || self.places_of(hash).any(out)
    }

    fn holder_at(&self, place: Place) -> HashHolder {
        match place {
            Place::Payment(handle) => HashHolder::Payment(self.payments.get(handle).id),
            Place::Tombstone(handle) => HashHolder::Payment(self.tombstones.get(handle).id),
            Place::ForeignPart(handle) => {
                HashHolder::ForeignPart(self.foreign_parts.get(handle).part.id)
            }
            Place::HashPaid(_) => HashHolder::Paid,
        }
    }

    fn hold_of(&self, payment_hash: &PaymentHash) -> Option<HashHolder> {
        self.blocked.contains(payment_hash).then_some(HashHolder::Blocked)
    }

    /// Whether conclusions are withheld: recovery is not finished, or the gap is not closed.
    pub(crate) const fn withholds_conclusions(&self) -> bool {
        self.recovering || self.gap
    }
}

/// What is about to end with the events that are being decided.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    Nothing,
    /// These foreign parts resolve, and block no payment any more.
    ForeignParts(&'a [PartId]),
    /// The node's block on this hash: payments that hold the hash may go on.
    Block(&'a PaymentHash),
    /// This claimed foreign part leaves its channel: it no longer blocks the other payments with its hash.
    OnChannel(&'a PartId),
    /// This claimed foreign part is not of the payment under whose id it was reported: it no longer
    /// blocks that payment.
    Told(&'a PartId),
}
