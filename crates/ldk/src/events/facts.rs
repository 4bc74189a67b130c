//! Facts: what each of LDK's events tells the ledger.

use lightning::{
    events::{Event, PaidBolt12Invoice, PaymentFailureReason},
    ln::channelmanager::PaymentId as EngineId,
    offers::invoice::Bolt12Invoice,
    types::payment::{PaymentHash as EngineHash, PaymentPreimage},
    util::ser::Writeable as _,
};
use payonce_core::{
    Answer, ClaimPart, HashHolder, ObservePart, PartId, PartStatus, Payment, PaymentHash,
    PaymentId, Settlement, State,
};

use crate::{bridge::border, bridge::line, events::failure, events::path_report::PathReport};

/// What one event tells.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The engine's id that the event names.
    pub(crate) named: Option<PartId>,
    /// The payment that it is about, if the ledger knows one.
    pub(crate) payment: Option<PaymentId>,
    /// To be told in this order.
    pub(crate) answers: Vec<Answer>,
    /// A blocked hash that is free unless something else is out under it.
    pub(crate) release: Option<PaymentHash>,
}

impl Facts {
    /// With the invoice that was paid: its signature, and the preimage, prove the payment.
    fn with_proof(mut self, invoice: Option<&PaidBolt12Invoice>) -> Self {
        let Some(invoice) = invoice.and_then(line::paid_invoice) else { return self };
        let bytes = invoice.encode();
        for answer in &mut self.answers {
            if let Answer::Claimed(claim) = answer {
                claim.invoice = bytes.as_slice().into();
            }
        }
        self
    }
}

/// Reads an event; `None` if it tells nothing of payments that this node makes.
pub(crate) fn read(event: &Event, state: &State) -> Option<Facts> {
    match event {
        Event::PaymentSent {
            payment_id,
            payment_preimage,
            payment_hash,
            amount_msat,
            fee_paid_msat,
            bolt12_invoice,
        } => {
            let settlement = settlement(*amount_msat, *fee_paid_msat, bolt12_invoice.as_ref());
            let facts = sent(state, *payment_id, payment_preimage, payment_hash, settlement);
            Some(facts.with_proof(bolt12_invoice.as_ref()))
        }
        Event::PaymentFailed { payment_id, payment_hash, reason } => {
            Some(failed(state, payment_id, payment_hash.as_ref(), *reason))
        }
        Event::PaymentPathSuccessful { payment_id, payment_hash: _, path, hold_times } => {
            let report = PathReport::succeeded(path, hold_times);
            Some(observed(state, border::part_id(payment_id), &report))
        }
        Event::PaymentPathFailed {
            payment_id,
            payment_hash,
            payment_failed_permanently: permanent,
            failure,
            path,
            short_channel_id,
            hold_times,
            ..
        } => {
            let report =
                PathReport::failed(path, hold_times, failure, *permanent, *short_channel_id);
            let hash = border::payment_hash(payment_hash);
            let part =
                payment_id.as_ref().map_or_else(|| nameless(state, &hash).1, border::part_id);
            Some(observed(state, part, &report))
        }
        Event::ProbeSuccessful { payment_id, payment_hash, .. }
        | Event::ProbeFailed { payment_id, payment_hash, .. } => {
            Some(probed(state, payment_id, payment_hash))
        }
        _ => None,
    }
}

/// What LDK says that a payment came to. Of one that it rebuilt from its monitors it knows the paths
/// that are left, and takes the first one's amount for the whole: never less than the invoice's was paid.
/// Books that believed it would miss money that is gone. For an invoice of its own request the ledger does
/// the same; that of an offer comes with the event alone.
fn settlement(
    amount_msat: Option<u64>,
    fee_msat: Option<u64>,
    invoice: Option<&PaidBolt12Invoice>,
) -> Settlement {
    // No HTLC carries nothing: what LDK reports then is not known, and neither is its fee.
    let (amount_msat, fee_msat) =
        if amount_msat == Some(0) { (None, None) } else { (amount_msat, fee_msat) };
    let asked = invoice.and_then(line::paid_invoice).map(Bolt12Invoice::amount_msats);
    match asked.filter(|asked| amount_msat.is_some_and(|amount| amount < *asked)) {
        Some(asked) => border::settlement(Some(asked), None),
        None => border::settlement(amount_msat, fee_msat),
    }
}

