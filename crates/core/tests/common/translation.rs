//! The core in the judge's words. All that names the core's types for the judge is here: acts become
//! commands, replies and notifications become outcomes and notes, queries are asked by label.
//!
//! A core under trial keeps its log as events, so that it can be put back to an earlier moment; it
//! numbers its entries without hashing them, since no history depends on it (`search` encodes them).

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several test crates, none of which uses all of it"
)]

use std::{fmt::Write, sync::LazyLock};

use payonce_core::{
    Abandon, Acknowledge, AdoptPart, Anomaly, Assertion, Backoff, Blob, BlockHash, ClaimPart,
    CloseGap, Command, Config, Context, Deadline, Decision, DisownPart, Dispatch, DispatchReply,
    Entry, EntryHeader, Event, FORMAT_VERSION, FactReply, FailPart, Failure, FailureReason,
    FinalizePart, FinishRecovery, ForeignPart, Head, Label, LedgerId, ListParts, LogHash, MarkPaid,
    MaxFee, Msat, NewPart, NotificationId, NotificationKind, ObservationKind, ObservePart,
    OfferHash, Operation, PartId, PartKind, Pay, PayReply, PaymentHash, PaymentId, Preimage,
    ReceiveInvoice, Refusal, Remember, Replay, Reply, Request, RequestInvoice, RetryPolicy,
    SameHash, SayAgain, Settlement, State, StatusKind, StoredEntry, Target as CoreTarget, Text,
    Tick, UnblockHash, UnixMillis, WithdrawPart, WorkReply,
};

use crate::judge::{
    self, Act, Answers, DISPATCHED_EXPIRY, Failed, Note, Outcome, PaymentView, Retry, Rules, Says,
    Status, Sums, Target, Terms, Which, Why,
};

const LEDGER: LedgerId = LedgerId::from_bytes([0x1e; 32]);
/// So many hashes have labels.
const HASHES: usize = 64;
/// A part id that nothing else bears.
const PROBE: judge::Part = judge::Part::MAX;

fn label(bytes: &[u8; 32]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn bytes(kind: u8, label: u16) -> [u8; 32] {
    let mut bytes = [kind; 32];
    bytes[..2].copy_from_slice(&label.to_be_bytes());
    bytes
}

fn payment(id: judge::Id) -> PaymentId {
    PaymentId::from_bytes(bytes(0xa1, id))
}

fn part(label: judge::Part) -> PartId {
    PartId::from_bytes(bytes(0xb2, label))
}

fn preimage(hash: judge::Hash) -> Preimage {
    Preimage::from_bytes(bytes(0xc3, hash))
}

static HASH_OF: LazyLock<Vec<PaymentHash>> = LazyLock::new(|| {
    (0..HASHES).map(|at| preimage(u16::try_from(at).expect("few")).payment_hash()).collect()
});

fn hash(label: judge::Hash) -> PaymentHash {
    HASH_OF[usize::from(label)]
}

/// The name of an engine; none for 0.
fn engine_name(engine: judge::Engine) -> &'static str {
    ["", "a", "b", "c", "d", "e", "f", "g"][usize::from(engine)]
}

fn hash_label(hash: &PaymentHash) -> judge::Hash {
    let at = HASH_OF.iter().position(|known| known == hash).expect("a hash that has a label");
    u16::try_from(at).expect("few")
}

pub fn config(rules: &Rules) -> Config {
    Config::new(if rules.forever { Remember::Forever } else { Remember::Window })
        .same_hash(if rules.same_hash { SameHash::Allow } else { SameHash::Refuse })
        .overpay_percent(u8::try_from(rules.overpay_percent).expect("a percentage"))
        .idempotency_ticks(u32::try_from(rules.idempotency_ticks).expect("few ticks"))
        .assertion_margin_blocks(rules.assertion_blocks)
        .assertion_delegated_age_ms(rules.assertion_age_ms)
}

