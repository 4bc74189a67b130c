//! The ledger in the node's own key-value store: made with a new node, never beside one that has run.

use std::sync::Arc;

use lightning::{ln::channelmanager::PaymentId as EngineId, util::persist::KVStoreSync as _};
use payonce_core::{LedgerId, Status};
use payonce_ldk::{
    HeadError, HeadKeeper, KvPayer, Paying, StartError, StartReport, Starting, Terms,
};

use crate::{
    kv::{Now, Values},
    listed::Listed,
    script::{NOW, Script, Stage, engine_hash, id, invoice, options},
};

type Keeper = Arc<HeadKeeper<Arc<Now>>>;
type Payer = KvPayer<Arc<Now>, Arc<Script>, Arc<lightning::sign::RandomBytes>>;

/// A process of the node, over what the last one left in the store.
fn start(stage: &Stage, values: &Arc<Values>) -> Result<(Payer, StartReport, Keeper), StartError> {
    let keeper = Arc::new(HeadKeeper::new(Arc::new(Now(Arc::clone(values)))));
    let (script, entropy) = stage.process();
    let starting = Starting::in_store(&keeper, script, entropy, options(), NOW)?;
    let (payer, report) = starting.finish(|_| Ok(()), NOW).map_err(|it| it.error)?;
    Ok((payer, report, keeper))
}

fn write_manager(keeper: &Keeper) {
    keeper.write("", "", "manager", vec![1]).expect("written");
}

fn missing(stage: &Stage, values: &Arc<Values>) -> String {
    values.written();
    let error = start(stage, values).expect_err("nobody knows what was paid");
    assert!(matches!(error, StartError::LogMissing { .. }), "{error}");
    assert_eq!(values.written(), [] as [&str; 0], "nothing was made in its place");
    error.to_string()
}

#[test]
fn a_new_node_gets_a_ledger_and_every_other_start_finds_it() {
    let (stage, values) = (Stage::new(), Arc::new(Values::default()));
    let (payer, report, keeper) = start(&stage, &values).expect("it is new");
    assert!(report.without_head && !report.restored);
    let ledger = payer.ledger().ledger_id();
    let paying = payer.pay(id(1), &invoice(1), None, &Terms::default(), NOW);
    assert!(matches!(paying, Ok(Paying::Accepted { .. })), "{paying:?}");
    values.written();
    write_manager(&keeper);
    assert_eq!(values.written(), ["payonce_head/head", "/manager"], "the keeper watches it");

    stage.script.set_channels(true);
    drop((payer, keeper));
    let (payer, report, _keeper) = start(&stage, &values).expect("it is there");
    assert!(!report.without_head && !report.restored);
    assert_eq!(payer.ledger().ledger_id(), ledger);
    let view = payer.payment_view(&id(1)).expect("open").expect("remembered");
    assert_eq!(view.status, Status::Pending);

    // Two new nodes are two ledgers.
    let (other, ..) = start(&Stage::new(), &Arc::new(Values::default())).expect("it is new");
    let fixed = Stage::new().start().0.ledger().ledger_id();
    assert_ne!(other.ledger().ledger_id(), fixed);
}

#[test]
fn a_node_that_died_before_its_first_manager_is_still_new() {
    let (stage, values) = (Stage::new(), Arc::new(Values::default()));
    let ledger = start(&stage, &values).expect("it is new").0.ledger().ledger_id();
    let (payer, ..) = start(&stage, &values).expect("it is there");
    assert_eq!(payer.ledger().ledger_id(), ledger);
}

/// A new ledger beside channels would pay again whatever the lost one knew to be paid.
#[test]
fn a_lost_log_is_never_replaced() {
    let (stage, values) = (Stage::new(), Arc::new(Values::default()));
    stage.script.set_channels(true);
    assert!(missing(&stage, &values).contains("this node has channels"));
    stage.script.set_channels(false);
    stage.script.list([Listed::Pending(EngineId([9; 32]), engine_hash(9))]);
    assert!(missing(&stage, &values).contains("this node tracks payments"));
    stage.script.list([]);

    let (payer, _, keeper) = start(&stage, &values).expect("it is new");
    write_manager(&keeper);
    drop((payer, keeper));
    values.lose("payonce");
    let error = missing(&stage, &values);
    assert!(error.contains("in payonce") && error.contains("has written its manager"), "{error}");
    values.lose("");
    assert!(missing(&stage, &values).contains("whose head is kept"));
    values.lose("payonce_head");
    start(&stage, &values).expect("an empty store is a new node's");
}

/// What cannot be read is not *not there*.
#[test]
fn a_store_that_fails_makes_no_node_new() {
    for key in ["manager", "head"] {
        let (stage, values) = (Stage::new(), Arc::new(Values::default()));
        values.hide_key(Some(key));
        let error = start(&stage, &values).expect_err("nobody knows whether it has run");
        assert!(matches!(error, StartError::Head(HeadError::Io(_))), "{error}");
        assert_eq!(values.written(), [] as [&str; 0]);
        values.hide_key(None);
        start(&stage, &values).expect("it is new");
    }
}

#[test]
fn an_older_log_and_the_head_of_another_one_are_seen() {
    let (stage, values) = (Stage::new(), Arc::new(Values::default()));
    let (payer, _, keeper) = start(&stage, &values).expect("it is new");
    let before = values.copy("payonce");
    payer.pay(id(1), &invoice(1), None, &Terms::default(), NOW).expect("accepted");
    write_manager(&keeper);
    drop((payer, keeper));
    values.lose("payonce");
    values.put_all(&before);
    let (payer, report, _) = start(&stage, &values).expect("it opens");
    assert!(report.restored, "{report:?}");
    drop(payer);

    let mut head = values.get("payonce_head", "head").expect("there is one");
    head[1..33].copy_from_slice(&[9; 32]);
    values.put("payonce_head", "head", &head).expect("written");
    let error = start(&stage, &values).expect_err("another node's");
    let found = LedgerId::from_bytes([9; 32]);
    assert!(
        matches!(error, StartError::Head(HeadError::OtherLedger { found: it, .. }) if it == found)
    );
}
