//! A payment in three parts. One fails; the node restarts; the retry keeps to the fee budget and
//! avoids the channel that failed, as if nothing had happened.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

mod common;

use std::error::Error;

use payonce::{
    ClaimPart, Dispatch, ExecuteError, FailPart, Failure, FinalizePart, Ledger, LedgerId, MaxFee,
    Msat, NewPart, Opening, PartId, Pay, PaymentId, Preimage, Remember, Request, RetryPolicy,
    UnixMillis, machine::ShortChannelId,
};
use payonce_store_memory::MemoryDisk;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
    let opening = Opening::new(Remember::Forever, 42);
    let mut ledger = Ledger::open(disk.open(), &opening, NOW)?.finish(NOW)?;

    let preimage = Preimage::from_bytes([1; 32]);
    let hash = preimage.payment_hash();
    let id = PaymentId::from_payment_hash(hash);
    let (max_fee, retry) = (MaxFee::AtMost(Msat(10_000)), RetryPolicy::Attempts(2));
    let request = Request::invoice(hash, Msat(3_000_000), max_fee, retry);
    ledger.execute(Pay::new(id, request), NOW)?;

    // The first attempt: three parts, recorded as one batch before any of them is offered.
    let parts = vec![part(1, 1_000_000, 1_000), part(2, 1_500_000, 2_000), part(3, 500_000, 1_000)];
    ledger.execute(Dispatch { id, attempt: 1, parts }, NOW)?;

    // The second one fails, irrevocably, at a channel on its way. The others wait at the payee.
    let broken = ShortChannelId(850_000 << 40 | 12 << 16 | 1);
    let failure = Failure::on_channel(broken);
    ledger.execute(FailPart { id, part: name(2), failure }, NOW)?;

    // The node restarts. Recovery lists what is out; the channels say that it still is, which is
    // what the ledger assumes of every part without an answer.
    drop(ledger);
    let mut recovery = Ledger::open(disk.open(), &opening, NOW)?;
    for open in recovery.unresolved()? {
        println!(
            "after the restart: {} msat {}",
            open.part.amount.unwrap_or_default().0,
            open.part.status
        );
    }
    let mut ledger = recovery.finish(NOW)?;

    // It rests for a second. What is due then says all that the next attempt must know.
    println!("due at once: {} payments", ledger.query(|state| state.due(NOW))?.len());
    let later = NOW.plus(1_000);
    let due = ledger.query(|state| state.due(later))?.remove(0);
    let avoid: Vec<_> = due.avoid.iter().map(ToString::to_string).collect();
    let budget = common::known(due.fee_budget);
    println!("due: {}, at most {budget} in fees, avoiding {}", due.amount, avoid.join(", "));

    // The router's first idea is too expensive, and is refused with the numbers.
    let parts = vec![part(4, due.amount.0, 9_000)];
    match ledger.execute(Dispatch { id, attempt: due.attempt, parts }, later) {
        Err(ExecuteError::Refused(refusal)) => println!("refused: {refusal}"),
        other => panic!("over the budget, but {other:?}"),
    }
    // Its second is not. A refused attempt did not count.
    let parts = vec![part(4, due.amount.0, 3_000)];
    ledger.execute(Dispatch { id, attempt: due.attempt, parts }, later)?;

    // All of it is there: the payee takes the parts, one preimage each.
    for part in [1, 3, 4].map(name) {
        ledger.execute(ClaimPart::new(id, part, preimage), later)?;
    }
    for part in [1, 3, 4].map(name) {
        ledger.execute(FinalizePart { id, part }, later)?;
    }

    println!("{}", common::event_table(&common::lines(ledger.store())?));
    let paid = ledger.query(|state| state.payment_view(&id))?.and_then(|view| view.paid);
    let paid = paid.expect("every part was claimed");
    println!("paid: {} and {} in fees", common::known(paid.amount), common::known(paid.fee));
    Ok(())
}

/// In earnest random: a part id is never used twice.
fn name(part: u8) -> PartId {
    PartId::from_bytes([part; 32])
}

fn part(number: u8, amount: u64, fee: u64) -> NewPart {
    NewPart::htlc(name(number), Msat(amount), Msat(fee), 900_144)
}
