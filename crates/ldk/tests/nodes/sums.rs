//! Sums after a start with a manager that is older than its monitors: LDK takes the amount of one path
//! for that of the whole. The payee is the judge: it knows what it was paid.

use lightning::ln::channelmanager::RecentPaymentDetails;
use payonce_core::{Msat, PaymentView, Status};
use payonce_ldk::{Order, Terms};

use crate::{
    net::{Image, Loaded, Net, Outcome},
    shop::Shop,
};

/// More than one channel may have in flight, a tenth of what it holds, and less than two.
const BOTH: u64 = 120_000_000;

fn two_channels() -> Shop {
    let channel = (0, 1, 1_000_000, 0);
    Shop::over(Net::with_channels(2, &[channel, channel]))
}

/// Pays over both channels, dies with the manager of before, and is paid out on chain. How it stands
/// then, and what the payee was paid.
fn after_an_older_manager(shop: &mut Shop, pay: impl Fn(&Shop)) -> (PaymentView, u64) {
    shop.net.default_outcome = Outcome::Hold;
    let older = shop.net.image(0).manager;
    pay(shop);
    // An offer's invoice is on its way.
    shop.net.pump();
    shop.handle_events();
    shop.net.pump();
    assert!(matches!(shop.listed()[..], [RecentPaymentDetails::Pending { .. }]));
    let image = Image { manager: older, ..shop.net.image(0) };
    let (loaded, report) = shop.reload(&image);
    assert_eq!((loaded, report.still_out.len()), (Loaded::Closing, 1));
    let [RecentPaymentDetails::Pending { total_msat, .. }] = shop.listed()[..] else {
        panic!("LDK lists it as pending");
    };
    assert!(total_msat < BOTH, "LDK knows one path's amount: {total_msat}");
    shop.net.default_outcome = Outcome::Claim;
    for _ in 0..400 {
        shop.net.mine_blocks(1);
        shop.settle();
        if !shop.net.awaits_blocks() {
            break;
        }
    }
    let [(_, _, claimed)] = shop.net.claimed[..] else { panic!("paid once") };
    (shop.payment_view(1), claimed)
}

fn assert_told_in_full(view: &PaymentView, claimed: u64) {
    assert_eq!(view.status, Status::Fulfilled);
    let paid = view.paid.expect("it is paid");
    assert_eq!((paid.amount, claimed), (Some(Msat(BOTH)), BOTH));
    // No fee goes to a direct peer: LDK's figure may be known, and is right, or not be told.
    assert!(paid.fee.is_none_or(|fee| fee == Msat(0)), "{:?}", paid.fee);
}

#[test]
fn an_invoice_in_two_paths_is_told_in_full() {
    let mut shop = two_channels();
    let order = Order::bolt11(shop.net.invoice(1, Some(BOTH)));
    let (view, claimed) = after_an_older_manager(&mut shop, |shop| {
        shop.pay(1, &order, &Terms::default());
    });
    assert_told_in_full(&view, claimed);
}

#[test]
fn an_offer_in_two_paths_is_told_in_full() {
    let mut shop = two_channels();
    let order = Order::offer(shop.net.offer(1, BOTH));
    let (view, claimed) = after_an_older_manager(&mut shop, |shop| {
        shop.pay(1, &order, &Terms::default());
    });
    assert_told_in_full(&view, claimed);
}
