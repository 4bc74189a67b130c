//! Exports, copies, and what is kept of a damaged log: judged by heads, by sums, and by the library's own
//! opening, which share nothing with what is tested.

use std::{collections::BTreeMap, fs, path::Path};

use payonce::{
    ClaimPart, Dispatch, Ledger, Msat, NewPart, Opening, PartId, Pay, PaymentHash, PaymentId,
    Preimage, Remember, Request, Tick, UnixMillis, audit,
    store_fs::{FsReader, FsStore, Options},
};
use serde_json::Value;

use crate::support::{Demo, Program, payonce};

fn head(dir: &str) -> Value {
    let status = payonce(&["status", dir, "--format", "json"]);
    let status: Value = serde_json::from_str(&status.out).expect("JSON");
    Value::Array(vec![status["head_seq"].clone(), status["head_log_hash"].clone()])
}

/// What holds proofs of payments is its owner's alone: a file, or every file in a directory.
fn is_private(path: &str) {
    let path = Path::new(path);
    let files: Vec<_> = match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| entry.expect("read").path()).collect(),
        Err(_) => vec![path.into()],
    };
    assert!(!files.is_empty());
    #[cfg(unix)]
    for file in files {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&file).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

fn ok(arguments: &[&str]) -> String {
    let ran = payonce(arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

/// Drops the history of a demo up to its end, where it leaves a snapshot, and pays one more.
fn drop_history(demo: &Demo) {
    let (store, _) = FsStore::open(&demo.path, Options::default()).expect("sound");
    let opening = Opening::new(Remember::Forever, 7);
    let now = UnixMillis(1_788_739_000_000);
    let mut ledger = Ledger::open(store, &opening, now).expect("sound").finish(now).expect("sound");
    let known = ledger.head();
    ledger.drop_history(known, 7).expect("the demo leaves a snapshot");
    let preimage = Preimage::from_bytes([9; 32]);
    pay(&mut ledger, preimage, now);
}

fn pay(ledger: &mut Ledger<FsStore>, preimage: Preimage, now: UnixMillis) {
    let (id, part) =
        (PaymentId::from_payment_hash(preimage.payment_hash()), PartId::from_bytes([8; 32]));
    let fee = payonce::MaxFee::Unlimited;
    let retry = payonce::RetryPolicy::Manual;
    let request = Request::invoice(preimage.payment_hash(), Msat(70_000), fee, retry);
    ledger.execute(Pay::new(id, request), now).expect("new");
    let parts = vec![NewPart::htlc(part, Msat(70_000), Msat(30), 910_000)];
    ledger.execute(Dispatch { id, attempt: 1, parts }, now).expect("nothing forbids it");
    ledger.execute(ClaimPart::new(id, part, preimage), now).expect("true");
}

#[test]
fn an_export_comes_back_as_the_same_log() {
    for dropped in [false, true] {
        let demo = Demo::of(40);
        if dropped {
            drop_history(&demo);
        }
        let (file, copy) = (demo.beside("export.jsonl"), demo.beside("copy"));
        ok(&["export", demo.dir(), "--reveal", "-o", &file]);
        is_private(&file);
        ok(&["import", &file, &copy]);
        is_private(&copy);
        assert_eq!(head(&copy), head(demo.dir()));
        assert!(ok(&["verify", &copy]).starts_with("SOUND"));
        let twice = demo.beside("twice.jsonl");
        ok(&["export", &copy, "--reveal", "-o", &twice]);
        assert!(fs::read(&file).expect("written") == fs::read(&twice).expect("written"));
        // From standard input, too.
        let text = fs::read_to_string(&file).expect("written");
        let program = Program { columns: None, colour: false, input: &text };
        assert_eq!(program.run(&["import", "-", &demo.beside("piped")]).code, 0);
    }
}

#[test]
fn what_is_no_whole_export_is_not_imported() {
    let demo = Demo::of(10);
    let (file, copy) = (demo.beside("export.jsonl"), demo.beside("copy"));
    let hidden = ok(&["export", demo.dir()]);
    assert!(hidden.lines().next().expect("a heading").contains("\"revealed\":false"));
    let whole = ok(&["export", demo.dir(), "--reveal"]);
    let lines: Vec<_> = whole.lines().collect();
    let without = |gone: usize| {
        let kept = lines.iter().enumerate().filter(|(nth, _)| *nth != gone).map(|(_, line)| *line);
        kept.collect::<Vec<_>>().join("\n")
    };
    let mut edited = lines.clone();
    let swapped = edited[5].replace("\"entry\":\"", "\"entry\":\"A");
    edited[5] = &swapped;
    for (text, says) in [
        (hidden.as_str(), "--reveal"),
        ("", "empty"),
        ("{\"payonce_export\":9}\n", "line 1"),
        ("not JSON\n", "line 1"),
        (&without(lines.len() - 1), "lines are missing"),
        (&without(7), "line 8"),
        (&edited.join("\n"), "line 6"),
    ] {
        fs::write(&file, text).expect("writable");
        let ran = payonce(&["import", &file, &copy]);
        assert_eq!(ran.code, 2, "{says}");
        assert!(ran.err.contains(says), "{says}: {}", ran.err);
        assert!(!Path::new(&copy).exists(), "nothing half done: {says}");
        assert!(!Path::new(&format!("{copy}.partial")).exists(), "{says}");
    }
    fs::write(&file, &whole).expect("writable");
    let ran = payonce(&["import", &file, demo.dir()]);
    assert!(ran.code == 2 && ran.err.contains("is not empty"), "{}", ran.err);
}

#[test]
fn preimages_are_hidden_unless_they_are_asked_for() {
    let demo = Demo::of(40);
    let dir = demo.dir();
    let id = ok(&["list", dir, "--format", "csv", "--status", "fulfilled"]);
    let id = id.lines().nth(1).expect("one is paid").split(',').next().expect("an id").to_owned();
    let shown: Value =
        serde_json::from_str(&ok(&["show", dir, &id, "--format", "json", "--reveal"]))
            .expect("JSON");
    let preimage = shown["payment"]["preimage"].as_str().expect("proven").to_owned();
    let proves: Preimage = preimage.parse().expect("32 bytes");
    let hash: PaymentHash =
        shown["payment"]["payment_hash"].as_str().expect("known").parse().expect("32 bytes");
    assert_eq!(proves.payment_hash(), hash);
    let file = demo.beside("report.html");
    for arguments in [
        vec!["show", dir, &id],
        vec!["show", dir, &id, "--format", "json"],
        vec!["list", dir, "--format", "json"],
        vec!["log", dir, "--format", "jsonl"],
        vec!["log", dir, "--raw"],
        vec!["export", dir],
        vec!["export", dir, "--what", "payments"],
    ] {
        assert!(!ok(&arguments).contains(&preimage), "{arguments:?}");
        let revealed = [arguments, vec!["--reveal"]].concat();
        assert!(ok(&revealed).contains(&preimage), "{revealed:?}");
    }
    ok(&["report", dir, "-o", &file]);
}

#[test]
fn postings_sum_to_zero_and_add_up_to_what_was_paid() {
    let demo = Demo::of(80);
    let csv = ok(&["export", demo.dir(), "--what", "postings", "--format", "csv"]);
    let (mut transactions, mut accounts) = (BTreeMap::new(), BTreeMap::new());
    for line in csv.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let amount: i128 = fields[3].parse().expect("a number");
        *transactions.entry(fields[1].to_owned()).or_insert(0) += amount;
        *accounts.entry(fields[2].to_owned()).or_insert(0) += amount;
        let digits: String = fields[4].chars().filter(|char| *char != '.').collect();
        assert_eq!(digits.parse::<i128>().expect("a number"), amount, "both units say the same");
    }
    assert!(transactions.len() > 60 && transactions.values().all(|sum| *sum == 0));
    let listed: Value =
        serde_json::from_str(&ok(&["list", demo.dir(), "--format", "json"])).expect("JSON");
    let sum = |field: &str| {
        let paid =
            listed.as_array().expect("an array").iter().filter(|row| row["status"] == "fulfilled");
        paid.filter_map(|row| row[field].as_u64()).map(i128::from).sum::<i128>()
    };
    assert_eq!(accounts["Expenses:Payments"], sum("amount_msat"));
    assert_eq!(accounts["Expenses:Routing fees"], sum("fee_msat"));
}

#[test]
fn a_backup_takes_only_what_is_new_and_refuses_another_log() {
    let demo = Demo::of(40);
    let (copy, other) = (demo.beside("copy"), Demo::of(41));
    ok(&["backup", demo.dir(), &copy]);
    assert_eq!(head(&copy), head(demo.dir()));
    drop_history(&demo);
    let said = ok(&["backup", demo.dir(), &copy]);
    assert!(said.starts_with("added 6 entries"), "{said}");
    assert_eq!(head(&copy), head(demo.dir()));
    is_private(&copy);
    assert!(ok(&["verify", &copy]).contains("seq 1 to"), "the copy keeps what was dropped");
    // The other demo is the same ledger with another story: their chains part.
    let ran = payonce(&["backup", other.dir(), &copy]);
    assert!(ran.code == 2 && ran.err.contains("does not lead to"), "{}", ran.err);
    // A copy from before what was dropped has a gap.
    let (fresh, gap) = (Demo::of(40), demo.beside("gap"));
    ok(&["backup", fresh.dir(), &gap]);
    fs::remove_dir_all(&gap).expect("ours");
    ok(&["backup", demo.dir(), &gap]);
    assert_eq!(head(&gap), head(demo.dir()), "a base is copied too");
    assert!(payonce(&["backup", demo.dir(), "/proc/nowhere"]).code == 2);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("there is one");
    bytes[at] ^= 0x40;
    fs::write(path, bytes).expect("writable");
}

#[test]
fn what_is_intact_is_kept_and_opens_as_restored() {
    let demo = Demo::of(40);
    let whole = demo.beside("whole");
    ok(&["backup", demo.dir(), &whole]);
    flip(&demo.path.join("00000000000000000001.log"), 30_000);
    let (saved, after) = (demo.beside("saved"), demo.beside("saved.after.jsonl"));
    let ran = payonce(&["salvage", demo.dir(), &saved]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    is_private(&saved);
    is_private(&after);
    let verdict = payonce(&["verify", demo.dir(), "--format", "json"]);
    let verdict: Value = serde_json::from_str(&verdict.out).expect("JSON");
    let intact = verdict["intact_to_seq"].as_u64().expect("a prefix");
    // Its events are those of the whole log, and one more that says restored.
    let to = intact.to_string();
    let kept = ok(&["log", &saved, "--to", &to, "--format", "csv"]);
    assert_eq!(kept, ok(&["log", &whole, "--to", &to, "--format", "csv"]));
    let state = audit::verify(&FsReader::open(&saved).expect("sound"), 1).expect("sound");
    assert!(state.is_restored() && state.head().seq == intact + 1);
    // What is behind the damage: every event of the whole log but those of the damaged entry.
    let rest = fs::read_to_string(&after).expect("written");
    let seqs: Vec<u64> = rest
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .flat_map(|line| line["events"].as_array().cloned().unwrap_or_default())
        .map(|event| event["seq"].as_u64().expect("a seq"))
        .collect();
    let last = head(&whole)[0].as_u64().expect("a seq");
    assert!(seqs.first() > Some(&(intact + 1)) && seqs.last() == Some(&last));
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "nothing between is missing");
    // It opens, without a head too, and pays nothing new until the gap is closed.
    let (store, _) = FsStore::open(&saved, Options::default()).expect("sound");
    let opening = Opening::new(Remember::Forever, 7);
    let now = UnixMillis(1_788_739_000_000);
    let mut ledger = Ledger::open(store, &opening, now).expect("sound").finish(now).expect("sound");
    let preimage = Preimage::from_bytes([9; 32]);
    let id = PaymentId::from_payment_hash(preimage.payment_hash());
    let (fee, retry) = (payonce::MaxFee::Unlimited, payonce::RetryPolicy::Manual);
    let request = Request::invoice(preimage.payment_hash(), Msat(70_000), fee, retry);
    assert!(ledger.execute(Pay::new(id, request), now).is_err(), "restored");
    drop(ledger);
    // Never over something, and never of a sound log.
    assert_eq!(payonce(&["salvage", demo.dir(), &saved]).code, 2);
    let ran = payonce(&["salvage", &whole, &demo.beside("new")]);
    assert!(ran.code == 2 && ran.err.contains("is sound"), "{}", ran.err);
    assert!(!Path::new(&demo.beside("new")).exists());
}

#[test]
fn an_operators_word_is_shown_asked_for_and_recorded_alone() {
    let demo = Demo::of(40);
    let dir = demo.dir();
    let stuck = ok(&["list", dir, "--status", "pending", "--format", "csv"]);
    let id =
        stuck.lines().nth(1).expect("one is stuck").split(',').next().expect("an id").to_owned();
    let before = head(dir);
    let line = ["resolve", dir, &id, "paid", "--by", "Ada", "--why", "the payee wrote"];
    for typed in ["no\n", "", "y\n"] {
        let program = Program { columns: None, colour: false, input: typed };
        let ran = program.run(&line);
        assert!(ran.code == 2 && ran.err.contains("not confirmed"), "{typed:?}: {}", ran.err);
        assert!(
            ran.out.contains("PAID: ") && ran.out.contains("Ada (the payee wrote)"),
            "{}",
            ran.out
        );
        assert_eq!(head(dir), before, "nothing was recorded");
    }
    let early = ["resolve", dir, &id, "failed", "--by", "Ada", "--why", "it is gone", "--yes"];
    let ran = payonce(&early);
    assert!(ran.code == 2 && ran.err.contains("--part"), "{}", ran.err);
    let shown: Value =
        serde_json::from_str(&ok(&["show", dir, &id, "--format", "json"])).expect("JSON");
    let part = shown["parts"][0]["id"].as_str().expect("a part").to_owned();
    let ran = payonce(&[&early[..], &["--part", &part]].concat());
    assert!(ran.code == 2 && ran.err.contains("refused, nothing was recorded"), "{}", ran.err);
    assert_eq!(head(dir), before, "nothing was recorded");
    {
        let _writer = FsStore::open(&demo.path, Options::default()).expect("free");
        let ran = payonce(&[&line[..], &["--yes"]].concat());
        let own = format!("process {}", std::process::id());
        assert!(ran.code == 2 && ran.err.contains(&own), "{}", ran.err);
        assert!(ran.err.contains("payonce demo (node-1, process 4711)"), "{}", ran.err);
    }
    endpoint(&demo, &line);
    let program = Program { columns: None, colour: false, input: "yes\n" };
    let ran = program.run(&line);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let shown = ok(&["show", dir, &id]);
    assert!(shown.contains("FULFILLED") && shown.contains("on the word of Ada (the payee wrote)"));
    let status: Value =
        serde_json::from_str(&payonce(&["status", dir, "--format", "json"]).out).expect("JSON");
    assert_eq!(status["recovering"], true, "the node finishes it, not an operator");
    assert_eq!(payonce(&[&line[..], &["--yes"]].concat()).code, 2, "known already");
}

/// Where the service that holds the log says how its operators reach it, they are told so; also when it
/// was opened long ago.
fn endpoint(demo: &Demo, line: &[&str]) {
    let (store, _) = FsStore::open(&demo.path, Options::default()).expect("free");
    let mut opening = Opening::new(Remember::Forever, 7);
    let reached = "node-1; operators: https://node-1.example:9443/operators";
    (opening.program, opening.holder) = ("payonced 1.2".into(), reached.into());
    let now = UnixMillis(1_788_739_000_000);
    let mut ledger = Ledger::open(store, &opening, now).expect("sound").finish(now).expect("sound");
    for later in [0, 600] {
        for height in 0..later {
            ledger.execute(Tick::at_height(990_000 + height), now).expect("a tick");
        }
        let ran = payonce(&[line, &["--yes"]].concat());
        let says = format!("opened by payonced 1.2 ({reached}): give your word to that program");
        assert!(ran.code == 2 && ran.err.contains(&says), "{}", ran.err);
    }
}

#[test]
fn what_is_not_damaged_is_not_salvaged_and_no_log_is_its_own_backup() {
    let demo = Demo::of(10);
    let (dir, new) = (demo.dir(), demo.beside("new"));
    {
        // Also while its node has it open.
        let _writer = FsStore::open(&demo.path, Options::default()).expect("free");
        let ran = payonce(&["salvage", dir, &new]);
        assert!(ran.code == 2 && ran.err.contains("is sound"), "{}", ran.err);
    }
    let ran = payonce(&["backup", dir, &format!("{dir}/.")]);
    assert!(ran.code == 2 && ran.err.contains("of itself"), "{}", ran.err);
    // A later version's log: its beginning is not all there is.
    let segment = demo.path.join("00000000000000000001.log");
    let mut bytes = fs::read(&segment).expect("there is one");
    bytes[8] = 9;
    bytes[12..16].fill(0);
    let crc = crate::bad_input::crc32c(&bytes[..512]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&segment, bytes).expect("writable");
    let ran = payonce(&["salvage", dir, &new]);
    assert!(ran.code == 2 && ran.err.contains("format version 9"), "{}", ran.err);
    assert!(!Path::new(&new).exists());
}
