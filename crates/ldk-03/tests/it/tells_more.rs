//! What LDK 0.3 tells beyond 0.2.

use lightning::{
    bitcoin::{
        Network,
        secp256k1::{PublicKey, Secp256k1, SecretKey},
    },
    offers::offer::OfferBuilder,
};
use payonce_core::{Msat, PartId};
use payonce_ldk::{Order, PayError, Paying, Terms};

use crate::{
    listed::Listed,
    script::{NOW, ScriptPayer, Stage, engine_hash, engine_id, id, invoice, last_part, paid, pay},
};

const STRANGER: PartId = PartId::from_bytes([0x77; 32]);

fn pay_offer(payer: &ScriptPayer) -> Result<Paying, PayError> {
    let key = SecretKey::from_slice(&[5; 32]).expect("a key");
    let payee = PublicKey::from_secret_key(&Secp256k1::new(), &key);
    let offer = OfferBuilder::new(payee).chain(Network::Regtest).amount_msats(1_000).build();
    payer.pay(id(5), &Order::offer(offer.expect("valid")), None, &Terms::default(), NOW)
}

#[test]
fn a_probe_holds_up_nothing() {
    let stage = Stage::new();
    stage.script.list([Listed::Probe(engine_id(&STRANGER), engine_hash(1))]);
    let (payer, report) = stage.start();
    assert_eq!((report.unknown, report.restored), (vec![], false));
    assert_eq!(payer.ledger().query(|state| state.blocked_hashes().count()).expect("well"), 0);
    assert!(matches!(pay_offer(&payer), Ok(Paying::Accepted { .. })));
    // A probe's hash is random: it is no payment's. One that had it would not be the probe's.
    let paying = payer.pay(id(1), &invoice(1), None, &Terms::default(), NOW);
    assert!(matches!(paying, Ok(Paying::Accepted { .. })));
}

#[test]
fn what_is_no_probe_still_holds_up_offers() {
    let stage = Stage::new();
    stage.script.list([Listed::Pending(engine_id(&STRANGER), engine_hash(1))]);
    let (payer, report) = stage.start();
    assert_eq!(report.unknown, [STRANGER]);
    let refused = pay_offer(&payer).expect_err("it may be for that very offer");
    assert!(matches!(refused, PayError::UnknownInEngine { engine_id: STRANGER }));
}

#[test]
fn the_fee_of_what_is_listed_as_paid_is_known() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let part = last_part(&payer, 1);
    drop(payer);
    stage.script.list([Listed::PaidFor(engine_id(&part), engine_hash(1), 7)]);
    let (payer, report) = stage.start();
    assert_eq!(report.paid_without_proof, [part]);
    assert_eq!(paid(&payer, 1).and_then(|(_, fee)| fee), Some(Msat(7)));
}
