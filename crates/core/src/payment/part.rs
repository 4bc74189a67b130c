//! A part: one HTLC of a payment, or one hand-over to an engine that routes and retries by itself.

use alloc::boxed::Box;
use core::ops::Deref;

use crate::{
    base::amount::{Msat, UnixMillis},
    base::bounded::Blob,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage},
    base::limits,
    base::wire::{UnknownFields, layout},
    event::part::{Failure, Label, PartKind, PartStatus},
};

/// One part of a payment, as the events so far leave it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// The id that the node chose for it; for a delegated part also the id in its engine.
    pub id: PartId,
    /// What reaches the payee; `None` when only its claim is known.
    pub amount: Option<Msat>,
    /// What the route takes; `None` when it is not known (an engine that reported none).
    pub fee: Option<Msat>,
    /// Whether it is an HTLC of the node's own or is with an engine.
    pub kind: PartKind,
    /// Whether it may be out, was taken, or is resolved.
    pub status: PartStatus,
    /// The batch with which it was dispatched, counted from 1 with the withdrawn ones; 0 for a
    /// part that was adopted.
    pub batch: u32,
    /// The epoch of the writer that recorded it.
    pub epoch: u64,
    /// When it was recorded.
    pub recorded_at: UnixMillis,
    /// Whether the node vouches for it having been out although the log lacked it.
    pub adopted: bool,
    /// Whether it was claimed although it was recorded as failed: it is off its channel, unless the
    /// node lists it as out.
    pub corrected: bool,
    #[serde(flatten)]
    pub(crate) details: PartDetails,
}

/// What few parts have; nothing is kept of it while there is nothing in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartDetails(Option<Box<PartDetail>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct PartDetail {
    /// The id under which the node knows it, where that is not its owner's.
    pub(crate) named_id: Option<PaymentId>,
    /// Its hash, where that is not its payment's own: each hand-over of an offer has its own, and
    /// so has a part of an earlier try.
    pub(crate) payment_hash: Option<PaymentHash>,
    /// The proof of that hash.
    pub(crate) preimage: Option<Preimage>,
    /// Why it failed last.
    pub(crate) failure: Option<Box<Failure>>,
    /// Whether it was dispatched in an earlier try of its payment.
    pub(crate) earlier_try: bool,
    /// The epoch in which the node last listed it as out; 0 if never.
    pub(crate) listed_in: u64,
    /// The epoch in which it was reported never sent; 0 if it was not.
    pub(crate) withdrawn_in: u64,
    /// Which engine has it.
    pub(crate) label: Option<Label>,
    /// How often its hand-over was said after the first time.
    pub(crate) said_again: u32,
    /// The BOLT 12 invoice that it paid.
    pub(crate) invoice: Blob<{ limits::PAID_INVOICE_BYTES }>,
    /// What its hand-over made for the payee to answer.
    pub(crate) invoice_request: Blob<{ limits::INVOICE_REQUEST_BYTES }>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub(crate) unknown: UnknownFields,
}

impl PartDetail {
    const NOTHING: Self = Self {
        named_id: None,
        payment_hash: None,
        preimage: None,
        failure: None,
        earlier_try: false,
        listed_in: 0,
        withdrawn_in: 0,
        label: None,
        said_again: 0,
        invoice: Blob::EMPTY,
        invoice_request: Blob::EMPTY,
        unknown: UnknownFields::NONE,
    };
}

impl Deref for PartDetails {
    type Target = PartDetail;

    fn deref(&self) -> &PartDetail {
        static NOTHING: PartDetail = PartDetail::NOTHING;
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

/// All of them, also where there are none.
impl serde::Serialize for PartDetails {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl PartDetails {
    /// To change it; kept afterwards only if there is something in it.
    pub(crate) fn change<R>(&mut self, change: impl FnOnce(&mut PartDetail) -> R) -> R {
        let mut detail = self.0.take().unwrap_or_default();
        let result = change(&mut detail);
        self.0 = (*detail != PartDetail::default()).then_some(detail);
        result
    }

    /// Changes it if there is anything in it: for what only takes away.
    pub(crate) fn if_kept(&mut self, change: impl FnOnce(&mut PartDetail)) {
        if self.0.is_some() {
            self.change(change);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Part {
    /// Why it failed last, as long as that stands.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.details.failure.as_deref()
    }

    /// Which engine got it, and the last mark that this one had shown before.
    #[must_use]
    pub fn label(&self) -> Option<&Label> {
        self.details.label.as_ref()
    }

    /// Its payment hash, where that is not its payment's own.
    #[must_use]
    pub fn own_hash(&self) -> Option<PaymentHash> {
        self.details.payment_hash
    }

    /// Whether it was dispatched in an earlier try of its payment.
    #[must_use]
    pub fn is_of_earlier_try(&self) -> bool {
        self.details.earlier_try
    }

    /// The BOLT 12 invoice that it paid, as it was signed; empty if none came with the claim.
    #[must_use]
    pub fn paid_invoice(&self) -> &[u8] {
        self.details.invoice.as_bytes()
    }

    /// The invoice request that its hand-over made (BOLT 12; a *refund* in LDK); empty if it made none.
    /// Whoever has it can be paid while the part is in flight.
    #[must_use]
    pub fn invoice_request(&self) -> &[u8] {
        self.details.invoice_request.as_bytes()
    }

    /// How often its hand-over was said; 1 for a part that was offered once.
    #[must_use]
    pub fn sayings(&self) -> u32 {
        self.details.said_again + 1
    }

    /// Whether the payee refused it.
    pub(crate) fn is_rejected(&self) -> bool {
        self.status == PartStatus::Failed && self.failure().is_some_and(|failure| failure.permanent)
    }
}

layout! {
    record Part "a part" {
        id, kind, status, batch, epoch, recorded_at;
        2 amount, 4 fee, 6 adopted, 8 corrected;
        details: PartDetail {
            10 named_id,
            12 payment_hash,
            14 preimage,
            16 failure,
            18 earlier_try,
            20 listed_in,
            22 withdrawn_in,
            24 label,
            26 said_again,
            28 invoice,
            30 invoice_request,
        }
    }
}

impl From<PartDetail> for PartDetails {
    fn from(detail: PartDetail) -> Self {
        Self((detail != PartDetail::NOTHING).then(|| Box::new(detail)))
    }
}
