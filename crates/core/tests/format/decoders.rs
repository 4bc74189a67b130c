//! Two decoders that share no code with the library read the same events as it does.

use std::{
    collections::BTreeSet,
    env,
    io::{ErrorKind, Write as _},
    process::{Command, Stdio},
};

use hex_conservative::{DisplayHex, decode_to_vec};
use payonce_core::{Entry, EntryHeader, Event, Head, LedgerId, PaymentHash, State, decode_events};
use serde_json::{Value, json};

use crate::{LEDGER, NOW, first_entry, oracle, samples, states};

const DECODER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/decode.py");

/// What the library reads, as its exports write it.
fn read(bytes: &[u8]) -> Value {
    let mut events = Vec::new();
    let header = decode_events(bytes, |_, event| {
        events.push(serde_json::to_value(event).expect("events are JSON"));
    });
    let header: EntryHeader = header.expect("a sample reads back");
    json!({ "header": header, "events": events })
}

/// Feeds the Python decoder. `None` if there is no Python here and none is required.
fn python(arguments: &[&str], input: &[u8]) -> Option<Vec<Value>> {
    let mut command = Command::new("python3");
    command.args(["-B", DECODER]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let required = env::var("PAYONCE_REQUIRE").is_ok_and(|what| what == "all");
            assert!(!required, "PAYONCE_REQUIRE=all, but there is no python3");
            skip();
            return None;
        }
        Err(error) => panic!("python3: {error}"),
    };
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("python3 reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "python3 refused what the library wrote");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn skip() {
    eprintln!("skipped: there is no python3; the Rust decoder was asked all the same");
}

#[test]
fn a_rust_decoder_reads_every_event() {
    for (name, events) in samples::entries() {
        let entry = first_entry(&events);
        assert_eq!(oracle::entry(entry.bytes()), Ok(read(entry.bytes())), "{name}");
    }
}

#[test]
fn a_python_decoder_reads_every_event_and_follows_the_chain() {
    let mut before = Head::genesis(LEDGER);
    let (mut hex, mut expected) = (String::new(), Vec::new());
    for (epoch, (_, events)) in (1..).zip(samples::entries()) {
        let entry = Entry::new(before, epoch, NOW, &events).expect("within limits");
        before = entry.after();
        hex += &entry.bytes().as_hex().to_string();
        hex.push('\n');
        let mut line = read(entry.bytes());
        line["head"] = serde_json::to_value(before).expect("a head is JSON");
        expected.push(line);
    }
    let read = python(&["log", &LEDGER.to_string(), "-"], hex.as_bytes());
    assert!(read.is_none_or(|read| read == expected), "the decoder reads something else");
}

#[test]
fn a_python_decoder_shows_preimages_when_asked() {
    let samples = samples::entries();
    let (_, events) = samples.iter().find(|(name, _)| *name == "part-claimed").expect("a sample");
    let entry = first_entry(events);
    let Some(read) = python(&["--secrets", "entry", "-"], entry.bytes()) else { return };
    assert_eq!(read[0]["events"][0]["preimage"], json!("5e".repeat(32)));
}

#[test]
fn two_decoders_read_snapshots() {
    for (name, state) in states::all() {
        let bytes = state.encode();
        let read = oracle::snapshot(&bytes).unwrap_or_else(|bad| panic!("{name}: {bad:?}"));
        assert_same_state(name, &state, &read);
        let again = python(&["snapshot", "-"], &bytes);
        assert!(again.is_none_or(|again| again == [read]), "{name}: the decoders disagree");
    }
}

/// The samples are of every kind, whatever is added to the library.
#[test]
fn the_samples_leave_out_no_event() {
    let samples = samples::entries();
    let events = samples.iter().flat_map(|(_, events)| events);
    let names: BTreeSet<_> = events.map(Event::name).collect();
    assert_eq!(names.len(), 37, "as many as docs/FORMAT.md lists: {names:?}");
}

/// Chapter 8 of the document: its entries are read, and its chain follows from them.
#[test]
fn the_example_in_the_document_is_true() {
    let document = include_str!("../../../../docs/FORMAT.md");
    let hex = |label: &str| {
        let line = document.lines().find_map(|line| line.strip_prefix(label)).expect(label);
        let digits: String = line.chars().filter(|digit| !digit.is_whitespace()).collect();
        decode_to_vec(&digits).expect("hex")
    };
    let ledger = LedgerId::from_bytes(hex("chain 0").try_into().expect("32 bytes"));
    let mut head = Head::genesis(ledger);
    let mut read = Vec::new();
    for (entry, chain) in [("entry 1", "chain 1"), ("entry 2", "chain 2")] {
        let bytes = hex(entry);
        decode_events(&bytes, |_, event| read.push(event)).expect(entry);
        head = Entry::from_stored(head, bytes).expect(entry).after();
        assert_eq!(head.chain.as_bytes()[..], hex(chain), "{chain}");
    }
    let payment_hash = PaymentHash::from_bytes([0xaa; 32]);
    let opened = Event::Opened {
        epoch: 1,
        restored: false,
        program: "payonce 0.1".into(),
        format: 1,
        holder: "".into(),
        fence: None,
    };
    let blocked = Event::HashBlocked { payment_hash, engine: "".into() };
    assert_eq!(read, [opened, Event::Recovered, blocked]);
    assert_eq!(head.seq, 3);
}

