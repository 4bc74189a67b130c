//! One script for the fake and for the real LND: what the one answers the other does. Their transcripts are
//! compared, so that what is believed of LND is LND's own.

use std::time::Duration;

use payonce_core::{
    MaxFee, Msat, NodeId, PartId, PaymentHash, PaymentId, Preimage, Request, RetryPolicy, Target,
};
use payonce_engine::{Engine, EngineError, HandOver, Lookup, PayAnswer, Shown};
use payonce_lnd::{Lnd, Network};

use crate::bills::{Terms, bill, bill_on};

/// The payee's side, and the node's keyboard.
pub(crate) trait Desk {
    /// The engine, with a macaroon: every right, the right to read, or none.
    fn lnd(&self, macaroon: Macaroon) -> Lnd;
    /// An invoice that is paid.
    fn invoice(&self, amount_msat: Option<u64>) -> String;
    /// An invoice that stays out until it is settled or cancelled.
    fn hold(&self, preimage: [u8; 32]) -> String;
    fn settle(&self, preimage: [u8; 32]);
    fn cancel(&self, preimage: [u8; 32]);
    /// An invoice of a payee to whom no route leads.
    fn nowhere(&self, nth: u64) -> String;
    /// A spontaneous payment is coming.
    fn expect(&self, preimage: [u8; 32]);
    fn payee(&self) -> NodeId;
    fn delete_all_payments(&self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Macaroon {
    Admin,
    ReadOnly,
    Wrong,
}

fn hand_over(request: Request, nth: u8) -> HandOver {
    let payment_hash = request.target.payment_hash().expect("no offer");
    HandOver {
        part: PartId::from_bytes([nth; 32]),
        payment: PaymentId::from_payment_hash(payment_hash),
        payment_hash,
        amount: request.amount,
        max_fee: request.max_fee.limit(),
        request,
    }
}

fn of(invoice: &str, amount: Option<u64>) -> HandOver {
    let (fee, retry) = (MaxFee::AtMost(Msat(20_000)), RetryPolicy::Manual);
    let request = Network::Simnet.request(invoice, amount.map(Msat), fee, retry);
    hand_over(request.expect("an invoice"), 1)
}

/// What is the same of an answer, whoever gives it.
fn say(answer: &PayAnswer) -> String {
    match answer {
        // How far it has come by then is a matter of chance.
        PayAnswer::Taken(Shown::Out { .. } | Shown::Paid(_) | Shown::Failed { .. }) => {
            "taken".into()
        }
        PayAnswer::Refused(refusal) => {
            format!("refused: {}", refusal.why.split(" Valid").next().unwrap_or_default())
        }
        PayAnswer::NotNow(EngineError::Denied { .. }) => "not now: denied".into(),
        other => format!("{other:?}"),
    }
}

fn show(shown: &Result<Shown, EngineError>) -> String {
    match shown {
        Ok(Shown::Out { mark }) => format!("out, marked: {}", mark.is_some()),
        Ok(Shown::Paid(payout)) => format!("paid {:?}", payout.amount),
        Ok(Shown::Failed { mark, permanent, reason }) => {
            format!("failed: {reason}, permanent: {permanent}, marked: {}", mark.is_some())
        }
        Ok(Shown::NotKnown) => "not known".into(),
        Err(EngineError::Denied { .. }) => "denied".into(),
        Err(other) => format!("{other:?}"),
    }
}

struct Script<'a, D> {
    desk: &'a D,
    lnd: Lnd,
    lines: Vec<String>,
}

/// Runs the script and gives its transcript.
pub(crate) async fn run(desk: &impl Desk) -> Vec<String> {
    let lnd = desk.lnd(Macaroon::Admin);
    let mut script = Script { desk, lnd, lines: Vec::new() };
    script.invoices().await;
    script.failures().await;
    script.held().await;
    script.spontaneous().await;
    script.rights().await;
    script.list_and_delete().await;
    script.lines
}

fn lookup(payment_hash: PaymentHash) -> Lookup {
    Lookup { part: None, payment_hash }
}

impl<D: Desk> Script<'_, D> {
    fn note(&mut self, what: &str, line: impl AsRef<str>) {
        self.lines.push(format!("{what}: {}", line.as_ref()));
    }

