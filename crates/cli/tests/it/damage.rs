//! Every kind of damage: what each command says of it, and that nothing is ever changed by reading.

use std::{
    fs,
    path::{Path, PathBuf},
};

use payonce::{
    EventStore, Head, Ledger, Opening, Remember, UnixMillis,
    audit::EventSource,
    store_fs::{FsReader, FsStore, Options},
};
use payonce_store_fs::model::{
    Image,
    damage::{self, Damaged},
};
use serde_json::Value;

use crate::support::{Demo, copy_entries, payonce};

/// The demo in segments of a few kilobytes, with two snapshots; on a base if asked for.
fn log_in_pieces(payments: u32, on_a_base: bool) -> Image {
    let demo = Demo::of(payments);
    let source = FsReader::open(&demo.path).expect("sound");
    let options = Options { segment_bytes: 2 << 10, preallocate_bytes: 512, reserve_bytes: 0 };
    let path = PathBuf::from(demo.beside("pieces"));
    let (mut store, _) = FsStore::create(&path, source.ledger_id(), options).expect("new");
    copy_entries(&source, &mut store);
    let mut at_most = source.head().expect("sound").seq;
    let mut snapshots = Vec::new();
    while let Some(snapshot) = source.load_snapshot(at_most).expect("sound") {
        at_most = snapshot.at.seq - 1;
        snapshots.insert(0, snapshot);
    }
    for snapshot in &snapshots {
        store.save_snapshot(snapshot.at, &snapshot.bytes).expect("room");
    }
    store.close().expect("in order");
    if on_a_base {
        drop_history(&path, options, snapshots[0].at);
    }
    let files = fs::read_dir(&path).expect("there").map(|file| file.expect("there").path());
    files
        .map(|file| {
            let name = file.file_name().expect("named").to_str().expect("plain").to_owned();
            (name, fs::read(&file).expect("readable"))
        })
        .collect()
}

/// As a node does: the log says which base is its own.
fn drop_history(path: &Path, options: Options, at: Head) {
    let (store, _) = FsStore::open(path, options).expect("sound");
    let opening = Opening::new(Remember::Forever, 7);
    let now = UnixMillis(1_788_739_000_000);
    let mut ledger = Ledger::open(store, &opening, now).expect("sound").finish(now).expect("sound");
    ledger.drop_history(at, 7).expect("a snapshot is there");
    ledger.into_store().close().expect("in order");
}

fn lay(directory: &Path, image: &Image) {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir(directory).expect("new");
    for (name, bytes) in image {
        fs::write(directory.join(name), bytes).expect("writable");
    }
}

fn read(directory: &Path) -> Image {
    let files = fs::read_dir(directory).expect("there").map(|file| file.expect("there"));
    files
        .map(|file| {
            let name = file.file_name().to_str().expect("plain").to_owned();
            (name, fs::read(file.path()).expect("readable"))
        })
        .collect()
}

fn named(image: &Image, ending: &str) -> Vec<String> {
    image.keys().filter(|name| name.ends_with(ending)).cloned().collect()
}

fn changed(image: &Image, change: impl FnOnce(&mut Image)) -> Image {
    let mut image = image.clone();
    change(&mut image);
    image
}

/// What the store's tests do to a log, and a segment of another history.
fn damaged(whole: &Image) -> Vec<Damaged> {
    let mut images = damage::of_names(whole);
    let middle = &damage::segments(whole)[2];
    for byte in [40, 516, 560] {
        images.push(damage::flipped(whole, middle, byte, 0x40));
    }
    let newest = damage::segments(whole).pop().expect("several");
    images.push(damage::flipped(whole, &newest, 560, 0x40));
    images.extend(damage::of_origin(whole).into_iter().filter(|damaged| {
        // A newer program's log is no damaged one: `bad_input` has it.
        !damaged.what.contains("newer program")
    }));
    if let Some(base) = damage::of_files(whole, ".base", 900).nth(1) {
        images.push(base);
    }
    images.extend(damage::older_cut(whole, 4_000));
    let foreign = of_another_history(whole);
    assert!(foreign.is_some() || whole.keys().any(|name| name.ends_with(".base")), "in common");
    images.extend(foreign);
    images
}

