//! Every kind of damage: what each command says of it, and that nothing is ever changed by reading.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use payonce::{
    EventSource, EventStore, Head, Ledger, Opening, Remember, UnixMillis,
    audit::Entry,
    store_fs::{FsReader, FsStore, Options},
};
use serde_json::Value;

use crate::support::{Demo, payonce};

type Image = BTreeMap<String, Vec<u8>>;

/// The demo in segments of a few kilobytes, with two snapshots; on a base if asked for.
fn log_in_pieces(payments: u32, on_a_base: bool) -> Image {
    let demo = Demo::of(payments);
    let source = FsReader::open(&demo.path).expect("sound");
    let options = Options { segment_bytes: 2 << 10, preallocate_bytes: 512, reserve_bytes: 0 };
    let path = PathBuf::from(demo.beside("pieces"));
    let (mut store, _) = FsStore::create(&path, source.ledger_id(), options).expect("new");
    let mut head = store.fence().expect("new").head;
    source
        .replay(1, &mut |stored| {
            let entry = Entry::from_stored(head, stored.bytes.to_vec()).expect("the next one");
            head = entry.after();
            store.append(&[entry]).expect("room");
            ControlFlow::Continue(())
        })
        .expect("sound");
    let mut at_most = head.seq;
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

fn flipped(image: &Image, name: &str, at: usize) -> Image {
    changed(image, |image| image.get_mut(name).expect("there")[at] ^= 0x40)
}

/// Images that no reader may believe: what was done, and the image.
fn damaged(whole: &Image) -> Vec<(&'static str, Image)> {
    let logs = named(whole, ".log");
    assert!(logs.len() > 4, "several segments: {logs:?}");
    let (first, middle, newest) = (&logs[0], &logs[2], &logs[logs.len() - 1]);
    let foreign = log_in_pieces(101, false);
    let mut images = vec![
        ("a file header", flipped(whole, middle, 40)),
        ("a frame header", flipped(whole, middle, 516)),
        ("an entry", flipped(whole, middle, 560)),
        ("an entry of the newest segment", flipped(whole, newest, 560)),
        ("a segment in the middle is gone", changed(whole, |image| drop(image.remove(middle)))),
        ("the newest segment is gone", changed(whole, |image| drop(image.remove(newest)))),
        (
            "a segment is cut",
            changed(whole, |image| image.get_mut(middle).expect("there").truncate(900)),
        ),
        (
            "the newest segment is cut",
            changed(whole, |image| {
                image.get_mut(newest).expect("there").truncate(600);
            }),
        ),
        (
            "a segment is empty",
            changed(whole, |image| image.get_mut(middle).expect("there").clear()),
        ),
        (
            "bytes after the end",
            changed(whole, |image| {
                let bytes = image.get_mut(middle).expect("there");
                bytes.extend([7; 64]);
            }),
        ),
        (
            "a segment has another name",
            changed(whole, |image| {
                let bytes = image.remove(middle).expect("there");
                image.insert("00000000000000000999.log".into(), bytes);
            }),
        ),
        (
            "a copy lies beside",
            changed(whole, |image| {
                let bytes = image[middle].clone();
                image.insert("00000000000000000999.log".into(), bytes);
            }),
        ),
    ];
    // One of the same name, with other entries: its checksums are right, the chain is not.
    let other = |name: &&String| {
        *name != first && foreign.get(*name).is_some_and(|bytes| *bytes != whole[*name])
    };
    if let Some(name) = logs.iter().find(other) {
        let image = changed(whole, |image| drop(image.insert(name.clone(), foreign[name].clone())));
        images.push(("a segment of another history", image));
    }
    if let Some(base) = named(whole, ".base").first() {
        images.push(("the base", flipped(whole, base, 900)));
        images.push(("the base is gone", changed(whole, |image| drop(image.remove(base)))));
    }
    images
}

fn commands<'a>(dir: &'a str, out: &'a str) -> Vec<(Vec<&'a str>, u8)> {
    vec![
        (vec!["verify", dir], 1),
        (vec!["status", dir], 2),
        (vec!["list", dir], 2),
        (vec!["show", dir, "00"], 2),
        (vec!["at", dir, "--seq", "999999"], 2),
        (vec!["diff", dir, "1", "500"], 2),
        (vec!["log", dir], 2),
        (vec!["export", dir, "-o", out], 2),
        (vec!["backup", dir, out], 2),
    ]
}

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
        for (what, image) in damaged(&whole) {
            lay(&path, &image);
            for (line, code) in commands(dir, out) {
                let ran = payonce(&line);
                let said = &ran.err;
                // What only the chain shows is seen by who reads past it: `status` begins at a snapshot,
                // `diff` ends where it is told to.
                let reads_all = !["status", "diff"].contains(&line[0]);
                let unseen = what == "a segment of another history" && !reads_all;
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
        ("a snapshot", flipped(&whole, &snapshots[0], 700), 1),
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