fn request(terms: &Terms) -> Request {
    let target = match terms.target {
        Target::Invoice(label) => CoreTarget::Invoice { payment_hash: hash(label) },
        Target::Spontaneous(label) => CoreTarget::Spontaneous { preimage: preimage(label) },
        Target::Offer { offer, deadline_ticks } => CoreTarget::Offer {
            offer_hash: OfferHash::from_bytes([offer; 32]),
            deadline: Deadline::Ticks(deadline_ticks),
        },
    };
    let max_fee = terms.max_fee.map_or(MaxFee::Unlimited, |limit| MaxFee::AtMost(Msat(limit)));
    let retry = match terms.retry {
        Retry::Manual => RetryPolicy::Manual,
        Retry::Attempts(retries) => RetryPolicy::Attempts(retries),
        Retry::Until(millis) => RetryPolicy::Until(millis),
    };
    let mut request = Request::new(target, Msat(terms.amount), max_fee, retry);
    request.backoff = Backoff { first_ms: terms.rest, max_ms: terms.rest };
    request.expiry = terms.expiry.map(UnixMillis);
    if terms.variant > 0 {
        request.metadata = (&[terms.variant]).into();
    }
    request
}

fn kind(delegated: bool) -> PartKind {
    if delegated {
        PartKind::Delegated
    } else {
        PartKind::Htlc { cltv_expiry: Some(DISPATCHED_EXPIRY), first_channel: None }
    }
}

fn assertion(although_listed: bool) -> Assertion {
    Assertion { although_listed, ..Assertion::new("an operator", "the channel is gone") }
}

fn failure(how: Failed) -> Failure {
    Failure {
        permanent: how.permanent,
        mark: how.mark,
        sayings: how.sayings,
        assertion: how.word.map(|word| assertion(word.contradicts)),
        ..Failure::default()
    }
}

/// Where something is when a step begins, for the table of rows.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub act: &'static str,
    pub at: &'static str,
    /// The first word of the reply or the refusal.
    pub answer: Word,
}

/// The first word of a value's `Debug`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word([u8; 24]);

impl Word {
    fn of(value: &impl std::fmt::Debug) -> Self {
        struct First(usize, [u8; 24]);
        impl Write for First {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                for byte in text.bytes() {
                    if !byte.is_ascii_alphanumeric() || self.0 == 24 {
                        return Err(std::fmt::Error);
                    }
                    self.1[self.0] = byte;
                    self.0 += 1;
                }
                Ok(())
            }
        }
        let mut first = First(0, [0; 24]);
        // It ends at the first character that is not of a word.
        let _ = write!(first, "{value:?}");
        Self(first.1)
    }

    fn named(name: &str) -> Self {
        let mut word = [0; 24];
        let length = name.len().min(24);
        word[..length].copy_from_slice(&name.as_bytes()[..length]);
        Self(word)
    }

    pub fn text(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(24);
        std::str::from_utf8(&self.0[..end]).unwrap_or("?")
    }
}

/// What a step came to.
#[derive(Debug)]
pub struct Told {
    pub outcome: Outcome,
    pub notes: Vec<Note>,
}

/// The core, its configuration, and its log as events.
#[derive(Clone)]
pub struct Core {
    state: State,
    config: Config,
    log: Vec<(u64, UnixMillis, Vec<Event>)>,
    /// Of the last step, what the table of rows counts.
    pub row: Option<Row>,
    pub words: Vec<(&'static str, Word)>,
    branch: u64,
    /// Every entry is encoded, and replayed from its bytes.
    encodes: bool,
}

impl Core {
    /// A new log, not yet opened.
    pub fn new(rules: &Rules, encodes: bool) -> Self {
        Self {
            encodes,
            state: State::new(LEDGER, 1),
            config: config(rules),
            log: Vec::new(),
            row: None,
            words: Vec::new(),
            branch: 0,
        }
    }

    /// Whether all that was decided fits.
    pub fn fits(&self) -> bool {
        self.state.inconsistent().is_none()
    }

    pub fn encodes(&self) -> bool {
        self.encodes
    }

    /// Whether a part is one of which the ledger has heard.
    pub fn knows(&self, label: judge::Part) -> bool {
        self.state.part(&part(label)).is_some()
    }

    /// A moment of the log.
    pub fn moment(&self) -> usize {
        self.log.len()
    }

