//! A node with a table of its own is moved over: the table is deleted, both starts work, the history stays.

use std::{cell::RefCell, fs, path::Path, sync::Arc};

use lightning::{
    bitcoin::{Network, hashes::Hash as _},
    bolt11_invoice::Bolt11Invoice,
    ln::channelmanager::PaymentId as EngineId,
};
use lightning_persister::fs_store::FilesystemStore;
use payonce_core::{
    FailureReason, LedgerId, Msat, PartId, PaymentId, Preimage, Settlement, Status, UnixMillis,
};
use payonce_ldk::{ImportReport, Order, PastOrder, PastOutcome, PastPayment, Terms, import};
use payonce_store_kv::{KvStore, Namespace};

use crate::{
    after::{After, log, opening},
    before::{self, Before, Row},
    net::{Loaded, Net, Outcome},
    shop::AMOUNT,
};

const SECONDS: u64 = 1_790_000_000;

/// Everybody acts, and the old program handles its events, until nothing moves.
fn settle_before(net: &mut Net, node: &RefCell<Before>) {
    loop {
        net.pump();
        let count = std::cell::Cell::new(0);
        net.handle_events(0, |event| {
            count.set(count.get() + 1);
            node.borrow_mut().on_event(&event)
        });
        if count.get() == 0 {
            return;
        }
    }
}

fn settle_after(net: &mut Net, node: &After, now: UnixMillis) {
    loop {
        net.pump();
        let count = std::cell::Cell::new(0);
        net.handle_events(0, |event| {
            count.set(count.get() + 1);
            node.on_event(&event, now).map(drop)
        });
        if count.get() == 0 {
            return;
        }
    }
}

fn past(row: &Row) -> PastPayment {
    let hash = row.invoice.payment_hash().to_byte_array();
    let order = Order::bolt11(row.invoice.clone());
    let outcome = match row.status {
        before::Status::Paid { preimage, fee_msat } => PastOutcome::Paid {
            preimage: Some(Preimage::from_bytes(preimage)),
            payment_hash: None,
            settlement: Settlement {
                amount: row.invoice.amount_milli_satoshis().map(Msat),
                fee: Some(Msat(fee_msat)),
            },
        },
        before::Status::Failed => PastOutcome::Failed { reason: FailureReason::RetriesExhausted },
        before::Status::Pending => PastOutcome::Pending,
    };
    PastPayment {
        id: PaymentId::from_bytes(hash),
        engine_id: EngineId(hash),
        at: UnixMillis(row.seconds * 1_000),
        order: PastOrder::Order { order, amount: None, terms: Terms::default() },
        outcome,
    }
}

fn import_table(home: &Path, node: &Before, now: UnixMillis) -> ImportReport {
    let kv = Arc::new(FilesystemStore::new(home.to_owned()));
    let ledger = LedgerId::from_bytes([7; 32]);
    drop(KvStore::create(kv, Namespace::default(), ledger).expect("no log yet"));
    let table = node.rows.values().map(past);
    import(log(home).expect("sound"), &opening(), Network::Testnet, table, now).expect("well")
}

/// The old program's life: one payment paid, one failed, one out, and one that it had written down and not
/// sent when it died.
fn old_life(net: &mut Net, file: &Path) -> (Before, [Bolt11Invoice; 4]) {
    let node = RefCell::new(Before::start(file.to_owned(), net.nodes[0].node).expect("readable"));
    let invoices: [Bolt11Invoice; 4] = std::array::from_fn(|_| net.invoice(1, Some(AMOUNT)));
    for (invoice, outcome) in invoices.iter().zip([Outcome::Claim, Outcome::Fail, Outcome::Hold]) {
        net.default_outcome = outcome;
        node.borrow_mut().pay(invoice, SECONDS).expect("written");
        settle_before(net, &node);
    }
    let mut node = node.into_inner();
    let never_sent =
        Row { invoice: invoices[3].clone(), seconds: SECONDS, status: before::Status::Pending };
    node.rows.insert(invoices[3].payment_hash().to_byte_array(), never_sent);
    (node, invoices)
}

fn start(net: &mut Net, home: &Path, now: UnixMillis) -> (After, payonce_ldk::StartReport) {
    let image = net.image(0);
    net.crash(0);
    assert_eq!(net.load(0, &image).expect("LDK loads it"), Loaded::Open);
    let node = &net.nodes[0];
    After::start(home, node.node, node.keys_manager, now).expect("it starts")
}

fn part(invoice: &Bolt11Invoice) -> PartId {
    PartId::from_bytes(invoice.payment_hash().to_byte_array())
}

#[test]
fn a_node_is_moved_over_and_its_table_deleted() {
    let home = tempfile::tempdir().expect("room");
    let file = home.path().join("payments");
    let mut net = Net::with_channels(2, &[(0, 1, 1_000_000, 0)]);
    let wealth = net.balance_msat(0);
    let (old, invoices) = old_life(&mut net, &file);
    let now = UnixMillis(SECONDS * 1_000 + 60_000);

    let report = import_table(home.path(), &old, now);
    assert_eq!((report.imported, report.refused), (4, vec![]));
    fs::remove_file(&file).expect("it was there");
    let (node, report) = start(&mut net, home.path(), now);
    assert_eq!(report.still_out, [part(&invoices[2])]);
    assert_eq!(report.unanswered, [part(&invoices[3])], "the old program may have lost its end");
    assert_eq!((report.restored, report.unknown), (false, vec![]));
    let news = node.payer.ledger().query(|state| state.outbox().count()).expect("well");
    assert_eq!(news, 0, "what is over is no news");

    let failed = Status::Failed { reason: FailureReason::RetriesExhausted };
    let statuses = [Status::Fulfilled, failed, Status::Pending, Status::Pending];
    for (invoice, status) in invoices.iter().zip(statuses) {
        assert_eq!(node.pay(invoice, now).expect("a repeat"), status);
    }
    net.connect_all();
    net.default_outcome = Outcome::Claim;
    settle_after(&mut net, &node, now);
    assert_eq!(node.pay(&invoices[2], now).expect("a repeat"), Status::Fulfilled);
    assert_eq!(wealth - net.balance_msat(0), 2 * AMOUNT, "nothing was paid twice");
    // The new program's own.
    let fifth = net.invoice(1, Some(AMOUNT));
    node.pay(&fifth, now).expect("accepted");
    settle_after(&mut net, &node, now);
    drop(node);

    let (node, report) = start(&mut net, home.path(), now);
    assert!(!report.restored && report.never_sent.is_empty(), "{report:?}");
    let listed: Vec<_> =
        node.list().expect("well").payments.iter().map(|it| it.view.status).collect();
    let paid = listed.iter().filter(|status| **status == Status::Fulfilled).count();
    assert_eq!((listed.len(), paid), (5, 3), "{listed:?}");
    net.connect_all();
    settle_after(&mut net, &node, now);
    for invoice in [&invoices[0], &invoices[2], &fifth] {
        assert_eq!(node.pay(invoice, now).expect("a repeat"), Status::Fulfilled);
    }
    settle_after(&mut net, &node, now);
    assert_eq!(wealth - net.balance_msat(0), 3 * AMOUNT);
}
