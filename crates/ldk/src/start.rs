//! Starting: a ledger is opened beside LDK's channel state, told what LDK still has to say, and
//! compared with what LDK tracks; then it may pay.

use core::{
    error::Error,
    fmt,
    ops::Deref,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{cell::Cell, collections::HashMap};

use lightning::{
    events::{ClosureReason, Event, ReplayEvent},
    sign::EntropySource,
};
use payonce_core::{
    AdoptPart, Answer, BlockHash, EventStore, FactRefusal, FinalizePart, HashHolder, ListParts,
    MarkPaid, Opening, PartId, PartKind, PartStatus, PaymentHash, PaymentId, State, UnixMillis,
    UnresolvedPart, WithdrawPart, limits,
};
use payonce_runtime::{SharedLedger, SharedRecovery, Unavailable};

use crate::{
    border,
    engine::Engine,
    entry::{Entry, Stage, entries},
    error::{HandleError, StartError},
    handled::{Book as _, Handled, failed_part, tell_event},
    options::{ChannelState, Options},
    payer::Payer,
    refund,
};

/// A ledger that was opened and not yet compared with LDK: it takes events and pays nothing.
///
/// The order of a node's start, and what sees a wrong one:
///
/// 1. the **monitors**, all of them: LDK's manager cannot be read without;
/// 2. the **manager**, read by [`read_manager`](crate::read_manager), then blocks up to the tip, as
///    LDK's documentation says. A manager that was read once, and that LDK found to be older than a
///    monitor, is an error of `finish` where LDK says that something failed
///    ([`StartError::ManagerReadOnce`]);
/// 3. the **ledger**: [`open`](Self::open), which takes the manager;
/// 4. the **events** and LDK's list: [`finish`](Self::finish), before the background processor
///    starts and before any peer connects. Only it gives a [`Payer`], so nothing can be paid
///    before;
/// 5. the background processor, with [`Payer::handle_event`] first in its event handler; peers;
///    [`Payer::drive`].
#[must_use = "a payer is had by finishing its start"]
pub struct Starting<S: EventStore + Send + 'static, E, R> {
    recovery: SharedRecovery<S>,
    engine: E,
    entropy: R,
    options: Options,
    doubts: Doubts,
}

/// What LDK says in a start, and may not be so.
#[derive(Debug, Default)]
struct Doubts {
    /// LDK read a manager that is older than a monitor; what it says has failed from here on, it may
    /// have failed on reading.
    manager_was_older: AtomicBool,
    /// A failure was not believed.
    any: AtomicBool,
}

/// What a start found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartReport {
    /// Whether the log lacks something that the node knew. Nothing new is paid until the caller has
    /// told the payments of the gap and closed it
    /// ([`close_gap`](crate::SharedLedger::close_gap)).
    pub restored: bool,
    /// Hand-overs that LDK never got: they are due again.
    pub never_sent: Vec<PartId>,
    /// Hand-overs that LDK has not finished.
    pub still_out: Vec<PartId>,
    /// Hand-overs that LDK does not know and that may have been sent all the same
    /// ([`ChannelState::MayBeOlder`], or a restored log): they stay in flight.
    pub unanswered: Vec<PartId>,
    /// Parts that LDK has out and the ledger lacked, or held as over.
    pub adopted: Vec<PartId>,
    /// Payments that LDK says are paid, without any proof.
    pub paid_without_proof: Vec<PartId>,
    /// What LDK tracks and nothing in the ledger matches: probes, payments of other code, or
    /// payments of a ledger that was lost. Their hashes are blocked; no offer is paid while one is
    /// left.
    pub unknown: Vec<PartId>,
    /// Answers that the ledger refused: a mix-up of nodes, or a bug.
    pub refused: Vec<FactRefusal>,
}

/// A payer, and what its start found out.
pub type Started<S, E, R> = (Payer<S, E, R>, StartReport);

/// A start that was not finished: nothing is lost, and it may be tried again.
pub struct Unfinished<S: EventStore + Send + 'static, E, R> {
    /// Why.
    pub error: StartError,
    /// What was to be finished.
    pub starting: Starting<S, E, R>,
}

