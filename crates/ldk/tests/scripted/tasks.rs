//! Tasks: every call over a store that is slow, from a runtime with one thread, which nothing may block.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use lightning::events::PaymentFailureReason;
use lightning::util::native_async::FutureSpawner;
use payonce_core::{FailureReason, LedgerId, Listing, Opening, Remember, RetryPolicy, Status};
use payonce_ldk::{HandOver, Paying, Starting, Terms};
use payonce_store_kv::{BlockingKv, KvStore, Namespace};
use payonce_store_memory::Failure;

use crate::kv::{Later, Values};
use crate::script::{
    Asked, Listed, NOW, ScriptPayer, Stage, engine_hash, engine_id, failed, id, invoice, last_part,
    options, parts, sent, status,
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

async fn start(stage: &Stage) -> (ScriptPayer, payonce_ldk::StartReport) {
    let opening = Opening::new(Remember::Forever, 1);
    let (engine, entropy) = stage.process();
    let starting =
        Starting::open_async(stage.disk.open(), &opening, engine, entropy, options(), NOW);
    let starting = starting.await.expect("the log is sound");
    starting.finish_async(|_| async { Ok(()) }, NOW).await.expect("nothing refuses")
}

#[test]
fn a_payments_life_in_tasks() {
    let stage = Stage::new();
    runtime().block_on(async {
        let (payer, report) = start(&stage).await;
        assert!(report.without_head);
        let terms = Terms::default().retry(RetryPolicy::Attempts(1));
        let order = invoice(1);
        let paying = payer.pay_async(id(1), &order, None, &terms, NOW).await.expect("accepted");
        let first = last_part(&payer, 1);
        assert_eq!(paying, Paying::Accepted { first: HandOver::Started { part: first } });
        let again = payer.pay_async(id(1), &order, None, &terms, NOW).await.expect("a repeat");
        assert!(matches!(again, Paying::Repeat { .. }));
        let event = failed(&first, 1, PaymentFailureReason::RouteNotFound);
        payer.handle_event_async(&event, NOW).await.expect("recorded");
        let ticked = payer.tick_async(NOW.plus(60_000)).await.expect("well");
        let second = last_part(&payer, 1);
        assert_eq!(ticked.driven, [(id(1), HandOver::Started { part: second })]);
        assert_eq!(payer.drive_async(NOW.plus(60_000)).await.expect("well"), []);
        let waiting = payer.outcome_async(id(1));
        payer.handle_event_async(&sent(Some(&second), 1, 50_000, 7), NOW).await.expect("recorded");
        assert_eq!(waiting.await.expect("known").status, Status::Fulfilled);
        let view = payer.payment_view_async(id(1)).await.expect("well").expect("known");
        assert_eq!(view.status, Status::Fulfilled);
        assert_eq!(stage.script.take_asked().len(), 2);
    });
}

#[test]
fn a_start_in_a_task_takes_the_events_and_compares() {
    let stage = Stage::new();
    let part = runtime().block_on(async {
        let (payer, _) = start(&stage).await;
        for number in [1, 2] {
            let order = invoice(number);
            let paid = payer.pay_async(id(number), &order, None, &Terms::default(), NOW).await;
            paid.expect("accepted");
        }
        payer.abandon_async(&id(2), NOW).await.expect("known");
        [last_part(&payer, 1), last_part(&payer, 2)]
    });
    stage.script.take_asked();
    stage.script.queue(sent(Some(&part[0]), 1, 50_000, 7));
    stage.script.list([Listed::Pending(engine_id(&part[1]), engine_hash(2))]);
    runtime().block_on(async {
        let (payer, report) = start(&stage).await;
        assert_eq!((report.still_out, stage.script.events_left()), (vec![part[1]], 0));
        assert_eq!(status(&payer, 1), Status::Fulfilled);
        let abandoned = Status::Abandoned { reason: FailureReason::UserAbandoned };
        assert_eq!(status(&payer, 2), abandoned);
        assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&part[1]))]);
    });
}

/// The disk is stalled in the middle of a payment: the runtime's one thread goes on.
#[test]
fn a_store_that_is_slow_blocks_no_task() {
    let stage = Stage::new();
    runtime().block_on(async {
        let (payer, _) = start(&stage).await;
        let gate = stage.disk.stall_nth(1);
        let order = invoice(1);
        let terms = Terms::default();
        let mut paying = pin!(payer.pay_async(id(1), &order, None, &terms, NOW));
        // The other branch runs while the disk holds the first append, and lets it go.
        let free = async {
            tokio::task::yield_now().await;
            gate.open();
        };
        tokio::select! {
            biased;
            _ = &mut paying => panic!("it was answered before it was durable"),
            () = free => {}
        }
        assert!(matches!(paying.await.expect("accepted"), Paying::Accepted { .. }));
    });
}

