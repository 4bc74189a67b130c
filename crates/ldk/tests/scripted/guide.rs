//! The guide's whole node, as a newcomer meets it.

use std::collections::BTreeSet;

const EXAMPLE: &str = include_str!("../../../../examples/ldk_node.rs");

/// A first program is one that a newcomer can hold in the head: beside LDK's own names, twelve.
#[test]
fn a_whole_node_needs_twelve_names() {
    let uses = EXAMPLE.split("\nuse payonce_").skip(1).filter_map(|rest| rest.split_once(';'));
    let lists = uses.filter_map(|(names, _)| names.split_once("::")).map(|(_, names)| names);
    let names = lists.flat_map(|names| names.split(['{', '}', ',']).map(str::trim));
    let names: BTreeSet<_> = names.filter(|name| !name.is_empty()).collect();
    assert!(names.contains("Starting") && names.len() <= 12, "{names:?}");
    let paths = EXAMPLE.matches("payonce_").count() - EXAMPLE.matches("\nuse payonce_").count();
    assert_eq!(paths, 0, "none by its path");
}
