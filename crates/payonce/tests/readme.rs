//! The README and the crate's front page show the same program.

/// The first Rust code block.
fn first_program(markdown: &str) -> &str {
    let start = markdown.find("```rust\n").expect("there is a Rust code block") + "```rust\n".len();
    let length = markdown[start..].find("```").expect("it ends");
    &markdown[start..start + length]
}

#[test]
fn the_readme_and_the_front_page_show_the_same_program() {
    let lines = include_str!("../src/lib.rs").lines();
    let front_page = lines.map_while(|line| line.strip_prefix("//!"));
    let front_page = front_page.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let front_page = front_page.collect::<Vec<_>>().join("\n");
    assert_eq!(first_program(include_str!("../../../README.md")), first_program(&front_page));
}
