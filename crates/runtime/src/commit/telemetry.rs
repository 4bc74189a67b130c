//! What the handle tells of itself, through the `metrics` facade (docs/OPERATING.md).

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};
use payonce_core::{Counts, LedgerId, State, StoreError, UnixMillis};

use crate::commit::upkeep::Upkeep;

const APPENDS: &str = "payonce_appends_total";
const ENTRIES: &str = "payonce_entries_total";
const BYTES: &str = "payonce_bytes_total";
const APPEND_SECONDS: &str = "payonce_append_seconds";
const APPEND_ENTRIES: &str = "payonce_append_entries";
const QUEUE_COMMANDS: &str = "payonce_queue_commands";
const PAYMENTS: &str = "payonce_payments";
const UNRESOLVED_PARTS: &str = "payonce_unresolved_parts";
const OUTBOX: &str = "payonce_outbox_notifications";
const OLDEST_UNRESOLVED: &str = "payonce_oldest_unresolved_seconds";
const ANOMALIES_FOLDED: &str = "payonce_anomalies_folded";
const RESTORED: &str = "payonce_restored";
const POISONED: &str = "payonce_poisoned";
const LOG_EVENTS: &str = "payonce_log_events";
const HISTORY_EVENTS: &str = "payonce_history_events";
const UNSNAPSHOTTED_BYTES: &str = "payonce_unsnapshotted_bytes";
const SNAPSHOTS: &str = "payonce_snapshots_total";
const SNAPSHOT_FAILURES: &str = "payonce_snapshot_failures_total";
const SNAPSHOT_SECONDS: &str = "payonce_snapshot_seconds";

/// The metrics of one ledger, each with the label `ledger`: the first 8 hexadecimal digits of its
/// id. Looked up once: a recorder that is installed later hears nothing.
#[derive(Debug)]
pub(crate) struct Telemetry {
    appends: Counter,
    entries: Counter,
    bytes: Counter,
    append_seconds: Histogram,
    append_entries: Histogram,
    queue_commands: Gauge,
    pending: Gauge,
    awaiting_invoice: Gauge,
    abandoned: Gauge,
    unresolved_parts: Gauge,
    outbox: Gauge,
    oldest_unresolved: Gauge,
    anomalies_folded: Gauge,
    restored: Gauge,
    poisoned: Gauge,
    log_events: Gauge,
    history_events: Gauge,
    unsnapshotted_bytes: Gauge,
    snapshots: Counter,
    snapshot_failures: Counter,
    snapshot_seconds: Histogram,
}

impl Telemetry {
    pub(crate) fn of(ledger: LedgerId) -> Self {
        describe();
        let mut label = ledger.to_string();
        label.truncate(8);
        let payments =
            |status| metrics::gauge!(PAYMENTS, "ledger" => label.clone(), "status" => status);
        let telemetry = Self {
            appends: metrics::counter!(APPENDS, "ledger" => label.clone()),
            entries: metrics::counter!(ENTRIES, "ledger" => label.clone()),
            bytes: metrics::counter!(BYTES, "ledger" => label.clone()),
            append_seconds: metrics::histogram!(APPEND_SECONDS, "ledger" => label.clone()),
            append_entries: metrics::histogram!(APPEND_ENTRIES, "ledger" => label.clone()),
            queue_commands: metrics::gauge!(QUEUE_COMMANDS, "ledger" => label.clone()),
            pending: payments("pending"),
            awaiting_invoice: payments("awaiting_invoice"),
            abandoned: payments("abandoned"),
            unresolved_parts: metrics::gauge!(UNRESOLVED_PARTS, "ledger" => label.clone()),
            outbox: metrics::gauge!(OUTBOX, "ledger" => label.clone()),
            oldest_unresolved: metrics::gauge!(OLDEST_UNRESOLVED, "ledger" => label.clone()),
            anomalies_folded: metrics::gauge!(ANOMALIES_FOLDED, "ledger" => label.clone()),
            restored: metrics::gauge!(RESTORED, "ledger" => label.clone()),
            poisoned: metrics::gauge!(POISONED, "ledger" => label.clone()),
            log_events: metrics::gauge!(LOG_EVENTS, "ledger" => label.clone()),
            history_events: metrics::gauge!(HISTORY_EVENTS, "ledger" => label.clone()),
            unsnapshotted_bytes: metrics::gauge!(UNSNAPSHOTTED_BYTES, "ledger" => label.clone()),
            snapshots: metrics::counter!(SNAPSHOTS, "ledger" => label.clone()),
            snapshot_failures: metrics::counter!(SNAPSHOT_FAILURES, "ledger" => label.clone()),
            snapshot_seconds: metrics::histogram!(SNAPSHOT_SECONDS, "ledger" => label),
        };
        telemetry.poisoned.set(0.0);
        telemetry
    }

    pub(crate) fn appended(
        &self,
        entries: usize,
        bytes: usize,
        took: Duration,
        outcome: &Result<(), StoreError>,
    ) {
        self.append_seconds.record(took);
        if outcome.is_ok() {
            self.appends.increment(1);
            self.entries.increment(entries as u64);
            self.bytes.increment(bytes as u64);
            self.append_entries.record(count(entries));
        }
    }

