//! What the histories reached: each verdict put to the question, and each row of docs/SEMANTICS.md, counted
//! in histories.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use std::collections::HashMap;

use crate::{
    judge::{Reached, Verdict},
    translation::{Core, Word},
};

/// The rows of docs/SEMANTICS.md: a short name, and the ways to reach it.
const TABLE: &[(&str, &str)] = &[
    // 1 and 2: admission.
    ("2 accepted", "pay unknown: Accepted"),
    ("2 repeat, open", "pay Pending: Duplicate, pay AwaitingInvoice: Duplicate"),
    ("2 repeat, given up", "pay Abandoned: Duplicate"),
    ("2 repeat, paid", "pay Fulfilled: Duplicate"),
    ("2 repeat, failed", "pay Failed: Duplicate"),
    ("2 repeat, remembered", "pay remembered: Duplicate"),
    ("2 conflict", "pay Pending: Conflict"),
    ("2 conflict, remembered", "pay remembered: Conflict"),
    ("2 a new try", "pay again Failed: Accepted"),
    ("2 a new try, remembered", "pay again remembered: Accepted"),
    ("2 a new try of what has not failed", "pay again Pending: Duplicate"),
    ("2 hash in use", "pay unknown: HashInUse"),
    ("2 hash in use, new try", "pay again Failed: HashInUse"),
    ("2 restored", "pay unknown: Restored"),
    ("2 invoice", "invoice AwaitingInvoice: Changed"),
    ("2 invoice, hash in use", "invoice AwaitingInvoice: HashInUse"),
    ("2 invoice, not awaited", "invoice Pending: NotAwaitingInvoice"),
    ("2 invoice, unknown", "invoice unknown: UnknownPayment"),
    // 3: dispatch.
    ("3 recorded", "dispatch Pending: Recorded"),
    ("3 delegated", "delegate AwaitingInvoice: Recorded"),
    ("3 part in use", "dispatch Pending: PartInUse"),
    ("3 not open, paid", "dispatch Fulfilled: NotOpen"),
    ("3 not open, given up", "dispatch Abandoned: NotOpen"),
    ("3 not open, failed", "dispatch Failed: NotOpen"),
    ("3 not open, remembered", "dispatch remembered: NotOpen"),
    ("3 restored", "dispatch Pending: Restored"),
    ("3 hash in use", "dispatch Pending: HashInUse"),
    ("3 expired", "dispatch Pending: Expired"),
    ("3 attempts used up", "dispatch Pending: AttemptsUsedUp"),
    ("3 retry time past", "dispatch Pending: RetryTimePast"),
    ("3 stale attempt", "dispatch Pending: StaleAttempt"),
    ("3 nothing missing", "dispatch Pending: NothingMissing"),
    ("3 overpays", "dispatch Pending: Overpays"),
    ("3 fees too high", "dispatch Pending: FeesTooHigh"),
    // 4: resolution.
    ("4 withdrawn", "withdraw in flight: Changed"),
    ("4 withdrawn again", "withdraw withdrawn: Unchanged"),
    ("4 claimed", "claim in flight: Changed"),
    ("4 claimed again", "claim claimed: Unchanged"),
    ("4 claim of a failed part", "claim failed: Changed"),
    ("4 claim of a withdrawn part", "claim withdrawn: Changed"),
    ("4 claim of an unknown part", "claim unknown: Changed"),
    ("4 finalized", "finalize claimed: Changed"),
    ("4 finalized again", "finalize finalized: Unchanged"),
    ("4 finalized too early", "finalize in flight: NotClaimed"),
    ("4 failed", "fail in flight: Changed"),
    ("4 failed again", "fail failed: Unchanged"),
    ("4 failure of a claimed part", "fail claimed: Changed"),
    ("4 failure of an unknown part", "fail unknown: UnknownPayment"),
    ("4 an operator's word", "fail on a word in flight: Changed"),
    ("4 an operator's word, too early", "fail on a word in flight: AssertedTooEarly"),
    ("4 observed", "observe in flight: Changed"),
    ("4 invoice requested", "request in flight: Changed"),
    ("4 invoice requested again", "request in flight: Unchanged"),
    ("4 another invoice request", "request in flight: OtherInvoiceRequest"),
    ("4 given up", "abandon Pending: Changed"),
    ("4 blocked", "block: Changed"),
    ("4 unblocked", "unblock: Changed"),
    ("4 rejected", "failed: RecipientRejected"),
    ("4 expired", "failed: PaymentExpired"),
    ("4 retries exhausted", "failed: RetriesExhausted"),
    ("4 abandoned", "failed: UserAbandoned"),
    // 5: notifications.
    ("5 sent", "notice: PaymentSent"),
    ("5 sent, a correction", "notice: SentCorrection"),
    ("5 failed", "notice: PaymentFailed"),
    ("5 part succeeded", "notice: PartSucceeded"),
    ("5 part failed", "notice: PartFailed"),
    ("5 anomaly: correction", "anomaly: Correction"),
    ("5 anomaly: unknown part", "anomaly: UnknownPart"),
    ("5 anomaly: foreign claim", "anomaly: ForeignClaim"),
    ("5 anomaly: foreign part", "anomaly: ForeignPart"),
    // 6: time.
    ("6 counted", "tick: Counted"),
    ("6 forgotten", "event: payment_forgotten"),
    ("6 no invoice came", "failed: InvoiceRequestExpired"),
    // 7: recovery.
    ("7 adopted, unknown", "adopt unknown: Changed"),
    ("7 adopted, failed", "adopt failed: Changed"),
    ("7 adopted, withdrawn", "adopt withdrawn: Changed"),
    ("7 recalled", "event: payment_recalled"),
    ("7 never sent, in a gap", "withdraw in flight: Restored"),
    ("7 the node's word", "paid Pending: Changed"),
    ("7 the node's word, unknown id", "paid unknown: Changed"),
    ("7 the node's word, of a part", "paid part in flight: Changed"),
    ("7 the node's word, after a failure", "paid Failed: Changed"),
    ("7 gap found", "event: gap_found"),
    ("7 gap closed", "event: gap_closed"),
];

