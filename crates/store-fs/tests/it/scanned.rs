//! What a scan finds is what a reader reads, and of a damaged log what is before and behind the damage.

use std::ops::ControlFlow;

use payonce_core::{EventSource, Snapshot};
use payonce_store_fs::{Found, FsError, FsReader, FsStore, model::ModelDisk, scan_on, survey_on};

use crate::support::{self, BATCHES, Held};

fn scanned(disk: &ModelDisk) -> (Held, Vec<FsError>) {
    let (mut held, mut damages) = (Held::new(), Vec::new());
    scan_on(disk, &mut |found| {
        match found {
            Found::Entry { place, header, bytes, .. } => {
                assert!(place.bytes >= bytes.len() as u64 + 20, "a frame with its header");
                held.insert(header.first_seq, bytes.to_vec());
            }
            Found::Damage(error) => damages.push(error),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .expect("a log");
    (held, damages)
}

#[test]
fn a_sound_log_is_scanned_as_it_is_read() {
    for on_a_base in [false, true] {
        let sample = support::sample(BATCHES, &[3, 7], on_a_base);
        let disk = ModelDisk::from_image(&sample.image);
        let (held, damages) = scanned(&disk);
        assert!(damages.is_empty(), "{damages:?}");
        // What the base stands for may still lie there, and is told too.
        let (kept, all) = (sample.kept(), held.len() as u64);
        let first = *kept.keys().next().expect("entries");
        assert!(held.range(first..).eq(kept.iter()));
        let survey = survey_on(&disk).expect("a log");
        let reader = support::read(&sample.image).expect("sound");
        assert_eq!(survey.intact, reader.head().ok(), "the chain leads to the head");
        assert_eq!((survey.before, survey.after), (all, 0));
    }
}

#[test]
fn behind_a_damaged_entry_everything_is_found_again() {
    let sample = support::sample(BATCHES, &[3, 7], false);
    let seqs: Vec<u64> = sample.entries.keys().copied().collect();
    for seq in &seqs {
        let (name, frame) = support::find_frame(&sample.image, *seq);
        let mut image = sample.image.clone();
        image.get_mut(&name).expect("there")[frame + 20] ^= 0x10;
        let disk = ModelDisk::from_image(&image);
        let (held, damages) = scanned(&disk);
        let mut others = sample.entries.clone();
        others.remove(seq);
        assert_eq!(held, others, "all but the entry at {seq}");
        assert!(damages[0].to_string().contains(&name), "{}", damages[0]);
        let survey = survey_on(&disk).expect("a log");
        let before = seqs.iter().filter(|other| *other < seq).count() as u64;
        assert_eq!((survey.before, survey.after), (before, seqs.len() as u64 - before - 1));
        assert_eq!(survey.intact.map(|head| head.seq), Some(seq - 1));
        assert_eq!(disk.image(), image, "nothing was modified");
    }
}

#[test]
fn a_log_begins_on_a_base_that_it_is_given() {
    let sample = support::sample(BATCHES, &[3, 7], true);
    let source = support::read(&sample.image).expect("sound");
    let base: Snapshot = source.base().expect("readable").expect("history was dropped");
    let own = support::directory();
    let path = own.path().join("copy");
    let (store, _) =
        FsStore::create_from(&path, source.ledger_id(), &base, support::SMALL).expect("new");
    assert_eq!(store.head().expect("sound"), base.at);
    drop(store);
    let reader = FsReader::open(&path).expect("sound");
    assert_eq!(reader.head().expect("sound"), base.at);
    assert_eq!(reader.base().expect("sound"), Some(base));
    reader.verify().expect("every byte");
}