    /// What was recorded since a moment.
    pub fn since(&self, moment: usize) -> Vec<&Event> {
        self.log[moment..].iter().flat_map(|(.., events)| events).collect()
    }

    /// The log is put back to an earlier moment.
    pub fn put_back(&mut self, moment: usize) {
        self.branch += 1;
        self.state = State::new(LEDGER, 1);
        self.log.truncate(moment);
        for (epoch, now, events) in std::mem::take(&mut self.log) {
            self.record(epoch, now, events);
        }
    }

    /// Folds what was decided, and the bytes of it: both give the same state.
    fn record_encoded(&mut self, epoch: u64, now: UnixMillis, events: &[Event]) {
        let entry = Entry::new(self.state.head(), epoch, now, events);
        let entry = entry.expect("what is decided can be written");
        let header = EntryHeader::read(entry.bytes()).expect("an entry has a header");
        let mut replay = Replay::from_state(self.state.clone());
        self.state.fold(&header, entry.after(), events);
        let stored = StoredEntry { first_seq: entry.first_seq(), bytes: entry.bytes() };
        replay.entry(stored).expect("what was written is read back");
        assert_eq!(replay.state().digest(), self.state.digest(), "replay differs from live");
    }

    /// A snapshot is read back as the state that it was taken of.
    pub fn check_snapshot(&self) {
        let read_back = State::decode(&self.state.encode(), 7).expect("a snapshot is read back");
        assert_eq!(read_back.digest(), self.state.digest(), "a snapshot differs");
    }

    fn record(&mut self, epoch: u64, now: UnixMillis, events: Vec<Event>) {
        if self.encodes {
            self.record_encoded(epoch, now, &events);
            self.log.push((epoch, now, events));
            return;
        }
        let before = self.state.head();
        let count = u32::try_from(events.len()).expect("few events");
        let header = EntryHeader {
            format: FORMAT_VERSION,
            first_seq: before.seq + 1,
            now,
            epoch,
            events: count,
        };
        let seq = before.seq + u64::from(count);
        let mut chain = [0x77; 32];
        chain[..8].copy_from_slice(&(seq << 8 | self.branch & 0xff).to_be_bytes());
        let after = Head { seq, chain: LogHash::from_bytes(chain) };
        self.state.fold(&header, after, &events);
        self.log.push((epoch, now, events));
    }

    fn decide(&self, command: Command, now: u64) -> Result<Decision<Reply>, Refusal> {
        let context = Context {
            now: UnixMillis(now),
            config: &self.config,
            durable_seq: self.state.head().seq,
        };
        command.decide(&self.state, &context)
    }

    /// Does what the act says.
    pub fn tell(&mut self, act: &Act, now: u64) -> Told {
        self.row = None;
        self.words.clear();
        let seq = self.state.head().seq;
        if let Act::Open { restored } = *act {
            let epoch = self.state.epoch() + 1;
            let opened = Event::Opened {
                epoch,
                restored,
                program: "trial".into(),
                format: FORMAT_VERSION,
                holder: Text::default(),
                fence: None,
            };
            self.record(epoch, UnixMillis(now), vec![opened]);
            return Told { outcome: Outcome::Changed, notes: Vec::new() };
        }
        let Some(command) = self.command(act) else {
            return Told { outcome: Outcome::Unchanged, notes: Vec::new() };
        };
        let at = self.place_of(act);
        let ids = match &command {
            Command::Acknowledge(Acknowledge { ids }) => ids.iter().map(|id| id.seq).collect(),
            _ => Vec::new(),
        };
        let decided = self.decide(command, now);
        let answer = match &decided {
            Ok(decision) => answer_word(&decision.reply),
            Err(refusal) => refusal_word(refusal),
        };
        self.row = Some(Row { act: act_name(act), at, answer });
        let outcome = match decided {
            Err(_) => Outcome::Refused,
            Ok(decision) => {
                let outcome = outcome(&decision.reply, ids);
                if !decision.events.is_empty() {
                    let events = decision.events.iter();
                    self.words.extend(events.map(|event| ("event", Word::named(event.name()))));
                    let epoch = self.state.epoch();
                    self.record(epoch, UnixMillis(now), decision.events);
                }
                outcome
            }
        };
        let mut notes = Vec::new();
        for told in self.state.outbox_after(seq) {
            self.words.push(("notice", Word::of(&told.kind)));
            match &told.kind {
                NotificationKind::Anomaly { anomaly, .. } => {
                    self.words.push(("anomaly", Word::of(anomaly)));
                }
                NotificationKind::PaymentFailed { reason, .. } => {
                    self.words.push(("failed", Word::of(reason)));
                }
                NotificationKind::PaymentSent { correction: true, .. } => {
                    self.words.push(("notice", Word::named("SentCorrection")));
                }
                _ => {}
            }
            notes.push(note(told.id.seq, &told.kind));
        }
        Told { outcome, notes }
    }