    pub(crate) fn snapshot(&self, took: Duration, kept: bool) {
        if kept {
            self.snapshots.increment(1);
            self.snapshot_seconds.record(took);
        } else {
            self.snapshot_failures.increment(1);
        }
    }

    /// For where the fault is set.
    pub(crate) fn poisoned(&self) -> Gauge {
        self.poisoned.clone()
    }

    pub(crate) fn queued(&self, commands: usize) {
        self.queue_commands.set(count(commands));
    }

    /// How much log there is.
    #[allow(clippy::cast_precision_loss, reason = "a gauge")]
    pub(crate) fn log(&self, upkeep: &Upkeep, head_seq: u64) {
        if upkeep.is_known {
            self.log_events.set(head_seq.saturating_sub(upkeep.base_seq) as f64);
            self.history_events.set(upkeep.history_events() as f64);
            self.unsnapshotted_bytes.set(upkeep.since_snapshot.bytes as f64);
        }
    }

    pub(crate) fn observe(&self, vitals: &Vitals, age: Duration) {
        let counts = &vitals.counts;
        self.pending.set(count(counts.pending));
        self.awaiting_invoice.set(count(counts.awaiting_invoice));
        self.abandoned.set(count(counts.abandoned));
        self.unresolved_parts.set(count(counts.unresolved_parts));
        self.outbox.set(count(counts.unread));
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        self.anomalies_folded.set(counts.anomalies_folded as f64);
        self.restored.set(if vitals.restored { 1.0 } else { 0.0 });
        self.oldest_unresolved.set(age.as_secs_f64());
    }
}

/// How old the oldest payment without an outcome is, although clocks are wrong at times.
#[derive(Debug, Default)]
pub(crate) struct Age {
    /// A payment accepted in the future, by its clock, and the earliest time since at which it was
    /// seen to be the oldest: it is at least as old.
    ahead: Option<(UnixMillis, UnixMillis)>,
}

impl Age {
    /// Its age by the latest clock, which may be wrong; the next right one puts it right.
    pub(crate) fn of(&mut self, vitals: &Vitals, now: UnixMillis) -> Duration {
        let accepted = vitals.oldest_unresolved.unwrap_or(now);
        if accepted <= now {
            // Kept, if this clock is the wrong one.
            return Duration::from_millis(now.0 - accepted.0);
        }
        let since = match self.ahead {
            Some((same, since)) if same == accepted => since.min(now),
            _ => now,
        };
        self.ahead = Some((accepted, since));
        Duration::from_millis(now.0 - since.0)
    }
}

/// What the gauges show of a state. A reply like any other: it is read once the head that it saw is
/// durable.
#[derive(Debug)]
pub(crate) struct Vitals {
    counts: Counts,
    restored: bool,
    oldest_unresolved: Option<UnixMillis>,
}

impl Vitals {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            counts: state.counts(),
            restored: state.is_restored(),
            oldest_unresolved: state.oldest_unresolved_since(),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "no count in memory comes near 2^52")]
const fn count(of: usize) -> f64 {
    of as f64
}

fn describe() {
    metrics::describe_counter!(APPENDS, "appends that are durable, each with one sync");
    metrics::describe_counter!(ENTRIES, "entries that are durable");
    metrics::describe_counter!(BYTES, Unit::Bytes, "bytes of entries that are durable");
    metrics::describe_histogram!(APPEND_SECONDS, Unit::Seconds, "how long an append took");
    metrics::describe_histogram!(APPEND_ENTRIES, "entries in one append");
    metrics::describe_gauge!(QUEUE_COMMANDS, "commands that wait for the next append");
    metrics::describe_gauge!(PAYMENTS, "payments by status");
    metrics::describe_gauge!(UNRESOLVED_PARTS, "parts in flight or claimed");
    metrics::describe_gauge!(OUTBOX, "notifications that are not acknowledged");
    metrics::describe_gauge!(
        OLDEST_UNRESOLVED,
        Unit::Seconds,
        "how long ago the oldest payment without an outcome was accepted"
    );
    metrics::describe_gauge!(ANOMALIES_FOLDED, "anomalies that were only counted");
    metrics::describe_gauge!(RESTORED, "1 while the log lacks something that the node knew");
    metrics::describe_gauge!(POISONED, "1 once nothing is answered any more");
    metrics::describe_gauge!(LOG_EVENTS, "events in the log since its base");
    metrics::describe_gauge!(
        HISTORY_EVENTS,
        "of these the ones that a snapshot covers: what could be dropped"
    );
    metrics::describe_gauge!(
        UNSNAPSHOTTED_BYTES,
        Unit::Bytes,
        "bytes of entries since the newest snapshot: what opening replays"
    );
    metrics::describe_counter!(SNAPSHOTS, "snapshots kept");
    metrics::describe_counter!(SNAPSHOT_FAILURES, "snapshots that could not be kept");
    metrics::describe_histogram!(SNAPSHOT_SECONDS, Unit::Seconds, "how long a snapshot took");
}
