//! A start with what is not this node's, or not of now: a clear answer each, and the payment that is out goes
//! on with what is.

use lightning::{
    bitcoin::{Network, constants::ChainHash},
    ln::msgs::DecodeError,
};
use payonce_core::{Opening, Remember};
use payonce_ldk::{ChannelState, Options, Order, StartError, Starting, Terms};

use crate::{
    net::{Image, Loaded, Outcome, Refused},
    shop::{Shop, two},
};

/// A payment is out, and nothing is loaded.
fn one_out() -> (Shop, Order, Image) {
    one_out_of(two())
}

fn one_out_of(mut shop: Shop) -> (Shop, Order, Image) {
    let order = shop.invoice(1);
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &Terms::default());
    shop.net.pump();
    let image = shop.net.image(0);
    shop.stop();
    (shop, order, image)
}

fn goes_on(mut shop: Shop, order: &Order, image: &Image) {
    let (loaded, report) = shop.reload(image);
    assert_eq!(loaded, Loaded::Open);
    assert_eq!((report.still_out.len(), report.never_sent.len()), (1, 0), "{report:?}");
    shop.net.connect_all();
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    shop.assert_paid_once(1, order, &Terms::default());
}

#[test]
fn a_manager_of_another_network_is_refused_before_anything_is_opened() {
    let (shop, order, image) = one_out();
    let before = shop.disk.image();
    let node = &shop.net.nodes[0];
    let options = Options::new(Network::Bitcoin, ChannelState::Latest).manager_read_twice();
    let opening = Opening::new(Remember::Forever, 1);
    let (store, now) = (shop.disk.open(), shop.now);
    let refused = Starting::open(store, &opening, node.node, node.keys_manager, options, now);
    let refused = refused.expect_err("it is a testnet's");
    let chain = ChainHash::using_genesis_block(Network::Testnet);
    assert!(
        matches!(refused, StartError::OtherNetwork { node: Network::Bitcoin, chain: of } if of == chain),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("not bitcoin"), "{refused}");
    assert_eq!(shop.disk.image(), before, "nothing is recorded");
    goes_on(shop, &order, &image);
}

/// Written by a program that is newer than this one: LDK reads no byte beyond its version.
#[test]
fn a_manager_of_a_newer_program_is_refused_and_nothing_is_lost() {
    let (mut shop, order, image) = one_out();
    let mut newer = image.clone();
    newer.manager[1] = u8::MAX;
    shop.net.crash(0);
    let refused = shop.net.load(0, &newer);
    assert_eq!(refused, Err(Refused::Read(DecodeError::UnknownVersion)));
    goes_on(shop, &order, &image);
}

/// Monitors from a backup, beside a manager that has gone on: LDK would broadcast what was revoked.
#[test]
fn a_manager_that_is_ahead_of_its_monitors_is_refused_and_nothing_is_lost() {
    let shop = two();
    let older = shop.net.image(0).monitors;
    let (mut shop, order, image) = one_out_of(shop);
    shop.net.crash(0);
    let ahead = Image { monitors: older, manager: image.manager.clone() };
    let refused = shop.net.load(0, &ahead);
    assert_eq!(refused, Err(Refused::Read(DecodeError::DangerousValue)));
    goes_on(shop, &order, &image);
}
