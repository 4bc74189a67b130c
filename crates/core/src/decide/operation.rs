//! What can be decided, and what decides it.

use core::convert::Infallible;

use crate::{
    decide::command::{
        Abandon, Acknowledge, AdoptPart, BlockHash, ClaimPart, CloseGap, DisownPart, Dispatch,
        FailPart, FinalizePart, FinishRecovery, ListParts, MarkPaid, ObservePart, Pay,
        ReceiveInvoice, RequestInvoice, SayAgain, Tick, UnblockHash, WithdrawPart,
    },
    decide::decision::{Context, Decision},
    decide::refusal::{
        AcknowledgeRefusal, DispatchRefusal, FactRefusal, PayRefusal, PhaseRefusal,
        ReceiveInvoiceRefusal, Refusal,
    },
    decide::reply::{
        AbandonReply, AcknowledgeReply, DispatchReply, FactReply, PayReply, Release, Reply,
        TickReply, WorkReply,
    },
    state::state::State,
};

/// Something that a ledger decides on: state + command + now -> events and a reply, or a refusal.
/// Pure; a refusal records nothing. Implemented by the commands alone.
pub trait Operation: sealed::Sealed {
    /// What it answers, once what it was decided on is durable.
    type Reply: Release;
    /// Why it may be refused.
    type Refusal: core::error::Error;

    /// Decides.
    ///
    /// # Errors
    /// The refusal; nothing is recorded then.
    fn decide(
        self,
        state: &State,
        context: &Context<'_>,
    ) -> Result<Decision<Self::Reply>, Self::Refusal>;
}

pub(crate) mod sealed {
    #[allow(unreachable_pub, reason = "named by a public trait, reachable by nobody else")]
    pub trait Sealed {}
}

macro_rules! operations {
    ($($name:ident => $decide:path, $reply:ident, $refusal:ident;)*) => {
        $(
            impl sealed::Sealed for $name {}

            impl Operation for $name {
                type Reply = $reply;
                type Refusal = $refusal;

                fn decide(
                    self,
                    state: &State,
                    context: &Context<'_>,
                ) -> Result<Decision<$reply>, $refusal> {
                    $decide(state, context, self)
                }
            }

            impl From<$name> for Command {
                fn from(command: $name) -> Self {
                    Self::$name(command)
                }
            }
        )*

        /// Any command, for callers that hold several kinds at once: scripts, fuzzers, queues.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Command {
            $(#[doc = concat!("[`", stringify!($name), "`].")] $name($name),)*
        }

        impl sealed::Sealed for Command {}

        impl Operation for Command {
            type Reply = Reply;
            type Refusal = Refusal;

            fn decide(
                self,
                state: &State,
                context: &Context<'_>,
            ) -> Result<Decision<Reply>, Refusal> {
                match self {
                    $(Self::$name(command) => command
                        .decide(state, context)
                        .map(|decision| decision.map(Reply::from))
                        .map_err(Refusal::from),)*
                }
            }
        }
    };
}

operations! {
    Pay => crate::decide::admission::pay, PayReply, PayRefusal;
    ReceiveInvoice => crate::decide::admission::receive_invoice, FactReply, ReceiveInvoiceRefusal;
    Dispatch => crate::decide::dispatch::dispatch, DispatchReply, DispatchRefusal;
    SayAgain => crate::decide::dispatch::say_again, FactReply, FactRefusal;
    WithdrawPart => crate::decide::resolution::withdraw, FactReply, FactRefusal;
    ClaimPart => crate::decide::claim::claim, FactReply, FactRefusal;
    FinalizePart => crate::decide::resolution::finalize, FactReply, FactRefusal;
    FailPart => crate::decide::resolution::fail, FactReply, FactRefusal;
    ObservePart => crate::decide::resolution::observe, FactReply, FactRefusal;
    RequestInvoice => crate::decide::invoice_request::keep, FactReply, FactRefusal;
    AdoptPart => crate::decide::adoption::adopt, FactReply, Infallible;
    MarkPaid => crate::decide::paid::mark_paid, FactReply, FactRefusal;
    ListParts => crate::decide::adoption::list, FactReply, FactRefusal;
    DisownPart => crate::decide::foreign::disown, FactReply, FactRefusal;
    BlockHash => crate::decide::adoption::block, FactReply, FactRefusal;
    UnblockHash => crate::decide::adoption::unblock, FactReply, FactRefusal;
    Abandon => crate::decide::resolution::abandon, AbandonReply, FactRefusal;
    Acknowledge => crate::decide::outbox::acknowledge, AcknowledgeReply, AcknowledgeRefusal;
    Tick => crate::decide::tick::tick, TickReply, PhaseRefusal;
    FinishRecovery => crate::decide::conclusions::finish_recovery, WorkReply, PhaseRefusal;
    CloseGap => crate::decide::conclusions::close_gap, WorkReply, PhaseRefusal;
}
