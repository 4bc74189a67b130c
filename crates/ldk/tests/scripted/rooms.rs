//! The crate's rooms: a file uses what lies on its own floor or below it, and nothing leads back to where
//! it came from. Read off the sources, so nobody is excepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// From the ground up.
const FLOORS: [&str; 4] = ["order", "bridge", "events", "payer"];
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

type Uses = BTreeMap<String, BTreeSet<String>>;

/// Each file as `room::file`, and the files that it names.
fn uses() -> Uses {
    let mut sources = BTreeMap::new();
    for room in FLOORS {
        for entry in fs::read_dir(Path::new(SOURCES).join(room)).expect("a room") {
            let path = entry.expect("readable").path();
            let file = path.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8").to_owned();
            assert!(path.is_file(), "{}: rooms have no rooms", path.display());
            sources.insert(format!("{room}::{file}"), fs::read_to_string(&path).expect("readable"));
        }
    }
    let names: Vec<String> = sources.keys().cloned().collect();
    let used = |(name, source): (String, String)| {
        let code: Vec<_> = source.lines().filter(|line| !line.trim().starts_with("//")).collect();
        let code = code.join("\n");
        assert!(!code.contains("super::") && !code.contains("self::"), "{name}: paths are in full");
        let is_used = |other: &&String| **other != name && names_file(&code, other);
        (name.clone(), names.iter().filter(is_used).cloned().collect())
    };
    sources.into_iter().map(used).collect()
}

/// Whether the code holds this path, and no longer or shorter name of it.
fn names_file(code: &str, path: &str) -> bool {
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].strip_suffix("crate::").unwrap_or(&code[..at]);
        !before.ends_with(is_name)
            && !before.ends_with("::")
            && !code[at + path.len()..].starts_with(is_name)
    })
}

fn floor(name: &str) -> usize {
    let room = name.split("::").next().expect("a room");
    FLOORS.iter().position(|floor| *floor == room).expect("it was read from a floor")
}

#[test]
fn nothing_uses_what_lies_above_it() {
    let uses = uses();
    assert!(uses.len() > 25 && uses.values().map(BTreeSet::len).sum::<usize>() > 60, "{uses:?}");
    for (name, used) in &uses {
        let above: Vec<_> = used.iter().filter(|other| floor(other) > floor(name)).collect();
        assert!(above.is_empty(), "{name} uses {above:?}");
    }
}

#[test]
fn nothing_leads_back_to_itself() {
    let mut left = uses();
    // Whoever uses nobody that is left is in no circle.
    while let Some(free) = left
        .iter()
        .find_map(|(name, used)| used.iter().all(|it| !left.contains_key(it)).then(|| name.clone()))
    {
        left.remove(&free);
    }
    assert!(left.is_empty(), "in circles, or leading to one: {left:#?}");
}