// LDK's types have no `Debug`: none is asked of the engine and the entropy.
impl<S: EventStore + Send + 'static, E, R> fmt::Debug for Starting<S, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<S: EventStore + Send + 'static, E, R> fmt::Debug for Unfinished<S, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S: EventStore + Send + 'static, E, R> fmt::Display for Unfinished<S, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S: EventStore + Send + 'static, E, R> Error for Unfinished<S, E, R> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl<S, E, R> Starting<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// Opens the ledger for the channels that the engine has loaded. `opening` holds the head that
    /// is stored with the channels. `entropy` is LDK's own.
    ///
    /// # Errors
    /// [`StartError::Open`] when the log is damaged or the store fails.
    pub fn open(
        store: S,
        opening: &Opening,
        engine: E,
        entropy: R,
        options: Options,
        now: UnixMillis,
    ) -> Result<Self, StartError> {
        let recovery = SharedLedger::open(store, opening, options.ledger, now)?;
        Ok(Self { recovery, engine, entropy, options, doubts: Doubts::default() })
    }

    /// Takes an event of LDK before the start is finished, as [`Payer::handle_event`] does after.
    ///
    /// # Errors
    /// As [`Payer::handle_event`].
    pub fn handle_event(&self, event: &Event, now: UnixMillis) -> Result<Handled, HandleError> {
        if let Event::ChannelClosed { reason: ClosureReason::OutdatedChannelManager, .. } = event {
            self.doubts.manager_was_older.store(true, Ordering::Relaxed);
        }
        if let Some(part) = self.doubted(event)? {
            self.doubts.any.store(true, Ordering::Relaxed);
            return Ok(Handled::NotBelieved { part });
        }
        Ok(tell_event(&self.recovery, &*self.engine, event, now)?.0)
    }

    /// The hand-over of which a failure is not to be believed: LDK queues that it closed the channel
    /// before what it failed on reading.
    fn doubted(&self, event: &Event) -> Result<Option<PartId>, Unavailable> {
        let was_older = self.doubts.manager_was_older.load(Ordering::Relaxed);
        let Some(part) = failed_part(event).filter(|_| was_older) else { return Ok(None) };
        if self.options.manager_read_twice {
            return Ok(None);
        }
        let status = self.recovery.query(|state| state.part(&part).map(|(_, status)| status))?;
        Ok((status == Some(PartStatus::InFlight)).then_some(part))
    }

    /// The ledger, for what the node itself knows of a gap.
    #[must_use]
    pub const fn recovery(&self) -> &SharedRecovery<S> {
        &self.recovery
    }

    /// Takes every event that LDK holds, compares the ledger with what LDK tracks, draws the
    /// conclusions, and gives a payer. Each event is recorded first and then given to `others`, the
    /// node's own handler.
    ///
    /// # Errors
    /// [`Unfinished`], which gives the starting back: [`StartError::EventsUndelivered`] when
    /// `others` refused an event, since what is queued behind it is not known then;
    /// [`StartError::ManagerReadOnce`] when LDK may have failed what is out;
    /// [`StartError::Unavailable`] when the store failed.
    #[expect(clippy::result_large_err, reason = "the starting is given back, once at a start")]
    pub fn finish(
        self,
        others: impl Fn(Event) -> Result<(), ReplayEvent>,
        now: UnixMillis,
    ) -> Result<Started<S, E, R>, Unfinished<S, E, R>> {
        let report = match self.take_events(others, now).and_then(|()| self.compare(now)) {
            Ok(report) => report,
            Err(error) => return Err(Unfinished { error, starting: self }),
        };
        let Self { recovery, engine, entropy, options, doubts } = self;
        let ledger = match recovery.clone().finish(now) {
            Ok(ledger) => ledger,
            Err(error) => {
                let starting = Self { recovery, engine, entropy, options, doubts };
                return Err(Unfinished { error: error.into(), starting });
            }
        };
        let unknown = report.unknown.iter().copied().collect();
        Ok((Payer::new(ledger, engine, entropy, options, unknown), report))
    }

    fn take_events(
        &self,
        others: impl Fn(Event) -> Result<(), ReplayEvent>,
        now: UnixMillis,
    ) -> Result<(), StartError> {
        let stopped = Cell::new(None);
        self.engine.deliver_events(&|event| {
            match self.handle_event(&event, now) {
                Err(HandleError(error)) => {
                    stopped.set(Some(StartError::Unavailable(error)));
                    return Err(ReplayEvent());
                }
                Ok(Handled::NotBelieved { .. }) => return Ok(()),
                Ok(_) => {}
            }
            others(event).inspect_err(|_| stopped.set(Some(StartError::EventsUndelivered)))
        });
        match stopped.into_inner() {
            Some(error) => Err(error),
            None if self.doubts.any.load(Ordering::Relaxed) => Err(StartError::ManagerReadOnce),
            None => Ok(()),
        }
    }

    /// Every resolution that LDK holds has been told: what is left is what LDK tracks.
    fn compare(&self, now: UnixMillis) -> Result<StartReport, StartError> {
        let tracked = entries(&*self.engine);
        let mut report = StartReport::default();
        let (own, news) = self.recovery.query(|state| {
            let unresolved = state.unresolved();
            let own = unresolved
                .iter()
                .filter_map(|at| answer_for(at, tracked.get(&at.part.id), &mut report));
            let own: Vec<_> = own.collect();
            let news = tracked.values().filter_map(|entry| news(state, entry, &mut report));
            let news: Vec<_> = news.collect();
            (own.into_iter().chain(listed(&unresolved, &tracked)).collect::<Vec<_>>(), news)
        })?;
        self.tell(own, &mut report, now)?;
        self.tell_news(news, &mut report, now)?;
        // An adoption may have shown that the log lacks something.
        report.restored = self.recovery.is_restored()?;
        self.never_sent(&tracked, &mut report, now)?;
        self.give_up_again(&tracked, &report)?;
        Ok(report)
    }

    fn tell(
        &self,
        answers: Vec<Answer>,
        report: &mut StartReport,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let told = self.recovery.tell(answers, now)?;
        report.refused.extend(told.into_iter().filter_map(Result::err));
        Ok(())
    }

    fn tell_news(
        &self,
        news: Vec<Answer>,
        report: &mut StartReport,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let told = self.recovery.tell(news.clone(), now)?;
        for (answer, reply) in news.iter().zip(told) {
            match (answer, reply) {
                (_, Err(refusal)) => report.refused.push(refusal),
                (Answer::Adopted(fact), Ok(reply)) if reply.changed => {
                    report.adopted.push(fact.part);
                }
                (Answer::Paid(fact), Ok(reply)) if reply.changed => {
                    report.paid_without_proof.extend(fact.part);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn never_sent(
        &self,
        tracked: &HashMap<PartId, Entry>,
        report: &mut StartReport,
        now: UnixMillis,
    ) -> Result<(), StartError> {
        let knowable = self.options.channel_state == ChannelState::Latest && !report.restored;
        let untracked = self.recovery.query(|state| {
            let out = |at: &UnresolvedPart| {
                at.part.status == PartStatus::InFlight && !tracked.contains_key(&at.part.id)
            };
            state.unresolved().into_iter().filter(out).collect::<Vec<_>>()
        })?;
        // Of a part that LDK had before, and of which no end was told, nothing is known.
        let (ours, other): (Vec<_>, Vec<_>) = untracked
            .into_iter()
            .partition(|at| knowable && at.another_writer && at.part.batch > 0);
        report.unanswered = other.iter().map(|at| at.part.id).collect();
        report.never_sent = ours.iter().map(|at| at.part.id).collect();
        let withdraw = |at: &UnresolvedPart| {
            Answer::NeverSent(WithdrawPart { id: at.payment, part: at.part.id })
        };
        self.tell(ours.iter().map(withdraw).collect(), report, now)?;
        Ok(())
    }

    /// LDK keeps no user's wish that it was told after its last save, nor does an older manager know
    /// what has failed since. What the ledger holds as over gets nothing more from LDK.
    fn give_up_again(
        &self,
        tracked: &HashMap<PartId, Entry>,
        report: &StartReport,
    ) -> Result<(), StartError> {
        let over = self.recovery.query(|state| {
            let over = |part: &&PartId| is_over(state, part, &report.adopted);
            tracked.keys().filter(over).copied().collect::<Vec<_>>()
        })?;
        for part in over {
            self.engine.abandon(border::engine_id(&part));
        }
        Ok(())
    }
}

/// What LDK's list says of a part that the ledger holds as unresolved.
fn answer_for(
    at: &UnresolvedPart,
    entry: Option<&Entry>,
    report: &mut StartReport,
) -> Option<Answer> {
    let (id, part) = (at.payment, at.part.id);
    match (at.part.status, entry) {
        (PartStatus::InFlight, Some(entry)) if entry.stage == Stage::Fulfilled => {
            report.paid_without_proof.push(part);
            Some(paid(id, entry))
        }
        (PartStatus::InFlight, Some(entry)) => {
            report.still_out.push(part);
            // Of an offer's hand-over the hash is news.
            let learned = entry.hash.filter(|hash| at.payment_hash != Some(*hash))?;
            Some(Answer::Adopted(adopted(id, part, learned)))
        }
        (PartStatus::Claimed, None) => Some(Answer::Gone(FinalizePart { id, part })),
        _ => None,
    }
}

/// What LDK lists as out and the ledger holds as unresolved: while it recovers, nothing weaker
/// counts against that.
fn listed(unresolved: &[UnresolvedPart], tracked: &HashMap<PartId, Entry>) -> Vec<Answer> {
    let out =
        |part: &PartId| tracked.get(part).is_some_and(|entry| entry.stage != Stage::Fulfilled);
    let parts: Vec<_> = unresolved.iter().map(|at| at.part.id).filter(out).collect();
    let some = parts.chunks(limits::LISTED_PARTS);
    some.map(|parts| Answer::Listed(ListParts { parts: parts.to_vec() })).collect()
}

/// What LDK tracks and the ledger does not hold as unresolved: it lacks it, or holds it as over.
fn news(state: &State, entry: &Entry, report: &mut StartReport) -> Option<Answer> {
    let part = entry.part;
    let status = state.part(&part).map(|(_, status)| status);
    if status.is_some_and(PartStatus::is_unresolved) {
        return None;
    }
    // Of an earlier try, or of a payment that is remembered, too.
    let owner = state.owner_of(&part);
    let named = owner.or(entry.hash.map(PaymentId::from_payment_hash));
    match (entry.stage, named, entry.hash) {
        (Stage::Fulfilled, Some(_), _) if status.is_some_and(PartStatus::is_settled) => None,
        (Stage::Fulfilled, Some(id), _) => Some(paid(id, entry)),
        (Stage::Pending | Stage::Abandoned, Some(id), Some(payment_hash)) => {
            // A probe's hash is random: a payment's hash is never a probe's.
            let holder = state.holder_of(&payment_hash);
            if owner.is_none() && !matches!(holder, Some(HashHolder::Payment(_))) {
                report.unknown.push(part);
                return Some(Answer::Blocked(BlockHash { payment_hash }));
            }
            Some(Answer::Adopted(adopted(id, part, payment_hash)))
        }
        // What the ledger holds as over gets nothing more from LDK.
        (Stage::AwaitingInvoice, Some(_), _) => None,
        _ => {
            report.unknown.push(part);
            None
        }
    }
}

/// LDK does not say whatever it took.
fn paid(id: PaymentId, entry: &Entry) -> Answer {
    Answer::Paid(MarkPaid { payment_hash: entry.hash, ..MarkPaid::new(id).part(entry.part) })
}

/// LDK's total is that of one path where it was rebuilt from a monitor: the amount is unknown, so
/// that nothing more is missing while the part is out.
const fn adopted(id: PaymentId, part: PartId, payment_hash: PaymentHash) -> AdoptPart {
    AdoptPart { id, part, payment_hash, amount: None, fee: None, kind: PartKind::Delegated }
}

/// Whether LDK should try nothing more under this id.
fn is_over(state: &State, part: &PartId, adopted: &[PartId]) -> bool {
    let Some((id, status)) = state.part(part) else { return state.owner_of(part).is_some() };
    let Some(payment) = state.payment(&id).filter(|payment| payment.status().is_open()) else {
        return true;
    };
    status != PartStatus::InFlight || adopted.contains(part) || refund::is_lost(payment, part)
}
