//! A crash after every change of a run: all that was acknowledged is there, at most a prefix of the
//! batch in flight is extra, nothing is refused, and crashing again while opening changes none of it.

use std::sync::Arc;

use payonce_core::{Entry, EventSource, EventStore};

use crate::{
    memory::{Image, MemoryKv},
    support::{self, Given, STATE},
};

enum Step {
    Append(&'static [u16]),
    Snapshot,
    /// Drop what the newest snapshot stands for.
    Drop,
    /// Drop up to a snapshot taken inside the chunk that holds the newest entries.
    DropInside,
}

const STEPS: &[Step] = &[
    Step::Append(&[1]),
    Step::Append(&[2, 1]),
    Step::Snapshot,
    Step::Append(&[1, 3, 1, 2, 1, 5, 1]),
    Step::Snapshot,
    Step::Append(&[16]),
    Step::Snapshot,
    Step::Drop,
    Step::Append(&[9, 20]),
    // Several values: each of these entries is a third of one.
    Step::Append(&[1, 11_000, 10_000, 9_000, 8_000, 1, 11_000, 1]),
    Step::DropInside,
    Step::Append(&[1]),
    Step::Snapshot,
    Step::Append(&[1, 1]),
    Step::Snapshot,
    Step::Drop,
    Step::Drop,
    Step::Append(&[4, 1]),
];

/// What is known at a point of the run.
#[derive(Debug, Clone, Default)]
struct Known {
    /// How many changes there had been.
    changes: usize,
    /// How many entries had been acknowledged, and given.
    acknowledged: usize,
    given: usize,
    /// Where the newest acknowledged snapshot was taken.
    snapshot: u64,
    /// The base that was acknowledged, and the one that may be there already.
    base: u64,
    base_asked: u64,
}

/// Runs the steps; gives what was known before and after each.
fn run(kv: &Arc<MemoryKv>) -> (Given, Vec<Known>) {
    let (mut store, mut given) = (support::create(kv), Given::new());
    let mut known = Known { changes: kv.changes(), ..Known::default() };
    let mut all = vec![known.clone()];
    for step in STEPS {
        let head = given.head();
        match step {
            Step::Append(sizes) => {
                let batch = given.next(sizes);
                known.given += batch.len();
                all.push(known.clone());
                store.append(&batch).expect("sound");
                known.acknowledged = known.given;
            }
            Step::Snapshot => {
                store.save_snapshot(head, &STATE).expect("sound");
                known.snapshot = head.seq;
            }
            Step::Drop | Step::DropInside => {
                if matches!(step, Step::DropInside) {
                    let inside = given.heads[given.heads.len() - 3];
                    store.save_snapshot(inside, &STATE).expect("sound");
                }
                let at = store.load_snapshot(u64::MAX).expect("sound").expect("saved").at;
                (known.snapshot, known.base_asked) = (at.seq, at.seq);
                // The snapshot is older than the drop.
                let changes = std::mem::replace(&mut known.changes, kv.changes());
                all.push(known.clone());
                known.changes = changes;
                store.drop_history(at).expect("sound");
                known.base = at.seq;
            }
        }
        known.changes = kv.changes();
        all.push(known.clone());
    }
    (given, all)
}

/// Opens an image and checks it against what was known; gives the handle.
fn check(image: &Image, given: &Given, known: &Known) -> Arc<MemoryKv> {
    let kv = MemoryKv::new(image);
    let store = support::take_over(&kv).expect("a crash is no damage");
    let count = given.check(&store);
    assert!((known.acknowledged..=known.given).contains(&count), "{count} of {known:?}");
    let base = store.base().expect("sound").map_or(0, |base| base.at.seq);
    assert!([known.base, known.base_asked].contains(&base), "base {base} of {known:?}");
    let snapshot = store.load_snapshot(u64::MAX).expect("sound").map_or(0, |found| found.at.seq);
    assert!(snapshot >= known.snapshot, "snapshot {snapshot} of {known:?}");
    store.verify().expect("sound");
    // What an interrupted dropping left is gone, and so are the third snapshots.
    let image = kv.image();
    let of = |kind: &str| image.keys().filter(|name| name.starts_with(kind)).count();
    assert!(of("base-") <= 1 && of("snap-") <= 2);
    let last = |name: &String| u64::from_str_radix(&name[21..37], 16).expect("a number");
    assert!(image.keys().filter(|name| name.starts_with("log-")).all(|name| last(name) > base));
    drop(store);

    // It takes appends.
    let mut store = support::take_over(&kv).expect("sound");
    let mut longer = given.clone();
    longer.truncate(count);
    store.append(&longer.next(&[1, 7])).expect("sound");
    longer.check(&support::take_over(&kv).expect("sound"));
    kv
}

#[test]
fn a_crash_anywhere_loses_nothing_acknowledged() {
    let kv = MemoryKv::new(&Image::new());
    let (given, known) = run(&kv);
    let images = kv.crash_images();
    let (mut first_crashes, mut second_crashes) = (0, 0);
    for (changes, image) in images.iter().enumerate().skip(1) {
        let known = known.iter().rfind(|known| known.changes <= changes);
        let known = known.cloned().unwrap_or_default();
        let opened = check(image, &given, &known);
        first_crashes += 1;
        for second in opened.crash_images().iter().skip(1) {
            // Whatever the appends after the first opening added is no longer of this run.
            if second.keys().all(|name| !is_appended(name, image)) {
                check(second, &given, &known);
                second_crashes += 1;
            }
        }
    }
    assert!(first_crashes >= 39, "{first_crashes} crashes");
    assert!(second_crashes >= 100, "{second_crashes} crashes while opening");
}

/// Whether a key is a chunk that was not there at first.
fn is_appended(name: &str, before: &Image) -> bool {
    name.starts_with("log-") && !before.contains_key(name)
}

#[test]
fn a_large_batch_is_several_values_each_there_whole_or_not() {
    let kv = MemoryKv::new(&Image::new());
    let (mut store, mut given) = (support::create(&kv), Given::new());
    store.append(&given.next(&[1])).expect("sound");
    let before = kv.changes();
    let sizes = [15_000; 10];
    let batch = given.next(&sizes);
    store.append(&batch).expect("sound");
    let counts: Vec<_> = kv.crash_images()[before..]
        .iter()
        .map(|image| given.check(&support::open(image).expect("sound")))
        .collect();
    assert_eq!(counts, [1, 3, 5, 7, 9, 11], "two entries of half a mebibyte a value");
    let largest = kv.image().values().map(Vec::len).max();
    assert!(largest <= Some(1 << 20), "{largest:?}");

    // An entry of the largest size there is has a value of its own.
    let entry = support::entry(given.head(), 1, 30_700);
    assert!(entry.bytes().len() > (1 << 20) - 10_000);
    let entries = [entry];
    store.append(&entries).expect("sound");
    assert_eq!(store.head().expect("sound"), entries.map(|entry| Entry::after(&entry))[0]);
    support::take_over(&kv).expect("sound").verify().expect("sound");
}
