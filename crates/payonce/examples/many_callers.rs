//! One ledger for many: a user clicks three times, two workers race to pay, tasks wait for the
//! outcome, and a user interface follows what is durable.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

use std::{error::Error, thread};

use payonce::{
    ClaimPart, Dispatch, DispatchReply, FinalizePart, LedgerId, MaxFee, Msat, NewPart, Opening,
    PartId, Pay, PayReply, PaymentId, Preimage, Remember, Request, RetryPolicy, Status, UnixMillis,
    runtime::{ExecuteError, Options, SharedLedger},
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

type Shared = SharedLedger<MemoryStore>;

fn main() -> Result<(), Box<dyn Error>> {
    let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
    let opening = Opening::new(Remember::Forever, 42);
    let ledger = SharedLedger::open(disk.open(), &opening, Options::default(), NOW)?.finish(NOW)?;

    let preimage = Preimage::from_bytes([1; 32]);
    let hash = preimage.payment_hash();
    let id = PaymentId::from_payment_hash(hash);
    let (max_fee, retry) = (MaxFee::AtMost(Msat(500)), RetryPolicy::Manual);
    let pay = Pay::new(id, Request::invoice(hash, Msat(50_000), max_fee, retry));

    let clicks = each(&ledger, [(); 3], move |ledger, ()| ledger.execute(pay.clone(), NOW));
    let count = |wanted: fn(&PayReply) -> bool| {
        clicks.iter().filter(|reply| reply.as_ref().is_ok_and(wanted)).count()
    };
    println!("three clicks: {} accepted", count(|reply| *reply == PayReply::Accepted));
    println!("              {} told that it was", count(|reply| *reply != PayReply::Accepted));

    // Whoever wants to know waits, in a thread or in a task, on any executor.
    let waiting = ledger.clone();
    let outcome = thread::spawn(move || waiting.outcome(id));

    // Both read the same remaining and dispatch a batch of their own; only one may offer its part.
    let parts = [2, 3].map(|byte| PartId::from_bytes([byte; 32]));
    let offers: Vec<_> = each(&ledger, parts, move |ledger, part| dispatch(ledger, id, part))
        .into_iter()
        .flatten()
        .collect();
    println!("two workers:  {} may offer its part", offers.len());
    let [part] = offers[..] else { return Err("exactly one worker may offer".into()) };

    // The channel tells what became of the part.
    ledger.execute(ClaimPart::new(id, part, preimage), NOW)?;
    ledger.execute(FinalizePart { id, part }, NOW)?;
    let view = outcome.join().map_err(|_| "the waiter panicked")??;
    println!("the waiter:   paid = {}", view.status == Status::Fulfilled);

    // A user interface that starts late misses nothing; from here on it could wait for more.
    let mut screen = ledger.subscribe(1);
    let mut events = Vec::new();
    while let Some(confirmed) = screen.try_read()? {
        events.extend(confirmed.events.iter().map(payonce::Event::name));
    }
    println!("the screen:   {}", events.join(", "));

    let store = ledger.close().ok_or("closed by somebody else")?;
    let audited = payonce::machine::verify(&store, 42)?;
    println!("on disk:      {} fulfilled", audited.counts().fulfilled);
    Ok(())
}

/// Does something in as many threads as there are arguments.
fn each<A: Send + 'static, T: Send + 'static, const N: usize>(
    ledger: &Shared,
    arguments: [A; N],
    act: impl Fn(&Shared, A) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let threads = arguments.map(|argument| {
        let (ledger, act) = (ledger.clone(), act.clone());
        thread::spawn(move || act(&ledger, argument))
    });
    threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
}

/// The part, if this worker was given the right to offer it.
fn dispatch(ledger: &Shared, id: PaymentId, part: PartId) -> Option<PartId> {
    let parts = vec![NewPart::htlc(part, Msat(50_000), Msat(10), 900_144)];
    match ledger.execute(Dispatch { id, attempt: 1, parts }, NOW) {
        Ok(DispatchReply::Recorded { parts, .. }) => parts.into_iter().next(),
        // Recorded before, overtaken, or another worker was faster.
        Ok(_) | Err(ExecuteError::Refused(_)) => None,
        Err(ExecuteError::Unavailable(unavailable)) => panic!("{unavailable}"),
    }
}