/// Wherever its future is dropped, a payment is recorded and LDK has it, or LDK never gets it twice.
#[test]
fn a_dropped_future_pays_once_or_not_at_all() {
    for polls in 0..8 {
        let stage = Stage::new();
        runtime().block_on(async {
            let (payer, _) = start(&stage).await;
            {
                let (order, terms) = (invoice(1), Terms::default());
                let mut paying = pin!(payer.pay_async(id(1), &order, None, &terms, NOW));
                for _ in 0..polls {
                    let polled = poll_once(paying.as_mut()).await;
                    if polled {
                        break;
                    }
                    // What was submitted is durable before it is polled again.
                    payer.ledger().query(|_| ()).expect("well");
                }
            }
            payer.ledger().query(|_| ()).expect("well");
            let (order, terms) = (invoice(1), Terms::default());
            payer.pay_async(id(1), &order, None, &terms, NOW).await.expect("accepted or a repeat");
            payer.drive_async(NOW.plus(60_000)).await.expect("well");
            let out = parts(&payer, 1);
            let given = stage.script.take_asked();
            let unresolved: Vec<_> =
                out.iter().filter(|(_, status)| status.is_unresolved()).collect();
            assert_eq!((unresolved.len(), given.len()), (1, 1), "after {polls} polls: {out:?}");
        });
    }
}

/// Polls once; whether it is over.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[test]
fn a_store_that_fails_in_a_task_says_that_the_outcome_is_unknown() {
    let stage = Stage::new();
    runtime().block_on(async {
        let (payer, _) = start(&stage).await;
        stage.disk.fail_nth(2, Failure::AfterEffect);
        let order = invoice(1);
        let error = payer.pay_async(id(1), &order, None, &Terms::default(), NOW).await;
        let error = error.expect_err("the dispatch was not confirmed");
        assert!(matches!(error, payonce_ldk::PayError::Interrupted(_)), "{error}");
        assert_eq!(stage.script.take_asked(), [], "LDK gets only what is durable");
    });
}

/// What a multi-threaded runtime asks of a future.
#[test]
fn every_future_may_move_between_threads() {
    fn moves<T: Send>(value: T) -> T {
        value
    }
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let order = invoice(1);
    let event = sent(None, 1, 50_000, 1);
    let terms = Terms::default();
    drop(moves(payer.pay_async(id(1), &order, None, &terms, NOW)));
    drop(moves(payer.handle_event_async(&event, NOW)));
    drop(moves(payer.tick_async(NOW)));
    drop(moves(payer.drive_async(NOW)));
    drop(moves(payer.abandon_async(&id(1), NOW)));
    let starting = stage.open();
    drop(moves(starting.finish_async(|_| async { Ok(()) }, NOW)));
    let opening = Opening::new(Remember::Forever, 1);
    let (engine, entropy) = stage.process();
    let store = stage.disk.open();
    drop(moves(Starting::open_async(store, &opening, engine, entropy, options(), NOW)));
}

/// An executor, as LDK names one.
struct Tokio(tokio::runtime::Handle);

impl FutureSpawner for Tokio {
    fn spawn<T: Future<Output = ()> + Send + 'static>(&self, future: T) {
        // Its end is told by the call's own channel.
        drop(self.0.spawn(future));
    }
}

/// The log in a store that is async only, driven by the runtime's one thread: whoever waited for it there
/// would wait for ever.
#[test]
fn a_store_that_is_async_only() {
    let stage = Stage::new();
    let values = Arc::new(Values::default());
    let open = |values: Arc<Values>, create: bool| async move {
        let kv = BlockingKv::new(Arc::new(Later(values)), Tokio(tokio::runtime::Handle::current()));
        let kv = Arc::new(kv);
        let opened = tokio::task::spawn_blocking(move || {
            if create {
                KvStore::create(kv, Namespace::default(), LedgerId::from_bytes([7; 32]))
            } else {
                KvStore::open(kv, Namespace::default())
            }
        });
        opened.await.expect("no panic").expect("sound")
    };
    for create in [true, false] {
        runtime().block_on(async {
            let store = open(Arc::clone(&values), create).await;
            let mut opening = Opening::new(Remember::Forever, 1);
            opening.single_writer = true;
            let (engine, entropy) = stage.process();
            let starting = Starting::open_async(store, &opening, engine, entropy, options(), NOW);
            let starting = starting.await.expect("the log is sound");
            let finished = starting.finish_async(|_| async { Ok(()) }, NOW).await;
            let (payer, _) = finished.expect("nothing refuses");
            let order = invoice(1);
            let paying = payer.pay_async(id(1), &order, None, &Terms::default(), NOW).await;
            let repeat = matches!(paying.expect("accepted"), Paying::Repeat { .. });
            assert_eq!(repeat, !create, "the second process knows what the first has paid");
            let page = payer.list_async(Listing::new(10)).await.expect("listed");
            assert_eq!(page.payments.len(), 1);
            drop(payer.ledger().clone().close_async().await);
        });
    }
}
