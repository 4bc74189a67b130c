//! A crate's rooms on their floors, read off its `use` lines: a file uses what lies below its own room, and
//! what lies beside it as long as nothing leads back to it. Nobody is excepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// A file by its path in the crate: its room, then its own name.
type Module = String;

fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("there are sources") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every file but the one that shows the crate to the outside, and those that only list a room's files.
fn modules() -> BTreeMap<Module, String> {
    let mut paths = Vec::new();
    files(Path::new(SOURCES), &mut paths);
    let named = paths.into_iter().filter_map(|path| {
        let name = path.strip_prefix(SOURCES).expect("it is in there").with_extension("");
        let name = name.to_str().expect("UTF-8").replace('/', "::");
        let lists = name == "lib" || name.ends_with("::mod");
        (!lists).then(|| (name, fs::read_to_string(&path).expect("readable")))
    });
    named.collect()
}

/// The paths that a file names behind `crate::`, `self::` or `super::`: in its `use` lines, and between
/// its other lines. Comments name what they like.
fn named(module: &str, source: &str) -> BTreeSet<String> {
    let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n").replace("$crate::", "crate::");
    let above = module.rsplit_once("::").map_or("", |(above, _)| above);
    let mut paths = BTreeSet::new();
    for (prefix, stands_for) in [("crate::", ""), ("self::", module), ("super::", above)] {
        for (at, _) in code.match_indices(prefix) {
            let inside_a_word = code[..at].ends_with(|before: char| before.is_alphanumeric());
            if !inside_a_word {
                let start = if stands_for.is_empty() {
                    String::new()
                } else {
                    stands_for.to_owned() + "::"
                };
                expand(&start, &code[at + prefix.len()..], &mut paths);
            }
        }
    }
    paths
}

/// Writes out a path with its groups: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand<'a>(start: &str, rest: &'a str, into: &mut BTreeSet<String>) -> &'a str {
    let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let (name, after) = rest.split_at(word.unwrap_or(rest.len()));
    if let Some(after) = after.strip_prefix("::") {
        return expand(&format!("{start}{name}::"), after, into);
    }
    if name.is_empty() && after.starts_with('{') {
        let mut rest = after[1..].trim_start();
        while !rest.is_empty() && !rest.starts_with('}') {
            rest = expand(start, rest, into).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        return rest.strip_prefix('}').unwrap_or(rest);
    }
    into.insert(format!("{start}{name}"));
    after
}

/// The file in which a path ends, if it ends in one.
fn file_of<'a>(path: &str, modules: &'a BTreeMap<Module, String>) -> Option<&'a Module> {
    let parts: Vec<_> = path.split("::").collect();
    let ends = (1..=parts.len()).rev().map(|end| parts[..end].join("::"));
    ends.into_iter().find_map(|end| modules.get_key_value(&end).map(|(name, _)| name))
}

fn uses() -> BTreeMap<Module, BTreeSet<Module>> {
    let modules = modules();
    let used = |(module, source): (&Module, &String)| {
        let files = named(module, source).into_iter();
        let files = files.filter_map(|path| file_of(&path, &modules).cloned());
        // A file and the files of its own folder are one thing.
        let others = files.filter(|file| top(file) != top(module));
        (module.clone(), others.collect())
    };
    modules.iter().map(used).collect()
}

/// Room and file, without what lies in the file's own folder.
fn top(module: &str) -> String {
    module.splitn(3, "::").take(2).collect::<Vec<_>>().join("::")
}

fn floor(floors: &[&str], module: &str) -> usize {
    let room = module.split("::").next().expect("a room");
    floors.iter().position(|floor| *floor == room).unwrap_or_else(|| panic!("{module} has no room"))
}

/// Nothing uses what lies above it. The floors are given from the ground up; at least so many files, and
/// uses of one by another, are read.
pub(crate) fn nothing_leads_up(floors: &[&str], files_at_least: usize, uses_at_least: usize) {
    let uses = uses();
    assert!(uses.len() >= files_at_least, "{} sources were found", uses.len());
    let used: usize = uses.values().map(BTreeSet::len).sum();
    assert!(used >= uses_at_least, "{used} uses were read");
    let mut wrong = Vec::new();
    for (module, used) in &uses {
        let above = used.iter().filter(|other| floor(floors, other) > floor(floors, module));
        wrong.extend(above.map(|other| format!("{module} uses {other}")));
    }
    assert!(wrong.is_empty(), "upwards:\n{}", wrong.join("\n"));
}

/// Nothing leads back to where it came from.
pub(crate) fn nothing_leads_back() {
    let mut left = BTreeMap::<String, BTreeSet<String>>::new();
    for (module, used) in uses() {
        let used = used.iter().map(|other| top(other));
        left.entry(top(&module)).or_default().extend(used);
    }
    // Whoever uses nobody that is left is in no circle.
    while let Some(free) = left.iter().find_map(|(module, used)| {
        let none = used.iter().all(|other| !left.contains_key(other));
        none.then(|| module.clone())
    }) {
        left.remove(&free);
    }
    // Whoever nobody uses that is left only leads to one.
    while let Some(outside) =
        left.keys().find(|module| !left.values().any(|used| used.contains(*module)))
    {
        let outside = outside.clone();
        left.remove(&outside);
    }
    let circle: Vec<_> = left
        .iter()
        .map(|(module, used)| {
            let used: Vec<_> = used.iter().filter(|other| left.contains_key(*other)).collect();
            format!("{module} uses {used:?}")
        })
        .collect();
    assert!(circle.is_empty(), "in circles:\n{}", circle.join("\n"));
}
