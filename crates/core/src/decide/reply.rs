//! Replies: what the caller of a decided command gets, once it is durable.

use alloc::vec::Vec;
use core::mem;

use crate::{
    base::ids::{PartId, PaymentId},
    decide::command::WithdrawPart,
    event::part::PartStatus,
    event::status::Status,
    state::forbidden::forbidden_by,
    state::state::State,
    state::views::PaymentView,
};

/// A reply at the moment of its release, when the state may be newer than the one it was decided
/// on.
pub trait Release {
    /// Updates what the reply promises to report as of its release.
    fn refresh(&mut self, _state: &State) {}

    /// Whether nothing that happened since it was decided can change it. A type that implements
    /// [`refresh`](Self::refresh) says here which of its replies that leaves alone.
    fn stands(&self) -> bool {
        true
    }

    /// What must be withdrawn if nobody reads the reply: parts that it gives the right to offer, or
    /// asks the caller to withdraw.
    fn forfeit(self) -> Vec<WithdrawPart>
    where
        Self: Sized,
    {
        Vec::new()
    }
}

/// The reply to [`Pay`](crate::Pay). Both variants are success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayReply {
    /// The request is recorded. Dispatch its parts.
    Accepted,
    /// The same request was accepted before; this is how it stands. Nothing was recorded.
    Duplicate(PaymentView),
}

/// The reply to [`Dispatch`](crate::Dispatch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DispatchReply {
    /// The batch is recorded: the right to offer its parts, once.
    Recorded {
        /// The payment that the parts pay.
        id: PaymentId,
        /// Its status at the release of this reply: it admits parts.
        status: Status,
        /// The parts to offer.
        parts: Vec<PartId>,
    },
    /// The batch was recorded, but by the release of this reply the payment no longer admits it:
    /// it was abandoned, say, while the batch was being written. Offer nothing, and withdraw the
    /// parts that are still in flight.
    Overtaken {
        /// The payment that the parts would have paid.
        id: PaymentId,
        /// Its status at the release of this reply; `None` if it is forgotten.
        status: Option<Status>,
        /// The parts that must not be offered.
        parts: Vec<PartId>,
    },
    /// This very batch was recorded before. Offer nothing.
    Duplicate {
        /// Each part's present status, in the order in which they were recorded.
        statuses: Vec<(PartId, PartStatus)>,
    },
}

/// The reply to a fact that was recorded, or that changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactReply {
    /// Whether it changed anything: a fact reported again does not. (That the node lists a part as out
    /// is recorded once in each opening in any case.)
    pub changed: bool,
    /// The payment that the fact was about and its status after it; `None` if it was about none.
    pub payment: Option<(PaymentId, Status)>,
}

/// The reply to [`Abandon`](crate::Abandon).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbandonReply {
    /// Whether anything was recorded.
    pub changed: bool,
    /// The status after it.
    pub status: Status,
}

/// The reply to [`Acknowledge`](crate::Acknowledge).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcknowledgeReply {
    /// How many of the ids were in the outbox.
    pub acknowledged: usize,
    /// How many failed payments were forgotten because of it.
    pub forgotten: usize,
}

/// The reply to [`Tick`](crate::Tick).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickReply {
    /// Whether the tick number grew.
    pub counted: bool,
    /// How many payments failed because a deadline was past.
    pub failed: usize,
    /// How many paid payments were forgotten.
    pub forgotten: usize,
    /// Whether more is due now: tick again.
    pub more: bool,
}

/// The reply to [`FinishRecovery`](crate::FinishRecovery) and [`CloseGap`](crate::CloseGap).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkReply {
    /// Whether more is due: call again.
    pub more: bool,
}

impl Release for PayReply {}
impl Release for FactReply {}
impl Release for AbandonReply {}
impl Release for AcknowledgeReply {}
impl Release for TickReply {}
impl Release for WorkReply {}

impl Release for DispatchReply {
    fn refresh(&mut self, state: &State) {
        let Self::Recorded { id, status, parts } = self else { return };
        let out = |part: &PartId| state.part(part) == Some((*id, PartStatus::InFlight));
        let free = state.payment(id).is_some_and(|payment| forbidden_by(state, payment).is_none());
        match state.payment_view(id).map(|view| view.status) {
            Some(now) if now.is_open() && free && parts.iter().all(out) => *status = now,
            now => *self = Self::Overtaken { id: *id, status: now, parts: mem::take(parts) },
        }
    }

    fn stands(&self) -> bool {
        !matches!(self, Self::Recorded { .. })
    }

    fn forfeit(self) -> Vec<WithdrawPart> {
        match self {
            Self::Recorded { id, parts, .. } | Self::Overtaken { id, parts, .. } => {
                parts.into_iter().map(|part| WithdrawPart { id, part }).collect()
            }
            Self::Duplicate { .. } => Vec::new(),
        }
    }
}

/// The reply to any [`Command`](crate::Command).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Accepted now, or known already.
    Pay(PayReply),
    /// Whether the parts may be offered.
    Dispatch(DispatchReply),
    /// Whether the fact was news, and to which payment.
    Fact(FactReply),
    /// Whether the payment was given up by it.
    Abandon(AbandonReply),
    /// How many notifications left the outbox.
    Acknowledge(AcknowledgeReply),
    /// What the tick did, and whether to call again.
    Tick(TickReply),
    /// Whether to call again: of a FinishRecovery or a CloseGap.
    Work(WorkReply),
}

impl Release for Reply {
    fn refresh(&mut self, state: &State) {
        if let Self::Dispatch(reply) = self {
            reply.refresh(state);
        }
    }

    fn stands(&self) -> bool {
        match self {
            Self::Dispatch(reply) => reply.stands(),
            _ => true,
        }
    }

    fn forfeit(self) -> Vec<WithdrawPart> {
        match self {
            Self::Dispatch(reply) => reply.forfeit(),
            _ => Vec::new(),
        }
    }
}

macro_rules! into_reply {
    ($($variant:ident($reply:ident),)*) => {
        $(impl From<$reply> for Reply {
            fn from(reply: $reply) -> Self {
                Self::$variant(reply)
            }
        })*
    };
}

into_reply! {
    Pay(PayReply),
    Dispatch(DispatchReply),
    Fact(FactReply),
    Abandon(AbandonReply),
    Acknowledge(AcknowledgeReply),
    Tick(TickReply),
    Work(WorkReply),
}
