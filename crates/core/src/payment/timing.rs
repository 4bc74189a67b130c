//! The deadlines of a payment: what forbids another attempt, and from when. Nothing happens here by
//! itself; a tick and the commands of SEMANTICS 6 compare.

use crate::{
    base::amount::UnixMillis,
    base::faults::Fault,
    base::{faults, limits},
    event::part::{PartKind, PartStatus},
    event::request::RetryPolicy,
    event::status::{FailureReason, Status},
    payment::details::{Since, WaitsUntil},
    payment::part::Part,
    payment::payment::Payment,
};

/// How many milliseconds one tick stands for, where a duration is counted in ticks.
const TICK_MS: u64 = 30_000;

/// How many counted ticks bound a duration, whatever one wrong reading of the clock says.
pub(crate) const fn ticks_of(duration_ms: u64) -> u64 {
    duration_ms.div_ceil(TICK_MS) + 1
}

/// The time at which a rule is applied: a reading of the clock, and the tick number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) now: UnixMillis,
    pub(crate) tick: u64,
    /// Whether the reading is believed: else nothing is given up for time.
    pub(crate) believed: bool,
}

impl Since {
    /// The moment at which a duration since then ends.
    const fn end(self, duration_ms: u64) -> UnixMillis {
        self.at.plus(duration_ms)
    }

    /// The last tick number at which a duration since then has not ended.
    const fn last_tick(self, duration_ms: u64) -> u64 {
        self.tick.saturating_add(ticks_of(duration_ms)).saturating_sub(1)
    }
}

impl Payment {
    /// Whether the number of attempts forbids another one.
    pub(crate) fn attempts_used_up(&self) -> bool {
        match self.retry() {
            RetryPolicy::Attempts(_) if faults::is(Fault::AttemptsUnchecked) => false,
            RetryPolicy::Attempts(retries) => self.attempts() > retries,
            RetryPolicy::Manual | RetryPolicy::Until(_) => false,
        }
    }

    /// The duration in which retries may be made, in milliseconds, and its beginning; only a first batch
    /// may come later.
    fn retry_time(&self) -> Option<(Since, u64)> {
        match self.retry() {
            RetryPolicy::Until(millis) if self.attempts() > 0 => {
                Some((self.details.retries_since?, millis))
            }
            _ => None,
        }
    }

    /// The retry deadline, by the clock; `None` without one.
    pub(crate) fn retry_limit(&self) -> Option<UnixMillis> {
        self.retry_time().map(|(since, millis)| since.end(millis))
    }

    /// The retry deadline, by ticks: the last tick number at which a retry may be made.
    fn retry_last_tick(&self) -> Option<u64> {
        let time = self.retry_time().filter(|_| !faults::is(Fault::NoTicksForDurations));
        time.map(|(since, millis)| since.last_tick(millis))
    }

    /// Whether the retry deadline is past, by the clock or by ticks: a wrong clock at the acceptance
    /// must not allow retries for years, nor a wrong clock at a tick end them.
    pub(crate) fn retry_time_past(&self, now: UnixMillis, tick: u64) -> bool {
        self.retry_limit().is_some_and(|until| until.is_past(now))
            || self.retry_last_tick().is_some_and(|last| tick > last)
    }

    /// The moment from which nothing may be dispatched: the expiry, and for an offer without its invoice
    /// also an invoice deadline that is a moment.
    pub(crate) fn expires(&self) -> Option<UnixMillis> {
        let deadline = match self.waits() {
            Some(WaitsUntil::At(moment)) => Some(moment),
            Some(WaitsUntil::Tick(_)) | None => None,
        };
        match (self.expiry(), deadline) {
            (Some(expiry), Some(deadline)) => Some(expiry.min(deadline)),
            (expiry, deadline) => expiry.or(deadline),
        }
    }

    /// The invoice deadline of an offer that waits for its invoice; `None` otherwise.
    fn waits(&self) -> Option<WaitsUntil> {
        self.details.waits_until.filter(|_| self.status == Status::AwaitingInvoice)
    }

    /// How many parts count against the limit: a withdrawn one counts nowhere.
    pub(crate) fn counted_parts(&self) -> usize {
        self.parts.iter().filter(|part| part.status != PartStatus::Withdrawn).count()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.counted_parts() < limits::PAYMENT_PARTS
    }

    /// Whether a deadline that forbids a dispatch is past.
    pub(crate) fn is_past(&self, now: UnixMillis, tick: u64) -> bool {
        self.expires().is_some_and(|limit| limit.is_past(now)) || self.retry_time_past(now, tick)
    }