const FOREIGN: &str = "a segment of another history";

/// One of the same name, with other entries: its checksums are right, the chain is not.
/// Behind a base the two may have no segment of one name.
fn of_another_history(whole: &Image) -> Option<Damaged> {
    let foreign = log_in_pieces(101, false);
    let logs = damage::segments(whole);
    let other = |name: &&String| foreign.get(*name).is_some_and(|bytes| *bytes != whole[*name]);
    let name = logs.iter().skip(1).find(other)?;
    let mut image = whole.clone();
    image.insert(name.clone(), foreign[name].clone());
    Some(Damaged { what: FOREIGN.into(), file: name.clone(), image })
}

/// Every command that has a log, and its exit code on a damaged one; but `salvage`, which is for it.
fn commands<'a>(dir: &'a str, out: &'a str) -> Vec<(Vec<&'a str>, u8)> {
    let resolve = ["resolve", dir, NOBODY, "paid", "--by", "Ada", "--why", "a receipt", "--yes"];
    vec![
        (vec!["verify", dir], 1),
        (vec!["status", dir], 2),
        (vec!["list", dir], 2),
        (vec!["list", dir, "--stuck", "10m"], 2),
        (vec!["show", dir, "00"], 2),
        (vec!["at", dir, "--seq", "999999"], 2),
        (vec!["diff", dir, "1", "500"], 2),
        (vec!["log", dir], 2),
        (vec!["log", dir, "--raw"], 1),
        (vec!["export", dir, "-o", out], 2),
        (vec!["export", dir, "--what", "payments", "-o", out], 2),
        (vec!["export", dir, "--what", "postings", "-o", out], 2),
        (vec!["backup", dir, out], 2),
        (vec!["report", dir, "-o", out], 2),
        (vec!["copy", dir, out], 2),
        (resolve.to_vec(), 2),
    ]
}

/// The id of no payment.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn every_damage_is_told_by_every_command_and_left_as_it_is() {
    let own = tempfile::tempdir().expect("a directory");
    let (path, out) = (own.path().join("log"), own.path().join("out"));
    let (dir, out) = (path.to_str().expect("plain"), out.to_str().expect("plain"));
    for on_a_base in [false, true] {
        let whole = log_in_pieces(100, on_a_base);
        lay(&path, &whole);
        let sound = payonce(&["verify", dir, "--format", "json"]);
        assert_eq!(sound.code, 0, "{} {}", sound.out, sound.err);
        for Damaged { what, image, .. } in damaged(&whole) {
            let what = what.as_str();
            lay(&path, &image);
            for (line, code) in commands(dir, out) {
                let ran = payonce(&line);
                let said = &ran.err;
                // What only the chain shows is seen by who reads past it: `status` and what is stuck begin
                // at a snapshot, `diff` ends where it is told to.
                let begins_late = line[0] == "status" || line.contains(&"--stuck");
                let reads_all = !begins_late && line[0] != "diff";
                let unseen = what == FOREIGN && !reads_all;
                assert!(ran.code == code || unseen, "{what}: {line:?}: {} {said}", ran.code);
                assert!(!Path::new(out).exists(), "{what}: {line:?}: nothing half done");
            }
            assert!(read(&path) == image, "{what}: reading changed it");
            keeps_what_is_intact(what, dir, own.path(), &image);
        }
    }
}

