//! A real LND.

use crate::net::{Net, programs};

#[test]
fn one_payment() {
    let Some(programs) = programs() else { return };
    let net = Net::start(&programs);
    let invoice = net.bob.invoice(1_000_000);
    let before = net.alice.balance();
    let paid = net.alice.cli(&["payinvoice", "--force", "--json", &invoice]).expect("paid");
    assert_eq!(paid["status"], "SUCCEEDED");
    assert_eq!(before - net.alice.balance(), 1_000_000);
}