    /// Why nothing more can be tried; `None` if something can. Missing room for parts counts only once
    /// nothing is unresolved; an invoice deadline acts only at a tick.
    pub(crate) fn hopeless(&self, time: Time) -> Option<FailureReason> {
        // While an engine may still be paying it, no deadline acts.
        let timed = time.believed && !self.is_delegated();
        // The payee refused: it could take the money of another try and deliver nothing (SEMANTICS 4, Fail).
        if self.is_rejected() {
            Some(FailureReason::RecipientRejected)
        } else if timed && self.expiry().is_some_and(|expiry| expiry.is_past(time.now)) {
            Some(FailureReason::PaymentExpired)
        } else if self.attempts_used_up()
            || (timed && self.retry_time_past(time.now, time.tick))
            || (!self.has_room() && self.is_resolved())
        {
            Some(FailureReason::RetriesExhausted)
        } else {
            None
        }
    }

    /// Whether an offer drops its invoice, once nothing of it is unresolved: the hand-over of its
    /// invoice has failed, or it has no invoice.
    pub(crate) fn drops_invoice(&self) -> bool {
        let failed_under = |own| {
            let mut failed = self.parts.iter().filter(|part| part.status == PartStatus::Failed);
            failed.any(|part| part.kind == PartKind::Delegated && self.part_hash(part) == own)
        };
        self.is_offer()
            && self.status == Status::Pending
            && (self.hash().is_none() || failed_under(self.hash()))
    }

    /// Whether a delegated part is unresolved.
    fn is_delegated(&self) -> bool {
        let unresolved = self.parts.iter().filter(|part| part.status.is_unresolved());
        unresolved.into_iter().any(|part| part.kind == PartKind::Delegated)
    }

    /// Whether the payee refused a part.
    fn is_rejected(&self) -> bool {
        self.parts.iter().any(Part::is_rejected)
    }

    /// Whether another batch may be dispatched, apart from deadlines and other payments.
    pub(crate) fn admits_batch(&self) -> bool {
        self.status.is_open()
            && self.remaining_amount().0 > 0
            && !self.attempts_used_up()
            && !self.is_rejected()
            && self.has_room()
    }
}

/// What a tick compares.
impl Payment {
    /// The earliest deadline, by the clock, after which a tick fails it; `None` while something of it is
    /// unresolved. For an offer without its invoice that is the invoice deadline; once the offer was
    /// handed over, the other deadlines count too.
    pub(crate) fn lapses_at(&self) -> Option<UnixMillis> {
        if !self.status.is_open() || !self.is_resolved() {
            return None;
        }
        let deadline = match self.waits() {
            Some(WaitsUntil::At(moment)) => Some(moment),
            Some(WaitsUntil::Tick(_)) | None => None,
        };
        let tried = self.waits().is_none() || self.attempts() > 0;
        let limits = [deadline, self.expiry().filter(|_| tried), self.retry_limit()];
        limits.into_iter().flatten().min()
    }

    /// The earliest deadline, as a tick number, after which a tick fails it; `None` while something of
    /// it is unresolved.
    pub(crate) fn lapses_above_tick(&self) -> Option<u64> {
        if !self.status.is_open() || !self.is_resolved() {
            return None;
        }
        let limits = [self.deadline_tick(), self.retry_last_tick()];
        limits.into_iter().flatten().min()
    }

    /// The invoice deadline, if it is a tick number: the last tick at which it waits.
    fn deadline_tick(&self) -> Option<u64> {
        match self.waits() {
            Some(WaitsUntil::Tick(tick)) => Some(tick),
            Some(WaitsUntil::At(_)) | None => None,
        }
    }

    /// Whether it waits for the tick number to grow: for a deadline in ticks, or for a duration, which
    /// is also past by ticks.
    pub(crate) fn waits_by_ticks(&self) -> bool {
        let duration = matches!(self.retry(), RetryPolicy::Until(_)) && self.attempts() > 0;
        let tick_deadline = matches!(self.details.waits_until, Some(WaitsUntil::Tick(_)));
        self.status.is_open() && (duration || tick_deadline || self.details.rests_until.is_some())
    }

    /// Why a tick at this time fails it, if it does.
    pub(crate) fn lapse(&self, time: Time) -> Option<FailureReason> {
        let due = self.lapses_at().is_some_and(|moment| moment.is_past(time.now))
            || self.lapses_above_tick().is_some_and(|limit| time.tick > limit);
        // A tick that fails the payment relies on it (decide/tick.rs).
        debug_assert!(!due || self.is_resolved(), "nothing lapses while a part is out");
        let deadline_past = match self.waits() {
            Some(WaitsUntil::At(moment)) => moment.is_past(time.now),
            Some(WaitsUntil::Tick(limit)) => time.tick > limit,
            None => false,
        };
        match (due, deadline_past) {
            (false, _) => None,
            (true, true) => Some(FailureReason::InvoiceRequestExpired),
            (true, false) => Some(self.hopeless(time).unwrap_or(FailureReason::RetriesExhausted)),
        }
    }
}
