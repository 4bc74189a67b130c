//! What the handle tells of itself.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use payonce_core::{Abandon, FailureReason, UnixMillis};
use payonce_store_memory::Failure;

use crate::support::{NOW, Wrapped, disk, dispatch, id, open, open_wrapped, send};

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
    assert_eq!(value("payonce_append_entries", ""), "3");
    assert_eq!(value("payonce_payments", "pending"), "10");
    assert_eq!(value("payonce_unresolved_parts", ""), "1");
    assert_eq!(value("payonce_oldest_unresolved_seconds", ""), "90");
    assert_eq!(value("payonce_outbox_notifications", ""), "0");
    assert_eq!(value("payonce_restored", ""), "0");
    assert_eq!(value("payonce_snapshots_total", ""), "1");
    assert_eq!(value("payonce_log_events", ""), "13");
    assert_eq!(value("payonce_history_events", ""), "13");
    assert_eq!(value("payonce_unsnapshotted_bytes", ""), "0");
    assert_eq!(value("payonce_poisoned", ""), "1");
    assert_ne!(value("payonce_bytes_total", ""), "0");
}

/// Sees one gauge.
fn gauge(told: &metrics_util::debugging::Snapshotter, name: &str) -> String {
    let all = told.snapshot().into_vec().into_iter();
    let mut found = all.filter(|(key, ..)| key.key().name() == name);
    match found.next().expect("it is told") {
        (_, _, _, DebugValue::Gauge(level)) => level.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_age_is_right_again_with_the_next_right_clock() {
    let recorder = DebuggingRecorder::new();
    let told = recorder.snapshotter();
    let oldest = || gauge(&told, "payonce_oldest_unresolved_seconds");
    let at = |seconds: u64| UnixMillis(NOW.0 + seconds * 1_000);
    let wrong = UnixMillis(4_070_908_800_000); // in 2099
    let disk = disk();
    let ledger = metrics::with_local_recorder(&recorder, || open(&disk));
    ledger.execute(send(1), NOW).expect("accepted");
    ledger.execute(send(2), wrong).expect("accepted");
    ledger.execute(send(3), at(70)).expect("accepted");
    assert_eq!(oldest(), "70");
    ledger.execute(send(4), UnixMillis(0)).expect("accepted");
    ledger.execute(send(5), at(80)).expect("accepted");
    assert_eq!(oldest(), "80");
    // The oldest is one that was accepted in 2099: it is at least as old as the next right clock
    // that saw it so.
    let over = |nth| Abandon { id: id(nth), reason: FailureReason::UserAbandoned };
    ledger.execute(over(1), at(90)).expect("known");
    ledger.execute(over(3), at(100)).expect("known");
    assert_eq!(oldest(), "10");
    ledger.execute(over(4), at(3_600)).expect("known");
    assert_eq!(oldest(), "3510", "it is not hidden");
    ledger.execute(over(2), at(3_601)).expect("known");
    assert_eq!(oldest(), "3521", "accepted at 80");
    ledger.execute(over(5), at(3_602)).expect("known");
    assert_eq!(oldest(), "0");
}

/// Whoever is told that it is poisoned finds the gauge set, whatever poisoned it.
#[test]
fn the_gauge_is_set_where_the_fault_is() {
    let recorder = DebuggingRecorder::new();
    let told = recorder.snapshotter();
    let poisoned = || gauge(&told, "payonce_poisoned");
    let disk = disk();
    let panics = Arc::new(AtomicBool::new(false));
    let store = Wrapped::new(&disk).panics_when_read(&panics);
    let ledger = metrics::with_local_recorder(&recorder, || open_wrapped(store));
    ledger.execute(send(1), NOW).expect("accepted");
    assert_eq!(poisoned(), "0");
    panics.store(true, Ordering::Relaxed);
    let mut late = ledger.subscribe(1);
    futures_executor::block_on(late.read_async()).expect_err("the store panicked");
    assert!(ledger.check().is_err());
    assert_eq!(poisoned(), "1");
    drop(ledger.close());

    let ledger = metrics::with_local_recorder(&recorder, || open(&disk));
    ledger.execute(send(2), NOW).expect("accepted");
    assert_eq!(poisoned(), "0");
    disk.fail_nth(1, Failure::BeforeEffect);
    ledger.execute(send(3), NOW).expect_err("told to fail");
    assert!(ledger.check().is_err());
    assert_eq!(poisoned(), "1");
}

#[test]
fn gauges_tell_how_much_log_there_is_after_a_reopening_too() {
    let recorder = DebuggingRecorder::new();
    let told = recorder.snapshotter();
    let sizes = || {
        let all = told.snapshot().into_vec().into_iter();
        let level = |value| match value {
            DebugValue::Gauge(level) => level.to_string(),
            other => panic!("{other:?}"),
        };
        let all: HashMap<_, _> = all
            .filter(|(key, ..)| key.key().name().ends_with("_events"))
            .map(|(key, _, _, value)| (key.key().name().to_owned(), level(value)))
            .collect();
        ["payonce_log_events", "payonce_history_events"].map(|name| all[name].clone())
    };
    let disk = disk();
    let ledger = metrics::with_local_recorder(&recorder, || open(&disk));
    ledger.execute_all((0..10).map(send), NOW).expect("accepted");
    let base = ledger.save_snapshot().expect("kept");
    ledger.execute_all((10..20).map(send), NOW).expect("accepted");
    assert_eq!(sizes(), ["22", "12"]);
    assert_eq!(ledger.drop_history(base, 1).expect("dropped").seq, 12);
    // One more tells of the dropping.
    assert_eq!(sizes(), ["11", "0"]);
    ledger.save_snapshot().expect("kept");
    drop(ledger.close());
    let ledger = metrics::with_local_recorder(&recorder, || open(&disk));
    ledger.execute(send(20), NOW).expect("accepted");
    assert_eq!(sizes(), ["14", "11"], "two of the opening, and one");
}