    fn place_of(&self, act: &Act) -> &'static str {
        match act {
            Act::Pay { id, .. }
            | Act::Invoice { id, .. }
            | Act::Dispatch { id, .. }
            | Act::Abandon { id }
            | Act::Paid { id, part: None, .. } => match self.state.payment_view(&payment(*id)) {
                None => "unknown",
                Some(at) if at.remembered => "remembered",
                Some(at) => match at.status.kind() {
                    StatusKind::AwaitingInvoice => "AwaitingInvoice",
                    StatusKind::Pending => "Pending",
                    StatusKind::Fulfilled => "Fulfilled",
                    StatusKind::Abandoned => "Abandoned",
                    StatusKind::Failed => "Failed",
                },
            },
            Act::SayAgain { part: of, .. }
            | Act::Withdraw { part: of, .. }
            | Act::Disown { part: of, .. }
            | Act::Claim { part: of, .. }
            | Act::Finalize { part: of, .. }
            | Act::Fail { part: of, .. }
            | Act::Observe { part: of, .. }
            | Act::Request { part: of, .. }
            | Act::Adopt { part: of, .. }
            | Act::Paid { part: Some(of), .. } => match self.state.part(&part(*of)) {
                None => "unknown",
                Some((_, fate)) => match fate {
                    payonce_core::PartStatus::InFlight => "in flight",
                    payonce_core::PartStatus::Claimed => "claimed",
                    payonce_core::PartStatus::Finalized => "finalized",
                    payonce_core::PartStatus::Failed => "failed",
                    payonce_core::PartStatus::Withdrawn => "withdrawn",
                },
            },
            _ => "",
        }
    }

