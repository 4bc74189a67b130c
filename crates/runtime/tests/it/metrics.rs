//! What the handle tells of itself.

use std::collections::HashMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use payonce_core::UnixMillis;
use payonce_store_memory::Failure;

use crate::support::{NOW, disk, dispatch, open, send};

#[test]
fn counters_gauges_and_histograms_tell_what_happened() {
    let recorder = DebuggingRecorder::new();
    let told = recorder.snapshotter();
    let disk = disk();
    let ledger = metrics::with_local_recorder(&recorder, || open(&disk));
    ledger.execute_all((0..10).map(send), NOW).expect("accepted");
    ledger.execute(dispatch(0), UnixMillis(NOW.0 + 90_000)).expect("recorded");
    ledger.save_snapshot().expect("saved");
    disk.fail_nth(1, Failure::BeforeEffect);
    ledger.execute(send(11), NOW).expect_err("the store failed");
    let mut values = HashMap::new();
    for (key, unit, description, value) in told.snapshot().into_vec() {
        let name = key.key().name().to_owned();
        assert!(description.is_some(), "{name} {unit:?} is described");
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        assert_eq!(labels[0], "07070707", "{name}");
        values.insert((name, labels.get(1).cloned().unwrap_or_default()), value);
    }
    let value = |name: &str, status: &str| match &values[&(name.to_owned(), status.to_owned())] {
        DebugValue::Counter(count) => count.to_string(),
        DebugValue::Gauge(level) => level.to_string(),
        DebugValue::Histogram(samples) => samples.len().to_string(),
    };
    assert_eq!(value("payonce_appends_total", ""), "3", "recovered, ten sends, a dispatch");
    assert_eq!(value("payonce_entries_total", ""), "12");
    assert_eq!(value("payonce_append_seconds", ""), "4", "the failed one too");
    assert_eq!(value("payonce_batch_entries", ""), "3");
    assert_eq!(value("payonce_payments", "pending"), "10");
    assert_eq!(value("payonce_unresolved_parts", ""), "1");
    assert_eq!(value("payonce_oldest_unresolved_seconds", ""), "90");
    assert_eq!(value("payonce_outbox_notifications", ""), "0");
    assert_eq!(value("payonce_restored", ""), "0");
    assert_eq!(value("payonce_snapshots_total", ""), "1");
    assert_eq!(value("payonce_poisoned", ""), "1");
    assert_ne!(value("payonce_bytes_total", ""), "0");
}
