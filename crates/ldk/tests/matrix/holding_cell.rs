//! An HTLC that the older manager holds back, and the newer monitor has out.

use lightning::bitcoin::hashes::Hash as _;
use lightning::types::payment::PaymentHash;
use payonce_core::{PaymentId, Status};
use payonce_ldk::{Order, StartError};
use payonce_store_memory::MemoryDisk;

use crate::net::{Image, Loaded, Net, Outcome, Reading, Till};

const FIRST: PaymentId = PaymentId::from_bytes([1; 32]);
const SECOND: PaymentId = PaymentId::from_bytes([2; 32]);
const AMOUNT: u64 = 5_000_000;

/// Two channels, so that a false failure would be paid for on the other one.
fn crashed() -> (Net, Till, Image) {
    let mut net = Net::with_channels(2, &[(0, 1, 1_000_000, 0), (0, 1, 1_000_000, 0)]);
    let till = Till::open_new(&net);
    // The second payment finds its channel waiting for the first one's revocation, on either channel.
    for number in 3..9 {
        pay(&mut net, &till, PaymentId::from_bytes([number; 32]), Outcome::Hold);
    }
    pay(&mut net, &till, FIRST, Outcome::Hold);
    pay(&mut net, &till, SECOND, Outcome::Hold);
    let manager = net.image(0).manager;
    assert!(held_back(&net) > 0, "something is in a holding cell");
    while net.deliver().is_some() {}
    assert_eq!(held_back(&net), 0, "everything was sent");
    let image = Image { manager, ..net.image(0) };
    (net, till, image)
}

fn pay(net: &mut Net, till: &Till, id: PaymentId, outcome: Outcome) {
    let invoice = net.invoice(1, Some(AMOUNT));
    net.outcomes.insert(PaymentHash(invoice.payment_hash().to_byte_array()), outcome);
    till.pay(id, &Order::bolt11(invoice), None, 3).expect("a good order");
}

fn held_back(net: &Net) -> usize {
    let channels = net.nodes[0].node.list_channels();
    channels
        .iter()
        .flat_map(|channel| &channel.pending_outbound_htlcs)
        .filter(|htlc| htlc.htlc_id.is_none())
        .count()
}

#[test]
fn what_an_older_manager_held_back_is_not_paid_twice() {
    let (mut net, till, image) = crashed();
    net.crash(0);
    assert_eq!(net.load(0, &image), Ok(Loaded::Closing));
    let disk = MemoryDisk::from_image(till.disk.image());
    let (mut till, report) =
        Till::start(disk, None, &net, till.now).expect("the manager was read twice");
    assert!(report.never_sent.is_empty(), "{report:?}");
    net.connect_all();
    for outcome in net.outcomes.values_mut() {
        *outcome = Outcome::Claim;
    }
    crate::after::rest(&mut net, &mut till);
    for number in 1..9 {
        let view =
            till.payment_view(&PaymentId::from_bytes([number; 32])).expect("it was accepted");
        assert_eq!(view.status, Status::Fulfilled, "payment {number}");
    }
    assert_eq!(net.claimed.len(), 8, "each was received once: {:?}", net.claimed);
}

#[test]
fn a_start_over_a_manager_that_was_read_once_believes_no_failure() {
    let (mut net, till, image) = crashed();
    net.crash(0);
    net.reading = Reading::Once;
    assert_eq!(net.load(0, &image), Ok(Loaded::Closing));
    let disk = MemoryDisk::from_image(till.disk.image());
    let started = Till::start(disk.clone(), None, &net, till.now).map(|_| ());
    assert!(matches!(started, Err(StartError::ManagerReadOnce)), "{started:?}");
    // Nothing is known to have failed, so that nothing is paid again.
    net.crash(0);
    net.reading = Reading::Twice;
    let image = Image { manager: image.manager, ..net.image(0) };
    net.load(0, &image).expect("LDK loads it again");
    let (till, report) = Till::start(disk, None, &net, till.now).expect("it was read twice now");
    assert!(report.never_sent.is_empty(), "{report:?}");
    for number in 1..9 {
        let view =
            till.payment_view(&PaymentId::from_bytes([number; 32])).expect("it was accepted");
        assert_eq!(view.status, Status::Pending, "payment {number}");
    }
}
