//! An older segment edited by somebody who knows the format: every checksum is right, only the chain
//! tells.

use payonce_core::{
    Entry, EntryHeader, EventSource, Head, Ledger, MaxFee, Msat, OpenError, Opening, Pay,
    PaymentHash, PaymentId, Remember, ReplayError, Request, RetryPolicy, StoreError, UnixMillis,
    decode_events, verify,
};
use payonce_store_fs::{
    FsReader, FsStore,
    model::{Image, ModelDisk},
};

use crate::{
    format,
    support::{self, SMALL},
};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn opening() -> Opening {
    Opening::new(Remember::Window, 7)
}

/// A log of payments over several segments.
fn lived() -> Image {
    let disk = ModelDisk::default();
    let (store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("empty");
    let recovery = Ledger::open(store, &opening(), NOW).expect("empty");
    let mut ledger = recovery.finish(NOW).expect("sound");
    for n in 1..=60 {
        let hash = PaymentHash::from_bytes([n; 32]);
        let (max_fee, retry) = (MaxFee::Unlimited, RetryPolicy::Manual);
        let request = Request::invoice(hash, Msat(1_000), max_fee, retry);
        ledger.execute(Pay::new(PaymentId::from_bytes([n; 32]), request), NOW).expect("accepted");
    }
    drop(ledger);
    disk.image()
}

/// The same events a millisecond later.
fn later(entry: &[u8]) -> Vec<u8> {
    let mut events = Vec::new();
    let header = decode_events(entry, |_, event| events.push(event)).expect("an entry");
    let EntryHeader { first_seq, now, epoch, .. } = header;
    let before = Head { seq: first_seq - 1, ..Head::genesis(support::ledger()) };
    let edited = Entry::new(before, epoch, now.plus(1), &events).expect("within the limits");
    edited.bytes().to_vec()
}

/// The image with one entry of an older segment edited.
fn edited(mut image: Image, name: &str, nth: usize) -> Image {
    let segment = image.get_mut(name).expect("it is there");
    let (header, mut frames) = format::read(segment).expect("sound");
    frames[nth].entry = later(&frames[nth].entry);
    let size = segment.len();
    *segment = format::segment_header(&header);
    for frame in &frames {
        format::push(segment, header.salt, 1, frame);
    }
    segment.resize(size, 0);
    image
}

fn names_the_segment(error: &StoreError, name: &str) {
    assert!(
        matches!(error, StoreError::Corrupt { place, .. } if place.contains(name)),
        "{error}, not in {name}"
    );
}

#[test]
fn an_edited_entry_is_found_and_placed_whoever_computes_the_chain() {
    let image = lived();
    let segments = support::segments(&image);
    assert!(segments.len() > 2, "older ones: {segments:?}");
    for (name, nth) in [(&segments[0], 3), (&segments[1], 0), (&segments[segments.len() - 2], 1)] {
        let edited = edited(image.clone(), name, nth);
        let reader = FsReader::open_on(&ModelDisk::from_image(&edited)).expect("not yet read");
        support::held(&reader, 1).expect("left to whoever reads, who must compare");
        let found = reader.find_damage(1).expect_err("its chain leads elsewhere");
        names_the_segment(&found, name);
        match verify(&reader, 7) {
            Err(ReplayError::Store(error)) => names_the_segment(&error, name),
            other => panic!("not placed: {other:?}"),
        }
        let (store, _) = support::open(&edited).expect("not yet read");
        match Ledger::open(store, &opening(), NOW) {
            Err(OpenError::Replay(ReplayError::Store(error))) => names_the_segment(&error, name),
            other => panic!("not placed: {other:?}"),
        }
    }
}
