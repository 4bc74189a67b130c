//! Queries on a state. Each costs what it yields.

use alloc::vec::Vec;

use crate::{
    base::amount::{Msat, UnixMillis},
    base::head::Head,
    base::ids::{LedgerId, PartId, PaymentHash, PaymentId, ShortChannelId},
    event::blocked_hash::BlockedHash,
    event::hash_paid::HashPaid,
    event::notification::{
        Anomaly, Notification, NotificationId, NotificationKind, Unread, UnreadContent,
    },
    event::part::PartStatus,
    event::request::{Request, RequestField},
    event::status::{Status, StatusKind},
    payment::foreign_part::ForeignPart,
    payment::part::Part,
    payment::payment::Payment,
    payment::tombstone::Outcome,
    state::forbidden::forbidden_by,
    state::place::{PartPlace, Place},
    state::state::{Ending, HashHolder, State},
    state::views::{Paid, PaymentView},
    state::whose,
    state::whose::Known,
};

/// What a payment still lacks, and the limits of the next batch.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Remaining {
    /// The payment that lacks it.
    pub id: PaymentId,
    /// Its status. In [`Status::AwaitingInvoice`] only a delegated part may be dispatched.
    pub status: Status,
    /// Its payment hash; `None` for an offer without its invoice.
    pub payment_hash: Option<PaymentHash>,
    /// What is not yet in flight nor settled, in msat; 0 once no parts may be dispatched.
    pub amount: Msat,
    /// What may still be spent on fees, in msat; `None` without a limit.
    pub fee_budget: Option<Msat>,
    /// The channels that failed parts of it, each once, in the order of their failures.
    pub avoid: Vec<ShortChannelId>,
    /// The number to state with the next batch, from 1.
    pub attempt: u32,
}

/// A part that is in flight or claimed, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UnresolvedPart {
    /// The payment; for a foreign part the one that the node named.
    pub payment: PaymentId,
    /// The part's payment hash; `None` for an offer's hand-over whose invoice is not known.
    pub payment_hash: Option<PaymentHash>,
    /// The part as it stands: amounts, kind, status.
    pub part: Part,
    /// Whether an earlier writer recorded it (its epoch is not the present one).
    pub another_writer: bool,
    /// Whether it is a foreign part.
    pub foreign: bool,
}

/// How many of everything there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Live payments in [`Status::AwaitingInvoice`].
    pub awaiting_invoice: usize,
    /// Live payments in [`Status::Pending`].
    pub pending: usize,
    /// Live payments in [`Status::Fulfilled`].
    pub fulfilled: usize,
    /// Live payments in [`Status::Abandoned`].
    pub abandoned: usize,
    /// Live payments in [`Status::Failed`].
    pub failed: usize,
    /// Tombstones: outcomes that are remembered without their payment.
    pub remembered: usize,
    /// Parts in flight or claimed.
    pub unresolved_parts: usize,
    /// Notifications that are not acknowledged.
    pub unread: usize,
    /// Foreign parts, resolved ones included.
    pub foreign_parts: usize,
    /// Hashes blocked by the node, each counted once.
    pub blocked: usize,
    /// How many anomalies were only counted, because too many were unread.
    pub anomalies_folded: u64,
}

impl State {
    /// The 32 random bytes that the log was created with.
    #[must_use]
    pub const fn ledger_id(&self) -> LedgerId {
        self.ledger
    }

    /// The end of the last entry folded.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The epoch of the last writer; 0 before the first.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The ledger's tick number: how many ticks have counted so far.
    #[must_use]
    pub const fn tick(&self) -> u64 {
        self.tick
    }

    /// Whether the last writer has not finished its recovery.
    #[must_use]
    pub const fn is_recovering(&self) -> bool {
        self.recovering
    }

    /// Whether the log is Restored: it lacks something that the node knows, and the caller has not yet
    /// closed the gap.
    #[must_use]
    pub const fn is_restored(&self) -> bool {
        self.gap
    }

    /// The seq of the first event that did not fit; a sound log has none.
    #[must_use]
    pub const fn inconsistent(&self) -> Option<u64> {
        self.inconsistent
    }

