//! What a payment looks like from outside.

use crate::{
    base::amount::Msat,
    base::ids::{PaymentId, Preimage},
    event::hash_paid::PaidElsewhere,
    event::notification::NotificationId,
    event::status::Status,
};

/// A payment as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PaymentView {
    /// The payment.
    pub id: PaymentId,
    /// Its status.
    pub status: Status,
    /// What is not yet in flight nor settled, while parts may be dispatched.
    pub remaining: Msat,
    /// How many parts told under its id are out or on their channels: its own, and those with another
    /// hash. A failure that was told while this is above zero is no longer true.
    pub unresolved: usize,
    /// Whether something blocks it beside its own parts: a part with another hash, a blocked hash. It is
    /// neither dispatched nor failed nor tried anew until that ends.
    pub blocked: bool,
    /// What was paid, if it is paid.
    pub paid: Option<Paid>,
    /// Who has paid its hash instead, if somebody did.
    pub paid_elsewhere: Option<PaidElsewhere>,
    /// The notification that said that it failed, if it failed: what a new try must name.
    pub failed: Option<NotificationId>,
    /// Whether the ledger has no request for it: it is known from its parts alone.
    pub adopted: bool,
    /// Whether only its outcome is left.
    pub remembered: bool,
}

impl PaymentView {
    /// Whether its outcome is known and stands: paid, or failed with nothing out.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Paid {
    /// The proof, if known.
    pub preimage: Option<Preimage>,
    /// What the claimed parts brought to the payee; `None` when it is not known.
    pub amount: Option<Msat>,
    /// What their routes took; `None` when it is not known.
    pub fee: Option<Msat>,
}
