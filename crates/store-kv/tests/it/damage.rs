//! Damage is an error that names the key, or, in a snapshot that is no base, costs time and nothing
//! else. Never fewer entries and "fine".

use payonce_core::{EventSource, Ledger, Opening, Remember, UnixMillis};
use payonce_store_kv::{Damage, KvError};

use crate::{
    format,
    memory::{Image, MemoryKv},
    support::{self, Given, Held},
};

/// What a reader says of an image: all entries, or that it was refused. Whoever refuses modifies
/// nothing.
fn judge(image: &Image) -> Result<Held, KvError> {
    let store = support::open(image)?;
    let verified = store.verify();
    if verified.is_err() {
        // Whoever replays or asks for the base finds it too.
        let base = store.base();
        let from = base.as_ref().ok().and_then(Option::as_ref).map_or(1, |base| base.at.seq + 1);
        assert!(base.is_err() || support::held(&store, from).is_err());
        let kv = MemoryKv::new(image);
        if let Err(error) = support::take_over(&kv) {
            assert_eq!(&kv.image(), image, "{error}");
        }
    }
    verified?;
    Ok(support::all(&store))
}

/// What is kept of what was given: all after the base.
fn kept(image: &Image, given: &Given) -> Held {
    let base = image.keys().find_map(|name| name.strip_prefix("base-"));
    let base = base.map_or(0, |name| u64::from_str_radix(&name[..16], 16).expect("a number"));
    given.entries.range(base + 1..).map(|(seq, bytes)| (*seq, bytes.clone())).collect()
}