    async fn pay(&mut self, what: &str, hand_over: &HandOver) {
        let answer = self.lnd.pay(hand_over).await;
        self.note(what, say(&answer));
    }

    async fn find(&mut self, what: &str, hash: PaymentHash) -> Option<u64> {
        let shown = self.lnd.find(&lookup(hash)).await;
        self.note(what, show(&shown));
        match shown {
            Ok(Shown::Out { mark } | Shown::Failed { mark, .. }) => mark,
            _ => None,
        }
    }

    /// The end, as the node's own stream tells it.
    async fn end(&mut self, what: &str, hash: PaymentHash) -> Option<u64> {
        let lookup = lookup(hash);
        let waiting = tokio::time::timeout(Duration::from_secs(90), self.lnd.wait(&lookup));
        let end = waiting.await.expect("it ends").map(|end| end.expect("it tells"));
        self.note(what, show(&end));
        match end {
            Ok(Shown::Failed { mark, .. }) => mark,
            _ => None,
        }
    }

    async fn invoices(&mut self) {
        let paid = of(&self.desk.invoice(Some(60_000)), None);
        self.find("new", paid.payment_hash).await;
        self.pay("an invoice", &paid).await;
        self.end("its end", paid.payment_hash).await;
        self.pay("again", &paid).await;
        self.find("after that", paid.payment_hash).await;
        let any = of(&self.desk.invoice(None), Some(30_000));
        self.pay("an invoice of any amount", &any).await;
        self.end("its end", any.payment_hash).await;
        let late = bill_on(41, Terms { age: 7_200, ..Terms::default() });
        let late = of(&late.text, None);
        self.pay("an expired invoice", &late).await;
        self.find("after that", late.payment_hash).await;
    }

    async fn failures(&mut self) {
        let nowhere = of(&self.desk.nowhere(42), None);
        self.pay("to nowhere", &nowhere).await;
        let first = self.end("its end", nowhere.payment_hash).await;
        self.pay("again", &nowhere).await;
        let second = self.end("its end", nowhere.payment_hash).await;
        self.note("the second mark is later", (second > first).to_string());
    }

    async fn held(&mut self) {
        let held = of(&self.desk.hold([51; 32]), None);
        self.pay("a hold invoice", &held).await;
        self.find("it", held.payment_hash).await;
        self.pay("again", &held).await;
        self.desk.settle([51; 32]);
        self.end("settled", held.payment_hash).await;
        let held = of(&self.desk.hold([52; 32]), None);
        self.pay("another", &held).await;
        self.desk.cancel([52; 32]);
        self.end("cancelled", held.payment_hash).await;
    }

    async fn spontaneous(&mut self) {
        let preimage = Preimage::from_bytes([61; 32]);
        self.desk.expect([61; 32]);
        let (fee, retry) = (MaxFee::AtMost(Msat(20_000)), RetryPolicy::Manual);
        let target = Target::Spontaneous { preimage };
        let request = Request::new(target, Msat(25_000), fee, retry).payee(self.desk.payee());
        let gift = hand_over(request, 2);
        self.pay("a spontaneous payment", &gift).await;
        self.end("its end", gift.payment_hash).await;
        self.pay("again", &gift).await;
    }

    async fn rights(&mut self) {
        let bill = of(&bill(71).text, None);
        for macaroon in [Macaroon::ReadOnly, Macaroon::Wrong] {
            self.lnd = self.desk.lnd(macaroon);
            self.find(&format!("{macaroon:?} asks"), bill.payment_hash).await;
            self.pay(&format!("{macaroon:?} pays"), &bill).await;
        }
        self.lnd = self.desk.lnd(Macaroon::Admin);
        self.find("after that", bill.payment_hash).await;
    }

    async fn list_and_delete(&mut self) {
        let page = self.lnd.list(0).await.expect("a list").expect("LND has one");
        let mut all: Vec<_> =
            page.payments.into_iter().map(|(_, shown)| show(&Ok(shown))).collect();
        all.sort();
        self.note("the list", all.join("; "));
        self.desk.delete_all_payments();
        let page = self.lnd.list(0).await.expect("a list").expect("LND has one");
        self.note("deleted, the list", page.payments.len().to_string());
        let gift = Preimage::from_bytes([61; 32]).payment_hash();
        self.find("deleted", gift).await;
    }
}
