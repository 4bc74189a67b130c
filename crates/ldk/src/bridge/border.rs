//! The border between LDK's types and the core's: only bytes cross it.

use lightning::{
    ln::channelmanager::PaymentId as EngineId,
    types::payment::{PaymentHash as EngineHash, PaymentPreimage},
};
use payonce_core::{Msat, PartId, PaymentHash, Preimage, Settlement};

/// The id under which LDK knows a part.
pub(crate) const fn engine_id(part: &PartId) -> EngineId {
    EngineId(*part.as_bytes())
}

/// The part that LDK knows under this id.
pub(crate) const fn part_id(id: &EngineId) -> PartId {
    PartId::from_bytes(id.0)
}

pub(crate) const fn payment_hash(hash: &EngineHash) -> PaymentHash {
    PaymentHash::from_bytes(hash.0)
}

pub(crate) const fn preimage(preimage: &PaymentPreimage) -> Preimage {
    Preimage::from_bytes(preimage.0)
}

pub(crate) const fn engine_preimage(preimage: &Preimage) -> PaymentPreimage {
    PaymentPreimage(*preimage.as_bytes())
}

pub(crate) fn settlement(amount_msat: Option<u64>, fee_msat: Option<u64>) -> Settlement {
    Settlement { amount: amount_msat.map(Msat), fee: fee_msat.map(Msat) }
}