    /// The command of an act; none where it is not one today.
    fn command(&self, act: &Act) -> Option<Command> {
        Some(match *act {
            Act::Pay { id, ref terms, again } => {
                let failed = self.state.payment_view(&payment(id)).and_then(|at| at.failed);
                let again_after = failed.filter(|_| again);
                Pay { id: payment(id), request: request(terms), again_after }.into()
            }
            Act::Invoice { id, hash: label, amount, expiry } => ReceiveInvoice {
                id: payment(id),
                payment_hash: hash(label),
                amount: Msat(amount),
                expiry: expiry.map(UnixMillis),
            }
            .into(),
            Act::Dispatch { id, ref parts, delegated, stale, mark } => {
                self.dispatch(id, parts, delegated, stale, mark).into()
            }
            Act::SayAgain { id, part: of } => SayAgain { id: payment(id), part: part(of) }.into(),
            Act::Withdraw { id, part: of } => {
                WithdrawPart { id: payment(id), part: part(of) }.into()
            }
            Act::Claim { id, part: of, hash: label, brings, amount, fee } => {
                let reported = Settlement { amount: amount.map(Msat), fee: fee.map(Msat) };
                ClaimPart {
                    id: payment(id),
                    part: part(of),
                    preimage: preimage(label),
                    payment_hash: brings.map(hash),
                    settlement: (amount.is_some() || fee.is_some()).then_some(reported),
                    invoice: Blob::EMPTY,
                }
                .into()
            }
            Act::Finalize { id, part: of } => {
                FinalizePart { id: payment(id), part: part(of) }.into()
            }
            Act::Fail { id, part: of, how } => {
                FailPart { id: payment(id), part: part(of), failure: failure(how) }.into()
            }
            Act::Observe { id, part: of } => ObservePart {
                id: payment(id),
                part: part(of),
                kind: ObservationKind::PathFailed,
                bytes: Blob::default(),
            }
            .into(),
            Act::Request { id, part: of, request } => RequestInvoice {
                id: payment(id),
                part: part(of),
                invoice_request: (&[request]).into(),
            }
            .into(),
            Act::Adopt { id, part: of, hash: label, amount, delegated } => AdoptPart {
                id: payment(id),
                part: part(of),
                payment_hash: hash(label),
                amount: amount.map(Msat),
                fee: amount.map(|_| Msat(1)),
                kind: kind(delegated),
            }
            .into(),
            Act::Paid { id, part: of, hash: label, asserted, terms } => MarkPaid {
                id: payment(id),
                part: of.map(part),
                payment_hash: label.map(hash),
                settlement: Settlement::default(),
                assertion: asserted.then(|| assertion(false)),
                request: terms.map(|terms| Box::new(request(&terms))),
            }
            .into(),
            Act::List { ref parts } => {
                ListParts { parts: parts.iter().map(|of| part(*of)).collect() }.into()
            }
            Act::Disown { part: of, .. } => {
                DisownPart { part: part(of), assertion: assertion(false) }.into()
            }
            Act::Block { hash: label, engine } => {
                BlockHash::new(hash(label)).engine(engine_name(engine)).into()
            }
            Act::Unblock { hash: label, engine } => {
                UnblockHash::new(hash(label)).engine(engine_name(engine)).into()
            }
            Act::Abandon { id } => {
                Abandon { id: payment(id), reason: FailureReason::UserAbandoned }.into()
            }
            Act::Acknowledge { which } => Acknowledge { ids: self.unread(which) }.into(),
            Act::Tick { height } => Tick { height }.into(),
            Act::Finish => FinishRecovery.into(),
            Act::CloseGap => CloseGap.into(),
            Act::Clock { .. } | Act::Open { .. } | Act::Mark { .. } | Act::PutBack { .. } => {
                return None;
            }
        })
    }

    fn dispatch(
        &self,
        id: judge::Id,
        parts: &[judge::Offered],
        delegated: bool,
        stale: bool,
        mark: Option<u64>,
    ) -> Dispatch {
        let next = self.state.remaining(&payment(id)).map_or(1, |missing| missing.attempt);
        let offered = |offered: &judge::Offered| {
            let (id, fee) = (part(offered.part), Msat(offered.fee));
            if delegated {
                let label = mark.map(|mark| Label { mark: Some(mark), ..Label::default() });
                NewPart::Delegated { id, label }
            } else {
                NewPart::htlc(id, Msat(offered.amount), fee, DISPATCHED_EXPIRY)
            }
        };
        let parts = parts.iter().map(offered).collect();
        Dispatch { id: payment(id), attempt: next + u32::from(stale), parts }
    }

    fn unread(&self, which: Which) -> Vec<NotificationId> {
        let outbox = self.state.outbox();
        match which {
            Which::All => outbox.map(|told| told.id).collect(),
            Which::First => outbox.map(|told| told.id).take(1).collect(),
            Which::Seq(seq) => outbox.map(|told| told.id).filter(|id| id.seq == seq).collect(),
            Which::Of(id) => {
                let own = outbox.filter(|told| *told.kind.payment() == payment(id));
                own.map(|told| told.id).collect()
            }
            Which::Apart => {
                let apart =
                    outbox.filter(|told| matches!(told.kind, NotificationKind::Anomaly { .. }));
                apart.map(|told| told.id).collect()
            }
        }
    }
}

/// For the search: what decisions hang on.
impl Core {
    /// How many events the log has.
    pub fn events(&self) -> u64 {
        self.state.head().seq
    }

