//! Damage that no crash leaves is an error that names the place, never fewer entries and "fine".

use std::collections::BTreeMap;

use payonce_core::EventSource;
use payonce_store_fs::{
    Damage, FsError, FsStore,
    model::{
        Image, ModelDisk,
        damage::{self, end, flipped},
    },
};

use crate::support::{self, BATCHES, Sample};

/// What a reader and a writer say of an image: the entries, or that it was refused. Whoever refuses
/// modifies nothing.
fn judge(image: &Image) -> Result<support::Held, FsError> {
    let read = support::read(image).and_then(|reader| {
        reader.verify()?;
        Ok(all(&reader))
    });
    let disk = ModelDisk::from_image(image);
    let opened = FsStore::open_on(disk.clone(), support::SMALL);
    if opened.is_err() {
        assert_eq!(&disk.image(), image, "nothing was modified");
        assert!(read.is_err(), "refused for writing and read as sound");
    }
    let read = read?;
    assert_eq!(all(&opened?.0), read, "reader and writer agree");
    Ok(read)
}

fn all(source: &impl EventSource) -> support::Held {
    let base = source.base().expect("verified").map_or(0, |base| base.at.seq);
    support::held(source, base + 1).expect("verified")
}

/// The error's text must name the file.
fn expect_named(error: &FsError, name: &str, what: &str) {
    assert!(error.to_string().contains(name), "{what}: {error}");
}

/// Every segment: the oldest with a whole run after it, the newest with its last batch unvouched.
/// What the base stands for is no longer history.
fn flip_every_byte_of_the_log(sample: &Sample) {
    let names = support::segments(&sample.image);
    let ends = names.iter().skip(1).map(|next| next[..20].parse::<u64>().expect("a number") - 1);
    let ends: BTreeMap<_, _> = names.iter().zip(ends.chain([u64::MAX])).collect();
    let mut walked = 0;
    for damaged in damage::of_history(&sample.image, 1) {
        let what = &damaged.what;
        match judge(&damaged.image) {
            Ok(held) => {
                assert!(ends[&damaged.file] <= sample.base && held == sample.kept(), "{what}");
            }
            Err(error) => expect_named(&error, ".log", what),
        }
        walked += 1;
    }
    assert!(walked > 2 * 512 * names.len(), "every byte: {walked}");
}

#[test]
fn any_byte_of_history_flipped_is_an_error_that_names_the_place() {
    flip_every_byte_of_the_log(&support::sample(BATCHES, &[3, 5], false));
}

#[test]
fn any_byte_after_a_base_flipped_is_an_error_that_names_the_place() {
    flip_every_byte_of_the_log(&support::sample(BATCHES, &[3, 5], true));
}

#[test]
fn any_byte_of_a_base_flipped_is_an_error_and_of_a_snapshot_costs_nothing() {
    let sample = support::sample(BATCHES, &[3, 5], true);
    let base = format!("{:020}.base", sample.base);
    for damaged in damage::of_files(&sample.image, ".base", 1) {
        expect_named(&judge(&damaged.image).expect_err("the base"), &base, &damaged.what);
    }
    let name = sample.image.keys().find(|name| name.ends_with(".snap")).expect("one was saved");
    for byte in 0..sample.image[name].len() {
        let image = flipped(&sample.image, name, byte, 0x40).image;
        assert_eq!(judge(&image).expect("an accelerator"), sample.kept());
        let (store, _) = support::open(&image).expect("an accelerator");
        let served = store.load_snapshot(u64::MAX).expect("sound").expect("the base");
        assert_eq!(served.at.seq, sample.base, "byte {byte} of {name}");
        let verified = store.verify().expect("sound");
        assert_eq!(verified.damaged_snapshots.len(), 1);
    }
}

#[test]
fn bytes_in_the_reserved_space_never_hide_an_entry() {
    let sample = support::sample(BATCHES, &[], false);
    for damaged in damage::of_reserved_space(&sample.image, 1) {
        match judge(&damaged.image) {
            Ok(held) => assert_eq!(held, sample.entries),
            Err(error) => expect_named(&error, &damaged.file, "the reserved space"),
        }
    }
}

