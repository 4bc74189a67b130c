//! The timeout rules: what forbids another attempt, and when. Nothing here fires; a tick and the
//! commands of SEMANTICS 6 compare.

use crate::{
    amount::UnixMillis,
    limits,
    part::{Fate, PartKind},
    payment::{Payment, WaitsUntil},
    request::RetryPolicy,
    status::FailureReason,
};

impl Payment {
    /// Whether the number of attempts forbids another one.
    pub(crate) fn attempts_used_up(&self) -> bool {
        match self.retry() {
            RetryPolicy::Attempts(retries) => self.attempts() > retries,
            RetryPolicy::Manual | RetryPolicy::Until(_) => false,
        }
    }

    /// The moment from which no retry may be made: only a first batch may come later.
    pub(crate) fn retry_limit(&self) -> Option<UnixMillis> {
        self.until().filter(|_| self.attempts() > 0)
    }

    pub(crate) fn retry_time_past(&self, now: UnixMillis) -> bool {
        self.retry_limit().is_some_and(|until| until.is_past(now))
    }

    /// The moment from which nothing may be dispatched: the expiry, and for an offer without its
    /// invoice also an absolute deadline.
    pub(crate) fn expires(&self) -> Option<UnixMillis> {
        let deadline = match self.rare.waits_until {
            Some(WaitsUntil::At(moment)) => Some(moment),
            Some(WaitsUntil::Tick(_)) | None => None,
        };
        match (self.expiry(), deadline) {
            (Some(expiry), Some(deadline)) => Some(expiry.min(deadline)),
            (expiry, deadline) => expiry.or(deadline),
        }
    }

    /// How many parts count against the limit: a withdrawn one counts nowhere.
    pub(crate) fn counted_parts(&self) -> usize {
        self.parts.iter().filter(|part| part.fate != Fate::Withdrawn).count()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.counted_parts() < limits::PAYMENT_PARTS
    }

    /// The first moment at which time forbids a dispatch.
    pub(crate) fn cutoff(&self) -> UnixMillis {
        let expires = self.expires().unwrap_or(UnixMillis::NEVER);
        expires.min(self.retry_limit().unwrap_or(UnixMillis::NEVER))
    }

    /// Why nothing more can be tried at `now`, if nothing can. Room counts only once nothing is
    /// unresolved; an offer's deadline acts at a tick alone.
    pub(crate) fn hopeless(&self, now: UnixMillis) -> Option<FailureReason> {
        // While an engine has it in hand, no deadline acts.
        let timed = !self.is_delegated();
        if self.is_rejected() {
            Some(FailureReason::RecipientRejected)
        } else if timed && self.expiry().is_some_and(|expiry| expiry.is_past(now)) {
            Some(FailureReason::PaymentExpired)
        } else if self.attempts_used_up()
            || (timed && self.retry_time_past(now))
            || (!self.has_room() && self.is_resolved())
        {
            Some(FailureReason::RetriesExhausted)
        } else {
            None
        }
    }

    /// Whether a delegated part is unresolved.
    fn is_delegated(&self) -> bool {
        let unresolved = self.parts.iter().filter(|part| part.fate.is_unresolved());
        unresolved.into_iter().any(|part| part.kind == PartKind::Delegated)
    }

    /// Whether the payee refused a part.
    fn is_rejected(&self) -> bool {
        self.parts.iter().any(|part| part.fate == Fate::Failed && part.permanent)
    }

    /// Whether, time and other payments aside, another batch may be dispatched.
    pub(crate) fn admits_batch(&self) -> bool {
        self.status.is_open()
            && self.missing().0 > 0
            && !self.attempts_used_up()
            && !self.is_rejected()
            && self.has_room()
    }
}

/// What a tick compares.
impl Payment {
    /// The moment at which a tick fails it, as long as nothing of it is unresolved. An offer
    /// without its invoice waits for its deadline; once it was handed over it lapses like any
    /// other.
    pub(crate) fn lapses_at(&self) -> Option<UnixMillis> {
        if !self.status.is_open() || !self.is_resolved() {
            return None;
        }
        let deadline = match self.rare.waits_until {
            Some(WaitsUntil::At(moment)) => Some(moment),
            Some(WaitsUntil::Tick(_)) | None => None,
        };
        let tried = self.rare.waits_until.is_none() || self.attempts() > 0;
        let limits = [deadline, self.expiry().filter(|_| tried), self.retry_limit()];
        limits.into_iter().flatten().min()
    }

    /// The tick number above which a tick fails it, as long as nothing of it is unresolved.
    pub(crate) fn lapses_above_tick(&self) -> Option<u64> {
        self.tick_limit().filter(|_| self.is_resolved())
    }

    /// The tick number until which it waits for its invoice.
    pub(crate) fn tick_limit(&self) -> Option<u64> {
        match self.rare.waits_until {
            Some(WaitsUntil::Tick(tick)) if self.status.is_open() => Some(tick),
            _ => None,
        }
    }

    /// Why a tick at this moment fails it, if it does.
    pub(crate) fn lapse(&self, now: UnixMillis, tick: u64) -> Option<FailureReason> {
        let due = self.lapses_at().is_some_and(|moment| moment.is_past(now))
            || self.lapses_above_tick().is_some_and(|limit| tick > limit);
        let deadline_past = match self.rare.waits_until {
            Some(WaitsUntil::At(moment)) => moment.is_past(now),
            Some(WaitsUntil::Tick(limit)) => tick > limit,
            None => false,
        };
        match (due, deadline_past) {
            (false, _) => None,
            (true, true) => Some(FailureReason::InvoiceRequestExpired),
            (true, false) => Some(self.hopeless(now).unwrap_or(FailureReason::RetriesExhausted)),
        }
    }
}