/// The hash of a payment's request or invoice; where it has none, that of a part that is settled, else
/// of one that is out.
fn hash_of(payment: &Value) -> Value {
    let told = ["/terms/full/target/invoice", "/invoice"]
        .iter()
        .find_map(|at| payment.pointer(at)?.get("payment_hash"));
    let own = told.unwrap_or(&payment["payment_hash"]);
    let of = |statuses: &[&str]| {
        let mut parts = payment["parts"].as_array().expect("a list").iter();
        let counts = |part: &&Value| statuses.iter().any(|status| part["status"] == *status);
        let has_hash = |part: &&Value| part.get("payment_hash").is_some_and(Value::is_string);
        parts.find(|part| counts(part) && has_hash(part)).map(|part| part["payment_hash"].clone())
    };
    let handed = || of(&["claimed", "finalized"]).or_else(|| of(&["in_flight", "claimed"]));
    if own.is_null() { handed().unwrap_or(Value::Null) } else { own.clone() }
}

/// Compares what the state tells through its queries.
fn assert_same_state(name: &str, state: &State, read: &Value) {
    assert_eq!(read["head"], json!(state.head()), "{name}");
    assert_eq!(read["ledger"], json!(state.ledger_id()), "{name}");
    assert_eq!(read["epoch"], json!(state.epoch()), "{name}");
    assert_eq!(read["tick"], json!(state.tick()), "{name}");
    assert_eq!(read["recovering"], json!(state.is_recovering()), "{name}");
    assert_eq!(read["gap"], json!(state.is_restored()), "{name}");
    let (named, nameless): (Vec<_>, Vec<_>) =
        state.blocked_hashes().partition(|block| !block.engine.is_empty());
    let nameless: Vec<_> = nameless.iter().map(|block| block.payment_hash).collect();
    assert_eq!(read["blocked"], json!(nameless), "{name}");
    assert_eq!(read["blocked_by_engines"], json!(named), "{name}");
    assert_eq!(read["height"], json!(state.height()), "{name}");
    let mut paid: Vec<_> = state.hashes_paid().collect();
    paid.sort_by_key(|paid| paid.payment_hash);
    assert_eq!(read["hashes_paid"], json!(paid), "{name}");
    assert_eq!(read["foreign_parts"], json!(state.foreign_parts().collect::<Vec<_>>()), "{name}");
    let counts = state.counts();
    assert_eq!(read["tombstones"].as_array().map(Vec::len), Some(counts.remembered), "{name}");
    assert_eq!(read["anomalies_folded"], json!(counts.anomalies_folded), "{name}");
    let ids: Vec<_> = state.outbox().map(|notification| json!(notification.id)).collect();
    let unread = read["outbox"].as_array().expect("a list").iter();
    let unread = unread.map(|unread| {
        let chain = unread["chain"].as_str().expect("hex");
        json!(format!("{}-{chain}", unread["seq"]))
    });
    assert_eq!(unread.collect::<Vec<_>>(), ids, "{name}");
    let payments = read["payments"].as_array().expect("a list");
    let all = payonce_core::StatusKind::ALL.into_iter();
    assert_eq!(
        payments.len(),
        all.map(|kind| state.payments(kind).count()).sum::<usize>(),
        "{name}"
    );
    for read in payments {
        let id = read["id"].as_str().expect("hex").parse().expect("an id");
        let payment = state.payment(&id).expect("the state holds it");
        assert_eq!(read["status"], json!(payment.status()), "{name} {id}");
        if read.pointer("/terms/full/target/spontaneous").is_none() {
            assert_eq!(hash_of(read), json!(payment.payment_hash()), "{name} {id}");
        }
        assert_eq!(read["preimage"], json!(payment.preimage()), "{name} {id}");
        assert_eq!(read["parts"], json!(payment.parts()), "{name} {id}");
        assert_eq!(read["observations"], json!(payment.observations()), "{name} {id}");
        assert_eq!(read["idle"], json!(payment.idle()), "{name} {id}");
        assert_eq!(read["status_at"], json!(payment.status_at()), "{name} {id}");
        assert_eq!(read["invoice"], json!(payment.invoice()), "{name} {id}");
        assert_eq!(read["unread"], json!(payment.unread()), "{name} {id}");
        assert_eq!(
            read["failed_notification"],
            json!(payment.failed_notification()),
            "{name} {id}"
        );
        let request = payment.request().map_or(Value::Null, |request| json!(request));
        assert_eq!(read["terms"].pointer("/full").unwrap_or(&Value::Null), &request);
    }
}
