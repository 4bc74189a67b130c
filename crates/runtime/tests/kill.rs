//! Sixty-four threads hammer one ledger on disk and are killed, again and again: every reply that
//! was acknowledged before a kill is still true after it, and nothing was done that nobody asked
//! for.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use payonce_core::{
    Backoff, ClaimPart, Dispatch, DispatchReply, LedgerId, MaxFee, Msat, NewPart, Opening, PartId,
    PartStatus, Pay, PayReply, PaymentId, Preimage, Remember, Request, RetryPolicy, State, Status,
    UnixMillis,
};
use payonce_runtime::{Options, SharedLedger};
use payonce_store_fs::FsStore;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const THREADS: u64 = 64;
const KILLS: u64 = 25;
const FS: payonce_store_fs::Options = {
    let mut options = payonce_store_fs::Options::DEFAULT;
    options.segment_bytes = 256 << 10;
    options.preallocate_bytes = 64 << 10;
    options
};

/// How far a payment had come when its caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Sent,
    Dispatched,
    Claimed,
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [role, directory, round] if role == "child" => {
            hammer(Path::new(directory), round.parse().expect("a number"));
        }
        // The arguments of `cargo test`: a filter is for tests by name, and this is one test.
        [filter, ..] if !filter.starts_with('-') && !"kill".contains(filter.as_str()) => {}
        _ => kill_again_and_again(),
    }
}

fn preimage(nth: u64) -> Preimage {
    let mut bytes = [0x11; 32];
    bytes[..8].copy_from_slice(&nth.to_be_bytes());
    Preimage::from_bytes(bytes)
}

fn id(nth: u64) -> PaymentId {
    PaymentId::from_payment_hash(preimage(nth).payment_hash())
}

fn part(nth: u64) -> PartId {
    PartId::from_bytes(*id(nth).as_bytes())
}

fn send(nth: u64) -> Pay {
    let hash = preimage(nth).payment_hash();
    let request = Request::invoice(hash, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual);
    Pay::new(id(nth), request.backoff(Backoff::NONE))
}

fn dispatch(nth: u64) -> Dispatch {
    let parts = vec![NewPart::htlc(part(nth), Msat(1_000), Msat(10), 900_000)];
    Dispatch { id: id(nth), attempt: 1, parts }
}

fn open(directory: &Path) -> SharedLedger<FsStore> {
    let (store, _) = FsStore::open(directory, FS).expect("a kill is no damage");
    let options = Options::DEFAULT.snapshot_every_bytes(Some(100 << 10));
    let opening = Opening::new(Remember::Forever, 42);
    let recovery = SharedLedger::open(store, &opening, options, NOW).expect("sound");
    recovery.finish(NOW).expect("nothing fails")
}

/// The child: every thread pays one payment after the other, and tells each reply that it gets.
fn hammer(directory: &Path, round: u64) {
    let ledger = open(directory);
    thread::scope(|scope| {
        for caller in 0..THREADS {
            let ledger = ledger.clone();
            let first = (round * THREADS + caller) << 32;
            scope.spawn(move || {
                for nth in first.. {
                    pay(&ledger, nth);
                }
            });
        }
    });
}

fn pay(ledger: &SharedLedger<FsStore>, nth: u64) {
    let reply = ledger.execute(send(nth), NOW).expect("accepted");
    assert_eq!(reply, PayReply::Accepted, "a new payment");
    tell('s', nth);
    let reply = ledger.execute(dispatch(nth), NOW).expect("recorded");
    assert!(matches!(reply, DispatchReply::Recorded { .. }), "the first of its batch");
    tell('d', nth);
    // Every third stays out: there is always something to recover.
    if !nth.is_multiple_of(3) {
        let claim = ClaimPart::new(id(nth), part(nth), preimage(nth));
        ledger.execute(claim, NOW).expect("the proof");
        tell('c', nth);
    }
}

/// One line with one write: no line of another thread comes into it.
fn tell(what: char, nth: u64) {
    let line = format!("{what} {nth}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent listens");
    std::io::stdout().lock().flush().expect("the parent listens");
}

fn kill_again_and_again() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("log");
    let ledger = LedgerId::from_bytes([7; 32]);
    drop(FsStore::create(&directory, ledger, FS).expect("an empty directory"));
    let mut told = HashMap::new();
    let mut random = 0x9e37_79b9_u32;
    for round in 0..KILLS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        hammered(&directory, round, (random >> 8) % 1_500, &mut told);
        let ledger = open(&directory);
        ledger.query(|state| check(state, &told, round)).expect("open");
        repeat(&ledger, &told);
        drop(ledger.close().expect("the first to close"));
    }
    let paid = told.values().filter(|told| **told == Told::Claimed).count();
    assert!(told.len() > 2_000 && paid > 500, "{} payments, {paid} paid", told.len());
}

/// Starts a child, kills it once it has told so many replies, and notes all that it told.
fn hammered(directory: &Path, round: u64, replies: u32, told: &mut HashMap<u64, Told>) {
    let program = env::current_exe().expect("this program");
    let mut command = Command::new(program);
    let command = command.arg("child").arg(directory).arg(round.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for (nth, line) in lines.map_while(Result::ok).enumerate() {
        if nth == replies as usize {
            child.kill().expect("killed");
        }
        // What it had told before it died is in the pipe.
        if let Some((payment, reply)) = read(&line) {
            let known = told.insert(payment, reply);
            assert!(known < Some(reply), "told in order");
        }
    }
    child.wait().expect("dead");
}

fn read(line: &str) -> Option<(u64, Told)> {
    let (what, nth) = line.split_once(' ')?;
    let told = match what {
        "s" => Told::Sent,
        "d" => Told::Dispatched,
        "c" => Told::Claimed,
        _ => return None,
    };
    Some((nth.parse().ok()?, told))
}

fn check(state: &State, told: &HashMap<u64, Told>, round: u64) {
    for (nth, told) in told {
        let view = state.payment_view(&id(*nth)).expect("a payment that was accepted");
        let part = state.part(&part(*nth)).map(|(_, fate)| fate);
        match told {
            Told::Sent => {}
            Told::Dispatched => assert!(part.is_some(), "a batch that was recorded"),
            Told::Claimed => {
                assert_eq!(view.status, Status::Fulfilled, "a claim that was told");
                assert_eq!(part, Some(PartStatus::Claimed));
                assert_eq!(view.paid.and_then(|paid| paid.preimage), Some(preimage(*nth)));
            }
        }
    }
    // Each thread had one call under way at most, and so one payment of which it told nothing.
    let counts = state.counts();
    let known = counts.pending + counts.fulfilled;
    let untold = u64::try_from(known - told.len()).expect("small");
    assert!(untold <= THREADS * (round + 1), "{untold} payments of which nobody was told");
}

/// The caller asks again: what was told holds, and nothing is offered a second time.
fn repeat(ledger: &SharedLedger<FsStore>, told: &HashMap<u64, Told>) {
    let some: Vec<_> = told.iter().take(200).collect();
    let sends = ledger.execute_all(some.iter().map(|(nth, _)| send(**nth)), NOW).expect("open");
    assert!(sends.iter().all(|reply| matches!(reply, Ok(PayReply::Duplicate(_)))));
    let batches = some.iter().filter(|(_, told)| **told >= Told::Dispatched);
    let batches = batches.map(|(nth, _)| dispatch(**nth));
    let replies = ledger.execute_all(batches, NOW).expect("open");
    assert!(replies.iter().all(|reply| matches!(reply, Ok(DispatchReply::Duplicate { .. }))));
}