    /// How everything stands, without seqs, chain hashes, epochs and tick numbers but as differences.
    pub fn fingerprint(&self, ids: judge::Id) -> String {
        let state = &self.state;
        let mut text = format!("{}{}", state.is_recovering(), state.is_restored());
        for id in (0..ids).map(payment) {
            let Some(at) = state.payment_view(&id) else {
                text += "|-";
                continue;
            };
            _ = write!(text, "|{:?}{:?}{}{}", at.status, at.paid, at.adopted, at.remembered);
            _ = write!(text, "{}{}{:?}", at.failed.is_some(), at.blocked, at.paid_elsewhere);
            let Some(live) = state.payment(&id) else { continue };
            let missing = live.remaining();
            _ = write!(
                text,
                "{:?}{:?}{:?}{}{:?}{:?}{}{:?}",
                missing.payment_hash,
                missing.amount,
                missing.fee_budget,
                missing.attempt,
                live.request().map(|request| (request.retry, request.amount, &request.metadata)),
                live.invoice(),
                live.created_at().0,
                live.idle().map(|quiet| state.tick() - quiet.tick)
            );
            live.parts().iter().for_each(|part| text += &part_text(part));
            _ = write!(text, "{}", live.observations().len());
        }
        for stray in state.foreign_parts() {
            let ForeignPart { payment, payment_hash, preimage, disowned, .. } = stray;
            _ = write!(text, "|{payment}{payment_hash}{preimage:?}{disowned}");
            text += &part_text(&stray.part);
        }
        let mut paid: Vec<_> = state.hashes_paid().collect();
        paid.sort_unstable_by_key(|paid| paid.payment_hash);
        for paid in paid {
            _ = write!(text, "|{}{:?}", paid.payment_hash, paid.preimage);
        }
        _ = write!(text, "|{:?}", state.height());
        state.blocked_hashes().for_each(|block| {
            _ = write!(text, "|{}{:?}", block.payment_hash, block.engine.as_bytes());
        });
        state.outbox().for_each(|told| _ = write!(text, "|{:?}", note(0, &told.kind)));
        let failures = state.outbox().map(|told| {
            matches!(told.kind, NotificationKind::PaymentFailed { superseded: true, .. })
        });
        text + &format!("{:?}", failures.collect::<Vec<_>>())
    }

    /// Statuses without reasons, statuses and sums.
    pub fn summary(&self, ids: judge::Id) -> String {
        let state = &self.state;
        let mut text = String::new();
        for id in (0..ids).map(payment) {
            let status = state.payment_view(&id).map(|at| at.status.kind());
            _ = write!(text, "|{status:?}");
            let Some(live) = state.payment(&id) else { continue };
            let mut parts: Vec<_> = live.parts().iter().map(sum_text).collect();
            parts.sort_unstable();
            _ = write!(text, "{parts:?}{:?}", live.lost());
        }
        let mut strays: Vec<_> = state.foreign_parts().map(|stray| sum_text(&stray.part)).collect();
        strays.sort_unstable();
        text + &format!("{strays:?}")
    }
}

fn part_text(part: &payonce_core::Part) -> String {
    format!(
        "{}{}{:?}{:?}{}{:?}{:?}{}{}",
        label(part.id.as_bytes()),
        part.status,
        part.amount,
        part.fee,
        part.batch,
        part.kind,
        part.failure(),
        part.adopted,
        part.corrected
    ) + &format!(
        "{:?}{:?}{}{}{:?}",
        part.label(),
        part.own_hash(),
        part.is_of_earlier_try(),
        part.sayings(),
        part.invoice_request()
    )
}

fn sum_text(part: &payonce_core::Part) -> String {
    format!("{}{}{:?}{:?}", label(part.id.as_bytes()), part.status, part.amount, part.fee)
}

fn act_name(act: &Act) -> &'static str {
    match act {
        Act::Pay { again: true, .. } => "pay again",
        Act::Pay { .. } => "pay",
        Act::Invoice { .. } => "invoice",
        Act::Dispatch { delegated: true, .. } => "delegate",
        Act::Dispatch { .. } => "dispatch",
        Act::SayAgain { .. } => "say again",
        Act::Withdraw { .. } => "withdraw",
        Act::Claim { .. } => "claim",
        Act::Finalize { .. } => "finalize",
        Act::Fail { how: Failed { word: Some(_), .. }, .. } => "fail on a word",
        Act::Fail { .. } => "fail",
        Act::Observe { .. } => "observe",
        Act::Request { .. } => "request",
        Act::Adopt { .. } => "adopt",
        Act::Paid { asserted: true, .. } => "paid on a word",
        Act::Paid { part: Some(_), .. } => "paid part",
        Act::Paid { .. } => "paid",
        Act::List { .. } => "list",
        Act::Disown { .. } => "disown",
        Act::Block { .. } => "block",
        Act::Unblock { .. } => "unblock",
        Act::Abandon { .. } => "abandon",
        Act::Acknowledge { .. } => "acknowledge",
        Act::Tick { .. } => "tick",
        Act::Finish => "finish",
        Act::CloseGap => "close the gap",
        Act::Clock { .. } => "clock",
        Act::Open { .. } => "open",
        Act::Mark { .. } => "mark",
        Act::PutBack { .. } => "put back",
    }
}