/// What is counted: an act, where it met its payment or part, what it was answered; or an event, a
/// notification, an anomaly by its name.
type Key = (&'static str, &'static str, Word);

pub struct Rows {
    histories: u64,
    disputed: u64,
    counts: HashMap<Key, (u64, u64)>,
    verdicts: [u64; Verdict::ALL.len()],
}

/// There are more verdicts than the standard library has defaults of arrays.
impl Default for Rows {
    fn default() -> Self {
        let verdicts = [0; Verdict::ALL.len()];
        Self { histories: 0, disputed: 0, counts: HashMap::new(), verdicts }
    }
}

impl Rows {
    pub fn histories(&self) -> u64 {
        self.histories
    }

    /// In how many the node contradicted itself.
    pub fn disputed(&self) -> u64 {
        self.disputed
    }

    /// Counts the last step of a core.
    pub fn count(&mut self, core: &Core) {
        let now = self.histories + 1;
        let row = core.row.map(|row| (row.act, row.at, row.answer));
        let words = core.words.iter().map(|(what, word)| (*what, "", *word));
        for key in row.into_iter().chain(words) {
            let (count, last) = self.counts.entry(key).or_default();
            if *last != now {
                (*count, *last) = (*count + 1, now);
            }
        }
    }

    /// A history ends.
    pub fn end(&mut self, reached: &Reached, disputed: bool) {
        self.histories += 1;
        self.disputed += u64::from(disputed);
        for (count, reached) in self.verdicts.iter_mut().zip(reached) {
            *count += u64::from(*reached);
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.histories += other.histories;
        self.disputed += other.disputed;
        for (key, (count, _)) in other.counts {
            self.counts.entry(key).or_default().0 += count;
        }
        for (count, more) in self.verdicts.iter_mut().zip(other.verdicts) {
            *count += more;
        }
    }

    /// The verdicts and the rows of the table that fewer histories reached.
    pub fn missed(&self, least: u64) -> Vec<String> {
        let verdicts = Verdict::ALL.iter().zip(self.verdicts);
        let verdicts = verdicts.map(|(verdict, count)| (verdict.name(), count));
        let mut seen: HashMap<String, u64> = HashMap::new();
        for ((what, at, word), (count, _)) in &self.counts {
            let name = if at.is_empty() { (*what).into() } else { format!("{what} {at}") };
            seen.insert(format!("{name}: {}", word.text()), *count);
        }
        // Of the ways to reach a row the one most travelled: never more than there are histories.
        let most = |ways: &str| {
            ways.split(", ").filter_map(|way| seen.get(way)).max().copied().unwrap_or_default()
        };
        let rows = TABLE.iter().map(|(name, ways)| (*name, most(ways)));
        let missed = verdicts.chain(rows).filter(|(_, count)| *count < least);
        missed.map(|(name, count)| format!("{name}: {count}")).collect()
    }

    pub fn table(&self) -> String {
        let mut lines = Vec::new();
        for (verdict, count) in Verdict::ALL.iter().zip(self.verdicts) {
            lines.push(format!("{count:>9} {}", verdict.name()));
        }
        let mut rows: Vec<_> = self.counts.iter().collect();
        rows.sort_by_key(|((what, at, word), _)| (*what, *at, word.text().to_owned()));
        for ((what, at, word), (count, _)) in rows {
            let at = if at.is_empty() { String::new() } else { format!(" {at}") };
            lines.push(format!("{count:>9} {what}{at}: {}", word.text()));
        }
        lines.join("\n")
    }
}
