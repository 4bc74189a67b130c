//! The ledger's view, LDK's list, and what the channels hold.

use std::collections::BTreeMap;

use lightning::ln::channelmanager::RecentPaymentDetails as Details;
use payonce_core::{Msat, PartId, PartStatus, Payment, PaymentHash, PaymentId, Status, StatusKind};

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
                // Of one that is paid LDK learns anew at a start: from an older manager, which had not
                // heard of that, or from the monitor of a channel that has closed.
                let anew = life.restarted && fate.is_settled();
                let agrees = match entry {
                    Listed::AwaitingInvoice | Listed::Pending(_) | Listed::Abandoned(_) => {
                        fate == PartStatus::InFlight
                    }
                    Listed::Fulfilled(_) => {
                        fate == PartStatus::Claimed || (!told && fate == PartStatus::InFlight)
                    }
                };
                let agrees = agrees || anew;
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
                        // An offer whose hand-over LDK gives up waits for an invoice to the next one. An older
                        // manager brings back a hand-over of what has failed, or was paid.
                        life.restarted
                            || matches!(
                                status,
                                Status::Abandoned { .. }
                                    | Status::Pending
                                    | Status::AwaitingInvoice
                            ),
                        "{place}: {id} is {status:?}"
                    );
                }
            }
            for at in state.unresolved() {
                let known = listed.contains_key(&at.part.id);
                let ended = at.part.status == PartStatus::Claimed || !told;
                assert!(
                    known || ended,
                    "{place}: LDK knows nothing of {:?}, which is in flight",
                    at.part
                );
            }
        })
        .expect("the store is well");
}

/// Every payment is under an id of the user's, or under its hash where LDK told of one that nobody asked for:
/// LDK's ids are of hand-overs, and a user who marks their own id paid must mean the same payment.
pub(crate) fn names(life: &Life, place: &str) {
    let strange = life.till.payer.ledger().query(|state| {
        let all = StatusKind::ALL.iter().flat_map(|kind| state.payments(*kind));
        let is_asked = |id: &PaymentId| life.asked.iter().any(|asked| asked.id == *id);
        let is_hash = |payment: &Payment| {
            payment.payment_hash().map(PaymentId::from_payment_hash) == Some(*payment.id())
        };
        let strange = all.filter(|payment| !is_asked(payment.id()) && !is_hash(payment));
        strange.map(|payment| *payment.id()).collect::<Vec<_>>()
    });
    assert_eq!(strange.expect("the store is well"), [], "{place}: whose are these?");
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
    names(life, place);
    let mut received = 0;
    let mut sum = 0;
    for asked in &life.asked {
        let view = life.till.payment_view(&asked.id).expect("it was accepted");
        if let Some(paid) = view.paid {
            let got: Vec<_> = life.received(asked).into_iter().map(|(_, amount)| amount).collect();
            let once = got.len() == 1 && got[0].0 >= asked.amount;
            assert!(once, "{place}: {asked:?} was received as {got:?}");
            // After closed channels and older managers too: LDK then takes one path's amount for all.
            let in_full = |told: Msat| told.0 >= asked.amount && told <= got[0];
            let told = paid.amount;
            assert!(told.is_none_or(in_full), "{place}: {asked:?} was told as {told:?}, {got:?}");
            received += 1;
            sum += got[0].0;
        }
    }
    let claimed = &life.net.claimed;
    assert_eq!(claimed.len(), received, "{place}: the payees got {claimed:?}");
    let gone = life.initial - life.net.balance_msat(0);
    assert!(sum <= gone, "{place}: received {sum} msat, {gone} are gone");
    let open = life.till.payer.ledger().query(|state| {
        let open = [StatusKind::Pending, StatusKind::Abandoned, StatusKind::AwaitingInvoice];
        let open = open.iter().flat_map(|kind| state.payments(*kind)).map(Payment::id);
        let listed: Vec<_> = listed(&life.net).keys().map(|part| state.owner_of(part)).collect();
        let (held, open): (Vec<_>, Vec<_>) = open.partition(|id| listed.contains(&Some(**id)));
        (open.into_iter().copied().collect::<Vec<_>>(), held.len())
    });
    let (open, held) = open.expect("the store is well");
    assert_eq!(open, [], "{place}: everything is decided, or LDK's");
    // What LDK holds still is neither here nor there.
    if !closed && !life.marked && held == 0 {
        let paid = settled(life);
        assert_eq!(gone, paid, "{place}: what is gone, and what the ledger takes for paid");
    }
}
