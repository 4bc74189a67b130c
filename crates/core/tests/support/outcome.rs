//! What a step answered, and what the script expects of it. After a crash that left the step's
//! entry in the log its caller repeats it and is told that it is done: expectations know that.

use payonce_core::{
    AbandonReply, AcknowledgeReply, DispatchRefusal, DispatchReply, FactRefusal, FactReply,
    PartStatus, PayRefusal, PayReply, PhaseRefusal, ReceiveInvoiceRefusal, Refusal, Reply,
    TickReply, WorkReply,
};

use super::text;

/// The answer to one step.
#[derive(Debug)]
#[must_use = "a script says what it expects of every step"]
pub(crate) struct Outcome {
    pub(super) command: String,
    pub(super) result: Result<Reply, Refusal>,
    /// The first try crashed and its entry stayed; this is the answer to the repeat.
    pub(super) repeated: bool,
}

impl Outcome {
    /// A Pay was accepted.
    #[track_caller]
    pub(crate) fn accepted(self) {
        match &self.result {
            Ok(Reply::Pay(PayReply::Accepted)) => {}
            Ok(Reply::Pay(PayReply::Duplicate(view))) if self.repeated => {
                assert!(view.status.is_open(), "{self:?}");
            }
            _ => panic!("expected: accepted; got {self:?}"),
        }
    }

    /// A Pay was answered as a repeat, with this view.
    #[track_caller]
    pub(crate) fn duplicate(self, expected: &str) {
        let Ok(Reply::Pay(PayReply::Duplicate(view))) = &self.result else {
            panic!("expected: duplicate; got {self:?}");
        };
        assert_eq!(text::view(view), expected, "{}", self.command);
    }

    /// Something was recorded: a batch, a fact, an Abandon, a closed gap.
    #[track_caller]
    pub(crate) fn recorded(self) {
        let done = match &self.result {
            Ok(Reply::Dispatch(DispatchReply::Recorded { .. })) => !self.repeated,
            Ok(Reply::Dispatch(DispatchReply::Duplicate { statuses })) => {
                self.repeated && statuses.iter().all(|(_, status)| *status == PartStatus::InFlight)
            }
            Ok(
                Reply::Fact(FactReply { changed, .. })
                | Reply::Abandon(AbandonReply { changed, .. }),
            ) => *changed != self.repeated,
            Ok(Reply::Work(WorkReply { more: false })) => true,
            // What was recorded made the ledger forget the payment, or ended the gap.
            Err(
                Refusal::Fact(FactRefusal::UnknownPayment { .. })
                | Refusal::Phase(PhaseRefusal::NotRestored),
            ) => self.repeated,
            _ => false,
        };
        assert!(done, "expected: recorded; got {self:?}");
    }

    /// Nothing was recorded: the fact or the request was known.
    #[track_caller]
    pub(crate) fn no_change(self) {
        let unchanged = match &self.result {
            Ok(
                Reply::Fact(FactReply { changed, .. })
                | Reply::Abandon(AbandonReply { changed, .. }),
            ) => !changed,
            Ok(Reply::Acknowledge(AcknowledgeReply { acknowledged, forgotten })) => {
                *acknowledged == 0 && *forgotten == 0
            }
            Ok(Reply::Tick(TickReply { counted, failed, forgotten, .. })) => {
                !counted && *failed == 0 && *forgotten == 0
            }
            _ => false,
        };
        assert!(unchanged, "expected: no change; got {self:?}");
    }

    /// A tick was taken.
    #[track_caller]
    pub(crate) fn ticked(self) {
        assert!(matches!(self.result, Ok(Reply::Tick(_))), "expected: ticked; got {self:?}");
    }

    /// The batch was recorded before; these are the statuses of its parts.
    #[track_caller]
    pub(crate) fn duplicate_batch(self, expected: &[(&str, PartStatus)]) {
        let Ok(Reply::Dispatch(DispatchReply::Duplicate { statuses })) = &self.result else {
            panic!("expected: duplicate batch; got {self:?}");
        };
        let statuses: Vec<_> =
            statuses.iter().map(|(id, status)| (text::part(id), *status)).collect();
        let statuses: Vec<_> =
            statuses.iter().map(|(name, status)| (name.as_str(), *status)).collect();
        assert_eq!(statuses, expected, "{}", self.command);
    }

    /// Why it was refused, if it was.
    pub(crate) const fn refusal(&self) -> Option<&Refusal> {
        match &self.result {
            Ok(_) => None,
            Err(refusal) => Some(refusal),
        }
    }

    /// It was taken: recorded, or known.
    pub(crate) const fn is_answer(&self) -> bool {
        self.result.is_ok()
    }

    /// It was refused, with exactly these fields.
    #[track_caller]
    pub(crate) fn refused(self, expected: impl Into<Refusal>) {
        let expected = expected.into();
        assert_eq!(self.result.as_ref().err(), Some(&expected), "{self:?}");
    }

    /// It was refused because the hash is that of this other.
    #[track_caller]
    pub(crate) fn hash_in_use(self, expected: &str) {
        let other = match &self.result {
            Err(
                Refusal::Pay(PayRefusal::HashInUse { other, .. })
                | Refusal::ReceiveInvoice(ReceiveInvoiceRefusal::HashInUse { other })
                | Refusal::Dispatch(DispatchRefusal::HashInUse { other }),
            ) => text::holder(other),
            _ => panic!("expected: the hash is in use; got {self:?}"),
        };
        assert_eq!(other, expected, "{}", self.command);
    }
}
