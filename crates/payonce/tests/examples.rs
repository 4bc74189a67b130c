//! The examples do what they show: each is run as a newcomer runs it, and its story is asserted.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use expect_test::{Expect, expect};
use payonce::{
    EventStore,
    audit::{Entry, EventSource, StoredEntry},
    store_fs::{FsReader, FsStore, Options},
};
use serde_json::{Deserializer, Value};
use tempfile::TempDir;

/// A moment after every published invoice has expired.
const NOW: &str = "1790000000";

/// Two seconds after most published invoices were made.
const THEN: &str = "1496314660";

/// What a program said and how it ended.
struct Told {
    said: String,
    complained: String,
    exit: Option<i32>,
}

const EXAMPLES: [&str; 6] =
    ["audit_trail", "many_callers", "mpp_with_retries", "offer", "own_runtime", "pay_invoice"];

/// The examples' programs, built as the sources are now. Cargo names examples to no test, and what
/// lies in its target directory may be older than they are.
static PROGRAMS: LazyLock<HashMap<String, PathBuf>> = LazyLock::new(|| {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--profile", "test", "--message-format", "json"])
        .args(EXAMPLES.iter().flat_map(|example| ["--example", example]))
        // The packages that `cargo test` selects there: nothing has to be built twice.
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let messages = messages.map(|message| message.expect("cargo writes JSON"));
    let program = |message: Value| {
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), path.into()))
    };
    messages.filter_map(program).collect()
});

/// Runs an example.
fn run(example: &str, arguments: &[&str]) -> Told {
    let program = &PROGRAMS[example];
    let output = Command::new(program).args(arguments).output().expect("the example starts");
    Told {
        said: String::from_utf8(output.stdout).expect("UTF-8"),
        complained: String::from_utf8(output.stderr).expect("UTF-8"),
        exit: output.status.code(),
    }
}

fn pay_invoice(arguments: &[&str]) -> Told {
    run("pay_invoice", arguments)
}

