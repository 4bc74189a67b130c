//! What users see of a payment.

use crate::{
    base::amount::Msat,
    base::ids::{PaymentId, Preimage},
    event::hash_paid::PaidElsewhere,
    event::notification::NotificationId,
    event::status::Status,
};

/// A payment as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PaymentView {
    /// The id that the caller chose, or the node if it was adopted.
    pub id: PaymentId,
    /// Where it stands, with the reason if it was given up.
    pub status: Status,
    /// What is not yet in flight nor settled, in msat; 0 once no parts may be dispatched.
    pub remaining: Msat,
    /// How many parts reported under its id are out: its own, and foreign parts. While this is above 0,
    /// a failure that was notified is not true any more.
    pub unresolved: usize,
    /// Whether something other than its own parts blocks it: a foreign part, a blocked hash. Until that
    /// ends it is not dispatched, does not fail and is not tried again.
    pub blocked: bool,
    /// What was paid; `None` if it is not paid.
    pub paid: Option<Paid>,
    /// Which payment has paid its hash instead; `None` if none has.
    pub paid_elsewhere: Option<PaidElsewhere>,
    /// The id of its latest PaymentFailed, which a new try must name; `None` if it did not fail.
    pub failed: Option<NotificationId>,
    /// Whether it was adopted: the ledger has no request for it.
    pub adopted: bool,
    /// Whether only its outcome is left.
    pub remembered: bool,
}

impl PaymentView {
    /// Whether its outcome is known and final for now: paid, or failed with nothing out.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        match self.status {
            Status::Fulfilled => true,
            Status::Failed { .. } => self.unresolved == 0 && !self.blocked,
            Status::AwaitingInvoice | Status::Pending | Status::Abandoned { .. } => false,
        }
    }
}

/// What a paid payment settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Paid {
    /// The preimage; `None` while only somebody's word says that it is paid.
    pub preimage: Option<Preimage>,
    /// What the settled parts brought to the payee, in msat; `None` when it is not known. It can grow after
    /// the notification `PaymentSent`, which has the sums of its moment; `PaymentSettled` tells the last ones.
    pub amount: Option<Msat>,
    /// What their routes took in fees, in msat; `None` when it is not known.
    pub fee: Option<Msat>,
}