#[test]
fn cut_at_every_byte_it_holds_a_prefix_or_is_refused() {
    let sample = support::sample(BATCHES, &[], false);
    let names = support::segments(&sample.image);
    let newest = names.last().expect("some");
    let mut shorter = 0;
    for (length, damaged) in damage::newest_cut(&sample.image, 1) {
        let Ok(held) = judge(&damaged.image) else {
            assert!(length < 512, "only a file header may not be cut: {length}");
            continue;
        };
        // A deeper cut than a crash leaves is found by who knows the head.
        assert!(sample.entries.iter().zip(&held).all(|(given, held)| given == held));
        assert_eq!(held.len() == sample.entries.len(), length >= end(&sample.image[newest]));
        shorter += usize::from(held.len() < sample.entries.len());
    }
    assert!(shorter > 20);
    for damaged in damage::older_cut(&sample.image, 1) {
        let error = judge(&damaged.image).expect_err("the middle");
        expect_named(&error, &damaged.file, "an older segment");
    }
}

#[test]
fn zeroed_from_every_sector_on_or_in_one_sector_only() {
    let sample = support::sample(&[&[20, 20, 20], &[9], &[1], &[9], &[9], &[1]], &[], false);
    let newest = support::segments(&sample.image).pop().expect("some");
    let (mut corrupt, mut torn) = (0, 0);
    for damaged in damage::newest_zeroed(&sample.image) {
        match judge(&damaged.image) {
            Ok(held) => {
                assert!(sample.entries.iter().zip(&held).all(|(given, held)| given == held));
                torn += usize::from(held.len() < sample.entries.len());
            }
            Err(FsError::Damaged { damage: Damage::Vouched { seq }, place, .. }) => {
                assert!(place.contains(&newest) && seq <= sample.heads[sample.heads.len() - 3].seq);
                corrupt += 1;
            }
            Err(error) => panic!("{}: {error}", damaged.what),
        }
    }
    assert!(corrupt > 0 && torn > 0, "{corrupt} corrupt, {torn} torn");
}

#[test]
fn every_sector_of_vouched_history_zeroed_is_corruption() {
    let sample = support::sample(&[&[20, 20, 20], &[9], &[1], &[9], &[9], &[1]], &[], false);
    let newest = support::segments(&sample.image).pop().expect("some");
    let frames = support::frames(&sample.image[&newest]);
    let vouched = frames[frames.len() - 1];
    for begin in (512..vouched).step_by(512) {
        let mut image = sample.image.clone();
        let end = (begin + 512).min(vouched);
        image.get_mut(&newest).expect("it is there")[begin..end].fill(0);
        let error = judge(&image).expect_err("a later frame vouches for it");
        assert!(matches!(error, FsError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_kilobyte_of_zeros_as_metadata_changes_nothing() {
    use payonce_core::{Entry, Event, EventStore, Head, PaymentHash, UnixMillis};
    let zeros =
        Event::HashBlocked { payment_hash: PaymentHash::from_bytes([0; 32]), engine: "".into() };
    let before = Head::genesis(support::ledger());
    let entry = Entry::new(before, 0, UnixMillis(0), &vec![zeros; 40]).expect("within the limits");
    let disk = ModelDisk::default();
    let (mut store, _) =
        FsStore::create_on(disk.clone(), support::ledger(), support::SMALL).expect("empty");
    let after = entry.after();
    store.append(&[entry]).expect("sound");
    store.append(&support::batch(after, &[1])).expect("sound");
    let name = support::segments(&disk.image()).pop().expect("one");
    let image = disk.image();
    let frame = support::frames(&image[&name])[0];
    for byte in frame..end(&image[&name]) {
        let error = judge(&flipped(&image, &name, byte, 0xff).image).expect_err("damage");
        expect_named(&error, &name, "never torn");
    }
}
