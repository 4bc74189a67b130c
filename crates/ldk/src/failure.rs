//! Failures: what LDK's reasons mean for the payment.

use lightning::events::PaymentFailureReason;
use payonce_core::{
    Abandon, Answer, FailPart, Failure, FailureReason, PartId, Payment, PaymentId, RetryPolicy,
    Target,
};

use crate::engine::EngineRefusal;

/// What the end of one hand-over means for its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The payee refused: nothing else can help.
    Refused,
    /// Somebody gave the payment up, or it can never be paid.
    Payment(FailureReason),
    /// Another hand-over may do; if none follows, this is why.
    HandOver(FailureReason),
}

/// The facts that a hand-over ended unpaid, in the order in which they are to be told: the reason
/// first, where the ledger would find a poorer one.
pub(crate) fn facts(
    payment: &Payment,
    part: PartId,
    reason: Option<PaymentFailureReason>,
) -> Vec<Answer> {
    let awaits_invoice =
        payment.request().is_some_and(|request| matches!(request.target, Target::Offer { .. }));
    told(payment, part, of_event(reason, awaits_invoice))
}

/// The facts that LDK took nothing.
pub(crate) fn refusal_facts(
    payment: &Payment,
    part: PartId,
    refusal: &EngineRefusal,
) -> Vec<Answer> {
    let end = match refusal {
        EngineRefusal::RouteNotFound => End::HandOver(FailureReason::RouteNotFound),
        EngineRefusal::Expired => End::Payment(FailureReason::PaymentExpired),
        refusal if refusal.may_pass() => End::HandOver(FailureReason::UnexpectedError),
        _ => End::Payment(FailureReason::UnexpectedError),
    };
    told(payment, part, end)
}

fn told(payment: &Payment, part: PartId, end: End) -> Vec<Answer> {
    let id = *payment.id();
    let failure = match end {
        End::Refused => Failure::permanent(),
        End::Payment(_) | End::HandOver(_) => Failure::default(),
    };
    let given_up = match end {
        End::Payment(reason) => Some(reason),
        End::HandOver(reason) if nothing_follows(payment) => Some(reason),
        End::Refused | End::HandOver(_) => None,
    };
    let given_up = given_up.filter(|_| payment.status().is_open());
    let given_up = given_up.map(|reason| Answer::GivenUp(Abandon { id, reason }));
    given_up.into_iter().chain([Answer::Failed(FailPart { id, part, failure })]).collect()
}

/// Whether the retry policy allows no further hand-over, whatever the time: that one is over the ledger
/// judges by itself, since one reading of a clock may be wrong.
fn nothing_follows(payment: &Payment) -> bool {
    match payment.request().map(|request| request.retry) {
        Some(RetryPolicy::Attempts(retries)) => payment.attempts() > retries,
        Some(RetryPolicy::Until(_) | RetryPolicy::Manual) | None => false,
    }
}

fn of_event(reason: Option<PaymentFailureReason>, awaits_invoice: bool) -> End {
    use PaymentFailureReason as Reason;
    match reason {
        Some(
            Reason::RecipientRejected
            | Reason::UnknownRequiredFeatures
            | Reason::InvoiceRequestRejected,
        ) => End::Refused,
        Some(Reason::UserAbandoned) => End::Payment(FailureReason::UserAbandoned),
        // The next invoice for the same offer has an expiry of its own.
        Some(Reason::PaymentExpired) if awaits_invoice => {
            End::HandOver(FailureReason::PaymentExpired)
        }
        Some(Reason::PaymentExpired) => End::Payment(FailureReason::PaymentExpired),
        Some(Reason::RetriesExhausted) => End::HandOver(FailureReason::RetriesExhausted),
        Some(Reason::RouteNotFound | Reason::BlindedPathCreationFailed) => {
            End::HandOver(FailureReason::RouteNotFound)
        }
        Some(Reason::InvoiceRequestExpired) => End::HandOver(FailureReason::InvoiceRequestExpired),
        // LDK leaves the reason out where it was written by another version.
        Some(Reason::UnexpectedError) | None => End::HandOver(FailureReason::UnexpectedError),
    }
}

/// The fact that a part under a hash of its own ended.
pub(crate) fn of_foreign_part(id: PaymentId, part: PartId) -> Answer {
    Answer::Failed(FailPart { id, part, failure: Failure::default() })
}
