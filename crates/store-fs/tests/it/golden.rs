//! What is written stays what docs/FORMAT.md says: decoded by another hand, and byte for byte as
//! the golden files of each version, which are only ever added to.

use payonce_core::EventStore;
use payonce_store_fs::{
    FsStore,
    model::{Image, ModelDisk},
};

use crate::{
    format,
    support::{self, BATCHES, SMALL},
};

#[test]
fn another_hand_reads_what_was_written() {
    let sample = support::sample(BATCHES, &[3], false);
    let mut entries = support::Held::new();
    let mut heads = sample.heads.iter();
    let mut previous = 0;
    for name in support::segments(&sample.image) {
        let (header, frames) = format::read(&sample.image[&name]).expect("as specified");
        let before = heads.find(|head| head.seq == header.last_seq_before).expect("an entry's end");
        assert_eq!(&header.chain_before, before.chain.as_bytes());
        assert_eq!(&header.ledger, support::ledger().as_bytes());
        assert_eq!(header.previous, previous);
        previous = header.last_seq_before + 1;
        assert_eq!(name, format!("{previous:020}.log"));
        for frame in frames {
            entries.insert(header.last_seq_before + u64::from(frame.seq), frame.entry);
            assert!(frame.vouched < frame.seq);
        }
    }
    assert_eq!(entries, sample.entries);
    let newest = format::newest(previous, support::ledger().as_bytes(), None);
    assert_eq!(sample.image["newest"], newest);
    let at = sample
        .heads
        .iter()
        .find(|head| sample.image.contains_key(&format!("{:020}.snap", head.seq)));
    let at = at.expect("one was saved");
    let written = &sample.image[&format!("{:020}.snap", at.seq)];
    let ledger = support::ledger();
    let expected = format::snapshot(at.seq, at.chain.as_bytes(), ledger.as_bytes(), &[0x3c; 300]);
    assert_eq!(*written, expected);
}

#[test]
fn another_hand_reads_how_a_log_was_closed() {
    let sample = support::sample(BATCHES, &[], false);
    let disk = ModelDisk::from_image(&sample.image);
    let (store, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    store.close().expect("nothing failed");
    let image = disk.image();
    let name = support::segments(&image).pop().expect("some");
    let head = sample.heads[sample.heads.len() - 1];
    let last = *support::frames(&image[&name]).last().expect("some");
    let len = u32::from_le_bytes(image[&name][last..last + 4].try_into().expect("4")) & 0x00ff_ffff;
    let end = (last + 20 + len as usize).next_multiple_of(8) as u64;
    let first_seq = name[..20].parse().expect("a number");
    let closed = Some((head.seq, *head.chain.as_bytes(), [end, 1, 1]));
    let expected = format::newest(first_seq, support::ledger().as_bytes(), closed);
    assert_eq!(image["newest"], expected);
}

#[test]
fn another_hand_writes_what_is_read() {
    let sample = support::sample(BATCHES, &[], false);
    let mut image = sample.image.clone();
    for name in support::segments(&image) {
        let (header, frames) = format::read(&image[&name]).expect("as specified");
        let mut segment = format::segment_header(&header);
        for (mask, frame) in (200..).zip(&frames) {
            format::push(&mut segment, header.salt, mask, frame);
        }
        image.insert(name, segment);
    }
    assert_ne!(image, sample.image, "other masks, no reserved space");
    let (store, report) = support::open(&image).expect("as specified");
    assert!(report.cut.is_none());
    assert_eq!(support::held(&store, 1).expect("sound"), sample.entries);
}

/// A log of every kind of file.
fn version_1() -> Image {
    let disk = ModelDisk::default();
    let (mut store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("empty");
    let mut head = store.fence().expect("sound").head;
    for (nth, sizes) in BATCHES.iter().enumerate() {
        let batch = support::batch(head, sizes);
        store.append(&batch).expect("sound");
        head = batch[batch.len() - 1].after();
        if nth == 3 || nth == 5 {
            store.save_snapshot(head, b"a state").expect("sound");
        }
        if nth == 3 {
            store.drop_history(head).expect("sound");
        }
    }
    // The reserve is zeros but for its header, and who holds the lock is another one each time.
    let mut image = disk.image();
    image.retain(|name, _| !["reserve", "spare"].contains(&name.as_str()));
    image.get_mut("lock").expect("the first file").truncate(80);
    image
}

/// Before the first release every file began with another letter: refused by that name, never misread.
#[test]
fn what_was_never_released_is_refused_by_that_name() {
    for name in version_1().keys().filter(|name| *name != "lock") {
        let mut image = version_1();
        let header = &mut image.get_mut(name).expect("it is there")[..512];
        header[0] = b'p';
        header[12..16].fill(0);
        let checksum = crc32c::crc32c(header);
        header[12..16].copy_from_slice(&checksum.to_le_bytes());
        match support::open(&image) {
            Err(error) if name.ends_with(".snap") => panic!("it is an accelerator: {error}"),
            Ok((store, _)) if name.ends_with(".snap") => drop(store),
            Err(error) => {
                assert!(error.to_string().contains("before the first release"), "{name}: {error}");
                assert!(error.to_string().contains(name), "{name}: {error}");
            }
            Ok(_) => panic!("{name} was read"),
        }
    }
}

#[test]
fn version_1_is_written_byte_for_byte_as_ever() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1");
    let written = version_1();
    if std::env::var_os("PAYONCE_ADD_GOLDEN").is_some() {
        assert!(!std::path::Path::new(directory).exists(), "golden files are never replaced");
        std::fs::create_dir_all(directory).expect("writable");
        for (name, bytes) in &written {
            std::fs::write(format!("{directory}/{name}"), bytes).expect("writable");
        }
    }
    let mut golden = Image::new();
    for file in std::fs::read_dir(directory).expect("committed") {
        let path = file.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        golden.insert(name, std::fs::read(path).expect("readable"));
    }
    assert!(golden == written, "the format changed without a new version");
    assert!(support::open(&golden).is_ok());
}
