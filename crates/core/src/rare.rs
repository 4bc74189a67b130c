//! What few payments have, or only once they are over: kept beside the payment, so that one that is
//! pending costs nothing for it.

use alloc::boxed::Box;
use core::ops::Deref;

use crate::{
    codec::Many,
    event::{Invoice, Settlement},
    ids::{PaymentHash, Preimage},
    notification::NotificationId,
    part::Observation,
    payment::{Quiet, WaitsUntil},
    request::ShortDigest,
};

/// Each field of it is nothing in an ordinary pending payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    /// The payment hash, where the request does not state it.
    pub(crate) payment_hash: Option<PaymentHash>,
    pub(crate) preimage: Option<Preimage>,
    /// The digest of the instructions, once they are dropped.
    pub(crate) instructions: Option<ShortDigest>,
    pub(crate) waits_until: Option<WaitsUntil>,
    pub(crate) invoice: Option<Invoice>,
    /// Parts of earlier tries, and those of a payment that came back from its tombstone.
    pub(crate) former: Many<ShortDigest>,
    pub(crate) failed_notice: Option<NotificationId>,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) observations: Many<Observation>,
    /// What was paid, where no part tells: the payment came back from its tombstone, or was paid
    /// on the node's word alone.
    pub(crate) reported: Option<Settlement>,
}

static NOTHING: Rare = Rare {
    payment_hash: None,
    preimage: None,
    instructions: None,
    waits_until: None,
    invoice: None,
    former: Many::new(),
    failed_notice: None,
    quiet: None,
    observations: Many::new(),
    reported: None,
};

/// A [`Rare`], of which nothing is kept while there is nothing in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aside(Option<Box<Rare>>);

impl Deref for Aside {
    type Target = Rare;

    fn deref(&self) -> &Rare {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl Aside {
    /// To change it; from now on it is kept.
    pub(crate) fn kept(&mut self) -> &mut Rare {
        self.0.get_or_insert_default()
    }

    /// Changes it if there is anything in it: for what only takes away.
    pub(crate) fn if_kept(&mut self, change: impl FnOnce(&mut Rare)) {
        if let Some(rare) = &mut self.0 {
            change(rare);
        }
    }
}

impl Rare {
    /// Looks at no more of each field than whether it is there.
    fn is_nothing(&self) -> bool {
        // Every field by name: one that is added must be looked at as well.
        let Self {
            payment_hash,
            preimage,
            instructions,
            waits_until,
            invoice,
            former,
            failed_notice,
            quiet,
            observations,
            reported,
        } = self;
        payment_hash.is_none()
            && preimage.is_none()
            && instructions.is_none()
            && waits_until.is_none()
            && invoice.is_none()
            && former.as_slice().is_empty()
            && failed_notice.is_none()
            && quiet.is_none()
            && observations.as_slice().is_empty()
            && reported.is_none()
    }
}

impl From<Rare> for Aside {
    fn from(rare: Rare) -> Self {
        Self((!rare.is_nothing()).then(|| Box::new(rare)))
    }
}

impl PartialEq for Aside {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Aside {}
