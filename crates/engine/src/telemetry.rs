//! What a payer tells of its engines, through the `metrics` facade (docs/OPERATING.md). Every name has the
//! label `ledger`, as the runtime's have; those of an engine also `engine`, its name.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};
use payonce_core::LedgerId;

use crate::{
    engine::{EngineError, PayAnswer},
    rules::Conclusion,
};

const CALLS: &str = "payonce_engine_calls_total";
const CALL_SECONDS: &str = "payonce_engine_call_seconds";
const HAND_OVERS: &str = "payonce_engine_hand_overs_total";
const ENDS: &str = "payonce_engine_ends_total";
const OUT: &str = "payonce_engine_out";
const SILENT: &str = "payonce_engine_silent";
const ATTENTION: &str = "payonce_engine_attention";
const UNATTENDED: &str = "payonce_engine_unattended";
const BLOCKED: &str = "payonce_engine_blocked_hashes";
const UNFIT: &str = "payonce_engine_unfit";
const DELIVERIES: &str = "payonce_sink_deliveries_total";
const WITNESS_SECONDS: &str = "payonce_witness_seconds";
const WITNESS_FAILURES: &str = "payonce_witness_failures_total";

/// Which of an engine's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Pay,
    Find,
    Wait,
}

/// What is told of one engine. Looked up once, as the runtime does: but for the counters of calls, whose
/// labels are not known before.
#[derive(Debug)]
pub(crate) struct EngineTelemetry {
    ledger: String,
    engine: String,
    pay_seconds: Histogram,
    find_seconds: Histogram,
    first: Counter,
    again: Counter,
    paid: Counter,
    failed: Counter,
    out: Gauge,
    silent: Gauge,
}

fn ledger_label(ledger: LedgerId) -> String {
    let mut label = ledger.to_string();
    label.truncate(8);
    label
}

impl EngineTelemetry {
    pub(crate) fn of(ledger: LedgerId, engine: &str) -> Self {
        describe();
        let (ledger, engine) = (ledger_label(ledger), engine.to_owned());
        let seconds = |call| metrics::histogram!(CALL_SECONDS, "ledger" => ledger.clone(), "engine" => engine.clone(), "call" => call);
        let said = |saying| metrics::counter!(HAND_OVERS, "ledger" => ledger.clone(), "engine" => engine.clone(), "saying" => saying);
        let ended = |end| metrics::counter!(ENDS, "ledger" => ledger.clone(), "engine" => engine.clone(), "end" => end);
        let gauge =
            |name| metrics::gauge!(name, "ledger" => ledger.clone(), "engine" => engine.clone());
        let telemetry = Self {
            pay_seconds: seconds("pay"),
            find_seconds: seconds("find"),
            first: said("first"),
            again: said("again"),
            paid: ended("paid"),
            failed: ended("failed"),
            out: gauge(OUT),
            silent: gauge(SILENT),
            ledger,
            engine,
        };
        telemetry.silent.set(0.0);
        telemetry
    }

    fn called(&self, call: Call, outcome: &'static str) {
        let call = match call {
            Call::Pay => "pay",
            Call::Find => "find",
            Call::Wait => "wait",
        };
        let (ledger, engine) = (self.ledger.clone(), self.engine.clone());
        metrics::counter!(CALLS, "ledger" => ledger, "engine" => engine, "call" => call, "outcome" => outcome)
            .increment(1);
    }

    /// A question and its answer. A wait takes as long as the payment does: its time tells nothing.
    pub(crate) fn asked<T>(&self, call: Call, took: Duration, answer: &Result<T, EngineError>) {
        if call == Call::Find {
            self.find_seconds.record(took);
        }
        self.called(call, answer.as_ref().err().map_or("answered", error));
        self.silent.set(if answer.is_ok() { 0.0 } else { 1.0 });
    }

    /// A saying and its answer.
    pub(crate) fn said(&self, took: Duration, answer: &PayAnswer) {
        self.pay_seconds.record(took);
        self.called(
            Call::Pay,
            match answer {
                PayAnswer::Taken(_) => "taken",
                PayAnswer::AlreadyThere => "already_there",
                PayAnswer::Refused(_) => "refused",
                PayAnswer::NotNow(_) => "not_now",
                PayAnswer::Unknown(_) => "unknown",
            },
        );
        let failed = matches!(answer, PayAnswer::NotNow(_) | PayAnswer::Unknown(_));
        self.silent.set(if failed { 1.0 } else { 0.0 });
    }

