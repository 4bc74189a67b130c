//! The desks of the script: the fake's and the real network's.

use payonce_core::{NodeId, Preimage};
use payonce_engine::Memory;
use payonce_lnd::{Config, Lnd, Network};

use crate::{
    bills::{Terms, bill, bill_on},
    fake::{ADMIN, FakeLnd, Fate, READ_ONLY, hex, wire::lnrpc::PaymentFailureReason as Reason},
    house::config,
    net::Net,
    script::{Desk, Macaroon},
};

/// Paid with these bytes, whoever it is.
fn hash(preimage: [u8; 32]) -> [u8; 32] {
    *Preimage::from_bytes(preimage).payment_hash().as_bytes()
}

impl Desk for FakeLnd {
    fn lnd(&self, macaroon: Macaroon) -> Lnd {
        let macaroon = match macaroon {
            Macaroon::Admin => ADMIN,
            Macaroon::ReadOnly => READ_ONLY,
            Macaroon::Wrong => b"none",
        };
        let config = config(&self.address.to_string(), &self.certificate.pem, macaroon);
        Lnd::new(config).expect("a node")
    }

    fn invoice(&self, amount_msat: Option<u64>) -> String {
        let nth = 1_000 + amount_msat.unwrap_or(0);
        let bill = bill_on(nth, Terms { amount_msat, ..Terms::default() });
        self.books.invoice(bill.hash, bill.preimage, &[]);
        bill.text
    }

    fn hold(&self, preimage: [u8; 32]) -> String {
        let bill = crate::bills::bill_of(preimage, Terms::default());
        self.books.invoice(bill.hash, preimage, &[Fate::Held]);
        bill.text
    }

    fn settle(&self, preimage: [u8; 32]) {
        self.books.settle(&hash(preimage), Fate::Paid);
    }

    fn cancel(&self, preimage: [u8; 32]) {
        let reason = Reason::FailureReasonIncorrectPaymentDetails;
        self.books.settle(&hash(preimage), Fate::Failed(reason));
    }

    fn nowhere(&self, nth: u64) -> String {
        let bill = bill(nth);
        let no_route = Fate::Failed(Reason::FailureReasonNoRoute);
        self.books.invoice(bill.hash, bill.preimage, &[no_route; 2]);
        bill.text
    }

    fn expect(&self, preimage: [u8; 32]) {
        self.books.invoice(hash(preimage), preimage, &[]);
    }

    fn payee(&self) -> NodeId {
        NodeId::from_bytes([2; 33])
    }

    fn delete_all_payments(&self) {
        self.books.forget();
    }
}

impl Desk for Net {
    fn lnd(&self, macaroon: Macaroon) -> Lnd {
        let node = &self.alice;
        let file = match macaroon {
            Macaroon::ReadOnly => node.macaroon("readonly.macaroon"),
            Macaroon::Admin => node.macaroon("admin.macaroon"),
            // Another node's.
            Macaroon::Wrong => self.bob.macaroon("admin.macaroon"),
        };
        let address = format!("127.0.0.1:{}", node.rpc);
        let config =
            Config::from_files(address, node.certificate(), file, Network::Simnet, Memory::Kept);
        Lnd::new(config.expect("files")).expect("a node")
    }

    fn invoice(&self, amount_msat: Option<u64>) -> String {
        self.bob.invoice(amount_msat.unwrap_or(0))
    }

    fn hold(&self, preimage: [u8; 32]) -> String {
        self.bob.hold_invoice(&hex(&hash(preimage)), 50_000)
    }

    fn settle(&self, preimage: [u8; 32]) {
        let (bob, hash) = (&self.bob, hex(&hash(preimage)));
        bob.accepted(&hash);
        bob.cli(&["settleinvoice", &hex(&preimage)]).expect("settled");
    }

    fn cancel(&self, preimage: [u8; 32]) {
        let (bob, hash) = (&self.bob, hex(&hash(preimage)));
        bob.accepted(&hash);
        bob.cli(&["cancelinvoice", &hash]).expect("cancelled");
    }

    fn nowhere(&self, nth: u64) -> String {
        bill(nth).text
    }

    fn expect(&self, _: [u8; 32]) {}

    fn payee(&self) -> NodeId {
        self.bob.key().parse().expect("a key")
    }

    fn delete_all_payments(&self) {
        self.alice.cli(&["deletepayments", "--all", "--include_non_failed"]).expect("deleted");
    }
}
