//! What is no log of ours: one clear error each, and nothing is modified.

use std::{
    fs,
    path::{Path, PathBuf},
};

use payonce_core::{EventSource, EventStore, LedgerId};
use payonce_store_fs::{
    Damage, FsError, FsReader, FsStore, Options,
    model::{Image, ModelDisk},
};

use crate::support::{self, BATCHES, SMALL, Sample};

/// Every file under a directory, with its contents.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("it is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut contents: Vec<_> =
        paths.map(|path| (path.clone(), fs::read(path).unwrap_or_default())).collect();
    contents.sort();
    contents
}

/// Opens for writing and for reading; both must refuse and modify nothing.
fn refused(image: &Image) -> FsError {
    let disk = ModelDisk::from_image(image);
    let for_reading = FsReader::open_on(&disk);
    assert!(for_reading.is_err(), "read as sound: {for_reading:?}");
    let for_writing = FsStore::open_on(disk.clone(), SMALL);
    assert_eq!(&disk.image(), image, "nothing was modified");
    for_writing.expect_err("not a sound log")
}

fn small() -> Sample {
    support::sample(BATCHES, &[5], false)
}

#[test]
fn a_directory_that_is_not_ours() {
    let directory = support::directory();
    fs::write(directory.path().join("wallet.dat"), b"somebody else's").expect("writable");
    let before = contents(directory.path());
    let opened = FsStore::open(directory.path(), Options::default());
    assert!(matches!(opened, Err(FsError::NotALedger { .. })), "{opened:?}");
    let read = FsReader::open(directory.path());
    assert!(matches!(read, Err(FsError::NotALedger { .. })), "{read:?}");
    let created = FsStore::create(directory.path(), support::ledger(), Options::default());
    assert!(matches!(created, Err(FsError::NotEmpty { .. })), "{created:?}");
    assert_eq!(contents(directory.path()), before);
}

#[test]
fn nothing_at_all() {
    let directory = support::directory();
    let missing = directory.path().join("missing");
    let opened = FsStore::open(&missing, Options::default());
    assert!(matches!(opened, Err(FsError::NotALedger { .. })), "{opened:?}");
    let nested = missing.join("log");
    let created = FsStore::create(&nested, support::ledger(), Options::default());
    assert!(matches!(created, Err(FsError::Io { action: "create", .. })), "{created:?}");
    assert!(!missing.exists());
}

#[test]
fn a_file_in_place_of_the_directory() {
    let directory = support::directory();
    let file = directory.path().join("log");
    fs::write(&file, b"a file").expect("writable");
    let opened = FsStore::open(&file, Options::default());
    assert!(matches!(opened, Err(FsError::NotADirectory { .. })), "{opened:?}");
    let read = FsReader::open(&file);
    assert!(matches!(read, Err(FsError::NotADirectory { .. })), "{read:?}");
    let created = FsStore::create(&file, support::ledger(), Options::default());
    assert!(matches!(created, Err(FsError::NotADirectory { .. })), "{created:?}");
    assert_eq!(fs::read(&file).expect("still there"), b"a file");
}

#[test]
fn a_log_where_one_is_to_be_created() {
    let directory = support::directory();
    let (store, _) =
        FsStore::create(directory.path(), support::ledger(), SMALL).expect("an empty directory");
    drop(store);
    let before = contents(directory.path());
    let created = FsStore::create(directory.path(), support::ledger(), SMALL);
    assert!(matches!(created, Err(FsError::AlreadyExists { .. })), "{created:?}");
    assert_eq!(contents(directory.path()), before);
}

#[test]
fn a_segment_of_another_ledger() {
    let other = LedgerId::from_bytes([9; 32]);
    let disk = ModelDisk::default();
    drop(FsStore::create_on(disk.clone(), other, SMALL).expect("empty"));
    let name = support::segments(&disk.image()).pop().expect("one");
    // In place of the first one, and as the only one beside a lock file that names its owner.
    let mut image = small().image;
    image.insert(name.clone(), disk.image()[&name].clone());
    let error = refused(&image);
    let FsError::OtherLedger { found, expected, .. } = &error else { panic!("{error}") };
    assert_eq!((*found, *expected), (other, support::ledger()));
    image.retain(|kept, _| *kept == name || kept == "lock");
    let opened = support::open(&image).map(drop);
    assert!(matches!(opened, Err(FsError::OtherLedger { .. })), "{opened:?}");
}

#[test]
fn a_newer_format_version() {
    let mut image = small().image;
    for name in [support::segments(&image).swap_remove(0), support::segments(&image).swap_remove(1)]
    {
        let before = image[&name].clone();
        let header = &mut image.get_mut(&name).expect("it is there")[..512];
        header[8] = 2;
        header[12..16].fill(0);
        let crc = crc32c::crc32c(header);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        let error = refused(&image);
        let FsError::NewerVersion { place, found: 2, known: 1 } = &error else { panic!("{error}") };
        assert!(place.contains(&name));
        image.insert(name, before);
    }
}

