//! Golden files: bytes that are out in the world. They are added, never changed.
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
use payonce_core::{Entry, EntryHeader, Head, State, decode_events};

use crate::{LEDGER, first_entry, samples, states};

const LIST: &str = "SHA256SUMS";

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// What the list says: the name of each file and its SHA-256.
fn listed() -> BTreeMap<String, String> {
    let list = fs::read_to_string(directory().join(LIST)).unwrap_or_default();
    let lines = list.lines().map(|line| line.split_once("  ").expect("`sha256  name`"));
    lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}

fn files(prefix: &str) -> Vec<(String, Vec<u8>)> {
    let names = listed().into_keys().filter(|name| name.starts_with(prefix));
    names
        .map(|name| {
            let bytes = fs::read(directory().join(&name));
            let bytes = bytes.unwrap_or_else(|error| panic!("golden file {name}: {error}"));
            (name, bytes)
        })
        .collect()
}

/// The golden entries. A decoder that is tested on none is not tested.
pub(crate) fn entries() -> Vec<(String, Vec<u8>)> {
    let entries = files("entry-");
    assert!(entries.len() >= 80, "golden entries are missing");
    entries
}

/// The golden snapshots.
pub(crate) fn snapshots() -> Vec<(String, Vec<u8>)> {
    let snapshots = files("snapshot-");
    assert!(snapshots.len() >= 5, "golden snapshots are missing");
    snapshots
}

/// What this program encodes, under the names of the files.
fn encoded() -> BTreeMap<String, Vec<u8>> {
    let entries = samples::entries().into_iter();
    let entries = entries
        .map(|(name, events)| (format!("entry-{name}.bin"), first_entry(&events).bytes().to_vec()));
    let states = states::all().into_iter();
    let states = states.map(|(name, state)| (format!("snapshot-{name}.bin"), state.encode()));
    entries.chain(states).collect()
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
    for (name, bytes) in encoded() {
        let path = directory().join(&name);
        if adds && !listed.contains_key(&name) {
            assert!(!path.exists(), "{name} exists and is not listed: add one or remove the other");
            fs::create_dir_all(directory()).expect("the directory can be made");
            fs::write(&path, &bytes).expect("the file can be written");
            added.extend([&sum(&bytes), "  ", &name, "\n"]);
            continue;
        }
        // A sample state is made by commands, and what they decide may change. What a state's bytes
        // are is pinned by reading them back.
        if name.starts_with("snapshot-") && listed.contains_key(&name) {
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
fn no_golden_file_is_missing_changed_or_unlisted() {
    let listed = listed();
    for (name, expected) in &listed {
        let bytes = fs::read(directory().join(name));
        let bytes = bytes.unwrap_or_else(|error| panic!("golden file {name}: {error}"));
        assert_eq!(sum(&bytes), *expected, "{name} was changed");
    }
    let found = fs::read_dir(directory()).expect("there are golden files");
    let names = found.map(|entry| entry.expect("readable").file_name().into_string());
    let mut names: BTreeSet<_> = names.map(|name| name.expect("UTF-8")).collect();
    names.remove(LIST);
    assert_eq!(names, listed.into_keys().collect(), "what is there is not what is listed");
}

#[test]
fn golden_entries_read_back_as_the_same_bytes() {
    for (name, bytes) in entries() {
        let mut events = Vec::new();
        let header: EntryHeader =
            decode_events(&bytes, |_, event| events.push(event)).expect(&name);
        let before = Head { seq: header.first_seq - 1, ..Head::genesis(LEDGER) };
        let again = Entry::new(before, header.epoch, header.now, &events).expect(&name);
        assert_eq!(again.bytes(), bytes, "{name}");
    }
}

#[test]
fn golden_snapshots_read_back_as_the_same_bytes() {
    for (name, bytes) in snapshots() {
        let state = State::decode(&bytes, 99).expect(&name);
        assert_eq!(state.encode(), bytes, "{name}");
    }
}