/// Damages one key at a time and demands an error that names it, or that nothing but it is lost.
fn damaged(image: &Image, given: &Given, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
    let mut damaged = image.clone();
    damage(damaged.get_mut(name).expect("it is there"));
    assert_ne!(&damaged, image, "the test does nothing to {name}");
    match judge(&damaged) {
        Err(error) => {
            assert!(!name.starts_with("snap-"), "{name}: {error}");
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
        Ok(held) => {
            assert!(name.starts_with("snap-"), "{name} was damaged, and nobody minds");
            assert_eq!(held, kept(image, given));
            let store = support::open(&damaged).expect("an accelerator");
            let verified = store.verify().expect("sound");
            assert_eq!(verified.damaged_snapshots, [format!("payonce/{name}")]);
            let seq = u64::from_str_radix(&name[5..21], 16).expect("a number");
            let served = store.load_snapshot(u64::MAX).expect("sound");
            assert_ne!(served.expect("another is there").at.seq, seq);
        }
    }
}

#[test]
fn any_byte_of_any_value_flipped_is_noticed() {
    for drop in [false, true] {
        let (image, given) = support::sample(drop);
        for (name, value) in &image {
            for byte in 0..value.len() {
                for change in [0x01, 0x80] {
                    damaged(&image, &given, name, |value| value[byte] ^= change);
                }
            }
        }
    }
}

#[test]
fn any_value_cut_or_longer_is_noticed() {
    let (image, given) = support::sample(true);
    for (name, value) in &image {
        for length in 0..value.len() {
            damaged(&image, &given, name, |value| value.truncate(length));
        }
        for more in [0, 1] {
            damaged(&image, &given, name, |value| value.push(more));
        }
    }
}

#[test]
fn any_key_missing_is_an_error() {
    for drop in [false, true] {
        let (image, given) = support::sample(drop);
        for name in image.keys() {
            let mut without = image.clone();
            without.remove(name);
            match judge(&without) {
                // Each chunk is known to the next, the newest to the snapshot taken after it.
                Err(error) => assert!(!name.starts_with("snap-"), "{name}: {error}"),
                Ok(held) => {
                    assert!(name.starts_with("snap-"), "{name} is missing, and nobody minds");
                    assert_eq!(held, kept(&image, &given));
                }
            }
        }
        for kept in image.keys() {
            let only = Image::from([(kept.clone(), image[kept].clone())]);
            let chunks = image.keys().filter(|name| name.starts_with("log-")).count();
            assert!(chunks > 1 && judge(&only).is_err(), "all but {kept} are missing");
        }
    }
}

/// What was there when the log was last opened is missed by the record; what came after it, and
/// after the last snapshot, by who keeps the head elsewhere.
#[test]
fn the_newest_entries_are_missed_by_the_record_or_by_the_known_head() {
    let (image, mut given) = support::sample(false);
    let without_snapshots: Image =
        image.into_iter().filter(|(name, _)| !name.starts_with("snap-")).collect();
    let newest = |image: &Image| {
        image.keys().rfind(|name| name.starts_with("log-")).expect("there are some").clone()
    };
    let kv = MemoryKv::new(&without_snapshots);
    let mut store = support::take_over(&kv).expect("sound");
    let mut opened = kv.image();
    opened.remove(&newest(&opened)).expect("it is there");
    assert!(matches!(judge(&opened), Err(KvError::Ahead { .. })));

    payonce_core::EventStore::append(&mut store, &given.next(&[1])).expect("sound");
    let mut appended = kv.image();
    appended.remove(&newest(&appended)).expect("it is there");
    assert_eq!(judge(&appended).expect("as if it had never been").len(), given.entries.len() - 1);

    // A ledger's log, this time: only that is replayed.
    let kv = MemoryKv::new(&Image::new());
    let mut opening = Opening::new(Remember::Forever, 1);
    opening.single_writer = true;
    let opened = Ledger::open(support::create(&kv), &opening, UnixMillis(1)).expect("sound");
    let mut ledger = opened.finish(UnixMillis(1)).expect("sound");
    let hold = payonce_core::BlockHash::new(payonce_core::PaymentHash::from_bytes([3; 32]));
    ledger.execute(hold, UnixMillis(2)).expect("sound");
    let mut image = kv.image();
    image.remove(&newest(&image)).expect("it is there");
    let store = support::open(&image).expect("as if it had never been");
    let opening = opening.known_head(ledger.head());
    let opened = Ledger::open(store, &opening, UnixMillis(3)).expect("sound");
    assert!(opened.lacks_known_head());
}

#[test]
fn values_swapped_under_their_names_are_errors() {
    let (image, given) = support::sample(true);
    let names: Vec<_> = image.keys().collect();
    for (nth, one) in names.iter().enumerate() {
        for other in &names[nth + 1..] {
            let mut swapped = image.clone();
            swapped.insert((*one).clone(), image[*other].clone());
            swapped.insert((*other).clone(), image[*one].clone());
            let both_snapshots = one.starts_with("snap-") && other.starts_with("snap-");
            match judge(&swapped) {
                Err(error) => assert!(!both_snapshots, "{error}"),
                Ok(held) => assert!(both_snapshots && held == kept(&image, &given)),
            }
        }
    }
}

#[test]
fn a_chunk_renamed_is_an_error() {
    let (image, _) = support::sample(false);
    for name in image.keys().filter(|name| name.starts_with("log-")) {
        for at in 0..name.len() {
            for digit in ["0", "1", "f"] {
                let mut other = name.clone();
                other.replace_range(at..=at, digit);
                if other != *name {
                    let mut renamed = image.clone();
                    let value = renamed.remove(name).expect("it is there");
                    renamed.insert(other.clone(), value);
                    assert!(judge(&renamed).is_err(), "{name} as {other}");
                }
            }
        }
    }
}

#[test]
fn a_key_of_somebody_else_is_named() {
    let (image, _) = support::sample(false);
    for name in ["manager", "log", "log-1", "snap-", "Ledger", "zzz"] {
        let mut foreign = image.clone();
        foreign.insert(name.into(), vec![1]);
        let Err(KvError::Foreign { place }) = support::open(&foreign) else { panic!("{name}") };
        assert_eq!(place, format!("payonce/{name}"));
    }
}

#[test]
fn what_belongs_to_another_ledger_is_named() {
    let (image, _) = support::sample(true);
    let other = [9; 32];
    // The same chain after it, under another ledger's id.
    for (name, value) in &image {
        let seq = u64::from_le_bytes(value[48..56].try_into().expect("8 bytes"));
        let chain = value[56..88].try_into().expect("32 bytes");
        let magic = value[..8].try_into().expect("8 bytes");
        let mut mixed = image.clone();
        let forged = format::value(magic, 1, &other, (seq, &chain), &value[100..]);
        mixed.insert(name.clone(), forged);
        match judge(&mixed) {
            Err(KvError::OtherLedger { place, .. }) => {
                assert!(place.ends_with(name) || name == "ledger", "{place}");
            }
            // The record's own word is what the rest is compared with.
            Err(KvError::Unlinked { .. } | KvError::OffChain { .. }) => assert_eq!(name, "ledger"),
            Ok(_) => assert!(name.starts_with("snap-"), "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_newer_version_is_refused_as_such_before_its_keys_are_judged() {
    let (image, _) = support::sample(true);
    let ledger = support::ledger();
    for name in image.keys().filter(|name| !name.starts_with("snap-")) {
        let value = &image[name];
        let seq = u64::from_le_bytes(value[48..56].try_into().expect("8 bytes"));
        let chain = value[56..88].try_into().expect("32 bytes");
        let magic = value[..8].try_into().expect("8 bytes");
        let newer = format::value(magic, 2, ledger.as_bytes(), (seq, &chain), &value[100..]);
        let mut image = image.clone();
        image.insert(name.clone(), newer);
        if name == "ledger" {
            image.insert("keys-of-version-2".into(), vec![1]);
        }
        let Err(KvError::NewerVersion { place, found: 2, known: 1 }) = judge(&image) else {
            panic!("{name}: {:?}", judge(&image))
        };
        assert_eq!(place, format!("payonce/{name}"));
    }
}

/// Bytes with every checksum right that no writer wrote.
#[test]
fn sound_bytes_that_are_no_entries_are_errors() {
    let (image, given) = support::sample(false);
    let ledger = support::ledger();
    let first = &given.entries[&1][..];
    let name = image.keys().find(|name| name.starts_with("log-")).expect("the first");
    let genesis = (0, ledger.as_bytes());
    let body = |body: &[u8]| format::value(*b"PayonceE", 1, ledger.as_bytes(), genesis, body);
    let length = u32::try_from(first.len()).expect("small");
    let framed = |length: u32| [&length.to_le_bytes()[..], first].concat();
    let cases = [
        (body(&[]), Damage::Name),
        (body(&[0; 3]), Damage::Framing),
        (body(&framed(length + 1)), Damage::Framing),
        (body(&framed(u32::MAX)), Damage::Framing),
        (
            body(&[framed(length), framed(length)].concat()),
            Damage::OutOfPlace { found: 1, expected: 2 },
        ),
    ];
    for (value, expected) in cases {
        let mut image = image.clone();
        image.insert(name.clone(), value);
        let Err(KvError::Damaged { place, damage }) = judge(&image) else { panic!("{expected}") };
        assert_eq!((place, damage), (format!("payonce/{name}"), expected));
    }
    for value in [
        body(&[0; 4]),
        body(&framed(length - 1)),
        body(&[framed(length), vec![1, 0, 0, 0, 9]].concat()),
    ] {
        let mut image = image.clone();
        image.insert(name.clone(), value);
        assert!(matches!(judge(&image), Err(KvError::Damaged { .. })));
    }
}
