//! The bookkeeping of a log: each transaction's postings sum to zero.
//!
//! What is booked is what the ledger told its user: PaymentSent books a payment, PaymentSettled what has
//! changed of it since, and a failure that lost a dust HTLC to fees books that.

use std::collections::HashMap;

use payonce::{
    Event, Msat, PaymentId, State, State as Folded,
    audit::{EventSource, Record, ReplayError},
};
use serde::Serialize;

use crate::{
    log::{Log, seed},
    units::rfc3339,
};

/// Where the money was.
const ASSETS: &str = "Assets:Lightning";
/// What payees got of it, fees apart.
const PAYMENTS: &str = "Expenses:Payments";
const FEES: &str = "Expenses:Routing fees";
/// What went to fees without paying anything.
const LOST: &str = "Expenses:Lost on chain";

/// One line of the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Posting {
    pub(crate) date: Option<String>,
    /// The seq of the event that is booked: postings with the same one are one transaction.
    pub(crate) transaction: u64,
    pub(crate) account: &'static str,
    /// What comes in; what goes out is negative.
    pub(crate) amount_msat: i128,
    /// The same in satoshi, with three decimals.
    pub(crate) amount_sat: String,
    pub(crate) payment: String,
    pub(crate) memo: &'static str,
}

/// What was told of a payment.
#[derive(Debug, Clone, Copy, Default)]
struct Booked {
    amount: u64,
    fee: u64,
}

/// The books of a log so far. They grow with the payments, by 48 bytes each.
#[derive(Debug)]
pub(crate) struct Books {
    booked: HashMap<PaymentId, Booked>,
    /// What was told before what is left of the log.
    base: Option<State>,
}

impl Books {
    pub(crate) fn of(log: &Log) -> Result<Self, ReplayError> {
        let base = log.base()?.map(|base| {
            let seq = base.at.seq;
            Folded::decode(&base.bytes, seed()).map_err(|error| ReplayError::Base { seq, error })
        });
        Ok(Self { booked: HashMap::new(), base: base.transpose()? })
    }

    /// What an entry books.
    pub(crate) fn record(&mut self, record: &Record) -> Vec<Posting> {
        let mut postings = Vec::new();
        let date = rfc3339(record.header.now);
        for (seq, event) in (record.header.first_seq..).zip(&record.events) {
            let Some((id, memo, accounts)) = self.event(event) else { continue };
            postings.extend(accounts.into_iter().map(|(account, amount_msat)| Posting {
                date: date.clone(),
                transaction: seq,
                account,
                amount_msat,
                amount_sat: decimal(amount_msat),
                payment: id.to_string(),
                memo,
            }));
        }
        postings
    }

    #[allow(clippy::type_complexity, reason = "a payment, what is said of it, and its accounts")]
    fn event(
        &mut self,
        event: &Event,
    ) -> Option<(PaymentId, &'static str, Vec<(&'static str, i128)>)> {
        match event {
            Event::PaymentSent { id, amount, fee, correction, .. } => {
                let memo = match (amount.and(*fee), correction) {
                    (None, _) => "paid; not all of it is known",
                    (_, true) => "paid; corrects what was told before",
                    _ => "paid",
                };
                Some((*id, memo, self.book(*id, *amount, *fee)))
            }
            Event::PaymentSettled { id, amount, fee } => {
                Some((*id, "the final sums", self.book(*id, *amount, *fee)))
            }
            Event::PartFailed { id, failure, .. } => {
                let lost = i128::from(failure.lost?.0);
                Some((*id, "a dust HTLC lost on chain", vec![(LOST, lost), (ASSETS, -lost)]))
            }
            // Its id is free: what comes under it is another payment.
            Event::PaymentForgotten { id, remembered: false } => {
                self.booked.remove(id);
                None
            }
            _ => None,
        }
    }

    /// Books what is told, less what was told before.
    fn book(
        &mut self,
        id: PaymentId,
        amount: Option<Msat>,
        fee: Option<Msat>,
    ) -> Vec<(&'static str, i128)> {
        let base = self.base.as_ref();
        let before = || {
            let paid = base.and_then(|base| base.payment_view(&id)).and_then(|view| view.paid);
            let msat = |sum: Option<Msat>| sum.map_or(0, |sum| sum.0);
            paid.map(|paid| Booked { amount: msat(paid.amount), fee: msat(paid.fee) })
        };
        let booked = self.booked.entry(id).or_insert_with(|| before().unwrap_or_default());
        // What is not known changes nothing that was.
        let told = Booked {
            amount: amount.map_or(booked.amount, |sum| sum.0),
            fee: fee.map_or(booked.fee, |sum| sum.0),
        };
        let difference = |told: u64, booked: u64| i128::from(told) - i128::from(booked);
        let (to, fees) = (difference(told.amount, booked.amount), difference(told.fee, booked.fee));
        *booked = told;
        vec![(PAYMENTS, to), (FEES, fees), (ASSETS, -(to + fees))]
    }
}

fn decimal(msat: i128) -> String {
    let sign = if msat < 0 { "-" } else { "" };
    let whole = msat.unsigned_abs();
    format!("{sign}{}.{:03}", whole / 1_000, whole % 1_000)
}