fn sent(
    state: &State,
    named: Option<EngineId>,
    preimage: &PaymentPreimage,
    hash: &EngineHash,
    settlement: Settlement,
) -> Facts {
    let hash = border::payment_hash(hash);
    let (id, part) = match named.as_ref().map(border::part_id) {
        Some(part) => (owner_or_hash(state, &part, hash), part),
        None => nameless(state, &hash),
    };
    let preimage = border::preimage(preimage);
    let claim = ClaimPart::new(id, part, preimage).payment_hash(hash).settlement(settlement);
    Facts {
        named: Some(part),
        payment: Some(id),
        answers: vec![Answer::Claimed(claim)],
        release: held(state, hash),
    }
}

fn failed(
    state: &State,
    id: &EngineId,
    hash: Option<&EngineHash>,
    reason: Option<PaymentFailureReason>,
) -> Facts {
    let part = border::part_id(id);
    let known = state.part(&part);
    let answers = match known {
        // A foreign part has no payment to give up.
        Some((id, PartStatus::InFlight)) => {
            match state.payment(&id).filter(|it| it.part(&part).is_some()) {
                Some(payment) => failure::facts(payment, part, reason),
                None => vec![failure::of_foreign_part(id, part)],
            }
        }
        // Told before, or after a PaymentSent: LDK demands that it is ignored then.
        Some(_) | None => Vec::new(),
    };
    Facts {
        named: Some(part),
        payment: known.map(|(id, _)| id),
        answers,
        release: hash.and_then(|hash| held(state, border::payment_hash(hash))),
    }
}

fn observed(state: &State, part: PartId, report: &PathReport) -> Facts {
    let payment = state.owner_of(&part);
    let observe = payment.map(|id| {
        Answer::Observed(ObservePart { id, part, kind: report.kind(), bytes: report.encode() })
    });
    Facts { named: Some(part), payment, answers: observe.into_iter().collect(), release: None }
}

fn probed(state: &State, id: &EngineId, hash: &EngineHash) -> Facts {
    Facts {
        named: Some(border::part_id(id)),
        payment: None,
        answers: Vec::new(),
        release: held(state, border::payment_hash(hash)),
    }
}

/// The payment that a fact about this part names: its owner, in whichever of its tries. LDK knows
/// none of our ids, and its own names the part alone: where the ledger does not know the part, the hash
/// names the payment.
fn owner_or_hash(state: &State, part: &PartId, hash: PaymentHash) -> PaymentId {
    state.owner_of(part).unwrap_or_else(|| PaymentId::from_payment_hash(hash))
}

fn held(state: &State, hash: PaymentHash) -> Option<PaymentHash> {
    // LDK's own blocks name no engine.
    state.blocks_of(&hash).any(|block| block.engine.is_empty()).then_some(hash)
}

/// The payment and the part that an event without an id means: the payment that holds the hash and
/// its only part that is out or paid; else both are named after the hash, so that a replay names the same.
fn nameless(state: &State, hash: &PaymentHash) -> (PaymentId, PartId) {
    let named_after_hash = PartId::from_bytes(*hash.as_bytes());
    let Some(HashHolder::Payment(id)) = state.holder_of(hash) else {
        return (PaymentId::from_payment_hash(*hash), named_after_hash);
    };
    // Claimed ones too: a replay must find the part that the first telling found.
    let mut out = (state.payment(&id).into_iter())
        .flat_map(Payment::parts)
        .filter(|part| part.status.is_unresolved() || part.status.is_settled());
    match (out.next(), out.next()) {
        (Some(only), None) => (id, only.id),
        _ => (id, named_after_hash),
    }
}
