//! Failures on the way: of one part among several, and until nothing is left to try.

use lightning::ln::channelmanager::Retry;
use payonce_core::{FailureReason, PartStatus, RetryPolicy, Status};
use payonce_ldk::{ChannelState, HandOver, Options, Order, PathReport, Paying, Terms};

use crate::{
    net::{Net, Outcome},
    shop::{Shop, id},
};

/// Two ways to the payee, neither wide enough for the whole amount.
fn diamond(retry: Retry) -> Shop {
    let channels = [(0, 1, 100_000, 0), (0, 2, 100_000, 0), (1, 3, 100_000, 0), (2, 3, 100_000, 0)];
    let options = Options::new(lightning::bitcoin::Network::Testnet, ChannelState::Latest);
    Shop::with_options(Net::with_channels(4, &channels), options.retry(retry))
}

/// A channel lets a tenth of its capacity be in flight: more than one of them takes.
const LARGE: u64 = 15_000_000;

fn reports(shop: &Shop) -> Vec<PathReport> {
    let ledger = shop.payer().ledger();
    let all = ledger.query(|state| {
        let payment = state.payment(&id(1)).expect("known");
        payment.observations().iter().filter_map(PathReport::of).collect()
    });
    all.expect("well")
}

#[test]
fn several_paths_are_one_part() {
    let mut shop = diamond(Retry::Attempts(0));
    let (order, terms) = (Order::bolt11(shop.net.invoice(3, Some(LARGE))), Terms::default());
    shop.pay(1, &order, &terms);
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.parts(1).len(), 1);
    let reports = reports(&shop);
    assert!(reports.len() >= 2 && reports.iter().all(|report| report.succeeded));
    let amount: u64 = reports.iter().map(|report| report.amount.0).sum();
    let fee: u64 = reports.iter().map(|report| report.fee.0).sum();
    assert_eq!(
        (amount, Some(fee)),
        (LARGE, shop.payment_view(1).paid.and_then(|paid| paid.fee).map(|fee| fee.0))
    );
    assert!(reports.iter().all(|report| report.channels.len() == 2));
}

#[test]
fn one_path_of_two_fails_and_the_next_hand_over_pays_all_of_it() {
    let mut shop = diamond(Retry::Attempts(0));
    let order = Order::bolt11(shop.net.invoice(3, Some(LARGE)));
    let terms = Terms::default().retry(RetryPolicy::Attempts(1));
    shop.net.disconnect(2, 3);
    shop.pay(1, &order, &terms);
    shop.settle();
    let first = shop.parts(1)[0].0;
    assert_eq!(shop.parts(1), [(first, PartStatus::InFlight)], "the other path is still out");
    assert!(reports(&shop).iter().any(|report| !report.succeeded));
    shop.tick();
    assert_eq!(shop.parts(1).len(), 1, "nothing is handed over while a path is out");

    // The payee waits for the rest in vain, and gives back what it has.
    for _ in 0..4 {
        shop.net.nodes[3].node.timer_tick_occurred();
    }
    shop.settle();
    assert_eq!(shop.parts(1), [(first, PartStatus::Failed)]);
    assert_eq!(shop.payment_view(1).status, Status::Pending);
    assert_eq!(shop.spent(), 0);
    shop.net.connect(2, 3);
    shop.net.pump();
    shop.tick();
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.parts(1).len(), 2);
    assert_eq!(shop.net.claimed.len(), 1);
}

#[test]
fn ldks_own_retries_are_one_hand_over() {
    // Two ways, each large enough: LDK tries the other one by itself.
    let channels =
        [(0, 1, 1_000_000, 0), (0, 2, 1_000_000, 0), (1, 3, 1_000_000, 0), (2, 3, 1_000_000, 0)];
    let options = Options::new(lightning::bitcoin::Network::Testnet, ChannelState::Latest);
    let mut shop =
        Shop::with_options(Net::with_channels(4, &channels), options.retry(Retry::Attempts(3)));
    let (order, terms) = (shop.invoice(3), Terms::default());
    // Whichever way it goes first, it fails there.
    shop.net.disconnect(1, 3);
    shop.net.disconnect(2, 3);
    shop.pay(1, &order, &terms);
    shop.settle();
    let reports = reports(&shop);
    assert!(reports.iter().filter(|report| !report.succeeded).count() >= 2, "{reports:?}");
    assert!(reports.iter().all(|report| report.failed_channel.is_some()));
    assert!(matches!(shop.payment_view(1).status, Status::Failed { .. }));
    assert_eq!(shop.parts(1).len(), 1);
    assert_eq!(shop.spent(), 0);
}

#[test]
fn retries_are_exhausted() {
    let mut shop = Shop::over(Net::with_channels(3, &[(0, 1, 1_000_000, 0), (1, 2, 1_000_000, 0)]));
    let order = shop.invoice(2);
    let terms = Terms::default().retry(RetryPolicy::Attempts(2));
    shop.net.disconnect(1, 2);
    shop.pay(1, &order, &terms);
    for _ in 0..5 {
        shop.settle();
        shop.tick();
    }
    let reason = FailureReason::RetriesExhausted;
    assert_eq!(shop.payment_view(1).status, Status::Failed { reason });
    assert_eq!(shop.parts(1).len(), 3, "one try and two retries");
    assert!(shop.parts(1).iter().all(|(_, fate)| *fate == PartStatus::Failed));
    assert_eq!(shop.spent(), 0);
    // LDK's ids are free, the payment's is not.
    assert!(shop.listed().is_empty());
    shop.net.connect(1, 2);
    shop.net.pump();
    assert!(matches!(
        shop.pay(1, &order, &terms),
        Paying::Repeat { view, .. } if view.status == Status::Failed { reason }
    ));
    shop.settle();
    assert_eq!((shop.spent(), shop.net.claimed.len()), (0, 0));
}

#[test]
fn what_the_payee_refuses_is_not_tried_again() {
    let mut shop = Shop::over(Net::with_channels(3, &[(0, 1, 1_000_000, 0), (1, 2, 1_000_000, 0)]));
    let order = shop.invoice(2);
    let terms = Terms::default().retry(RetryPolicy::Attempts(9));
    shop.net.default_outcome = Outcome::Fail;
    shop.pay(1, &order, &terms);
    for _ in 0..3 {
        shop.settle();
        shop.tick();
    }
    let reason = FailureReason::RecipientRejected;
    assert_eq!(shop.payment_view(1).status, Status::Failed { reason });
    assert_eq!(shop.parts(1).len(), 1);
}

#[test]
fn no_route_is_a_failure_at_once_and_nothing_is_listed() {
    let mut shop = Shop::over(Net::with_channels(3, &[(0, 1, 1_000_000, 0)]));
    let order = shop.invoice(2);
    let paying = shop.pay(1, &order, &Terms::default());
    assert!(matches!(paying, Paying::Accepted { first: HandOver::Refused { .. } }));
    assert_eq!(
        shop.payment_view(1).status,
        Status::Failed { reason: FailureReason::RouteNotFound }
    );
    assert!(shop.listed().is_empty());
    shop.settle();
    assert_eq!(shop.spent(), 0);
}
