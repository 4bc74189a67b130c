//! What is written stays what docs/FORMAT-store-kv.md says: as another hand writes it, and byte for
//! byte as the golden files of each version, which are only ever added to.
//!
//! `PAYONCE_GOLDEN=add` writes those that do not exist yet and appends them to the list; it never
//! overwrites one. Run it alone: the other tests read what it writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
};

use bitcoin_hashes::sha256;
use hex_conservative::DisplayHex;
use payonce_core::{EventStore, Head};

use crate::{
    format,
    memory::{Image, MemoryKv},
    support::{self, BATCHES, STATE},
};

const LIST: &str = "SHA256SUMS";

fn parts(head: &Head) -> (u64, &[u8; 32]) {
    (head.seq, head.chain.as_bytes())
}

#[test]
fn another_hand_writes_the_same() {
    let (image, given) = support::sample(true);
    let ledger = support::ledger();
    let ledger = ledger.as_bytes();
    let mut heads = given.heads.iter();
    let mut before = heads.next().expect("the first");
    let mut written = Image::new();
    let mut snapshots = Vec::new();
    for (nth, sizes) in BATCHES.iter().enumerate() {
        let after = heads.nth(sizes.len() - 1).expect("as given");
        let entries = given.entries.range(before.seq + 1..=after.seq);
        let entries: Vec<_> = entries.map(|(_, bytes)| &bytes[..]).collect();
        let (chain_before, chain) = (before.chain.as_bytes(), after.chain.as_bytes());
        let name = format::chunk_name(before.seq + 1, after.seq, chain_before, chain);
        written.insert(name, format::chunk(ledger, parts(before), &entries));
        let state = format::snapshot(ledger, parts(after), &STATE);
        match nth {
            // Dropped: the base stands for it.
            0..=2 => written.clear(),
            3 => written = Image::from([(format::base_name(parts(after)), state)]),
            5 | 7 => snapshots.push((format::snapshot_name(parts(after)), state)),
            _ => {}
        }
        before = after;
    }
    written.extend(snapshots);
    // The record was written after the first append, and has not been since.
    let first = given.heads[1];
    written.insert("ledger".into(), format::record(ledger, parts(&first)));
    assert_eq!(image.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>());
    assert!(image == written, "a value differs");
}

#[test]
fn what_another_hand_writes_is_read() {
    let (image, given) = support::sample(false);
    let ledger = support::ledger();
    // One chunk an entry.
    let mut written = Image::from([("ledger".into(), image["ledger"].clone())]);
    for (before, after) in given.heads.iter().zip(&given.heads[1..]) {
        let (chain_before, chain) = (before.chain.as_bytes(), after.chain.as_bytes());
        let name = format::chunk_name(before.seq + 1, after.seq, chain_before, chain);
        let entry = &given.entries[&(before.seq + 1)][..];
        written.insert(name, format::chunk(ledger.as_bytes(), parts(before), &[entry]));
    }
    let store = support::open(&written).expect("as specified");
    assert_eq!(given.check(&store), given.heads.len() - 1);
    assert_eq!(store.verify().expect("sound").entries, given.entries.len() as u64);
}

/// A log of every kind of key.
fn version_1() -> Image {
    let (image, mut given) = support::sample(true);
    let kv = MemoryKv::new(&image);
    let mut store = support::take_over(&kv).expect("sound");
    store.append(&given.next(&[2, 1])).expect("sound");
    kv.image()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// What the list says: the name of each file and its SHA-256.
fn listed() -> BTreeMap<String, String> {
    let list = fs::read_to_string(directory().join(LIST)).unwrap_or_default();
    let lines = list.lines().map(|line| line.split_once("  ").expect("`sha256  name`"));
    lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}

fn sum(bytes: &[u8]) -> String {
    sha256::hash(bytes).to_byte_array().as_hex().to_string()
}

/// Also the tool that adds files, so that nothing else can write them.
#[test]
fn this_program_writes_the_golden_files() {
    let listed = listed();
    let adds = env::var("PAYONCE_GOLDEN").is_ok_and(|what| what == "add");
    let mut added = String::new();
    for (name, bytes) in version_1() {
        let path = directory().join(&name);
        if adds && !listed.contains_key(&name) {
            assert!(!path.exists(), "{name} exists and is not listed: add one or remove the other");
            fs::create_dir_all(directory()).expect("the directory can be made");
            fs::write(&path, &bytes).expect("the file can be written");
            added.extend([&sum(&bytes), "  ", &name, "\n"]);
            continue;
        }
        let golden = fs::read(&path).unwrap_or_else(|error| panic!("golden file {name}: {error}"));
        assert_eq!(bytes, golden, "{name}: the layout has changed; that needs a new version");
    }
    if !added.is_empty() {
        let path = directory().join(LIST);
        let list = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, list + &added).expect("the list can be written");
    }
}

#[test]
fn golden_files_are_as_listed_and_open() {
    let listed = listed();
    let mut golden = Image::new();
    for (name, expected) in &listed {
        let bytes = fs::read(directory().join(name));
        let bytes = bytes.unwrap_or_else(|error| panic!("golden file {name}: {error}"));
        assert_eq!(sum(&bytes), *expected, "{name} was changed");
        golden.insert(name.clone(), bytes);
    }
    let found = fs::read_dir(directory()).expect("there are golden files");
    let names = found.map(|entry| entry.expect("readable").file_name().into_string());
    let mut names: BTreeSet<_> = names.map(|name| name.expect("UTF-8")).collect();
    names.remove(LIST);
    assert_eq!(names, listed.into_keys().collect(), "what is there is not what is listed");

    let verified = support::open(&golden).expect("version 1").verify().expect("version 1");
    assert_eq!((verified.entries, verified.head.seq), (12, 140));
    assert!(verified.damaged_snapshots.is_empty());
}
