//! What is read in a hurry (a snapshot without what it merely remembers, the entries that contain an id) is
//! what a replay of the whole log says.

use payonce::{
    BlockHash, Ledger, MaxFee, Msat, Opening, Pay, PaymentHash, PaymentId, Remember, Request,
    RetryPolicy, UnblockHash,
    store_fs::{FsStore, Options},
};
use serde_json::Value;

use crate::support::{Demo, NOW, payonce, with_dropped_history};

fn json(line: &[&str]) -> Value {
    let ran = payonce(&[line, &["--format", "json"]].concat());
    assert!(ran.code < 2, "{line:?}: {}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn demos() -> [Demo; 3] {
    [Demo::of(80), Demo::forgetting(80), with_dropped_history(80)]
}

#[test]
fn status_from_a_snapshot_is_that_of_a_replay() {
    for demo in demos() {
        let mut status = json(&["status", demo.dir()]);
        let seq = status["head_seq"].to_string();
        let mut replayed = json(&["at", demo.dir(), "--seq", &seq]);
        // A past has no files, and judges ages by its own last entry.
        for told in [&mut status, &mut replayed] {
            let told = told.as_object_mut().expect("an object");
            for own in ["size_bytes", "segments", "snapshots", "newest_snapshot_seq"] {
                told.remove(own);
            }
            told.remove("health");
            told.remove("healthy");
        }
        assert_eq!(status, replayed);
    }
}

/// By every name that it has, and each time the same; the parts, the events and the advice as of a replay.
#[test]
fn a_story_is_that_of_a_replay_whatever_names_it() {
    for demo in demos() {
        let seq = json(&["status", demo.dir()])["head_seq"].to_string();
        let listed = json(&["list", demo.dir()]);
        for row in listed.as_array().expect("an array") {
            let id = row["id"].as_str().expect("an id");
            let story = json(&["show", demo.dir(), id]);
            let mut replayed = json(&["at", demo.dir(), "--seq", &seq, "--show", id]);
            // Ages are those of that moment.
            replayed["payment"]["age_ms"] = story["payment"]["age_ms"].clone();
            assert_eq!(story, replayed, "{id}");
            let mut names = vec![id[..12].to_owned(), id[..13].to_owned()];
            names.extend(row["payment_hash"].as_str().map(str::to_owned));
            let parts = story["parts"].as_array().expect("an array").iter();
            names.extend(parts.map(|part| part["id"].as_str().expect("an id")[..17].to_owned()));
            for name in names {
                assert_eq!(json(&["show", demo.dir(), &name]), story, "{id} as {name}");
            }
        }
    }
}

/// Every event that names a payment is in its story, and what was read of it.
#[test]
fn a_story_has_every_event_that_names_its_payment() {
    let demo = Demo::of(80);
    let log = payonce(&["log", demo.dir(), "--format", "jsonl"]).out;
    let log: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seqs_of = |events: &[&Value]| events.iter().map(|event| event["seq"].clone()).collect();
    for row in json(&["list", demo.dir()]).as_array().expect("an array").iter().step_by(3) {
        let own: Vec<_> = log.iter().filter(|event| event["payment"] == row["id"]).collect();
        let own_seqs: Vec<Value> = seqs_of(&own);
        let read = |event: &&Value| {
            let words = event["words"].as_str().expect("words");
            let told = words.strip_prefix("the user has read the notification of seq ");
            told.and_then(|seq| seq.parse::<u64>().ok())
                .is_some_and(|seq| own_seqs.contains(&seq.into()))
        };
        let named = log.iter().filter(|event| event["payment"] == row["id"] || read(event));
        let expected: Vec<Value> = seqs_of(&named.collect::<Vec<_>>());
        let id = row["id"].as_str().expect("an id");
        let story = json(&["show", demo.dir(), id]);
        let events = story["events"].as_array().expect("an array").iter();
        // What lists many parts at once names no payment.
        let events = events.filter(|event| event["event"] != "parts_listed");
        let told: Vec<Value> = seqs_of(&events.collect::<Vec<_>>());
        assert_eq!(told, expected, "{id}");
    }
}

/// The first example of BOLT 11, and its payment hash.
const INVOICE: &str = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqw\
    zqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkx\
    aq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp\
    5h2tztugp9lfyql";
const HASH: &str = "0001020304050607080900010203040506070809000102030405060708090102";

/// The demo's ledger, with a payment accepted for that hash.
fn accepted(demo: &Demo) -> Ledger<FsStore> {
    let (store, _) = FsStore::open(&demo.path, Options::default()).expect("free");
    let opening = Opening::new(Remember::Forever, 7);
    let mut ledger = Ledger::open(store, &opening, NOW).expect("sound").finish(NOW).expect("sound");
    let hash: PaymentHash = HASH.parse().expect("32 bytes");
    let request = Request::invoice(hash, Msat(70_000), MaxFee::Unlimited, RetryPolicy::Manual);
    ledger.execute(Pay::new(PaymentId::from_bytes([5; 32]), request), NOW).expect("new");
    ledger
}

/// A customer has the invoice, and no id.
#[test]
fn an_invoice_names_its_payment() {
    let demo = Demo::of(10);
    accepted(&demo).into_store().close().expect("in order");
    let by_hash = json(&["show", demo.dir(), HASH]);
    assert_eq!(by_hash["payment"]["id"], "05".repeat(32));
    let as_a_link = format!("lightning:{}", INVOICE.to_uppercase());
    for invoice in [INVOICE, &as_a_link] {
        assert_eq!(json(&["show", demo.dir(), invoice]), by_hash, "{invoice}");
    }
    let ran = payonce(&["show", demo.dir(), &INVOICE[..200]]);
    assert!(ran.code == 2 && ran.err.contains("no whole BOLT 11 invoice"), "{}", ran.err);
}

/// Who blocks a hash must be asked, or given to the payer again: it is named wherever the block is told.
#[test]
fn a_blocked_hash_names_its_engines() {
    let demo = Demo::of(10);
    let (mut ledger, hash) = (accepted(&demo), HASH.parse().expect("32 bytes"));
    for engine in ["lnd-1", "evil\u{1b}[2J", ""] {
        ledger.execute(BlockHash::new(hash).engine(engine), NOW).expect("a fact");
    }
    ledger.execute(UnblockHash::new(hash), NOW).expect("a fact");
    ledger.into_store().close().expect("in order");
    let shown = json(&["show", demo.dir(), HASH]);
    let why = shown["advice"]["why"].as_str().expect("words");
    let ends = "until engine evil\\u{1b}[2J and engine lnd-1 shows its end";
    assert!(why.ends_with(ends) && shown["advice"]["retry_allowed"] == false, "{why}");
    let events = shown["events"].as_array().expect("an array");
    let words = |name: &str| {
        let named = events.iter().filter(|event| event["event"] == name);
        named.map(|event| event["words"].as_str().expect("words").to_owned()).collect::<Vec<_>>()
    };
    assert!(words("hash_blocked")[0].ends_with("is blocked: something is out with engine lnd-1"));
    assert!(words("hash_unblocked")[0].ends_with("what was out has ended"));
    assert_eq!(words("hash_blocked").len() + words("hash_unblocked").len(), 4);
    let status = json(&["status", demo.dir()]);
    assert_eq!(status["blocked_hashes"], 1);
    assert_eq!(status["blocked_by"], "evil\\u{1b}[2J, lnd-1");
    let people = payonce(&["status", demo.dir()]).out;
    assert!(people.contains("1 hashes blocked by evil\\u{1b}[2J, lnd-1"), "{people}");
    let unblock = |engine: &str| {
        let word = ["--engine", engine, "--by", "Ada", "--why", "the node is gone", "--yes"];
        payonce(&[&["resolve", demo.dir(), HASH, "unblock"][..], &word].concat())
    };
    assert!(unblock("lnd-2").err.contains("knows that already"), "it has nothing out");
    let ran = unblock("lnd-1");
    let told = format!("hash {HASH} is blocked for engine evil\\u{{1b}}[2J and engine lnd-1");
    assert!(ran.code == 0 && ran.out.contains(&told), "{}{}", ran.out, ran.err);
    assert_eq!(json(&["status", demo.dir()])["blocked_by"], "evil\\u{1b}[2J");
    assert_eq!(unblock("evil\u{1b}[2J").code, 0);
    assert_eq!(json(&["status", demo.dir()])["blocked_hashes"], 0);
}
