//! What a payer tells its log: an engine's own reason for a failure is kept nowhere else.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use payonce_core::Status;
use payonce_engine::Key;
use tracing::{field::Field, span};

use crate::till::{Till, disk, request, start};

/// Collects what the log is told.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            let _ = write!(line, " {field}={value:?}");
        });
        self.0.lock().expect("no panic").push(line);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn why_a_hand_over_failed_is_told_once() {
    let lines = Lines::default();
    // With one subscriber alone tracing asks the thread that meets a line first, which may be another test's and
    // has none: the line is silent then, for everybody.
    let _second = tracing::Dispatch::new(Lines::default());
    let _here = tracing::subscriber::set_default(lines.clone());
    let till = Till::new(Key::PaymentHash);
    till.books.lock().expect("no panic").fails = Some("NO_ROUTE");
    let (payer, _) = start(&disk(), &till).await;
    let (id, request) = request(1);
    payer.pay(id, request).await.expect("accepted");
    let view = payer.outcome(id).await.expect("an end");
    assert!(matches!(view.status, Status::Failed { .. }), "{view:?}");
    payer.stop().await;
    let lines = lines.0.lock().expect("no panic");
    let told: Vec<_> = lines.iter().filter(|line| line.contains("NO_ROUTE")).collect();
    let told: Vec<_> = told.into_iter().filter(|line| line.starts_with("INFO")).collect();
    assert!(told.len() == 1 && told[0].contains("a hand-over has failed"), "{lines:?}");
    assert!(told[0].contains("engine=till") && told[0].contains("part="), "{told:?}");
}