    /// The live payment with this id; `None` if there is none.
    #[must_use]
    pub fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        self.live(id).map(|(_, payment)| payment)
    }

    /// The payment with this id, live or remembered, as it stands; `None` for an unknown id.
    #[must_use]
    pub fn payment_view(&self, id: &PaymentId) -> Option<PaymentView> {
        match self.place(id)? {
            Place::Payment(handle) => Some(self.view_of(self.payments.get(handle))),
            Place::Tombstone(handle) => {
                let tombstone = self.tombstones.get(handle);
                let (status, paid, failed, paid_elsewhere) = match tombstone.outcome {
                    Outcome::Paid { preimage, amount, fee, .. } => {
                        (Status::Fulfilled, Some(Paid { preimage, amount, fee }), None, None)
                    }
                    Outcome::Failed { reason, notification, paid_elsewhere } => {
                        (Status::Failed { reason }, None, Some(notification), paid_elsewhere)
                    }
                };
                Some(PaymentView {
                    id: *id,
                    status,
                    remaining: Msat::ZERO,
                    unresolved: 0,
                    blocked: self.is_hash_blocked(tombstone.payment_hash.as_ref()),
                    paid,
                    paid_elsewhere,
                    failed,
                    adopted: tombstone.request.is_none(),
                    remembered: true,
                })
            }
            Place::ForeignPart(_) | Place::HashPaid(_) => None,
        }
    }

    fn view_of(&self, payment: &Payment) -> PaymentView {
        let settled = payment.settled();
        let paid = Paid {
            preimage: payment.preimage(),
            amount: settled.known_amount(),
            fee: settled.known_fee(),
        };
        let foreign_parts = self.foreign_parts_of(&payment.id);
        let foreign_parts = foreign_parts
            .filter(|(_, foreign_part)| foreign_part.part.status.is_unresolved())
            .count();
        let failed = matches!(payment.status, Status::Failed { .. });
        let paid_here = (payment.status == Status::Fulfilled).then_some(paid);
        PaymentView {
            id: payment.id,
            status: payment.status,
            remaining: payment.remaining_amount(),
            unresolved: payment.unresolved() + foreign_parts,
            blocked: self.is_blocked(payment, Ending::Nothing),
            paid: paid_here,
            paid_elsewhere: payment.details.paid_elsewhere.filter(|_| paid_here.is_none()),
            failed: payment.failed_notification().filter(|_| failed),
            adopted: payment.is_adopted(),
            remembered: false,
        }
    }

    /// The first field in which a request under a known id differs from the known one; `None` if it is a
    /// repeat.
    pub(crate) fn difference(&self, id: &PaymentId, request: &Request) -> Option<RequestField> {
        match self.place(id)? {
            Place::Payment(handle) => self.payments.get(handle).difference(request),
            Place::Tombstone(handle) => {
                let tombstone = self.tombstones.get(handle);
                match (&tombstone.request, tombstone.payment_hash) {
                    (Some(own), _) => {
                        own.first_difference(&request.digests(), tombstone.vocabulary.0)
                    }
                    (None, Some(own)) => (request.target.payment_hash())
                        .is_some_and(|other| other != own)
                        .then_some(RequestField::Target),
                    (None, None) => None,
                }
            }
            Place::ForeignPart(_) | Place::HashPaid(_) => None,
        }
    }

    /// The payments with this status, in the order in which they got it.
    pub fn payments(&self, status: StatusKind) -> impl Iterator<Item = &Payment> {
        self.with_status(status)
    }

    /// When the longest-standing unfinished payment was accepted, in O(1): of those in
    /// [`Status::AwaitingInvoice`], [`Status::Pending`] and [`Status::Abandoned`] each the one that
    /// has been there longest is looked at, and of these three the one accepted first. Exact for
    /// payments that are still in their first status; one that changed its status later than a
    /// younger one came to it (an offer whose invoice was late, a payment abandoned) may be older.
    #[must_use]
    pub fn oldest_unresolved_since(&self) -> Option<UnixMillis> {
        let kinds = [StatusKind::AwaitingInvoice, StatusKind::Pending, StatusKind::Abandoned];
        let longest = kinds.into_iter().filter_map(|kind| self.with_status(kind).next());
        longest.map(|payment| payment.created_at).min()
    }

    /// What a payment still lacks; `None` if there is no live payment with this id.
    #[must_use]
    pub fn remaining(&self, id: &PaymentId) -> Option<Remaining> {
        self.payment(id).map(Payment::remaining)
    }

    /// Every payment with something missing and nothing that forbids a dispatch, oldest first: what
    /// a node drives after a restart. Empty while recovery is not finished or a gap not closed.
    ///
    /// Offers without their invoice are listed too, since a delegated part may be dispatched for
    /// them: a node that fetches invoices itself skips [`Status::AwaitingInvoice`].
    #[must_use]
    pub fn due(&self, now: UnixMillis) -> Vec<Remaining> {
        if self.withholds_conclusions() {
            return Vec::new();
        }
        let free = |payment: &&Payment| forbidden_by(self, payment).is_none();
        let mut due: Vec<_> = self.dispatchable(now).filter(free).collect();
        due.sort_by_key(|payment| payment.created_seq);
        due.into_iter().map(Payment::remaining).collect()
    }

    /// The unresolved parts whose CLTV expiry is at or below this block height, soonest first.
    #[must_use]
    pub fn overdue(&self, height: u32) -> Vec<UnresolvedPart> {
        self.overdue_places(height).into_iter().map(|place| self.unresolved_at(place)).collect()
    }

    /// Every part in flight or claimed, oldest payment first, foreign parts last.
    #[must_use]
    pub fn unresolved(&self) -> Vec<UnresolvedPart> {
        let mut payments: Vec<_> = self.payments.iter().filter(|at| !at.is_resolved()).collect();
        payments.sort_by_key(|payment| payment.created_seq);
        let mut foreign_parts: Vec<_> = self.foreign_parts().collect();
        foreign_parts.retain(|foreign_part| foreign_part.part.status.is_unresolved());
        let own = payments.into_iter().flat_map(|payment| {
            let parts = payment.parts.iter().filter(|part| part.status.is_unresolved());
            parts.map(|part| self.unresolved_part(payment, part))
        });
        own.chain(
            foreign_parts
                .into_iter()
                .map(|foreign_part| self.unresolved_foreign_part(foreign_part)),
        )
        .collect()
    }

    fn unresolved_at(&self, place: PartPlace) -> UnresolvedPart {
        match place {
            PartPlace::Payment(handle, index) => {
                let payment = self.payments.get(handle);
                self.unresolved_part(payment, &payment.parts[index])
            }
            PartPlace::ForeignPart(handle) => {
                self.unresolved_foreign_part(self.foreign_parts.get(handle))
            }
        }
    }

    fn unresolved_part(&self, payment: &Payment, part: &Part) -> UnresolvedPart {
        UnresolvedPart {
            payment: payment.id,
            payment_hash: payment.part_hash(part).copied(),
            part: part.clone(),
            another_writer: part.epoch != self.epoch,
            foreign: false,
        }
    }

    fn unresolved_foreign_part(&self, foreign_part: &ForeignPart) -> UnresolvedPart {
        UnresolvedPart {
            payment: foreign_part.payment,
            payment_hash: Some(foreign_part.payment_hash),
            part: foreign_part.part.clone(),
            another_writer: foreign_part.part.epoch != self.epoch,
            foreign: true,
        }
    }

    /// The payment and the status of a part, resolved or not; `None` if no live payment has it.
    #[must_use]
    pub fn part(&self, part: &PartId) -> Option<(PaymentId, PartStatus)> {
        let place = self.part_place(part)?;
        let owner = match place {
            PartPlace::Payment(handle, _) => self.payments.get(handle).id,
            PartPlace::ForeignPart(handle) => self.foreign_parts.get(handle).payment,
        };
        Some((owner, self.part_at(place).status))
    }

    /// The payment that a part belongs to, whatever payment a node names: the one that has it, had it in
    /// an earlier try, or is remembered with it; for a foreign part, the payment under whose id it was
    /// reported. `None` for an unknown part.
    #[must_use]
    pub fn owner_of(&self, part: &PartId) -> Option<PaymentId> {
        match whose::known(self, part, None) {
            Known::Own(payment, _) => Some(payment.id),
            Known::ForeignPart(foreign_part) => Some(foreign_part.payment),
            Known::Former(place, ..) => self.id_at(place).copied(),
            Known::Nothing => None,
        }
    }

    /// The hashes that are known as paid although no payment shows it, in unspecified order.
    pub fn hashes_paid(&self) -> impl Iterator<Item = &HashPaid> {
        self.hashes_paid.iter()
    }

    /// The last block height that was recorded: one at which a part was at or past its CLTV expiry.
    #[must_use]
    pub const fn height(&self) -> Option<u32> {
        self.height
    }

    /// The foreign parts, oldest first.
    pub fn foreign_parts(&self) -> impl Iterator<Item = &ForeignPart> {
        let mut foreign_parts: Vec<_> = self.foreign_parts.iter().collect();
        foreign_parts.sort_by_key(|foreign_part| foreign_part.created_seq);
        foreign_parts.into_iter()
    }

    /// The blocked hashes, in the order of their bytes, and for which engines: one that several have out is
    /// there once for each.
    pub fn blocked_hashes(&self) -> impl Iterator<Item = &BlockedHash> {
        self.blocked.iter()
    }

    /// For whom a hash is blocked; nothing for one that is not.
    pub fn blocks_of(&self, payment_hash: &PaymentHash) -> impl Iterator<Item = &BlockedHash> {
        self.blocked.of(payment_hash)
    }

    /// The notifications that are not acknowledged, in seq order.
    pub fn outbox(&self) -> impl Iterator<Item = Notification> + '_ {
        self.outbox.from(0).map(|(seq, unread)| self.notification(*seq, unread))
    }

    /// The unacknowledged notifications with a seq above `after`, in seq order: for a user who has
    /// seen the others.
    pub fn outbox_after(&self, after: u64) -> impl Iterator<Item = Notification> + '_ {
        let later = self.outbox.from(after.saturating_add(1));
        later.map(|(seq, unread)| self.notification(*seq, unread))
    }

    fn notification(&self, seq: u64, unread: &Unread) -> Notification {
        let kind = match &unread.content {
            UnreadContent::Sent { payment, amount, fee, correction } => {
                let known = self.payment(payment);
                NotificationKind::PaymentSent {
                    payment: *payment,
                    payment_hash: known.and_then(proven_or_own),
                    preimage: known.and_then(Payment::preimage),
                    amount: *amount,
                    fee: *fee,
                    correction: *correction,
                }
            }
            UnreadContent::Settled { payment, amount, fee } => {
                let known = self.payment(payment);
                NotificationKind::PaymentSettled {
                    payment: *payment,
                    payment_hash: known.and_then(proven_or_own),
                    preimage: known.and_then(Payment::preimage),
                    amount: *amount,
                    fee: *fee,
                }
            }
            UnreadContent::Failed { payment, hash, reason, superseded, paid_elsewhere } => {
                NotificationKind::PaymentFailed {
                    payment: *payment,
                    payment_hash: *hash,
                    reason: *reason,
                    superseded: *superseded,
                    paid_elsewhere: *paid_elsewhere,
                }
            }
            UnreadContent::PartSucceeded { payment, part } => {
                NotificationKind::PartSucceeded { payment: *payment, part: *part }
            }
            UnreadContent::PartFailed { payment, part, failure } => {
                let failure = (**failure).clone();
                NotificationKind::PartFailed { payment: *payment, part: *part, failure }
            }
            UnreadContent::Anomaly { anomaly, repeats } => {
                NotificationKind::Anomaly { anomaly: (**anomaly).clone(), repeats: *repeats }
            }
        };
        Notification { id: NotificationId { seq, chain: unread.chain }, kind }
    }

    /// Whether an equal anomaly without a payment is unread.
    pub(crate) fn is_told(&self, anomaly: &Anomaly) -> bool {
        let seq = anomaly.repeats_by().and_then(|key| self.index.anomalies_unread.get(&key));
        let unread = seq.and_then(|seq| self.outbox.get(*seq));
        unread.and_then(|unread| unread.content.anomaly()) == Some(anomaly)
    }

    /// What has a payment hash: the oldest payment, else a remembered one, else a foreign part that is
    /// out or paid, else the node's block; `None` if the hash is free.
    #[must_use]
    pub fn holder_of(&self, payment_hash: &PaymentHash) -> Option<HashHolder> {
        self.holder_where(payment_hash, |_| true)
    }

    /// How many of everything there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            awaiting_invoice: self.count_with_status(StatusKind::AwaitingInvoice),
            pending: self.count_with_status(StatusKind::Pending),
            fulfilled: self.count_with_status(StatusKind::Fulfilled),
            abandoned: self.count_with_status(StatusKind::Abandoned),
            failed: self.count_with_status(StatusKind::Failed),
            remembered: self.tombstones.len(),
            unresolved_parts: self.unresolved_parts(),
            unread: self.outbox.len(),
            foreign_parts: self.foreign_parts.len(),
            blocked: self.blocked.hashes(),
            anomalies_folded: self.anomalies_folded,
        }
    }
}

/// The hash that a payment's proof proves; without a proof, its own hash.
fn proven_or_own(payment: &Payment) -> Option<PaymentHash> {
    payment.proven_hash().or_else(|| payment.payment_hash())
}

impl Payment {
    /// What it still lacks, and the limits of the next batch.
    #[must_use]
    pub fn remaining(&self) -> Remaining {
        Remaining {
            id: self.id,
            status: self.status,
            payment_hash: self.payment_hash(),
            amount: self.remaining_amount(),
            fee_budget: self.fee_budget(),
            avoid: self.avoid(),
            attempt: self.next_attempt(),
        }
    }
}