    /// A hand-over is about to be said.
    pub(crate) fn saying(&self, again: bool) {
        if again { &self.again } else { &self.first }.increment(1);
    }

    /// The ledger has taken an end.
    pub(crate) fn ended(&self, conclusion: &Conclusion) {
        match conclusion {
            Conclusion::Paid(_) => self.paid.increment(1),
            Conclusion::Failed { .. } => self.failed.increment(1),
            Conclusion::Out | Conclusion::SayAgain | Conclusion::Operator(_) => {}
        }
    }

    pub(crate) fn out(&self, hand_overs: usize) {
        self.out.set(count(hand_overs));
    }
}

const fn error(error: &EngineError) -> &'static str {
    match error {
        EngineError::Unreachable { .. } => "unreachable",
        EngineError::TimedOut { .. } => "timed_out",
        EngineError::Denied { .. } => "denied",
        EngineError::Nonsense { .. } => "nonsense",
    }
}

/// What is told of a payer whatever engines it has.
#[derive(Debug)]
pub(crate) struct Telemetry {
    attention: Gauge,
    unattended: Gauge,
    blocked: Gauge,
    unfit: Gauge,
    taken: Counter,
    refused: Counter,
    witness_seconds: Histogram,
    witness_failures: Counter,
}

impl Telemetry {
    pub(crate) fn of(ledger: LedgerId) -> Self {
        describe();
        let ledger = ledger_label(ledger);
        let gauge = |name| metrics::gauge!(name, "ledger" => ledger.clone());
        let delivered = |outcome| metrics::counter!(DELIVERIES, "ledger" => ledger.clone(), "outcome" => outcome);
        Self {
            attention: gauge(ATTENTION),
            unattended: gauge(UNATTENDED),
            blocked: gauge(BLOCKED),
            unfit: gauge(UNFIT),
            taken: delivered("taken"),
            refused: delivered("refused"),
            witness_seconds: metrics::histogram!(WITNESS_SECONDS, "ledger" => ledger.clone()),
            witness_failures: metrics::counter!(WITNESS_FAILURES, "ledger" => ledger),
        }
    }

    /// How many hand-overs need an operator's word.
    pub(crate) fn attention(&self, hand_overs: usize) {
        self.attention.set(count(hand_overs));
    }

    /// How many are with engines that were not given to this start.
    pub(crate) fn unattended(&self, hand_overs: usize) {
        self.unattended.set(count(hand_overs));
    }

    pub(crate) fn blocked(&self, hashes: usize) {
        self.blocked.set(count(hashes));
    }

    /// How many accepted payments wait for an engine whose configuration does not fit them.
    pub(crate) fn unfit(&self, payments: usize) {
        self.unfit.set(count(payments));
    }

    pub(crate) fn delivered(&self, taken: bool) {
        if taken { &self.taken } else { &self.refused }.increment(1);
    }

    pub(crate) fn witnessed(&self, took: Duration, kept: bool) {
        self.witness_seconds.record(took);
        self.witness_failures.increment(u64::from(!kept));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge")]
const fn count(many: usize) -> f64 {
    many as f64
}

fn describe() {
    metrics::describe_counter!(CALLS, "calls to an engine, by what they were answered");
    metrics::describe_histogram!(CALL_SECONDS, Unit::Seconds, "how long a call to an engine took");
    metrics::describe_counter!(HAND_OVERS, "sayings of hand-overs, the first and those again");
    metrics::describe_counter!(
        ENDS,
        "hand-overs that the ledger knows to be paid, or to have failed"
    );
    metrics::describe_gauge!(OUT, "hand-overs that an engine has, or may have");
    metrics::describe_gauge!(SILENT, "1 while the last call to an engine brought no answer");
    metrics::describe_gauge!(ATTENTION, "hand-overs that stay out until an operator's word");
    metrics::describe_gauge!(UNATTENDED, "hand-overs whose engine was not given to this start");
    metrics::describe_gauge!(
        BLOCKED,
        "hashes that are out in an engine and no part of the ledger's"
    );
    metrics::describe_gauge!(
        UNFIT,
        "accepted payments that are not handed over as their engine is set up"
    );
    metrics::describe_counter!(
        DELIVERIES,
        "notifications given to the sink, by whether it took them"
    );
    metrics::describe_histogram!(WITNESS_SECONDS, Unit::Seconds, "how long storing the head took");
    metrics::describe_counter!(WITNESS_FAILURES, "heads that the witness did not store");
}
