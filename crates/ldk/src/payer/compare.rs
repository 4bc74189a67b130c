//! Comparing: what the ledger holds against what LDK tracks, once every resolution that LDK holds was told.

use std::collections::HashMap;

use payonce_core::{
    AdoptPart, Answer, BlockHash, FactRefusal, FinalizePart, HashHolder, ListParts, MarkPaid,
    PartId, PartKind, PartStatus, PaymentHash, PaymentId, Settlement, State, UnixMillis,
    UnresolvedPart, WithdrawPart, limits,
};
use payonce_runtime::Unavailable;

use crate::{
    bridge::border,
    bridge::engine::Engine,
    bridge::entry::{Entry, Stage, entries},
    bridge::imported::is_imported,
    bridge::options::ChannelState,
    events::book::Book,
    events::refund,
    payer::payer::wants_no_more,
};

/// What a start found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartReport {
    /// Whether the log lacks something that the node knew. Nothing new is paid until the caller has
    /// told the payments of the gap and closed it
    /// ([`close_gap`](crate::SharedLedger::close_gap)).
    pub restored: bool,
    /// No head was given ([`Opening::known_head`](payonce_core::Opening::known_head)): a ledger from an
    /// old backup would not have been noticed. At a node's first start there is none yet.
    pub without_head: bool,
    /// Hand-overs that LDK never got: they are due again.
    pub never_sent: Vec<PartId>,
    /// Hand-overs that LDK has not finished.
    pub still_out: Vec<PartId>,
    /// Hand-overs that LDK does not know and that may have been sent all the same
    /// ([`ChannelState::MayBeOlder`], a restored log, or one that was [imported](crate::import)): they stay in
    /// flight.
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

/// A ledger that is being compared with what LDK tracks.
struct Comparison<'a, B> {
    book: &'a B,
    tracked: HashMap<PartId, Entry>,
    report: StartReport,
    now: UnixMillis,
}

/// Compares the two, and draws the conclusions.
pub(crate) async fn compare<E: Engine + ?Sized>(
    book: &impl Book,
    engine: &E,
    channel_state: ChannelState,
    now: UnixMillis,
) -> Result<StartReport, Unavailable> {
    let report = StartReport::default();
    let mut comparison = Comparison { book, tracked: entries(engine), report, now };
    let (own, news) = comparison.find().await?;
    comparison.tell(own).await?;
    comparison.tell_news(news).await?;
    // An adoption may have shown that the log lacks something.
    comparison.report.restored = book.ask(State::is_restored).await?;
    comparison.never_sent(channel_state).await?;
    // LDK keeps no user's wish that it was told after its last save, nor does an older manager know what
    // has failed since. What the ledger holds as over gets nothing more from LDK.
    for part in comparison.over().await? {
        engine.abandon(border::engine_id(&part));
    }
    Ok(comparison.report)
}

impl<B: Book> Comparison<'_, B> {
    /// What is to be told of the ledger's own parts, and of what it does not hold as unresolved.
    async fn find(&mut self) -> Result<(Vec<Answer>, Vec<Answer>), Unavailable> {
        let Self { book, tracked, report, .. } = self;
        let found = book.ask(|state| {
            let unresolved = state.unresolved();
            let own = unresolved
                .iter()
                .filter_map(|at| answer_for(at, tracked.get(&at.part.id), report))
                .collect::<Vec<_>>();
            let news = tracked.values().filter_map(|entry| news(state, entry, report));
            let news: Vec<_> = news.collect();
            (own.into_iter().chain(listed(&unresolved, tracked)).collect(), news)
        });
        found.await
    }

    async fn tell(&mut self, answers: Vec<Answer>) -> Result<(), Unavailable> {
        let told = self.book.tell(answers, self.now).await?;
        self.report.refused.extend(told.into_iter().filter_map(Result::err));
        Ok(())
    }

    async fn tell_news(&mut self, news: Vec<Answer>) -> Result<(), Unavailable> {
        let told = self.book.tell(news.clone(), self.now).await?;
        for (answer, reply) in news.iter().zip(told) {
            match (answer, reply) {
                (_, Err(refusal)) => self.report.refused.push(refusal),
                (Answer::Adopted(fact), Ok(reply)) if reply.changed => {
                    self.report.adopted.push(fact.part);
                }
                (Answer::Paid(fact), Ok(reply)) if reply.changed => {
                    self.report.paid_without_proof.extend(fact.part);
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn never_sent(&mut self, channel_state: ChannelState) -> Result<(), Unavailable> {
        let knowable = channel_state == ChannelState::Latest && !self.report.restored;
        let tracked = &self.tracked;
        let untracked = self.book.ask(|state| {
            let out = |at: &UnresolvedPart| {
                at.part.status == PartStatus::InFlight && !tracked.contains_key(&at.part.id)
            };
            state.unresolved().into_iter().filter(out).collect::<Vec<_>>()
        });
        // Of a part that LDK had before, and of which no end was told, nothing is known. Nor of one of another
        // table: it was recorded by whatever rules that had, and made again it could be paid twice.
        let (ours, other): (Vec<_>, Vec<_>) = (untracked.await?).into_iter().partition(|at| {
            let ours = at.another_writer && at.part.batch > 0 && !is_imported(&at.part);
            knowable && ours
        });
        self.report.unanswered = other.iter().map(|at| at.part.id).collect();
        self.report.never_sent = ours.iter().map(|at| at.part.id).collect();
        let withdraw = |at: &UnresolvedPart| {
            Answer::NeverSent(WithdrawPart { id: at.payment, part: at.part.id })
        };
        self.tell(ours.iter().map(withdraw).collect()).await
    }

    /// What LDK should try nothing more for.
    async fn over(&self) -> Result<Vec<PartId>, Unavailable> {
        let over = self.book.ask(|state| {
            let over = |part: &&PartId| is_over(state, part, &self.report.adopted);
            self.tracked.keys().filter(over).copied().collect()
        });
        over.await
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
    if entry.is_probe {
        return None;
    }
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
                return Some(Answer::Blocked(BlockHash::new(payment_hash)));
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

/// LDK says no amount, and a fee in its newer line alone.
fn paid(id: PaymentId, entry: &Entry) -> Answer {
    let settlement = Settlement { amount: None, fee: entry.fee };
    let word = MarkPaid::new(id).part(entry.part).settlement(settlement);
    Answer::Paid(MarkPaid { payment_hash: entry.hash, ..word })
}

/// LDK's total is that of one path where it was rebuilt from a monitor: the amount is unknown, so
/// that nothing more is missing while the part is out.
const fn adopted(id: PaymentId, part: PartId, payment_hash: PaymentHash) -> AdoptPart {
    AdoptPart { id, part, payment_hash, amount: None, fee: None, kind: PartKind::Delegated }
}

/// Whether LDK should try nothing more under this id.
fn is_over(state: &State, part: &PartId, adopted: &[PartId]) -> bool {
    let Some((id, status)) = state.part(part) else { return state.owner_of(part).is_some() };
    let Some(payment) = state.payment(&id) else { return true };
    wants_no_more(payment)
        || status != PartStatus::InFlight
        || adopted.contains(part)
        // What a log lacks that is older than the channels may be a refund that somebody holds.
        || (!state.is_restored() && refund::is_lost(payment, part))
}
