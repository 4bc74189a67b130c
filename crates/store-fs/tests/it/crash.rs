//! Every crash point of a run over the model disk, and what a crash there may leave: all that was
//! acknowledged is there, at most a prefix of the batch in flight is extra, nothing is refused, and
//! crashing again while recovering changes none of it.

use std::{
    collections::{BTreeSet, HashSet, hash_map::DefaultHasher},
    hash::{BuildHasher, BuildHasherDefault},
};

use payonce_core::{EventSource, EventStore, Head};
use payonce_store_fs::{
    FsError, FsStore, Options,
    model::{Image, ModelDisk},
};

use crate::support::{self, Held, SMALL};

/// Committed floors: fewer distinct images prove less. Of a kind medium, and of one on which a sync
/// has failed.
const IMAGES_AT_LEAST: usize = 20_000;
const UNKIND_IMAGES_AT_LEAST: usize = 15_000;
/// How many images of one crash point are looked at, and how many of one inside recovery.
const IMAGES_PER_POINT: usize = 1_600;
const IMAGES_PER_POINT_OF_RECOVERY: usize = 12;
/// Of so many images, one is crashed again while it recovers: of those of a kind medium, and of an
/// unkind one.
const ONE_IN: usize = 8;
const UNKIND_ONE_IN: usize = 96;
/// The run is repeated with entries so many times as large.
const SCALES: [u8; 3] = [1, 2, 5];

/// What is known at a point of the run.
#[derive(Debug, Clone)]
struct Known {
    /// How many changes the disk had seen.
    changes: usize,
    /// How many entries had been acknowledged.
    acknowledged: usize,
    /// How many entries had been given to the store.
    given: usize,
    /// Where the newest acknowledged snapshot was taken.
    snapshot: u64,
    /// The base that was acknowledged, and the one that may be there already.
    base: u64,
    base_asked: u64,
}

/// A run: what the disk recorded, every head and entry, and what was known when.
struct Run {
    disk: ModelDisk,
    heads: Vec<Head>,
    entries: Held,
    known: Vec<Known>,
}

enum Step {
    Append(&'static [u8]),
    Snapshot,
    /// Drop what the newest snapshot stands for.
    Drop,
}

const STEPS: &[Step] = &[
    Step::Append(&[1]),
    Step::Append(&[2, 1]),
    Step::Append(&[1, 3, 1, 2, 1, 5, 1]),
    Step::Snapshot,
    Step::Append(&[16]),
    Step::Append(&[9, 20]),
    Step::Append(&[4, 1, 1, 30, 2, 2, 2]),
    Step::Snapshot,
    Step::Append(&[1]),
    Step::Drop,
    Step::Append(&[3, 1]),
    Step::Append(&[20, 20, 1, 1, 20, 20, 20]),
    Step::Snapshot,
    Step::Append(&[1]),
    Step::Snapshot,
    Step::Drop,
    Step::Append(&[40, 1]),
];

/// A run whose disk fails now and then: whoever is told of it opens the log again, as documented, and
/// goes on.
struct Running {
    options: Options,
    store: FsStore<ModelDisk>,
    run: Run,
    known: Known,
}

fn create(disk: &ModelDisk, options: Options) -> FsStore<ModelDisk> {
    loop {
        let created = match FsStore::create_on(disk.clone(), support::ledger(), options) {
            Err(FsError::AlreadyExists { .. }) => FsStore::open_on(disk.clone(), options),
            created => created,
        };
        match created {
            Ok((store, _)) => return store,
            Err(error) => assert!(matches!(error, FsError::Io { .. }), "{error}"),
        }
    }
}

fn run(scale: u8, disk: ModelDisk) -> Run {
    let options = Options { segment_bytes: SMALL.segment_bytes * u64::from(scale), ..SMALL };
    let mut store = create(&disk, options);
    let head = store.fence().expect("sound").head;
    let known = Known {
        changes: disk.changes(),
        acknowledged: 0,
        given: 0,
        snapshot: 0,
        base: 0,
        base_asked: 0,
    };
    let run = Run { disk, heads: vec![head], entries: Held::new(), known: Vec::new() };
    let mut running = Running { options, store, run, known };
    for step in STEPS {
        match step {
            Step::Append(sizes) => {
                let sizes: Vec<_> = sizes.iter().map(|size| size * scale).collect();
                running.append(&sizes);
            }
            Step::Snapshot => running.snapshot(),
            Step::Drop => running.drop_history(),
        }
        running.known.changes = running.run.disk.changes();
        running.run.known.push(running.known.clone());
    }
    // As a process that dies: nothing is left in order.
    std::mem::forget(running.store);
    running.run
}

impl Running {
    fn append(&mut self, sizes: &[u8]) {
        let entries = support::batch(*self.run.heads.last().expect("not empty"), sizes);
        self.known.given += entries.len();
        self.run.known.push(self.known.clone());
        self.run.heads.extend(entries.iter().map(payonce_core::Entry::after));
        let bytes = entries.iter().map(|entry| (entry.first_seq(), entry.bytes().to_vec()));
        self.run.entries.extend(bytes);
        let mut rest = &entries[..];
        while self.store.append(rest).is_err() {
            self.open_again();
            rest = &entries[entries.len() - (self.known.given - self.known.acknowledged)..];
        }
        self.known.acknowledged = self.known.given;
    }

