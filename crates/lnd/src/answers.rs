//! What LND's answers mean: every status of a payment, every failure reason, every error of a call.
//! docs/INTEGRATING-API.md has it as a table.

use std::error::Error;

use payonce_core::{Msat, PaymentHash, Preimage};
use payonce_engine::{EngineError, Payout, Shown};
use tokio_rustls::rustls;
use tonic::{Code, Status};

use crate::wire::lnrpc::{Payment, PaymentFailureReason as Reason, payment::PaymentStatus};

fn nonsense(what: String) -> EngineError {
    EngineError::Nonsense { what }
}

/// What LND shows for a hash.
///
/// # Errors
/// [`EngineError::Nonsense`]: what is not of this hash, or cannot be, is not believed.
pub(crate) fn shown(payment: &Payment, asked: &PaymentHash) -> Result<Shown, EngineError> {
    let hash: PaymentHash = (payment.payment_hash.parse())
        .map_err(|_| nonsense(format!("{:?} as a payment hash", payment.payment_hash)))?;
    if hash != *asked {
        return Err(nonsense(format!("asked about {asked}, it answers about {hash}")));
    }
    let mark = (payment.payment_index > 0).then_some(payment.payment_index);
    let unknown = || nonsense(format!("status {} of {asked}", payment.status));
    match PaymentStatus::try_from(payment.status).map_err(|_| unknown())? {
        PaymentStatus::Unknown => Err(unknown()),
        PaymentStatus::Initiated | PaymentStatus::InFlight => Ok(Shown::Out { mark }),
        PaymentStatus::Succeeded => paid(payment, asked),
        PaymentStatus::Failed => {
            let reason = Reason::try_from(payment.failure_reason).map_err(|_| {
                nonsense(format!("failure reason {} of {asked}", payment.failure_reason))
            })?;
            // Whose end that is nobody could tell.
            let mark =
                mark.ok_or_else(|| nonsense(format!("{asked} as failed, without an index")))?;
            Ok(Shown::Failed {
                mark: Some(mark),
                permanent: reason == Reason::FailureReasonIncorrectPaymentDetails,
                reason: reason.as_str_name().to_owned(),
            })
        }
    }
}

fn paid(payment: &Payment, asked: &PaymentHash) -> Result<Shown, EngineError> {
    // Not shown: it is the proof of a payment, and some are worth money.
    let preimage: Preimage = (payment.payment_preimage.parse())
        .map_err(|_| nonsense(format!("{asked} as paid, without a preimage")))?;
    if preimage.payment_hash() != *asked {
        return Err(nonsense(format!("{asked} as paid, with a preimage that is not its own")));
    }
    // The proof is true whatever the figures say: those that cannot be are not known.
    let (amount, fee) = (figure(payment.value_msat), figure(payment.fee_msat));
    Ok(Shown::Paid(Payout { preimage, amount: amount.filter(|sent| sent.0 > 0), fee }))
}

/// An amount as LND writes it, if it can be one.
fn figure(msat: i64) -> Option<Msat> {
    let amount = Msat(u64::try_from(msat).ok()?);
    (amount <= Msat::MAX).then_some(amount)
}

/// LND's words before it reads a request, when it does not work yet.
const STARTING: [&str; 4] = [
    "waiting to start, RPC services not available",
    "wallet not created, create one to enable full RPC access",
    "wallet locked, unlock it to enable full RPC access",
    "the RPC server is in the process of starting up, but not yet ready to accept calls",
];
/// How its words begin before it reads a request, when the macaroon is not in order.
const DENIED: [&str; 5] = [
    "cannot determine data format of binary-encoded macaroon",
    "verification failed:",
    "cannot get macaroon:",
    "expected 1 macaroon, got",
    "cannot determine macaroon",
];
const DENIED_WHOLE: [&str; 2] = ["permission denied", "unable to determine macaroon permissions"];

/// What stands between us and LND says, or LND when it was cut off: whether it had read the request by then
/// nobody knows.
const CUT_OFF: [&str; 4] =
    ["context canceled", "context deadline exceeded", "transport is closing", "EOF"];

/// What an error of a call means for the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// LND has not read it and never will.
    NotRead(EngineError),
    /// LND's handler of the call has read it and has ended.
    Ended(String),
    /// LND knows nothing under this hash.
    NotFound,
    /// The hash is out or paid.
    Exists,
    /// Nobody knows whether the request is out.
    Unknown(EngineError),
}

pub(crate) fn meaning(status: &Status) -> Meaning {
    let why = words(status);
    // Made on our side of the wire: the connection, not the node.
    if let Some(source) = status.source() {
        return Meaning::Unknown(connection(source, why));
    }
    let text = status.message();
    match status.code() {
        Code::AlreadyExists => Meaning::Exists,
        Code::NotFound => Meaning::NotFound,
        Code::Unknown if STARTING.iter().any(|known| text.starts_with(known)) => {
            Meaning::NotRead(EngineError::Unreachable { why })
        }
        Code::Unknown if is_denied(text) => Meaning::NotRead(EngineError::Denied { why }),
        Code::PermissionDenied | Code::Unauthenticated => {
            Meaning::Unknown(EngineError::Denied { why })
        }
        // What the node's own disk says while it makes the entry, and what tonic makes of a foreign
        // answer: the entry may be there.
        Code::Unknown if text.starts_with("unable to init payment") => {
            Meaning::Unknown(EngineError::Unreachable { why })
        }
        Code::Unknown if is_cut_off(text) => Meaning::Unknown(EngineError::Unreachable { why }),
        Code::Unknown if text.contains("grpc-status header missing") => {
            Meaning::Unknown(EngineError::Unreachable { why })
        }
        Code::Unknown | Code::InvalidArgument => Meaning::Ended(why),
        Code::Unimplemented => Meaning::Unknown(EngineError::Denied { why }),
        _ => Meaning::Unknown(EngineError::Unreachable { why }),
    }
}

fn is_denied(text: &str) -> bool {
    DENIED.iter().any(|known| text.starts_with(known)) || DENIED_WHOLE.contains(&text)
}

fn is_cut_off(text: &str) -> bool {
    CUT_OFF.iter().any(|known| text.contains(known))
}

/// What an error says when nothing but an answer was asked for.
pub(crate) fn unanswered(status: &Status) -> EngineError {
    match meaning(status) {
        Meaning::NotRead(error) | Meaning::Unknown(error) => error,
        Meaning::Ended(why) => EngineError::Unreachable { why },
        Meaning::NotFound | Meaning::Exists => EngineError::Nonsense { what: words(status) },
    }
}

fn words(status: &Status) -> String {
    let mut words = format!("{:?}: {}", status.code(), status.message());
    let mut next = status.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        next = error.source();
    }
    words
}

/// Whether somebody must mend it, or it may pass.
fn connection(source: &(dyn Error + 'static), why: String) -> EngineError {
    let mut next = Some(source);
    while let Some(error) = next {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = wrapped.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let tls = error.downcast_ref::<rustls::Error>().or(inner);
        if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
            return EngineError::Denied { why };
        }
        next = error.source();
    }
    EngineError::Unreachable { why }
}
