//! The front page: what stands at the root is little enough to be read, and nothing of the core is missing.

use std::collections::BTreeSet;

const LIB: &str = include_str!("../src/lib.rs");
const CORE: &str = include_str!("../../core/src/lib.rs");

/// The names in every `pub use` of a text, without their paths.
fn shown(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("pub use ") {
        let shown = text[at..].split(';').next().expect("it ends").trim_start_matches("pub use ");
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut rest = shown;
        while let Some(start) = rest.find(word) {
            let name = &rest[start..];
            let end = name.find(|letter: char| !word(letter)).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            if !after.starts_with("::") {
                names.push(name.to_owned());
            }
            rest = after;
        }
    }
    names
}

/// The text without what stands in braces of modules.
fn root(text: &str) -> (String, usize) {
    let (mut root, mut modules) = (String::new(), 0);
    let mut inside = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        modules += usize::from(line.starts_with("pub mod "));
        inside |= line.starts_with("pub mod ") && line.ends_with('{');
        if !inside {
            root.push_str(line);
            root.push('\n');
        }
        inside &= line != "}";
    }
    (root, modules)
}

#[test]
fn the_root_has_seventy_names_at_most() {
    let (root, modules) = root(LIB);
    // `as runtime` and `as store_fs` name two crates by one word more each.
    let names =
        shown(&root).into_iter().filter(|name| name != "as" && !name.starts_with("payonce_"));
    let names: BTreeSet<_> = names.collect();
    assert!(names.contains("Pay") && names.contains("Ledger"), "{names:?}");
    let count = names.len() + modules;
    assert!((50..=71).contains(&count), "{count}: {names:?}");
    // One of them is there with a feature alone.
    assert!(names.contains("Bolt11Refusal"));
}

#[test]
fn every_name_of_the_core_is_somewhere_and_once() {
    let core: BTreeSet<_> = shown(CORE).into_iter().filter(|name| name != "faults").collect();
    assert!(core.len() > 150, "the core's names were read: {}", core.len());
    let code: Vec<_> = LIB.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let all = shown(&code.join("\n"));
    // The audit's verify is the runtime's, on two threads, and the machine's the core's.
    let twice: Vec<_> = core
        .iter()
        .filter(|name| all.iter().filter(|shown| shown == name).count() != 1 && *name != "verify")
        .collect();
    assert!(twice.is_empty(), "not shown once: {twice:?}");
}