    fn snapshot(&mut self) {
        let head = *self.run.heads.last().expect("not empty");
        self.run.known.push(self.known.clone());
        while self.store.save_snapshot(head, &[0xa5; 700]).is_err() {
            self.open_again_if_poisoned();
        }
        self.known.snapshot = head.seq;
    }

    /// Drops what the newest snapshot stands for.
    fn drop_history(&mut self) {
        let at = self.store.load_snapshot(u64::MAX).expect("sound").expect("saved").at;
        self.known.base_asked = at.seq;
        self.run.known.push(self.known.clone());
        while self.store.drop_history(at).is_err() {
            self.open_again_if_poisoned();
        }
        self.known.base = at.seq;
    }

    fn open_again_if_poisoned(&mut self) {
        if self.store.head().is_err() {
            self.open_again();
        }
    }

    /// What is found counts as acknowledged from then on.
    fn open_again(&mut self) {
        let parked = FsStore::create_on(ModelDisk::default(), support::ledger(), SMALL);
        drop(std::mem::replace(&mut self.store, parked.expect("empty").0));
        let disk = &self.run.disk;
        self.store = loop {
            match FsStore::open_on(disk.clone(), self.options) {
                Ok((store, report)) => {
                    assert!(!report.was_closed, "its last writer failed");
                    break store;
                }
                Err(error) => assert!(matches!(error, FsError::Io { .. }), "{error}"),
            }
        };
        let head = self.store.head().expect("sound");
        let found = self.run.heads.iter().position(|known| *known == head);
        let found = found.expect("a head of it");
        assert!(found >= self.known.acknowledged);
        self.known.acknowledged = found;
        self.known.changes = disk.changes();
        self.run.known.push(self.known.clone());
    }
}

impl Run {
    fn known_at(&self, changes: usize) -> Option<&Known> {
        self.known.iter().rev().find(|known| known.changes <= changes)
    }

    /// Checks what an opened store holds; returns how many entries that is.
    fn check(&self, store: &FsStore<ModelDisk>, known: &Known) -> usize {
        let base = store.base().expect("a sound base").map_or(0, |base| base.at.seq);
        assert!(base == known.base || base == known.base_asked, "base at {base}: {known:?}");
        let held = support::held(store, base + 1).expect("sound");
        let count = self
            .heads
            .iter()
            .position(|head| *head == store.head().expect("sound"))
            .expect("a head of it");
        assert!((known.acknowledged..=known.given).contains(&count), "{count}: {known:?}");
        let (first, end) = (base + 1, store.head().expect("sound").seq + 1);
        assert!(held.iter().eq(self.entries.range(first..end)), "not what was appended");
        let snapshot =
            store.load_snapshot(u64::MAX).expect("sound").map_or(0, |found| found.at.seq);
        assert!(snapshot >= known.snapshot, "snapshot at {snapshot}: {known:?}");
        count
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Hashes of the images.
    images: HashSet<u64>,
    segments: BTreeSet<String>,
    recovered: usize,
    torn: usize,
    some_more: usize,
    all_more: usize,
    again: usize,
    /// Of so many images, one is crashed again while it recovers.
    one_in: usize,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { images, segments, recovered, torn, some_more, all_more, again, .. } = self;
        let (images, segments) = (images.len(), segments.len());
        write!(
            f,
            "{images} images, {recovered} of them recovered, {torn} torn, {some_more} with a part \
             of a batch more, {all_more} with a batch more, {again} crashed again; {segments} \
             segments"
        )
    }
}

impl Counts {
    fn note(&mut self, image: &Image) {
        self.images.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(image));
        self.segments.extend(image.keys().filter(|name| name.ends_with(".log")).cloned());
    }
}

#[test]
fn a_crash_anywhere_loses_nothing_acknowledged() {
    let mut counts = Counts { one_in: ONE_IN, ..Counts::default() };
    for scale in SCALES {
        let run = run(scale, ModelDisk::default());
        for point in 0..=run.disk.changes() {
            look_at(&run, point, IMAGES_PER_POINT, &mut counts);
        }
    }
    let Counts { images, segments, torn, some_more, all_more, again, .. } = &counts;
    assert!(images.len() >= IMAGES_AT_LEAST, "{counts}");
    assert!(*torn > 4_000 && *some_more > 3_000 && *all_more > 30 && *again > 10_000, "{counts}");
    assert!(segments.len() >= 8, "{counts}");
}