/// What a verdict says is good, salvage keeps; what it says is readable behind it, it writes.
fn keeps_what_is_intact(what: &str, dir: &str, beside: &Path, image: &Image) {
    let verdict = payonce(&["verify", dir, "--format", "json"]);
    let verdict: Value = serde_json::from_str(&verdict.out).expect("JSON");
    assert_eq!(verdict["sound"], false, "{what}");
    assert!(verdict["first_damage"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
    let (saved, after) = (beside.join("saved"), beside.join("saved.after.jsonl"));
    let ran = payonce(&["salvage", dir, saved.to_str().expect("plain")]);
    assert_eq!(ran.code, 1, "{what}: {}", ran.err);
    assert!(read(Path::new(dir)) == *image, "{what}: salvage changed it");
    let rest = fs::read_to_string(&after).expect("written");
    let entries = rest.lines().filter(|line| line.contains("\"first_seq\"")).count() as u64;
    assert_eq!(Value::from(entries), verdict["readable_after"], "{what}: {verdict}");
    if saved.exists() {
        let status = payonce(&["status", saved.to_str().expect("plain"), "--format", "json"]);
        let status: Value = serde_json::from_str(&status.out).expect("JSON");
        let intact = verdict["intact_to_seq"].as_u64().expect("a prefix");
        assert_eq!(status["head_seq"], intact + 1, "{what}");
        assert_eq!(status["restored"], true, "{what}");
        fs::remove_dir_all(&saved).expect("ours");
    }
    fs::remove_file(&after).expect("ours");
}

#[test]
fn what_costs_time_and_no_data_is_told_and_refused_by_nobody() {
    let own = tempfile::tempdir().expect("a directory");
    let path = own.path().join("log");
    let dir = path.to_str().expect("plain");
    let whole = log_in_pieces(100, false);
    let snapshots = named(&whole, ".snap");
    let newest = named(&whole, ".log").pop().expect("one");
    let torn = changed(&whole, |image| {
        // The beginning of a frame and no more: what a write leaves that was cut short.
        let bytes = image.get_mut(&newest).expect("there");
        let end = bytes.iter().rposition(|byte| *byte != 0).expect("entries") + 1;
        let at = end.next_multiple_of(8).next_multiple_of(512);
        bytes.resize(at + 1024, 0);
        bytes[at] = 9;
        image.remove("newest");
    });
    for (what, image, verify) in [
        ("a snapshot", damage::flipped(&whole, &snapshots[0], 700, 0x40).image, 1),
        (
            "all snapshots are gone",
            changed(&whole, |image| image.retain(|name, _| !name.ends_with(".snap"))),
            0,
        ),
        (
            "somebody's notes",
            changed(&whole, |image| drop(image.insert("notes.txt".into(), b"hi".to_vec()))),
            0,
        ),
        ("the lock is gone", changed(&whole, |image| drop(image.remove("lock"))), 0),
        ("a torn write", torn, 0),
    ] {
        lay(&path, &image);
        let ran = payonce(&["verify", dir]);
        assert_eq!(ran.code, verify, "{what}: {} {}", ran.out, ran.err);
        assert!(ran.out.contains("SOUND"), "{what}: {}", ran.out);
        assert_eq!(ran.out.contains("WRONG"), verify == 1, "{what}: {}", ran.out);
        assert_eq!(payonce(&["list", dir]).code, 0, "{what}");
        assert!(read(&path) == image, "{what}: reading changed it");
    }
}

/// What somebody asks of a log, and what was answered while it was whole.
struct Asked<'a> {
    line: Vec<&'a str>,
    answer: String,
}

/// Every image that the store's tests walk, of a ledger that lived: no command panics, writes anything or
/// calls it sound; whoever answers at all, since it reads past the damage, answers as before the damage.
#[test]
fn whoever_answers_on_a_damaged_log_answers_what_is_true() {
    let step = if std::env::var_os("PAYONCE_LONG").is_some() { 31 } else { 701 };
    let own = tempfile::tempdir().expect("a directory");
    let (path, out) = (own.path().join("log"), own.path().join("out"));
    let (dir, out) = (path.to_str().expect("plain"), out.to_str().expect("plain"));
    for on_a_base in [false, true] {
        let whole = log_in_pieces(20, on_a_base);
        lay(&path, &whole);
        let status: Value =
            serde_json::from_str(&payonce(&["status", dir, "--format", "json"]).out).expect("JSON");
        let id = status["oldest_unresolved"].as_str().expect("one is stuck");
        let head = status["head_seq"].as_u64().expect("a seq");
        let (from, to) = ((head - 20).to_string(), (head - 3).to_string());
        let lines = [
            &["status", dir][..],
            &["list", dir, "--format", "json"],
            &["show", dir, id, "--format", "json"],
            &["at", dir, "--seq", &to, "--format", "json"],
            &["diff", dir, &from, &to, "--format", "json"],
            &["log", dir],
            &["log", dir, "--raw"],
            &["export", dir],
            &["export", dir, "--what", "postings"],
            &["list", dir, "--stuck", "10m"],
            &["export", dir, "-o", out],
            &["backup", dir, out],
            &["report", dir, "-o", out],
            &["copy", dir, out],
            &["export", dir, "--what", "payments"],
        ];
        let asked = lines.map(|line| {
            let answer = payonce(line).out;
            remove(out);
            Asked { line: line.to_vec(), answer }
        });
        let history = damage::of_history(&whole, step)
            .chain(damage::of_reserved_space(&whole, step))
            .chain(damage::older_cut(&whole, step));
        for damaged in history {
            walk(&path, &damaged, &asked, out, false);
        }
        for damaged in damage::of_names(&whole).into_iter().chain(damage::of_origin(&whole)) {
            walk(&path, &damaged, &asked, out, true);
        }
        for damaged in damage::of_files(&whole, ".base", step) {
            walk(&path, &damaged, &asked, out, true);
        }
        for damaged in damage::of_files(&whole, ".snap", step) {
            walk(&path, &damaged, &asked, out, false);
        }
    }
}

fn remove(out: &str) {
    let _ = fs::remove_dir_all(out);
    let _ = fs::remove_file(out);
}

fn walk(path: &Path, damaged: &Damaged, asked: &[Asked<'_>], out: &str, refused: bool) {
    let what = &damaged.what;
    lay(path, &damaged.image);
    let verified = payonce(&["verify", path.to_str().expect("plain")]);
    // Space that nothing was written to, or what a base stands for, is no loss; a newer program's log is
    // told as such.
    assert!(verified.code > 0 || !refused, "{what}: {}", verified.out);
    for Asked { line, answer } in asked {
        let ran = payonce(line);
        let reads_all = ["log", "export", "backup", "report", "copy"].contains(&line[0]);
        let is_raw = line.contains(&"--raw");
        if verified.out.contains("DAMAGED") && reads_all && !is_raw {
            assert_eq!(ran.code, 2, "{what}: {line:?}: {}", ran.out);
        }
        assert!(ran.code < 2 || !ran.err.is_empty(), "{what}: {line:?}");
        let is_answered = ran.code == 0 || (ran.code == 1 && !is_raw);
        if is_answered {
            // These also say what is wrong with a snapshot, and sizes.
            let tells_of_files = ["report", "status"].contains(&line[0]);
            assert!(ran.out == *answer || tells_of_files, "{what}: {line:?}: {}", ran.out);
        } else {
            assert!(!Path::new(out).exists(), "{what}: {line:?}: nothing half done");
        }
        remove(out);
    }
    assert!(read(path) == damaged.image, "{what}: reading changed it");
}

#[test]
fn verify_proves_that_a_log_only_grew() {
    let demo = Demo::of(40);
    let early = payonce(&["at", demo.dir(), "--seq", "100", "--format", "json"]);
    let early: Value = serde_json::from_str(&early.out).expect("JSON");
    let (seq, hash) = (&early["head_seq"], early["head_log_hash"].as_str().expect("a hash"));
    let head = format!("seq {seq} chain {hash}");
    let ran = payonce(&["verify", demo.dir(), "--since", &head]);
    assert!(ran.code == 0 && ran.out.contains("only grew since"), "{}", ran.out);
    assert_eq!(payonce(&["verify", demo.dir(), "--since", &format!("{seq}:{hash}")]).code, 0);
    let other = head.replace(&hash[..4], if hash.starts_with("0000") { "1111" } else { "0000" });
    let ran = payonce(&["verify", demo.dir(), "--since", &other]);
    assert!(ran.code == 1 && ran.out.contains("does not contain"), "{}", ran.out);
}
