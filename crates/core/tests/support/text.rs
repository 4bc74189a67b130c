//! What a script expects, as text.

use payonce_core::{
    Anomaly, HashHolder, Msat, NotificationKind, PartId, PaymentHash, PaymentId, PaymentView,
    Preimage, Status,
};

use super::names::{hash, name};

pub(super) fn payment(id: &PaymentId) -> String {
    name(id.as_bytes())
}

pub(super) fn part(id: &PartId) -> String {
    name(id.as_bytes())
}

/// The name of a hash: that of its preimage, a single letter in every script.
fn hash_name(given: &PaymentHash) -> String {
    let letters = ('a'..='z').map(String::from);
    letters.into_iter().find(|letter| hash(letter) == *given).unwrap_or_else(|| given.to_string())
}

fn preimage_name(preimage: &Preimage) -> String {
    name(preimage.as_bytes())
}

fn msat(amount: Option<Msat>) -> String {
    amount.map_or_else(|| "?".into(), |amount| amount.0.to_string())
}

pub(super) fn status(status: Status) -> String {
    match status {
        Status::Abandoned { reason } => format!("Abandoned({reason:?})"),
        Status::Failed { reason } => format!("Failed({reason:?})"),
        plain => format!("{plain:?}"),
    }
}

/// `Pending missing 1000`, `Fulfilled by a 1000 fee 10`, `Failed(UserAbandoned)`.
pub(super) fn view(view: &PaymentView) -> String {
    let open = view.status.is_open();
    let missing = open.then(|| format!("missing {}", view.remaining.0));
    let paid = view.paid.as_ref().map(|paid| {
        let proof = paid.preimage.as_ref().map_or_else(|| "?".into(), preimage_name);
        format!("by {proof} {} fee {}", msat(paid.amount), msat(paid.fee))
    });
    let failed = matches!(view.status, Status::Failed { .. });
    let out = (view.unresolved > 0 && failed).then(|| format!("{} out", view.unresolved));
    let held = view.blocked.then(|| "held".into());
    let adopted = view.adopted.then(|| "adopted".into());
    let remembered = view.remembered.then(|| "remembered".into());
    let words = [Some(status(view.status)), missing, paid, out, held, adopted, remembered];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

pub(super) fn holder(holder: &HashHolder) -> String {
    match holder {
        HashHolder::Payment(id) => payment(id),
        HashHolder::ForeignPart(id) => format!("stray {}", part(id)),
        HashHolder::Blocked => "held".into(),
        other => format!("{other:?}"),
    }
}

/// `A sent 1000 fee 10`, `A failed RetriesExhausted`, `A part p failed`.
pub(super) fn notice(notice: &NotificationKind) -> String {
    let of = payment(notice.payment());
    match notice {
        NotificationKind::PaymentSent { amount, fee, correction, .. } => {
            let correction = if *correction { " correction" } else { "" };
            format!("{of} sent {} fee {}{correction}", msat(*amount), msat(*fee))
        }
        NotificationKind::PaymentSettled { preimage, amount, fee, .. } => {
            let proof = preimage.as_ref().map_or_else(|| "?".into(), preimage_name);
            format!("{of} settled {} fee {} by {proof}", msat(*amount), msat(*fee))
        }
        NotificationKind::PaymentFailed { reason, superseded, paid_elsewhere, .. } => {
            let superseded = if *superseded { " superseded" } else { "" };
            let by = paid_elsewhere.map(|by| {
                let payer = by.payer.map_or_else(|| "nobody".into(), |id| payment(&id));
                format!(" by {payer}{}", if by.proven { "" } else { " on a word" })
            });
            format!("{of} failed {reason:?}{}{superseded}", by.unwrap_or_default())
        }
        NotificationKind::PartSucceeded { part: id, .. } => {
            format!("{of} part {} succeeded", part(id))
        }
        NotificationKind::PartFailed { part: id, failure, .. } => {
            let asserted = failure.assertion.as_ref();
            let by = asserted.map(|word| format!(" on the word of {}", word.by.as_str()));
            format!("{of} part {} failed{}", part(id), by.unwrap_or_default())
        }
        NotificationKind::Anomaly { anomaly, repeats } => {
            let repeats = if *repeats > 0 { format!(" and {repeats} more") } else { String::new() };
            format!("{of} anomaly: {}{repeats}", anomaly_text(anomaly))
        }
        other => format!("{other:?}"),
    }
}

fn optional<T>(value: Option<&T>, name: impl Fn(&T) -> String) -> String {
    value.map_or_else(|| "?".into(), name)
}

fn anomaly_text(anomaly: &Anomaly) -> String {
    match anomaly {
        Anomaly::Correction { part: id, in_flight, .. } => {
            let others: Vec<_> = in_flight.iter().map(part).collect();
            format!("part {} paid after all, in flight [{}]", part(id), others.join(" "))
        }
        Anomaly::UnknownPart { part: id, .. } => format!("unknown part {} paid", part(id)),
        Anomaly::ForeignClaim { part: id, payment_hash, .. } => {
            format!("part {} paid {}", part(id), hash_name(payment_hash))
        }
        Anomaly::OutAgain { part: id, others, .. } => {
            let others: Vec<_> = others.iter().map(part).collect();
            format!("part {} is out again, others [{}]", part(id), others.join(" "))
        }
        Anomaly::PaidTwice { part: id, first_payment, first_part, .. } => {
            let first = optional(first_payment.as_ref(), payment);
            let by = optional(first_part.as_ref(), part);
            format!("part {} paid a second time, first {first} by {by}", part(id))
        }
        Anomaly::SpentMore { part: id, amount, fee, .. } => {
            format!("part {} spent more: {} fee {}", part(id), msat(*amount), msat(*fee))
        }
        Anomaly::PaidWithAnother { named, .. } => format!("paid with {}", payment(named)),
        Anomaly::FalsePreimage { part: id, .. } => format!("no preimage for part {}", part(id)),
        Anomaly::ForeignPart { part: id, payment_hash, .. } => {
            format!("part {} is out under {}", part(id), hash_name(payment_hash))
        }
        other => format!("{other:?}"),
    }
}
