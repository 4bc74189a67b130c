//! Refunds: LDK makes one only when it takes the hand-over, so it is kept as observations on the
//! part before anybody is given it.

use lightning::offers::refund::Refund;
use payonce_core::{Answer, ObservationKind, ObservePart, PartId, Payment, PaymentId, limits};

use crate::order::order::Order;

/// A piece of a refund: its index, the number of pieces, and the piece.
const REFUND_PIECE: ObservationKind = ObservationKind::Other(1);
const PIECE_BYTES: usize = limits::OBSERVATION_BYTES - 2;

/// The facts that keep a refund.
pub(crate) fn facts(id: PaymentId, part: PartId, refund: &Refund) -> Vec<Answer> {
    let text = refund.to_string();
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(PIECE_BYTES).collect();
    let total = u8::try_from(pieces.len()).unwrap_or(u8::MAX);
    let observe = |(index, piece): (u8, &&[u8])| {
        let bytes = [&[index, total], *piece].concat();
        Answer::Observed(ObservePart { id, part, kind: REFUND_PIECE, bytes: bytes.into() })
    };
    (0..total).zip(&pieces).map(observe).collect()
}

/// The refund kept for a part, if all of it is there.
pub(crate) fn kept(payment: &Payment, part: &PartId) -> Option<Refund> {
    let of_part = |observation: &&payonce_core::Observation| {
        observation.part == *part && observation.kind == REFUND_PIECE
    };
    let pieces = payment.observations().iter().filter(of_part);
    let mut pieces: Vec<&[u8]> = pieces.map(|observation| observation.bytes.as_bytes()).collect();
    pieces.sort_unstable();
    let total = usize::from(*pieces.first()?.get(1)?);
    let text = pieces.iter().flat_map(|piece| &piece[2..]).copied().collect();
    let text = String::from_utf8(text).ok().filter(|_| pieces.len() == total)?;
    text.parse().ok()
}

/// Whether LDK waits for the invoice to a refund that nobody can have been given: it was made, and
/// the process died before it was kept.
pub(crate) fn is_lost(payment: &Payment, part: &PartId) -> bool {
    let order = payment.request().map(|request| request.instructions.as_bytes());
    let order = order.and_then(|bytes| Order::decode(bytes, None).ok());
    matches!(order, Some(Order::Refund(_))) && kept(payment, part).is_none()
}