fn answer_word(reply: &Reply) -> Word {
    match reply {
        Reply::Pay(reply) => Word::of(reply),
        Reply::Dispatch(reply) => Word::of(reply),
        Reply::Fact(FactReply { changed, .. }) => {
            Word::named(if *changed { "Changed" } else { "Unchanged" })
        }
        Reply::Abandon(reply) => Word::named(if reply.changed { "Changed" } else { "Unchanged" }),
        Reply::Tick(reply) if reply.counted => Word::named("Counted"),
        Reply::Work(WorkReply { more: true }) => Word::named("More"),
        _ => Word::named("Done"),
    }
}

fn refusal_word(refusal: &Refusal) -> Word {
    match refusal {
        Refusal::Pay(refusal) => Word::of(refusal),
        Refusal::ReceiveInvoice(refusal) => Word::of(refusal),
        Refusal::Dispatch(refusal) => Word::of(refusal),
        Refusal::Fact(refusal) => Word::of(refusal),
        Refusal::Acknowledge(refusal) => Word::of(refusal),
        Refusal::Phase(refusal) => Word::of(refusal),
        other => Word::of(other),
    }
}

fn outcome(reply: &Reply, acknowledged: Vec<u64>) -> Outcome {
    let changed = |changed: bool| if changed { Outcome::Changed } else { Outcome::Unchanged };
    match reply {
        Reply::Pay(PayReply::Accepted) => Outcome::Accepted,
        Reply::Pay(PayReply::Duplicate(at)) => Outcome::Duplicate(view(at, None)),
        Reply::Dispatch(DispatchReply::Recorded { .. }) => Outcome::Recorded,
        Reply::Dispatch(_) => Outcome::Unchanged,
        Reply::Fact(reply) => changed(reply.changed),
        Reply::Abandon(reply) => changed(reply.changed),
        Reply::Acknowledge(_) => Outcome::Acknowledged(acknowledged),
        _ => Outcome::Changed,
    }
}

fn view(at: &payonce_core::PaymentView, held: Option<PaymentHash>) -> PaymentView {
    PaymentView {
        status: match at.status.kind() {
            StatusKind::AwaitingInvoice => Status::AwaitingInvoice,
            StatusKind::Pending => Status::Pending,
            StatusKind::Fulfilled => Status::Fulfilled,
            StatusKind::Abandoned => Status::Abandoned,
            StatusKind::Failed => Status::Failed,
        },
        remembered: at.remembered,
        hash: held.map(|hash| hash_label(&hash)),
        proof: at.paid.and_then(|paid| paid.preimage).map(|proof| label(proof.as_bytes())),
        unresolved: at.unresolved,
        held: at.blocked,
        sums: at.paid.map_or((None, None), |paid| sums(paid.amount, paid.fee)),
    }
}

fn sums(amount: Option<Msat>, fee: Option<Msat>) -> Sums {
    (amount.map(|amount| amount.0), fee.map(|fee| fee.0))
}

