//! The start-up code of docs/INTEGRATING.md does what the page says.

use payonce_store_memory::{MemoryDisk, MemoryStore};

include!("start.rs");

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const AMOUNT: Msat = Msat(50_000);

fn preimage() -> Preimage {
    Preimage::from_bytes([1; 32])
}

fn id() -> PaymentId {
    PaymentId::from_payment_hash(preimage().payment_hash())
}

fn part(name: u8) -> PartId {
    PartId::from_bytes([name; 32])
}

fn opening() -> Opening {
    Opening::new(Remember::Forever, 7)
}

/// A ledger with one accepted payment.
fn accepted() -> (MemoryDisk, Ledger<MemoryStore>) {
    let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
    let recovery = Ledger::open(disk.open(), &opening(), NOW).expect("a new one");
    let mut ledger = recovery.finish(NOW).expect("sound");
    ledger.execute(Pay::new(id(), request()), NOW).expect("accepted");
    (disk, ledger)
}

fn request() -> Request {
    Request::invoice(preimage().payment_hash(), AMOUNT, MaxFee::Unlimited, RetryPolicy::Manual)
        .backoff(Backoff::NONE)
}

fn dispatch(ledger: &mut Ledger<MemoryStore>, name: u8) -> bool {
    let lacks = ledger.query(|state| state.remaining(&id())).expect("sound").expect("known");
    let parts = vec![NewPart::htlc(part(name), AMOUNT, Msat(10), 900_000)];
    ledger.execute(Dispatch { id: id(), attempt: lacks.attempt, parts }, NOW).is_ok()
}

/// What the channel says of the part.
fn record(claimed: bool, gone: bool) -> HtlcRecord {
    HtlcRecord {
        payment: id(),
        payment_hash: preimage().payment_hash(),
        amount: AMOUNT,
        cltv_expiry: 900_000,
        claimed: claimed.then(preimage),
        gone,
    }
}

/// Starts with what the channels list.
fn started<const N: usize>(
    disk: &MemoryDisk,
    records: [(PartId, HtlcRecord); N],
) -> Ledger<MemoryStore> {
    start(disk.open(), &opening(), &HashMap::from(records), true, NOW).expect("no start is stopped")
}

fn fate(ledger: &mut Ledger<MemoryStore>, name: u8) -> Option<PartStatus> {
    ledger.query(|state| state.part(&part(name)).map(|(_, fate)| fate)).expect("sound")
}

fn status(ledger: &mut Ledger<MemoryStore>) -> Status {
    ledger.query(|state| state.payment_view(&id())).expect("sound").expect("known").status
}

#[test]
fn the_page_shows_the_program_that_is_tested_here() {
    let page = include_str!("../../../../docs/INTEGRATING.md");
    let mut programs = page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown = programs.find(|program| program.contains("fn start<"));
    assert!(shown == Some(include_str!("start.rs")), "the page and start.rs differ");
}

/// How a log may hold a part that is on its channel.
#[derive(Debug, Clone, Copy)]
enum Held {
    InFlight,
    Failed,
    Withdrawn,
    OfAnEarlierTry,
    NotAtAll,
}

#[test]
fn what_the_channels_list_is_out_however_the_log_holds_it() {
    let every =
        [Held::InFlight, Held::Failed, Held::Withdrawn, Held::OfAnEarlierTry, Held::NotAtAll];
    for held in every {
        let (disk, mut ledger) = accepted();
        if !matches!(held, Held::NotAtAll) {
            assert!(dispatch(&mut ledger, 2));
        }
        let (id, failed) = (id(), part(2));
        let fail = FailPart { id, part: failed, failure: Failure::permanent() };
        match held {
            Held::InFlight | Held::NotAtAll => {}
            Held::Failed => {
                let failure = Failure::default();
                ledger.execute(FailPart { id, part: failed, failure }, NOW).expect("it was out");
            }
            Held::Withdrawn => {
                ledger.execute(WithdrawPart { id, part: failed }, NOW).expect("it was out");
            }
            Held::OfAnEarlierTry => {
                ledger.execute(fail, NOW).expect("it was out");
                let view = ledger.query(|state| state.payment_view(&id)).expect("sound");
                let told = view.and_then(|view| view.failed).expect("it failed");
                let again = Pay::new(id, request()).again_after(told);
                ledger.execute(again, NOW).expect("a new try");
            }
        }
        drop(ledger);
        let mut ledger = started(&disk, [(failed, record(false, false))]);
        assert_eq!(fate(&mut ledger, 2), Some(PartStatus::InFlight), "{held:?}");
        if matches!(held, Held::NotAtAll) {
            ledger.close_gap(NOW).expect("the log lacked it");
        }
        assert!(ledger.query(|state| state.due(NOW)).expect("sound").is_empty(), "{held:?}");
        assert!(!dispatch(&mut ledger, 3), "{held:?}: it would be paid twice");
        ledger.execute(ClaimPart::new(id, failed, preimage()), NOW).expect("true");
        assert_eq!(status(&mut ledger), Status::Fulfilled, "{held:?}");
    }
}

#[test]
fn what_became_of_a_part_is_told() {
    for (claimed, gone, expected) in [
        (false, false, PartStatus::InFlight),
        (true, false, PartStatus::Claimed),
        (true, true, PartStatus::Finalized),
        (false, true, PartStatus::Failed),
    ] {
        let (disk, mut ledger) = accepted();
        assert!(dispatch(&mut ledger, 2));
        drop(ledger);
        let mut ledger = started(&disk, [(part(2), record(claimed, gone))]);
        assert_eq!(fate(&mut ledger, 2), Some(expected));
        // The same records, told again at the next start, change nothing.
        let before = ledger.query(State::counts).expect("sound");
        drop(ledger);
        let mut ledger = started(&disk, [(part(2), record(claimed, gone))]);
        assert_eq!(fate(&mut ledger, 2), Some(expected));
        assert_eq!(ledger.query(State::counts).expect("sound"), before);
    }
}

#[test]
fn what_failed_and_is_in_no_log_stops_no_start() {
    let (disk, ledger) = accepted();
    drop(ledger);
    let mut ledger = started(&disk, [(part(2), record(false, true))]);
    assert_eq!(fate(&mut ledger, 2), None);
    assert_eq!(status(&mut ledger), Status::Pending);
}

#[test]
fn what_was_paid_and_is_in_no_log_is_paid() {
    for gone in [false, true] {
        let (disk, ledger) = accepted();
        drop(ledger);
        let mut ledger = started(&disk, [(part(2), record(true, gone))]);
        assert_eq!(status(&mut ledger), Status::Fulfilled);
        assert!(ledger.query(State::is_restored).expect("sound"), "the log is the older one");
    }
}

#[test]
fn what_no_channel_lists_was_never_sent() {
    let (disk, mut ledger) = accepted();
    assert!(dispatch(&mut ledger, 2));
    drop(ledger);
    let mut ledger = started(&disk, []);
    assert_eq!(fate(&mut ledger, 2), Some(PartStatus::Withdrawn));
    assert!(dispatch(&mut ledger, 3));
}