/// One sync fails, whichever it is; the log is opened again, and goes on. Wherever the machine crashes
/// then, or once it forgets what it has read: what was acknowledged before, and what was acknowledged
/// since, is there.
#[test]
fn a_crash_after_any_sync_that_failed_loses_nothing_acknowledged() {
    let is_full = std::env::var_os("PAYONCE_LONG").is_some();
    let (turns, images_per_point) = if is_full { (6, 400) } else { (1, 150) };
    let mut counts = Counts { one_in: UNKIND_ONE_IN, ..Counts::default() };
    for turn in 0..turns {
        let mut failed = 0_usize;
        for nth in 1.. {
            let disk = ModelDisk::default();
            disk.fail_nth_sync(nth);
            let run = run(1 + ((turn + failed) % 6) as u8, disk);
            if run.disk.syncs() < nth {
                break;
            }
            failed += 1;
            for point in run.disk.first_failed_sync().expect("one")..=run.disk.changes() {
                look_at(&run, point, images_per_point, &mut counts);
            }
        }
        assert!(failed > 50, "{failed} syncs failed");
    }
    let at_least = if is_full { 8 * UNKIND_IMAGES_AT_LEAST } else { UNKIND_IMAGES_AT_LEAST };
    assert!(counts.images.len() >= at_least, "{counts}");
    assert!(counts.torn > 1_000 && counts.again > 5_000, "{counts}");
}

/// Looks at what a crash after so many changes may leave.
fn look_at(run: &Run, point: usize, most: usize, counts: &mut Counts) {
    for image in run.disk.crash_images(point, most) {
        match run.known_at(point) {
            Some(known) => crashed(run, known, &image, counts),
            None => crashed_while_created(&image),
        }
        counts.note(&image);
    }
}

#[test]
fn a_disk_that_does_not_sync_is_noticed() {
    let disk = ModelDisk::default();
    disk.lie_about_syncs();
    let run = run(1, disk);
    let lost = |image: &Image| {
        let Some(known) = run.known_at(run.disk.changes()) else { return true };
        let Ok((store, _)) = support::open(image) else { return true };
        let head = store.head().expect("open");
        run.heads.iter().position(|known| *known == head) < Some(known.acknowledged)
    };
    assert!(run.disk.crash_images(run.disk.changes(), 64).iter().any(lost));
}

fn crashed(run: &Run, known: &Known, image: &Image, counts: &mut Counts) {
    let disk = ModelDisk::from_image(image);
    let (store, report) = FsStore::open_on(disk.clone(), SMALL).expect("a crash is no damage");
    let count = run.check(&store, known);
    let torn = report.cut.is_some();
    counts.recovered += 1;
    counts.torn += usize::from(torn);
    counts.some_more += usize::from(count > known.acknowledged && count < known.given);
    counts.all_more += usize::from(count > known.acknowledged && count == known.given);
    drop(store);
    let found = Known { acknowledged: count, given: count, ..known.clone() };
    let again = counts.recovered.is_multiple_of(counts.one_in);
    if again {
        crashed_again(run, &found, known, &disk, counts);
    }
    continued(run, &found, disk);
}

/// A crash while recovering: before it is finished what was found may still shrink to what was
/// acknowledged, afterwards it may not.
fn crashed_again(run: &Run, found: &Known, known: &Known, disk: &ModelDisk, counts: &mut Counts) {
    let last = disk.changes();
    let during = Known { given: found.given, ..known.clone() };
    for point in 0..=last {
        for image in disk.crash_images(point, IMAGES_PER_POINT_OF_RECOVERY) {
            counts.again += 1;
            let (store, _) = support::open(&image).expect("a second crash is no damage");
            run.check(&store, if point == last { found } else { &during });
            counts.note(&image);
        }
    }
}

/// What was recovered is the same when opened once more, and takes further entries.
fn continued(run: &Run, found: &Known, disk: ModelDisk) {
    let (mut store, report) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    assert!(report.cut.is_none() && report.removed.is_empty(), "{report:?}");
    assert!(report.was_closed && report.knew_newest && report.off_chain.is_empty(), "{report:?}");
    run.check(&store, found);
    let entries = support::batch(store.head().expect("sound"), &[1, 12]);
    store.append(&entries).expect("sound");
    drop(store);
    let [certain] = &disk.crash_images(disk.changes(), 8)[..] else { panic!("all is synced") };
    let (store, _) = support::open(certain).expect("sound");
    assert_eq!(store.head().expect("sound"), entries[1].after());
}

/// There is no log yet, and one can be created, or there is an empty one.
fn crashed_while_created(image: &Image) {
    let disk = ModelDisk::from_image(image);
    let created = FsStore::create_on(disk.clone(), support::ledger(), SMALL);
    let store = match created {
        Err(FsError::AlreadyExists { .. }) => FsStore::open_on(disk, SMALL).expect("a log").0,
        created => created.expect("no log").0,
    };
    assert_eq!(store.head().expect("sound"), Head::genesis(support::ledger()));
}