fn note(seq: u64, notice: &NotificationKind) -> Note {
    let id = label(notice.payment().as_bytes());
    let of = |id: &PartId| label(id.as_bytes());
    let proof = |preimage: &Option<Preimage>| preimage.map(|proof| label(proof.as_bytes()));
    let says = match notice {
        NotificationKind::PaymentSent { preimage, amount, fee, .. } => {
            Says::Sent { id, proof: proof(preimage), sums: sums(*amount, *fee) }
        }
        NotificationKind::PaymentSettled { preimage, amount, fee, .. } => {
            Says::Settled { id, proof: proof(preimage), sums: sums(*amount, *fee) }
        }
        NotificationKind::PaymentFailed { reason, paid_elsewhere, .. } => Says::Failed {
            id,
            why: match reason {
                _ if paid_elsewhere.is_some() => Why::PaidElsewhere,
                FailureReason::RetriesExhausted
                | FailureReason::PaymentExpired
                | FailureReason::InvoiceRequestExpired => Why::Late,
                _ => Why::Other,
            },
        },
        NotificationKind::PartSucceeded { part, .. } => Says::PartSucceeded { id, part: of(part) },
        NotificationKind::PartFailed { part, .. } => Says::PartFailed { id, part: of(part) },
        NotificationKind::Anomaly { anomaly, .. } => {
            let mut parts: Vec<judge::Part> = anomaly.part().map(of).into_iter().collect();
            let mut hashes = Vec::new();
            match anomaly {
                Anomaly::Correction { in_flight, .. } => parts.extend(in_flight.iter().map(of)),
                Anomaly::OutAgain { others, .. } => parts.extend(others.iter().map(of)),
                Anomaly::PaidTwice { first_part, .. } => parts.extend(first_part.iter().map(of)),
                Anomaly::ForeignClaim { payment_hash, .. }
                | Anomaly::FalsePreimage { payment_hash, .. }
                | Anomaly::ForeignPart { payment_hash, .. } => {
                    hashes.push(hash_label(payment_hash));
                }
                _ => {}
            }
            let spent_more = matches!(anomaly, Anomaly::SpentMore { .. });
            Says::Anomaly { id, spent_more, parts, hashes }
        }
        _ => Says::Other { id },
    };
    Note { seq, says }
}

impl Answers for Core {
    fn is_recovering(&self) -> bool {
        self.state.is_recovering()
    }

    fn is_restored(&self) -> bool {
        self.state.is_restored()
    }

    fn tick(&self) -> u64 {
        self.state.tick()
    }

    fn standing(&self, id: judge::Id) -> Option<PaymentView> {
        let id = payment(id);
        let at = self.state.payment_view(&id)?;
        let held = self.state.payment(&id).and_then(payonce_core::Payment::payment_hash);
        Some(view(&at, held))
    }

    fn due(&self, now: u64, each: &mut dyn FnMut(judge::Id)) {
        for due in self.state.due(UnixMillis(now)) {
            each(label(due.id.as_bytes()));
        }
    }

    fn would_pay(&self, now: u64, id: judge::Id, terms: &Terms, again: bool) -> bool {
        let Some(command) = self.command(&Act::Pay { id, terms: *terms, again }) else {
            return false;
        };
        let decided = self.decide(command, now);
        matches!(decided, Ok(Decision { reply: Reply::Pay(PayReply::Accepted), .. }))
    }

    fn would_dispatch(&self, now: u64, id: judge::Id) -> bool {
        let id = payment(id);
        let Some(missing) = self.state.remaining(&id) else { return false };
        let parts = if missing.status.kind() == StatusKind::AwaitingInvoice {
            vec![NewPart::delegated(part(PROBE))]
        } else {
            vec![NewPart::htlc(part(PROBE), missing.amount, Msat(0), DISPATCHED_EXPIRY)]
        };
        let command = Dispatch { id, attempt: missing.attempt, parts }.into();
        let decided = self.decide(command, now);
        let recorded =
            |reply: &Reply| matches!(reply, Reply::Dispatch(DispatchReply::Recorded { .. }));
        decided.is_ok_and(|decision| recorded(&decision.reply))
    }

    fn invoice_request(&self, of: judge::Part) -> Option<u8> {
        let (id, _) = self.state.part(&part(of))?;
        let found = self.state.payment(&id)?.part(&part(of))?;
        found.invoice_request().first().copied()
    }

    fn is_superseded(&self, note: u64) -> Option<bool> {
        let mut unread = self.state.outbox_after(note - 1);
        match unread.next().filter(|told| told.id.seq == note)?.kind {
            NotificationKind::PaymentFailed { superseded, .. } => Some(superseded),
            _ => None,
        }
    }
}
