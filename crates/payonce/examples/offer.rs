//! Paying offers (BOLT 12): the obligation exists before its payment hash does. One offer's invoice
//! comes, twice; the other's comes too late.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

mod common;

use std::error::Error;

use payonce::{
    Acknowledge, ClaimPart, Deadline, Dispatch, FinalizePart, Ledger, LedgerId, MaxFee, Msat,
    NewPart, Opening, PartId, Pay, PaymentHash, PaymentId, Preimage, ReceiveInvoice, Remember,
    Request, RetryPolicy, Tick, UnixMillis,
    machine::{OfferHash, Target},
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

fn main() -> Result<(), Box<dyn Error>> {
    let mut now = UnixMillis(1_790_000_000_000);
    let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
    let opening = Opening::new(Remember::Forever, 42);
    let mut ledger = Ledger::open(disk.open(), &opening, now)?.finish(now)?;

    // There is no hash to name these payments after: the caller makes up an id and stores it.
    let [coffee, cake] = [1, 2].map(|byte| PaymentId::from_bytes([byte; 32]));
    for id in [coffee, cake] {
        let offer_hash = OfferHash::from_bytes(*id.as_bytes()); // in production the offer's SHA-256
        let target = Target::Offer { offer_hash, deadline: Deadline::Ticks(2) };
        let (max_fee, retry) = (MaxFee::AtMost(Msat(200)), RetryPolicy::Manual);
        let request = Request::new(target, Msat(20_000), max_fee, retry);
        ledger.execute(Pay::new(id, request), now)?;
    }

    // The coffee's invoice asks for less than the request allows: that is what is paid.
    let preimage = Preimage::from_bytes([3; 32]);
    let hash = preimage.payment_hash();
    ledger.execute(invoice(coffee, hash, 18_000), now)?;
    // A second invoice for the same offer would be paid a second time.
    let second = invoice(coffee, PaymentHash::from_bytes([4; 32]), 18_000);
    println!("second invoice: {}", refusal(&mut ledger, second, now)?);

    let part = PartId::from_bytes([5; 32]);
    let parts = vec![NewPart::htlc(part, Msat(18_000), Msat(100), 900_144)];
    ledger.execute(Dispatch { id: coffee, attempt: 1, parts }, now)?;
    ledger.execute(ClaimPart::new(coffee, part, preimage), now)?;
    ledger.execute(FinalizePart { id: coffee, part }, now)?;

    // Nobody answers for the cake. The node's timer ticks about once a minute.
    for _ in 0..3 {
        now = now.plus(60_000);
        ledger.execute(Tick::new(), now)?;
    }
    let late = invoice(cake, PaymentHash::from_bytes([6; 32]), 20_000);
    println!("late invoice: {}", refusal(&mut ledger, late, now)?);

    // The user is told at least once, and says so.
    let unread: Vec<_> = ledger.query(|state| state.outbox().collect())?;
    let ids = unread.iter().map(|notification| notification.id).collect();
    ledger.execute(Acknowledge { ids }, now)?;

    println!("{}", common::event_table(&common::lines(ledger.store())?));
    Ok(())
}

fn invoice(id: PaymentId, payment_hash: PaymentHash, amount: u64) -> ReceiveInvoice {
    ReceiveInvoice { id, payment_hash, amount: Msat(amount), expiry: None }
}

/// Tells an invoice that must be refused, and gives the reason.
fn refusal(
    ledger: &mut Ledger<MemoryStore>,
    invoice: ReceiveInvoice,
    now: UnixMillis,
) -> Result<String, Box<dyn Error>> {
    match ledger.execute(invoice, now) {
        Ok(reply) => Err(format!("an invoice too many was taken: {reply:?}").into()),
        Err(refusal) => Ok(refusal.to_string()),
    }
}
