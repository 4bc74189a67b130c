//! What a payer tells of its engines.

use std::{collections::HashMap, sync::Arc};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use payonce_core::{Notification, Status};
use payonce_engine::{Key, Sink, async_trait};

use crate::till::{Till, disk, open, request};

/// Takes everything at the second time.
struct Slow(std::sync::atomic::AtomicBool);

#[async_trait]
impl Sink for Slow {
    async fn deliver(
        &self,
        _: &Notification,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let again = self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
        if again { Ok(()) } else { Err("not now".into()) }
    }
}

/// By name and the labels beside the ledger's.
fn values(told: &Snapshotter) -> HashMap<String, String> {
    let mut values = HashMap::new();
    for (key, unit, description, value) in told.snapshot().into_vec() {
        let name = key.key().name();
        if !(name.contains("engine") || name.contains("sink") || name.contains("witness")) {
            continue;
        }
        assert!(description.is_some(), "{name} {unit:?} is described");
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        assert_eq!(labels[0], "07070707", "{name}");
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(level) => level.to_string(),
            DebugValue::Histogram(samples) => samples.len().to_string(),
        };
        values.insert(format!("{name} {}", labels[1..].join(" ")), value);
    }
    values
}

#[test]
fn counters_gauges_and_histograms_tell_what_happened() {
    let recorder = DebuggingRecorder::new();
    let told = recorder.snapshotter();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    metrics::with_local_recorder(&recorder, || runtime.block_on(a_lost_request()));
    let values = values(&told);
    let value = |name: &str| values.get(name).map_or("none", String::as_str);
    assert_eq!(value("payonce_engine_calls_total till pay unknown"), "1");
    assert_eq!(value("payonce_engine_calls_total till pay taken"), "1");
    assert_eq!(value("payonce_engine_call_seconds till pay"), "2");
    assert_ne!(value("payonce_engine_calls_total till find answered"), "none");
    assert_ne!(value("payonce_engine_call_seconds till find"), "0");
    assert_eq!(value("payonce_engine_hand_overs_total till first"), "1");
    assert_eq!(value("payonce_engine_hand_overs_total till again"), "1");
    assert_eq!(value("payonce_engine_ends_total till paid"), "1");
    assert_eq!(value("payonce_engine_ends_total till failed"), "0");
    let levels =
        ["out till", "silent till", "attention ", "unattended ", "blocked_hashes ", "unfit "];
    for gauge in levels {
        assert_eq!(value(&format!("payonce_engine_{gauge}")), "0", "{gauge}");
    }
    assert_eq!(value("payonce_sink_deliveries_total refused"), "1");
    assert_eq!(value("payonce_sink_deliveries_total taken"), "2", "sent, and settled");
    assert_eq!(value("payonce_witness_failures_total "), "0");
    // The page that operators read has them all.
    let page = include_str!("../../../../docs/OPERATING.md");
    for name in values.keys().filter_map(|name| name.split(' ').next()) {
        assert!(page.contains(&format!("`{name}")), "{name} is not in OPERATING");
    }
}

/// Nothing fails and nothing is told: without a figure nobody would know that it waits.
#[test]
fn who_waits_for_an_engine_that_fits_is_counted() {
    let recorder = DebuggingRecorder::new();
    let told = recorder.snapshotter();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    metrics::with_local_recorder(&recorder, || runtime.block_on(two_unfit_payments(&told)));
    assert_eq!(values(&told)["payonce_engine_unfit "], "0", "one is paid, one was given up");
}

async fn two_unfit_payments(told: &Snapshotter) {
    let (disk, till) = (disk(), Till::new(Key::PaymentHash));
    let starting = open(&disk).await.engine("till", Arc::clone(&till) as _);
    let (payer, _) = starting.finish().await.expect("starts");
    till.books.lock().expect("no panic").not_now = u32::MAX;
    let mut ids = Vec::new();
    for (id, request) in [request(1), request(2)] {
        payer.pay(id, request).await.expect("accepted");
        ids.push(id);
    }
    till.books.lock().expect("no panic").unfit = true;
    while values(told)["payonce_engine_unfit "] != "2" {
        till.bell.notified().await;
    }
    payer.abandon(ids[0]).await.expect("known");
    {
        let mut books = till.books.lock().expect("no panic");
        (books.unfit, books.not_now) = (false, 0);
    }
    assert_eq!(payer.outcome(ids[1]).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(payer.outcome(ids[0]).await.expect("an end").paid, None);
    payer.stop().await;
}

async fn a_lost_request() {
    let (disk, till) = (disk(), Till::new(Key::PaymentHash));
    till.books.lock().expect("no panic").lost = 1;
    let sink = Arc::new(Slow(false.into()));
    let starting = open(&disk).await.engine("till", Arc::clone(&till) as _).sink(sink);
    let (payer, _) = starting.finish().await.expect("starts");
    let (id, request) = request(1);
    payer.pay(id, request).await.expect("accepted");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    let mut news = payer.ledger().subscribe(1);
    while payer.ledger().query_async(|state| state.counts().unread).await.expect("open") > 0 {
        news.read_async().await.expect("the outbox empties");
    }
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some());
    // The gauges are as of the last look at all that is out, which may have been in the middle of the above: a
    // start looks as well.
    let starting = open(&disk).await.engine("till", till as _);
    let (payer, _) = starting.finish().await.expect("starts again");
    payer.stop().await;
}
