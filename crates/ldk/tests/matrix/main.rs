//! The crash matrix: node 0 dies after each step of a payment, and of ledger, manager and monitors
//! each survives in its newest state or in an older one.

#[path = "../net/mod.rs"]
mod net;

mod after;
mod film;
mod holding_cell;
mod oracle;
mod table;

use film::Kind;
use net::Outcome;

#[test]
fn an_invoice_that_is_claimed() {
    table::check(Kind::Invoice, Outcome::Claim, &expect_test::expect_file!["invoice_claimed.txt"]);
}

#[test]
fn an_invoice_that_is_refused() {
    table::check(Kind::Invoice, Outcome::Fail, &expect_test::expect_file!["invoice_refused.txt"]);
}

#[test]
fn an_offer_that_is_claimed() {
    table::check(Kind::Offer, Outcome::Claim, &expect_test::expect_file!["offer_claimed.txt"]);
}

#[test]
fn a_spontaneous_payment() {
    table::check(
        Kind::Spontaneous,
        Outcome::Claim,
        &expect_test::expect_file!["spontaneous_claimed.txt"],
    );
}
