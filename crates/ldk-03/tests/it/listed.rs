//! What LDK would list: in the words of 0.3.

use lightning::{
    ln::channelmanager::{PaymentId as EngineId, RecentPaymentDetails},
    types::payment::PaymentHash as EngineHash,
};

pub(crate) use lightning::ln::outbound_payment::{Bolt12PaymentError, Retry};

/// A payment hash as an invoice of this line is given it.
pub(crate) const fn invoiced(hash: [u8; 32]) -> EngineHash {
    EngineHash(hash)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    AwaitingInvoice(EngineId),
    Pending(EngineId, EngineHash),
    Fulfilled(EngineId, Option<EngineHash>),
    Abandoned(EngineId, EngineHash),
    Probe(EngineId, EngineHash),
    PaidFor(EngineId, EngineHash, u64),
}

impl Listed {
    pub(crate) const fn details(self) -> RecentPaymentDetails {
        match self {
            Self::AwaitingInvoice(payment_id) => {
                RecentPaymentDetails::AwaitingInvoice { payment_id }
            }
            Self::Pending(payment_id, payment_hash) => pending(payment_id, payment_hash, false),
            Self::Probe(payment_id, payment_hash) => pending(payment_id, payment_hash, true),
            Self::Fulfilled(payment_id, payment_hash) => {
                RecentPaymentDetails::Fulfilled { payment_id, payment_hash, fee_paid_msat: None }
            }
            Self::PaidFor(payment_id, payment_hash, fee) => RecentPaymentDetails::Fulfilled {
                payment_id,
                payment_hash: Some(payment_hash),
                fee_paid_msat: Some(fee),
            },
            Self::Abandoned(payment_id, payment_hash) => {
                RecentPaymentDetails::Abandoned { payment_id, payment_hash, is_probe: false }
            }
        }
    }
}

const fn pending(
    payment_id: EngineId,
    payment_hash: EngineHash,
    is_probe: bool,
) -> RecentPaymentDetails {
    let (total_msat, pending_fee_msat) = (1, None);
    RecentPaymentDetails::Pending {
        payment_id,
        payment_hash,
        total_msat,
        pending_fee_msat,
        is_probe,
    }
}
