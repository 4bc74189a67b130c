//! What LDK would list: in the words of 0.2.

use lightning::{
    bitcoin::hashes::{Hash as _, sha256},
    ln::channelmanager::{PaymentId as EngineId, RecentPaymentDetails},
    types::payment::PaymentHash as EngineHash,
};

pub(crate) use lightning::ln::channelmanager::{Bolt12PaymentError, Retry};

/// A payment hash as an invoice of this line is given it.
pub(crate) fn invoiced(hash: [u8; 32]) -> sha256::Hash {
    sha256::Hash::from_byte_array(hash)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    AwaitingInvoice(EngineId),
    Pending(EngineId, EngineHash),
    Fulfilled(EngineId, Option<EngineHash>),
    Abandoned(EngineId, EngineHash),
}

impl Listed {
    pub(crate) const fn details(self) -> RecentPaymentDetails {
        match self {
            Self::AwaitingInvoice(payment_id) => {
                RecentPaymentDetails::AwaitingInvoice { payment_id }
            }
            Self::Pending(payment_id, payment_hash) => {
                RecentPaymentDetails::Pending { payment_id, payment_hash, total_msat: 1 }
            }
            Self::Fulfilled(payment_id, payment_hash) => {
                RecentPaymentDetails::Fulfilled { payment_id, payment_hash }
            }
            Self::Abandoned(payment_id, payment_hash) => {
                RecentPaymentDetails::Abandoned { payment_id, payment_hash }
            }
        }
    }
}