#[test]
fn a_read_only_file_system() {
    let sample = small();
    let disk = ModelDisk::from_image(&sample.image);
    disk.set_read_only(true);
    let opened = FsStore::open_on(disk.clone(), SMALL);
    let Err(FsError::Io { place, reason, .. }) = &opened else { panic!("{opened:?}") };
    assert_eq!(reason.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(place.contains("lock"));
    let reader = FsReader::open_on(&disk).expect("reading needs no writing");
    assert_eq!(support::held(&reader, 1).expect("sound"), sample.entries);
    assert_eq!(disk.image(), sample.image);
}

#[test]
fn a_log_whose_middle_is_missing() {
    let sample = small();
    let names = support::segments(&sample.image);
    for missing in 1..names.len() - 1 {
        let mut image = sample.image.clone();
        image.remove(&names[missing]);
        let error = refused(&image);
        let FsError::Gap { place, .. } = &error else { panic!("{error}") };
        assert!(place.contains(&names[missing + 1]), "{error}");
    }
}

#[test]
fn a_log_whose_beginning_is_missing() {
    let sample = small();
    let mut image = sample.image.clone();
    image.remove(&support::segments(&image)[0]);
    let error = refused(&image);
    assert!(matches!(error, FsError::BaseMissing { .. }), "{error}");
    // A snapshot is not a base: it was never promised to stand for history.
    assert!(image.keys().any(|name| name.ends_with(".snap")));
}

#[test]
fn a_base_that_is_missing_or_before_the_first_entry() {
    let sample = support::sample(BATCHES, &[5, 6], true);
    let base = format!("{:020}.base", sample.base);
    let mut image = sample.image.clone();
    image.remove(&base);
    let error = refused(&image);
    assert!(matches!(error, FsError::BaseMissing { .. }), "{error}");

    let other = support::sample(BATCHES, &[0, 1], true);
    let old = format!("{:020}.base", other.base);
    image.insert(old.clone(), other.image[&old].clone());
    let error = refused(&image);
    assert!(matches!(error, FsError::Gap { .. }), "{error}");
}

#[test]
fn a_base_of_another_chain() {
    let sample = support::sample(BATCHES, &[2], true);
    let base = format!("{:020}.base", sample.base);
    let mut image = sample.image.clone();
    let header = &mut image.get_mut(&base).expect("it is there")[..512];
    header[40] ^= 1;
    header[12..16].fill(0);
    let crc = crc32c::crc32c(header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    let error = refused(&image);
    assert!(matches!(error, FsError::OffChain { .. }), "{error}");
}

#[test]
fn two_segments_with_the_same_seq() {
    let mut image = small().image;
    let name = support::segments(&image).swap_remove(1);
    let copy = format!("copy of {name}");
    image.insert(copy.clone(), image[&name].clone());
    let error = refused(&image);
    let FsError::SameSeq { first, second, .. } = &error else { panic!("{error}") };
    assert!(first.contains(&name) || second.contains(&name));
    // Alone it is no segment either: its name is not what its header says.
    image.remove(&name);
    let error = refused(&image);
    assert!(matches!(error, FsError::Misnamed { .. }), "{error}");
}

#[test]
fn a_snapshot_ahead_of_the_log() {
    let sample = support::sample(BATCHES, &[7], false);
    let names = support::segments(&sample.image);
    let mut image = sample.image.clone();
    image.remove(&names[names.len() - 1]);
    image.remove("newest");
    let error = refused(&image);
    let FsError::Ahead { place, at, head } = &error else { panic!("{error}") };
    assert!(place.contains(".snap") && at > head);
    // Who says that the log is restored removes the snapshot.
    image.retain(|name, _| !name.ends_with(".snap"));
    assert!(support::open(&image).is_ok());
}

#[test]
fn a_log_of_which_only_the_lock_file_is_left() {
    let mut image = small().image;
    image.retain(|name, _| name == "lock");
    let opened = support::open(&image).map(drop);
    let Err(FsError::Gone { ledger, .. }) = opened else { panic!("{opened:?}") };
    assert_eq!(ledger, support::ledger());
    let disk = ModelDisk::from_image(&image);
    let created = FsStore::create_on(disk.clone(), support::ledger(), SMALL);
    assert!(matches!(created, Err(FsError::Gone { .. })), "{created:?}");
    assert_eq!(disk.image(), image);
}

#[test]
fn a_copy_without_its_lock_file_opens_with_the_same_head() {
    let sample = small();
    let mut image = sample.image.clone();
    image.remove("lock");
    let (mut store, _) = support::open(&image).expect("a copy");
    assert_eq!(store.fence().expect("sound").head, sample.heads[sample.heads.len() - 1]);
    // A damaged copy is refused before a lock file is made in it.
    image.get_mut(&support::segments(&image)[1]).expect("it is there")[20] ^= 1;
    let error = refused(&image);
    assert!(matches!(error, FsError::Damaged { damage: Damage::FileHeader, .. }), "{error}");
}

#[test]
fn files_of_others_beside_the_log_are_left_alone() {
    let sample = small();
    let mut image = sample.image.clone();
    image.insert("notes.txt".into(), b"mine".to_vec());
    image.insert("00000000000000000001.log.bak".into(), b"mine".to_vec());
    let disk = ModelDisk::from_image(&image);
    let (store, report) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    assert_eq!(support::held(&store, 1).expect("sound"), sample.entries);
    assert!(report.removed.is_empty());
    assert_eq!(disk.image()["notes.txt"], b"mine");
}

#[test]
fn a_second_writer() {
    let directory = support::directory();
    let (store, _) = FsStore::create(directory.path(), support::ledger(), SMALL).expect("empty");
    let second = FsStore::open(directory.path(), SMALL);
    let Err(error @ FsError::Locked { place, holder }) = &second else { panic!("{second:?}") };
    assert!(place.ends_with("lock"));
    assert_eq!(*holder, Some(std::process::id()));
    let text = error.to_string();
    assert!(
        text.contains(&std::process::id().to_string()) && text.contains("never delete"),
        "{text}"
    );
    let reader = FsReader::open(directory.path()).expect("a reader takes no lock");
    assert_eq!(reader.ledger_id(), support::ledger());
    drop(store);
    assert!(directory.path().join("lock").exists(), "the lock file stays");
    assert!(FsStore::open(directory.path(), SMALL).is_ok());
}

#[test]
fn options_that_cannot_work() {
    let directory = support::directory();
    let options = Options { segment_bytes: 100, ..SMALL };
    let created = FsStore::create(directory.path().join("log"), support::ledger(), options);
    let Err(FsError::Option { option: "segment_bytes", value: 100, .. }) = &created else {
        panic!("{created:?}")
    };
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_holds_preimages() {
    use std::os::unix::fs::PermissionsExt;

    let parent = support::directory();
    let directory = parent.path().join("log");
    let (mut store, _) = FsStore::create(&directory, support::ledger(), SMALL).expect("empty");
    let entries = support::batch(store.head().expect("sound"), &[1]);
    store.append(&entries).expect("sound");
    store.save_snapshot(entries[0].after(), b"state").expect("sound");
    for (path, _) in contents(&directory).into_iter().chain([(directory.clone(), Vec::new())]) {
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_log_whose_newest_segment_is_missing() {
    let sample = support::sample(BATCHES, &[], false);
    let names = support::segments(&sample.image);
    let newest = &names[names.len() - 1];
    let mut image = sample.image.clone();
    image.remove(newest);
    // For a reader too, and in a copy without its lock file.
    for has_lock in [true, false] {
        let mut image = image.clone();
        image.retain(|name, _| has_lock || name != "lock");
        let error = refused(&image);
        let FsError::NewestMissing { place, record } = &error else { panic!("{error}") };
        assert!(place.contains(newest) && record.ends_with("newest"), "{error}");
    }
    // Who says that it is lost for good removes the record; that is told.
    image.remove("newest");
    let (store, report) = support::open(&image).expect("by an operator's word");
    assert!(!report.knew_newest);
    assert!(sample.heads.contains(&store.head().expect("sound")));
}

#[test]
fn a_record_of_which_only_it_is_left() {
    let mut image = small().image;
    image.retain(|name, _| name == "newest");
    let disk = ModelDisk::from_image(&image);
    let opened = FsStore::open_on(disk.clone(), SMALL).map(drop);
    assert!(matches!(opened, Err(FsError::Gone { .. })), "{opened:?}");
    let created = FsStore::create_on(disk, support::ledger(), SMALL).map(drop);
    assert!(matches!(created, Err(FsError::Gone { .. })), "{created:?}");
}

#[test]
fn a_sound_snapshot_of_another_chain_is_told() {
    let sample = support::sample(BATCHES, &[2, 5], false);
    assert!(support::open(&sample.image).expect("sound").1.off_chain.is_empty());
    for name in sample.image.keys().filter(|name| name.ends_with(".snap")) {
        let mut image = sample.image.clone();
        let header = &mut image.get_mut(name).expect("it is there")[..512];
        header[40] ^= 1;
        header[12..16].fill(0);
        let crc = crc32c::crc32c(header);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        let (store, report) = support::open(&image).expect("a snapshot is no truth");
        assert_eq!(report.off_chain, [format!("model/{name}")]);
        assert_eq!(support::held(&store, 1).expect("sound"), sample.entries);
        let found = store.load_snapshot(u64::MAX).expect("sound");
        assert!(found.is_some_and(|found| !name.contains(&format!("{:020}", found.at.seq))));
    }
}

/// What was cut off is kept, and told at every opening, until history is dropped beyond it.
#[test]
fn what_was_cut_off_goes_with_its_segment() {
    let mut image = support::sample(&BATCHES[..4], &[], false).image;
    let newest = support::segments(&image).pop().expect("some");
    let last = *support::frames(&image[&newest]).last().expect("some");
    image.get_mut(&newest).expect("it is there")[last + 32..].fill(0);
    let disk = ModelDisk::from_image(&image);
    let (mut store, report) = FsStore::open_on(disk.clone(), SMALL).expect("torn");
    let cut = report.cut.expect("torn");
    assert_eq!(report.kept_cuts, std::slice::from_ref(&cut.kept_in));
    let mut head = store.head().expect("sound");
    for sizes in [&[30_u8, 30], &[40, 40], &[50, 50]] {
        let batch = support::batch(head, sizes);
        store.append(&batch).expect("sound");
        head = batch[1].after();
    }
    drop(store);
    let (mut store, report) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    assert!(report.cut.is_none());
    assert_eq!(report.kept_cuts, [cut.kept_in]);
    store.save_snapshot(head, b"state").expect("sound");
    store.drop_history(head).expect("saved");
    drop(store);
    assert!(!disk.image().keys().any(|name| name.ends_with(".cut")));
    let (_, report) = FsStore::open_on(disk, SMALL).expect("sound");
    assert!(report.kept_cuts.is_empty());
}

#[cfg(unix)]
#[test]
fn what_is_not_ours_is_never_touched_nor_waited_for() {
    use std::os::unix::{ffi::OsStrExt, fs::symlink};

    let parent = support::directory();
    let path = parent.path().join("log");
    let (mut store, _) = FsStore::create(&path, support::ledger(), SMALL).expect("new");
    let batch = support::batch(store.head().expect("sound"), &[1, 2]);
    store.append(&batch).expect("sound");
    drop(store);
    let odd = std::ffi::OsStr::from_bytes(b"not\xffutf8.log");
    for name in ["my-notes.snap.tmp", "notes.log", "00000000000000000001.log.bak", "x.base.tmp"] {
        fs::write(path.join(name), b"mine").expect("writable");
    }
    fs::write(path.join(odd), b"mine").expect("writable");
    let pipe = std::process::Command::new("mkfifo").arg(path.join("x.log")).status();
    assert!(pipe.expect("it is there").success());
    symlink("/nowhere", path.join("y.log")).expect("made");
    fs::create_dir(path.join("z.log")).expect("made");
    fs::create_dir(path.join("00000000000000000009.snap.tmp")).expect("made");
    let before = fs::read_dir(&path).expect("it is there").count();

    let reader = FsReader::open(&path).expect("none of its business");
    assert_eq!(reader.head().expect("sound"), batch[1].after());
    let (mut store, report) = FsStore::open(&path, SMALL).expect("none of its business");
    assert!(report.removed.is_empty(), "{report:?}");
    store.save_snapshot(batch[0].after(), b"state").expect("sound");
    store.drop_history(batch[0].after()).expect("saved");
    drop(store);
    assert_eq!(fs::read_dir(&path).expect("it is there").count(), before + 1, "and a base");
    assert_eq!(fs::read(path.join("my-notes.snap.tmp")).expect("it is there"), b"mine");
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_link_in_place_of_a_file_of_ours_is_refused_at_once() {
    for name in ["00000000000000000001.log", "newest", "lock", "reserve", "spare"] {
        let parent = support::directory();
        let path = parent.path().join("log");
        drop(FsStore::create(&path, support::ledger(), SMALL).expect("new"));
        let (file, moved) = (path.join(name), parent.path().join("moved"));
        for make_link in [false, true] {
            let _ = fs::rename(&file, &moved);
            if make_link {
                std::os::unix::fs::symlink(&moved, &file).expect("made");
            } else {
                let made = std::process::Command::new("mkfifo").arg(&file).status();
                assert!(made.expect("it is there").success());
            }
            let error = FsStore::open(&path, SMALL).map(drop).expect_err("no file of ours");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains("no regular file"), "{text}");
            fs::remove_file(&file).expect("it is there");
        }
    }
}

#[test]
fn a_reserve_of_somebody_else_is_left_alone() {
    for name in ["reserve", "spare"] {
        let mut image = small().image;
        image.insert(name.into(), b"my reserve".to_vec());
        let disk = ModelDisk::from_image(&image);
        let error = FsStore::open_on(disk.clone(), SMALL).map(drop).expect_err("not ours");
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(disk.image()[name], b"my reserve");
    }
}