/// Runs an example without arguments and compares the whole story.
fn tells(example: &str, expected: &Expect) {
    let told = run(example, &[]);
    assert_eq!(told.exit, Some(0), "{}", told.complained);
    expected.assert_eq(&told.said);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

#[test]
fn pay_invoice_pays_once_through_a_kill() {
    let told = pay_invoice(&["--now", NOW]);
    assert_eq!(told.exit, Some(0), "{}", told.complained);
    expect![[r#"
        to pay: 50000 msat for "one coffee", hash 9a16aebcdc5bb0a7ac4dad8b99d807dd8b00547c4b11148c4b4c32dd7820e921
        killed after-dispatch: the dispatch is recorded, nothing is offered
        recovered: one part never sent

        ┌─────┬─────┬──────────────────┬───────────────────────────────────────┐
        │ seq ┆ run ┆ event            ┆ what                                  │
        ╞═════╪═════╪══════════════════╪═══════════════════════════════════════╡
        │ 1   ┆ 1   ┆ opened           ┆ run 1 begins                          │
        │ 2   ┆ 1   ┆ recovered        ┆ every unresolved part is answered for │
        │ 3   ┆ 1   ┆ payment_accepted ┆ 50000 msat, at most 1500 msat in fees │
        │ 4   ┆ 1   ┆ parts_dispatched ┆ attempt 1: part 1 (50000 + 1050)      │
        │ 5   ┆ 2   ┆ opened           ┆ run 2 begins                          │
        │ 6   ┆ 2   ┆ part_withdrawn   ┆ part 1 was never sent                 │
        │ 7   ┆ 2   ┆ recovered        ┆ every unresolved part is answered for │
        │ 8   ┆ 2   ┆ parts_dispatched ┆ attempt 2: part 2 (50000 + 1050)      │
        │ 9   ┆ 2   ┆ part_claimed     ┆ part 2: the payee took it             │
        │ 10  ┆ 2   ┆ payment_sent     ┆ 50000 msat and 1050 msat in fees      │
        │ 11  ┆ 2   ┆ part_finalized   ┆ part 2 is off the channel             │
        │ 12  ┆ 2   ┆ acknowledged     ┆ the user has read 10                  │
        │ 13  ┆ 2   ┆ acknowledged     ┆ the user has read 11                  │
        │ 14  ┆ 3   ┆ opened           ┆ run 3 begins                          │
        │ 15  ┆ 3   ┆ recovered        ┆ every unresolved part is answered for │
        └─────┴─────┴──────────────────┴───────────────────────────────────────┘

        ┌───────────┬─────────────────────────────────────┬─────────────────────────────────┬─────────────────────────────────────┐
        │ invoice   ┆ answer after the crash              ┆ outcome                         ┆ a repeat answers                    │
        ╞═══════════╪═════════════════════════════════════╪═════════════════════════════════╪═════════════════════════════════════╡
        │ 9a16aebc… ┆ duplicate: paid, preimage a0b687ca… ┆ paid 50000 msat + 1050 msat fee ┆ duplicate: paid, preimage a0b687ca… │
        └───────────┴─────────────────────────────────────┴─────────────────────────────────┴─────────────────────────────────────┘

        balance: 5000000000 msat before, 4999948950 msat after: 51050 msat less
    "#]].assert_eq(&told.said);
}

#[test]
fn many_callers_pay_once() {
    tells(
        "many_callers",
        &expect![[r#"
        three clicks: 1 accepted
                      2 told that it was
        two workers:  1 may offer its part
        the waiter:   paid = true
        the screen:   opened, recovered, payment_accepted, parts_dispatched, part_claimed, payment_sent, part_finalized
        on disk:      1 fulfilled
    "#]],
    );
}

#[test]
fn mpp_with_retries_keeps_to_its_budget() {
    tells(
        "mpp_with_retries",
        &expect![[r#"
        after the restart: 1000000 msat in flight
        after the restart: 500000 msat in flight
        due at once: 0 payments
        due: 1500000 msat, at most 8000 msat in fees, avoiding 850000x12x1
        refused: fees of 2000 msat out and 9000 msat more exceed the maximum of 10000 msat
        ┌─────┬─────┬──────────────────┬─────────────────────────────────────────────────────────────────────────────────────┐
        │ seq ┆ run ┆ event            ┆ what                                                                                │
        ╞═════╪═════╪══════════════════╪═════════════════════════════════════════════════════════════════════════════════════╡
        │ 1   ┆ 1   ┆ opened           ┆ run 1 begins                                                                        │
        │ 2   ┆ 1   ┆ recovered        ┆ every unresolved part is answered for                                               │
        │ 3   ┆ 1   ┆ payment_accepted ┆ 3000000 msat, at most 10000 msat in fees                                            │
        │ 4   ┆ 1   ┆ parts_dispatched ┆ attempt 1: part 1 (1000000 + 1000), part 2 (1500000 + 2000), part 3 (500000 + 1000) │
        │ 5   ┆ 1   ┆ part_failed      ┆ part 2 failed at channel 850000x12x1                                                │
        │ 6   ┆ 2   ┆ opened           ┆ run 2 begins                                                                        │
        │ 7   ┆ 2   ┆ recovered        ┆ every unresolved part is answered for                                               │
        │ 8   ┆ 2   ┆ parts_dispatched ┆ attempt 2: part 4 (1500000 + 3000)                                                  │
        │ 9   ┆ 2   ┆ part_claimed     ┆ part 1: the payee took it                                                           │
        │ 10  ┆ 2   ┆ payment_sent     ┆ 3000000 msat and 5000 msat in fees                                                  │
        │ 11  ┆ 2   ┆ part_claimed     ┆ part 3: the payee took it                                                           │
        │ 12  ┆ 2   ┆ part_claimed     ┆ part 4: the payee took it                                                           │
        │ 13  ┆ 2   ┆ part_finalized   ┆ part 1 is off the channel                                                           │
        │ 14  ┆ 2   ┆ part_finalized   ┆ part 3 is off the channel                                                           │
        │ 15  ┆ 2   ┆ part_finalized   ┆ part 4 is off the channel                                                           │
        └─────┴─────┴──────────────────┴─────────────────────────────────────────────────────────────────────────────────────┘
        paid: 3000000 msat and 5000 msat in fees
    "#]],
    );
}

#[test]
fn offer_takes_one_invoice() {
    tells(
        "offer",
        &expect![[r#"
        second invoice: payment 0101010101010101010101010101010101010101010101010101010101010101 waits for no invoice: it is pending
        late invoice: payment 0202020202020202020202020202020202020202020202020202020202020202 waits for no invoice: it is failed: invoice request expired
        ┌─────┬─────┬───────────────────┬───────────────────────────────────────┐
        │ seq ┆ run ┆ event             ┆ what                                  │
        ╞═════╪═════╪═══════════════════╪═══════════════════════════════════════╡
        │ 1   ┆ 1   ┆ opened            ┆ run 1 begins                          │
        │ 2   ┆ 1   ┆ recovered         ┆ every unresolved part is answered for │
        │ 3   ┆ 1   ┆ payment_accepted  ┆ 20000 msat, at most 200 msat in fees  │
        │ 4   ┆ 1   ┆ payment_accepted  ┆ 20000 msat, at most 200 msat in fees  │
        │ 5   ┆ 1   ┆ invoice_received  ┆ 18000 msat                            │
        │ 6   ┆ 1   ┆ parts_dispatched  ┆ attempt 1: part 1 (18000 + 100)       │
        │ 7   ┆ 1   ┆ part_claimed      ┆ part 1: the payee took it             │
        │ 8   ┆ 1   ┆ payment_sent      ┆ 18000 msat and 100 msat in fees       │
        │ 9   ┆ 1   ┆ part_finalized    ┆ part 1 is off the channel             │
        │ 10  ┆ 1   ┆ ticked            ┆ tick 1                                │
        │ 11  ┆ 1   ┆ ticked            ┆ tick 2                                │
        │ 12  ┆ 1   ┆ ticked            ┆ tick 3                                │
        │ 13  ┆ 1   ┆ payment_failed    ┆ invoice request expired               │
        │ 14  ┆ 1   ┆ acknowledged      ┆ the user has read 8                   │
        │ 15  ┆ 1   ┆ acknowledged      ┆ the user has read 9                   │
        │ 16  ┆ 1   ┆ acknowledged      ┆ the user has read 13                  │
        │ 17  ┆ 1   ┆ payment_forgotten ┆ its outcome is remembered             │
        └─────┴─────┴───────────────────┴───────────────────────────────────────┘
    "#]],
    );
}

#[test]
fn own_runtime_reads_no_reply_early() {
    tells(
        "own_runtime",
        &expect![[r#"
            decided: 10 entries wait for the disk
            sealed: the reply waits for seq 4
            durable: up to seq 12
            offer now: [PartId(0101010101010101010101010101010101010101010101010101010101010101)]
            offer now: [PartId(0202020202020202020202020202020202020202020202020202020202020202)]
            offer now: [PartId(0303030303030303030303030303030303030303030303030303030303030303)]
            offer now: [PartId(0404040404040404040404040404040404040404040404040404040404040404)]
            offer now: [PartId(0505050505050505050505050505050505050505050505050505050505050505)]
            pending: 5
            failed: operation 7 was told to fail
            sealed for good: the ledger is poisoned: open the log again to learn what happened
            on disk: seq 12
        "#]],
    );
}

#[test]
fn audit_trail_finds_the_edited_byte() {
    let told = run("audit_trail", &[]);
    assert_eq!(told.exit, Some(0), "{}", told.complained);
    // The log is in a temporary directory.
    let (story, place) = told.said.rsplit_once("edited: ").expect("it tells of the edit");
    let place = place.rsplit_once('/').map_or(place, |(_, place)| place);
    expect![[r#"
        ┌─────┬─────┬──────────────────┬──────────────────────────────────────┐
        │ seq ┆ run ┆ event            ┆ what                                 │
        ╞═════╪═════╪══════════════════╪══════════════════════════════════════╡
        │ 3   ┆ 1   ┆ payment_accepted ┆ 25000 msat, at most 100 msat in fees │
        │ 5   ┆ 1   ┆ parts_dispatched ┆ attempt 1: part 1 (25000 + 30)       │
        │ 6   ┆ 1   ┆ part_claimed     ┆ part 1: the payee took it            │
        │ 7   ┆ 1   ┆ payment_sent     ┆ 25000 msat and 30 msat in fees       │
        │ 8   ┆ 1   ┆ part_finalized   ┆ part 1 is off the channel            │
        └─────┴─────┴──────────────────┴──────────────────────────────────────┘
        {"seq":3,"run":1,"event":"payment_accepted","id":"72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793","request":{"target":{"invoice":{"payment_hash":"72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793"}},"amount":25000,"payee":null,"max_fee":{"at_most":100},"retry":"manual","backoff":{"first_ms":1000,"max_ms":300000},"expiry":null,"instructions":"","metadata":"","payee_name":"","quantity":null,"payer_note":"","custom_records":[],"tenant":""},"again_after":null}
        {"seq":5,"run":1,"event":"parts_dispatched","id":"72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793","attempt":1,"parts":[{"id":"0303030303030303030303030303030303030303030303030303030303030303","amount":25000,"fee":30,"kind":{"htlc":{"cltv_expiry":900144,"first_channel":null}},"label":null}]}
        {"seq":6,"run":1,"event":"part_claimed","id":"72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793","part":"0303030303030303030303030303030303030303030303030303030303030303","preimage":"hidden","payment_hash":null,"settlement":null,"invoice":""}
        {"seq":7,"run":1,"event":"payment_sent","id":"72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793","payment_hash":null,"amount":25000,"fee":30,"correction":false,"assertion":null}
        {"seq":8,"run":1,"event":"part_finalized","id":"72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793","part":"0303030303030303030303030303030303030303030303030303030303030303","notify":true}
        verified: 8 events, 1 paid, 1 pending
        edited: 00000000000000000001.log is damaged at byte 608: an entry fails its checksum; restore the file from a copy
    "#]].assert_eq(&format!("{story}edited: {place}"));
}

/// Where `pay_invoice` can be killed while it pays.
const POINTS: [&str; 11] = [
    "before-send",
    "after-send",
    "before-append",
    "after-dispatch",
    "after-offer",
    "after-commit",
    "before-claim",
    "after-claim",
    "after-removal",
    "after-finalize",
    "after-acknowledge",
];

/// The invoice of 50,000 msat and 1,050 msat in fees have left, once.
const PAID_ONCE: &str = "5000000000 msat before, 4999948950 msat after: 51050 msat less";

#[test]
fn the_help_lists_the_points() {
    let help = pay_invoice(&["--help"]).said;
    for point in POINTS.iter().chain(&["before-fail", "after-fail", "after-answers", "never"]) {
        assert!(help.contains(&format!("- {point}:")), "{point} is missing in {help}");
    }
}

#[test]
fn pay_invoice_pays_once_wherever_it_is_killed() {
    for point in POINTS {
        let told = pay_invoice(&["--now", NOW, "--crash", point]);
        assert_eq!(told.exit, Some(0), "{point}: {}", told.complained);
        assert!(told.said.contains(&format!("killed {point}: ")), "{point}: {}", told.said);
        assert!(told.said.contains(PAID_ONCE), "{point}: {}", told.said);
        assert_eq!(told.said.matches("payment_sent").count(), 1, "{point}: {}", told.said);
    }
}

#[test]
fn pay_invoice_pays_once_if_it_is_killed_again_and_again() {
    // Each run gets a step further. What the log lacked, the channel tells it in recovery.
    let steps = [
        "before-send",
        "after-send",
        "before-append",
        "after-dispatch",
        "after-answers",
        "after-offer",
        "after-commit",
        "before-claim",
        "after-answers",
        "after-removal",
        "after-answers",
        "after-acknowledge",
    ];
    let crashes = steps.iter().flat_map(|point| ["--crash", *point]);
    let told = pay_invoice(&["--now", NOW].into_iter().chain(crashes).collect::<Vec<_>>());
    assert_eq!(told.exit, Some(0), "{}", told.complained);
    for point in steps {
        assert!(told.said.contains(&format!("\nkilled {point}: ")), "{point}: {}", told.said);
    }
    assert!(!told.said.contains("not killed"), "{}", told.said);
    assert!(told.said.contains(PAID_ONCE), "{}", told.said);
}

#[test]
fn pay_invoice_in_the_same_directory_pays_nothing_more() {
    let directory = TempDir::new().expect("a directory");
    let again = ["--now", NOW, "--crash", "never", "--dir", text(directory.path())];
    assert!(pay_invoice(&again).said.contains("accepted"));
    let told = pay_invoice(&again);
    assert_eq!(told.exit, Some(0), "{}", told.complained);
    assert!(told.said.contains(PAID_ONCE), "{}", told.said);
    assert_eq!(told.said.matches("duplicate: paid, preimage").count(), 2, "{}", told.said);

    // Its log is a log like any other.
    let audit = run("audit_trail", &[text(&directory.path().join("log"))]);
    assert_eq!(audit.exit, Some(0), "{}", audit.complained);
    assert!(audit.said.contains(", 1 paid, 0 pending"), "{}", audit.said);
}

#[test]
fn pay_invoice_with_a_log_older_than_its_channel_pays_nothing() {
    let directory = TempDir::new().expect("a directory");
    let arguments = ["--now", NOW, "--crash", "never", "--dir", text(directory.path())];
    assert_eq!(pay_invoice(&arguments).exit, Some(0));
    fs::remove_dir_all(directory.path().join("log")).expect("the log is lost");
    let told = pay_invoice(&arguments);
    assert_eq!(told.exit, Some(2), "{}", told.complained);
    assert!(told.complained.contains("there is no payonce log"), "{}", told.complained);
    assert!(!told.said.contains("parts_dispatched"), "{}", told.said);
}

/// Puts the log back to its first `entries` entries, as an old backup would.
fn put_back(log: &Path, entries: usize) {
    let older = log.with_extension("older");
    let present = FsReader::open(log).expect("a log");
    let (mut store, _) =
        FsStore::create(&older, present.ledger_id(), Options::default()).expect("a new log");
    let mut head = store.fence().expect("an empty log").head;
    let mut kept = Vec::new();
    let copy = |entry: StoredEntry<'_>| {
        kept.push(Entry::from_stored(head, entry.bytes.to_vec()).expect("the next entry"));
        head = kept[kept.len() - 1].after();
        if kept.len() == entries { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    present.replay(1, &mut { copy }).expect("a sound log");
    store.append(&kept).expect("entries that follow each other");
    drop(store);
    fs::remove_dir_all(log).expect("the log is dropped");
    fs::rename(older, log).expect("the older one takes its place");
}

#[test]
fn pay_invoice_with_its_log_put_back_does_not_take_the_part_for_unsent() {
    let directory = TempDir::new().expect("a directory");
    let arguments = ["--now", NOW, "--crash", "never", "--dir", text(directory.path())];
    assert_eq!(pay_invoice(&arguments).exit, Some(0));
    // Opened, recovered, accepted, dispatched: what is out of the channel's records looks unsent.
    put_back(&directory.path().join("log"), 4);
    let told = pay_invoice(&arguments);
    assert_eq!(told.exit, Some(1), "{}{}", told.said, told.complained);
    assert!(told.said.contains("recovered: one part unknown: still in flight"), "{}", told.said);
    assert!(!told.said.contains("part_withdrawn"), "{}", told.said);
    assert!(told.said.contains(PAID_ONCE), "{}", told.said);
}

/// Runs `pay_invoice` in this directory up to `point`, and kills it.
fn die(directory: &Path, point: &str) {
    let mut node = Command::new(&PROGRAMS["pay_invoice"])
        .args(["--doomed", "--now", NOW, "--crash", point, "--dir", text(directory)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut said = BufReader::new(node.stdout.take().expect("it is piped")).lines();
    let last = said.next().expect("it reaches the point").expect("UTF-8");
    assert_eq!(last, "kill me now");
    node.kill().expect("it waits to be killed");
    assert!(!node.wait().expect("it is dead").success());
}

#[test]
fn pay_invoice_sends_nothing_beside_a_lost_log() {
    let directory = TempDir::new().expect("a directory");
    die(directory.path(), "after-commit");
    fs::remove_dir_all(directory.path().join("log")).expect("the log is lost");
    let told = pay_invoice(&["--now", NOW, "--crash", "never", "--dir", text(directory.path())]);
    // The HTLC is still out: an empty log made in its place would send beside it.
    assert_eq!(told.exit, Some(2), "{}{}", told.said, told.complained);
    assert!(told.complained.contains("restore it"), "{}", told.complained);
    assert!(!told.said.contains("parts_dispatched"), "{}", told.said);
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = TempDir::new().expect("a directory");
    let lock: PathBuf = directory.path().join("channel.lock");
    let held = fs::File::create(lock).expect("a file");
    held.lock().expect("nobody else has it");
    let told = pay_invoice(&["--crash", "never", "--dir", text(directory.path())]);
    assert_eq!(told.exit, Some(2), "{}", told.said);
    assert!(told.complained.contains("lock"), "{}", told.complained);
}

/// A published invoice, what else is said on the command line, and the answer.
struct Published {
    invoice: &'static str,
    arguments: &'static [&'static str],
    exit: i32,
    answer: &'static str,
}

#[test]
fn pay_invoice_answers_the_published_invoices() {
    for Published { invoice, arguments, exit, answer } in PUBLISHED {
        let told = pay_invoice(&[&["--crash", "never", invoice], *arguments].concat());
        let Told { said, complained, .. } = &told;
        assert_eq!(told.exit, Some(*exit), "{invoice}: {said}{complained}");
        let where_to_look = if *exit == 2 { complained } else { said };
        assert!(where_to_look.contains(answer), "{invoice}: {said}{complained}");
        // Nobody reachable has the preimages: whatever the answer, the money is still there.
        assert!(*exit == 2 || said.contains(": 0 msat less"), "{invoice}: {said}");
    }
}

#[test]
fn pay_invoice_told_of_a_refusal_survives_a_kill_too() {
    for point in ["after-dispatch", "after-commit", "before-fail", "after-removal", "after-fail"] {
        let told = pay_invoice(&["--now", THEN, "--crash", point, COFFEE]);
        assert_eq!(told.exit, Some(1), "{point}: {}", told.complained);
        assert!(told.said.contains(&format!("killed {point}: ")), "{point}: {}", told.said);
        assert!(told.said.contains("failed: recipient rejected"), "{point}: {}", told.said);
        assert!(told.said.contains(": 0 msat less"), "{point}: {}", told.said);
    }
}

#[test]
fn several_invoices_with_one_hash_are_one_payment() {
    // These two published invoices share their hash, as no two invoices should.
    let told = pay_invoice(&["--now", THEN, "--crash", "never", COFFEE, NONSENSE]);
    assert_eq!(told.exit, Some(1), "{}", told.complained);
    assert!(told.said.contains("is known with different instructions"), "{}", told.said);
}

/// One cup of coffee, and one of nonsense: 250,000,000 msat each, valid for a minute.
const COFFEE: &str = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh";
const NONSENSE: &str = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpu9qrsgqhtjpauu9ur7fw2thcl4y9vfvh4m9wlfyz2gem29g5ghe2aak2pm3ps8fdhtceqsaagty2vph7utlgj48u0ged6a337aewvraedendscp573dxr";

/// The examples of BOLT 11, good and bad, as the tests of `lightning-invoice` carry them.
const PUBLISHED: &[Published] = &[
    Published {
        invoice: "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "the invoice leaves the amount to the payer",
    },
    Published {
        invoice: "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql",
        arguments: &["--now", NOW, "--amount-msat", "1000"],
        exit: 1,
        answer: "refused: expired at ",
    },
    Published {
        invoice: "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql",
        arguments: &["--now", THEN, "--amount-msat", "1000"],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: COFFEE,
        arguments: &["--now", NOW],
        exit: 1,
        answer: "refused: expired at ",
    },
    Published {
        invoice: COFFEE,
        arguments: &["--now", NOW, "--amount-msat", "1000"],
        exit: 2,
        answer: "the invoice asks for 250000000 msat",
    },
    Published {
        invoice: COFFEE,
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: COFFEE,
        arguments: &["--now", "1496314718"],
        exit: 1,
        answer: "refused: expired at ",
    },
    Published {
        invoice: NONSENSE,
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqs9qrsgq7ea976txfraylvgzuxs8kgcw23ezlrszfnh8r6qtfpr6cxga50aj6txm9rxrydzd06dfeawfk6swupvz4erwnyutnjq7x39ymw6j38gp7ynn44",
        arguments: &["--now", NOW],
        exit: 1,
        answer: "refused: expired at ",
    },
    Published {
        invoice: "lntb20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfpp3x9et2e20v6pu37c5d9vax37wxq72un989qrsgqdj545axuxtnfemtpwkc45hx9d2ft7x04mt8q7y6t0k2dge9e7h8kpy9p34ytyslj3yu569aalz2xdk8xkd7ltxqld94u8h2esmsmacgpghe9k8",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "the invoice is for BitcoinTestnet, this node is on Bitcoin",
    },
    Published {
        invoice: "lntb20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfpp3x9et2e20v6pu37c5d9vax37wxq72un989qrsgqdj545axuxtnfemtpwkc45hx9d2ft7x04mt8q7y6t0k2dge9e7h8kpy9p34ytyslj3yu569aalz2xdk8xkd7ltxqld94u8h2esmsmacgpghe9k8",
        arguments: &["--now", NOW, "--network", "testnet"],
        exit: 1,
        answer: "refused: expired at ",
    },
    Published {
        invoice: "lntb20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfpp3x9et2e20v6pu37c5d9vax37wxq72un989qrsgqdj545axuxtnfemtpwkc45hx9d2ft7x04mt8q7y6t0k2dge9e7h8kpy9p34ytyslj3yu569aalz2xdk8xkd7ltxqld94u8h2esmsmacgpghe9k8",
        arguments: &["--now", THEN, "--network", "testnet"],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqsfpp3qjmp7lwpagxun9pygexvgpjdc4jdj85fr9yq20q82gphp2nflc7jtzrcazrra7wwgzxqc8u7754cdlpfrmccae92qgzqvzq2ps8pqqqqqqpqqqqq9qqqvpeuqafqxu92d8lr6fvg0r5gv0heeeqgcrqlnm6jhphu9y00rrhy4grqszsvpcgpy9qqqqqqgqqqqq7qqzq9qrsgqdfjcdk6w3ak5pca9hwfwfh63zrrz06wwfya0ydlzpgzxkn5xagsqz7x9j4jwe7yj7vaf2k9lqsdk45kts2fd0fkr28am0u4w95tt2nsq76cqw0",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfppj3a24vwu6r8ejrss3axul8rxldph2q7z99qrsgqz6qsgww34xlatfj6e3sngrwfy3ytkt29d2qttr8qz2mnedfqysuqypgqex4haa2h8fx3wnypranf3pdwyluftwe680jjcfp438u82xqphf75ym",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfppqw508d6qejxtdg4y5r3zarvary0c5xw7k9qrsgqt29a0wturnys2hhxpner2e3plp6jyj8qx7548zr2z7ptgjjc7hljm98xhjym0dg52sdrvqamxdezkmqg4gdrvwwnf0kv2jdfnl4xatsqmrnsse",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfp4qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q9qrsgq9vlvyj8cqvq6ggvpwd53jncp9nwc47xlrsnenq2zp70fq83qlgesn4u3uyf4tesfkkwwfg3qs54qe426hp3tz7z6sweqdjg05axsrjqp9yrrwc",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc9678785340p1pwmna7lpp5gc3xfm08u9qy06djf8dfflhugl6p7lgza6dsjxq454gxhj9t7a0sd8dgfkx7cmtwd68yetpd5s9xar0wfjn5gpc8qhrsdfq24f5ggrxdaezqsnvda3kkum5wfjkzmfqf3jkgem9wgsyuctwdus9xgrcyqcjcgpzgfskx6eqf9hzqnteypzxz7fzypfhg6trddjhygrcyqezcgpzfysywmm5ypxxjemgw3hxjmn8yptk7untd9hxwg3q2d6xjcmtv4ezq7pqxgsxzmnyyqcjqmt0wfjjq6t5v4khxsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygsxqyjw5qcqp2rzjq0gxwkzc8w6323m55m4jyxcjwmy7stt9hwkwe2qxmy8zpsgg7jcuwz87fcqqeuqqqyqqqqlgqqqqn3qq9q9qrsgqrvgkpnmps664wgkp43l22qsgdw4ve24aca4nymnxddlnp8vh9v2sdxlu5ywdxefsfvm0fq3sesf08uf6q9a2ke0hc9j6z6wlxg5z5kqpu2v9wz",
        arguments: &["--now", NOW],
        exit: 1,
        answer: "refused: expired at ",
    },
    Published {
        invoice: "lnbc9678785340p1pwmna7lpp5gc3xfm08u9qy06djf8dfflhugl6p7lgza6dsjxq454gxhj9t7a0sd8dgfkx7cmtwd68yetpd5s9xar0wfjn5gpc8qhrsdfq24f5ggrxdaezqsnvda3kkum5wfjkzmfqf3jkgem9wgsyuctwdus9xgrcyqcjcgpzgfskx6eqf9hzqnteypzxz7fzypfhg6trddjhygrcyqezcgpzfysywmm5ypxxjemgw3hxjmn8yptk7untd9hxwg3q2d6xjcmtv4ezq7pqxgsxzmnyyqcjqmt0wfjjq6t5v4khxsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygsxqyjw5qcqp2rzjq0gxwkzc8w6323m55m4jyxcjwmy7stt9hwkwe2qxmy8zpsgg7jcuwz87fcqqeuqqqyqqqqlgqqqqn3qq9q9qrsgqrvgkpnmps664wgkp43l22qsgdw4ve24aca4nymnxddlnp8vh9v2sdxlu5ywdxefsfvm0fq3sesf08uf6q9a2ke0hc9j6z6wlxg5z5kqpu2v9wz",
        arguments: &["--now", "1572468703"],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc25m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5vdhkven9v5sxyetpdeessp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q5sqqqqqqqqqqqqqqqqsgq2a25dxl5hrntdtn6zvydt7d66hyzsyhqs4wdynavys42xgl6sgx9c4g7me86a27t07mdtfry458rtjr0v92cnmswpsjscgt2vcse3sgpz3uapa",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "LNBC25M1PVJLUEZPP5QQQSYQCYQ5RQWZQFQQQSYQCYQ5RQWZQFQQQSYQCYQ5RQWZQFQYPQDQ5VDHKVEN9V5SXYETPDEESSP5ZYG3ZYG3ZYG3ZYG3ZYG3ZYG3ZYG3ZYG3ZYG3ZYG3ZYG3ZYG3ZYGS9Q5SQQQQQQQQQQQQQQQQSGQ2A25DXL5HRNTDTN6ZVYDT7D66HYZSYHQS4WDYNAVYS42XGL6SGX9C4G7ME86A27T07MDTFRY458RTJR0V92CNMSWPSJSCGT2VCSE3SGPZ3UAPA",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc25m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5vdhkven9v5sxyetpdeessp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q5sqqqqqqqqqqqqqqqqsgq2qrqqqfppnqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqppnqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqpp4qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqhpnqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqhp4qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqspnqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqsp4qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqnp5qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqnpkqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqz599y53s3ujmcfjp5xrdap68qxymkqphwsexhmhr8wdz5usdzkzrse33chw6dlp3jhuhge9ley7j2ayx36kawe7kmgg8sv5ugdyusdcqzn8z9x",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc10m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdp9wpshjmt9de6zqmt9w3skgct5vysxjmnnd9jx2mq8q8a04uqnp4q0n326hr8v9zprg8gsvezcch06gfaqqhde2aj730yg0durunfhv66sp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q2gqqqqqqsgqy9gw6ymamd20jumvdgpfphkhp8fzhhdhycw36egcmla5vlrtrmhs9t7psfy3hkkdqzm9eq64fjg558znccds5nhsfmxveha5xe0dykgpspdha0",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc10m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdp9wpshjmt9de6zqmt9w3skgct5vysxjmnnd9jx2mq8q8a04uqsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q2gqqqqqqsgq7hf8he7ecf7n4ffphs6awl9t6676rrclv9ckg3d3ncn7fct63p6s365duk5wrk202cfy3aj5xnnp5gs3vrdvruverwwq7yzhkf5a3xqpd05wjc",
        arguments: &["--now", THEN],
        exit: 1,
        answer: "failed: recipient rejected",
    },
    Published {
        invoice: "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap2r09nt4ndd0unm3z9u5t48y6ucv4r5sg7lk98c77ctvjczkspk5qprc90gx",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "the invoice leaves the amount to the payer",
    },
    Published {
        invoice: "lnbc25m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5vdhkven9v5sxyetpdeessp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q4psqqqqqqqqqqqqqqqqsgqtqyx5vggfcsll4wu246hz02kp85x4katwsk9639we5n5yngc3yhqkm35jnjw4len8vrnqnf5ejh0mzj9n3vz2px97evektfm2l6wqccp3y7372",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpuyk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyakky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrnt",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpuyk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyakky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrny",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "LNBC2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpuyk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyakky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrny",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpusp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqwgt7mcn5yqw3yx0w94pswkpq6j9uh6xfqqqtsk4tnarugeektd4hg5975x9am52rz4qskukxdmjemg92vvqz8nvmsye63r5ykel43pgz7zq0g2",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6na6hlh",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "lnbc2500x1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpusp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqrrzc4cvfue4zp3hggxp47ag7xnrlr8vgcmkjxk3j5jqethnumgkpqp23z9jclu3v0a7e0aruz366e9wqdykw6dxhdzcjjhldxq0w6wgqcnu43j",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "lnbc2500000001p1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpusp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgq0lzc236j96a95uv0m3umg28gclm5lqxtqqwk32uuk4k6673k6n5kfvx3d2h8s295fad45fdhmusm8sjudfhlf6dcsxmfvkeywmjdkxcp99202x",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
    Published {
        invoice: "not an invoice",
        arguments: &["--now", NOW],
        exit: 2,
        answer: "not a BOLT 11 invoice",
    },
];
