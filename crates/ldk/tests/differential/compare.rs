//! The ledger's view, LDK's list, and what the channels hold.

use std::collections::BTreeMap;

use lightning::ln::channelmanager::RecentPaymentDetails as Details;
use payonce_core::{Msat, PartId, PartStatus, PaymentHash, Status, StatusKind};

use crate::{life::Life, net::Net};

/// What LDK lists, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    AwaitingInvoice,
    Pending(PaymentHash),
    Fulfilled(PaymentHash),
    Abandoned(PaymentHash),
}

pub(crate) fn listed(net: &Net) -> BTreeMap<PartId, Listed> {
    let hash = |hash: &lightning::types::payment::PaymentHash| PaymentHash::from_bytes(hash.0);
    let entry = |details: &Details| match details {
        Details::AwaitingInvoice { payment_id } => (payment_id.0, Listed::AwaitingInvoice),
        Details::Pending { payment_id, payment_hash, .. } => {
            (payment_id.0, Listed::Pending(hash(payment_hash)))
        }
        Details::Fulfilled { payment_id, payment_hash } => {
            (payment_id.0, Listed::Fulfilled(hash(&payment_hash.expect("a new version"))))
        }
        Details::Abandoned { payment_id, payment_hash } => {
            (payment_id.0, Listed::Abandoned(hash(payment_hash)))
        }
    };
    let list = net.nodes[0].node.list_recent_payments();
    list.iter().map(entry).map(|(id, listed)| (PartId::from_bytes(id), listed)).collect()
}

/// What LDK remembers, the ledger holds the same way. `told`: every event was handled.
pub(crate) fn views(life: &Life, told: bool, place: &str) {
    let listed = listed(&life.net);
    life.till
        .payer
        .ledger()
        .query(|state| {
            for (part, entry) in &listed {
                let (id, fate) = state
                    .part(part)
                    .unwrap_or_else(|| panic!("{place}: LDK knows of {part}: {entry:?}"));
                let payment = state.payment(&id).expect("its part is known");
                let agrees = match entry {
                    Listed::AwaitingInvoice | Listed::Pending(_) | Listed::Abandoned(_) => {
                        fate == PartStatus::InFlight
                    }
                    Listed::Fulfilled(_) => {
                        fate == PartStatus::Claimed || (!told && fate == PartStatus::InFlight)
                    }
                };
                assert!(agrees, "{place}: {part} of {id} is {fate:?}, LDK says {entry:?}");
                if let Listed::Fulfilled(hash) | Listed::Pending(hash) | Listed::Abandoned(hash) =
                    entry
                {
                    let known = payment.payment_hash();
                    assert!(known.is_none_or(|known| known == *hash), "{place}: hashes of {id}");
                }
                if matches!(entry, Listed::Abandoned(_)) {
                    let status = payment.status();
                    assert!(
                        matches!(status, Status::Abandoned { .. } | Status::Pending),
                        "{place}: {id} is {status:?}"
                    );
                }
            }
            for at in state.unresolved() {
                let known = listed.contains_key(&at.part.id);
                let ended = at.part.status == PartStatus::Claimed || !told;
                assert!(
                    known || ended,
                    "{place}: LDK knows nothing of {}, which is in flight",
                    at.part.id
                );
            }
        })
        .expect("the store is well");
}

/// What the ledger takes for paid, in msat, fees included.
fn settled(life: &Life) -> u64 {
    let settled = life.till.payer.ledger().query(|state| {
        let paid = life.asked.iter().filter_map(|asked| state.payment_view(&asked.id)?.paid);
        paid.map(|paid| paid.amount.unwrap_or(Msat::ZERO).0 + paid.fee.unwrap_or(Msat::ZERO).0)
            .sum()
    });
    settled.expect("the store is well")
}

/// What was told as paid has left the channels. What has left them for good was told as paid, once
/// every event was handled.
pub(crate) fn balances(life: &Life, told: bool, closed: bool, place: &str) {
    if closed {
        return;
    }
    let channels = life.net.nodes[0].node.list_channels();
    let out = channels.iter().flat_map(|channel| &channel.pending_outbound_htlcs);
    let out: u64 = out.map(|htlc| htlc.amount_msat).sum();
    let gone = life.initial - life.net.balance_msat(0);
    let settled = settled(life);
    assert!(settled <= gone, "{place}: told {settled} msat as paid, {gone} are gone");
    assert!(
        !told || gone - out <= settled,
        "{place}: {gone} msat are gone, {out} in flight, {settled} told as paid"
    );
}

/// Each payment that the ledger takes for paid was received once, no other was.
pub(crate) fn at_rest(life: &Life, closed: bool, place: &str) {
    let mut received = 0;
    let mut sum = 0;
    for asked in &life.asked {
        let view = life.till.payment_view(&asked.id).expect("it was accepted");
        if let Some(paid) = view.paid {
            let got = life.received(paid.preimage);
            let once = got.len() == 1 && got[0].0 >= asked.amount;
            assert!(once, "{place}: {asked:?} was received as {got:?}");
            received += 1;
            sum += got[0].0;
        }
    }
    let claimed = &life.net.claimed;
    assert_eq!(claimed.len(), received, "{place}: the payees got {claimed:?}");
    let gone = life.initial - life.net.balance_msat(0);
    assert!(sum <= gone, "{place}: received {sum} msat, {gone} are gone");
    if !closed {
        assert_eq!(
            gone,
            settled(life),
            "{place}: what is gone, and what the ledger takes for paid"
        );
    }
    let open = life.till.payer.ledger().query(|state| {
        let open = [StatusKind::Pending, StatusKind::Abandoned, StatusKind::AwaitingInvoice];
        open.iter().map(|kind| state.payments(*kind).count()).sum::<usize>()
    });
    assert_eq!(open.expect("the store is well"), 0, "{place}: everything is decided");
}
