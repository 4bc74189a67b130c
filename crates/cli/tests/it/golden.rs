//! What every command writes about a fixed demo ledger. `UPDATE_EXPECT=1` writes the files anew.

use expect_test::expect_file;

use crate::support::{Demo, Program, payonce};

fn check(demo: &Demo, name: &str, arguments: &[&str]) {
    let ran = payonce(arguments);
    let path = format!("{}/tests/it/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    expect_file![path].assert_eq(&ran.shown(&demo.path));
}

#[test]
fn every_view_of_the_demo() {
    let demo = Demo::of(40);
    let dir = demo.dir();
    check(&demo, "status", &["status", dir]);
    check(&demo, "status-json", &["status", dir, "--format", "json"]);
    check(&demo, "list", &["list", dir]);
    check(&demo, "list-csv", &["list", dir, "--format", "csv", "--limit", "5"]);
    check(&demo, "list-json", &["list", dir, "--format", "json", "--limit", "2", "--reveal"]);
    check(&demo, "list-stuck", &["list", dir, "--stuck", "10m", "--sort", "age"]);
    check(&demo, "log-csv", &["log", dir, "--from", "8", "--to", "14", "--format", "csv"]);
    check(&demo, "log-jsonl", &["log", dir, "--from", "8", "--to", "14", "--format", "jsonl"]);
    check(&demo, "log-raw", &["log", dir, "--raw", "--to", "9", "--reveal"]);
    check(&demo, "log", &["log", dir, "--to", "150"]);
    check(&demo, "at", &["at", dir, "--seq", "100"]);
    check(&demo, "at-time", &["at", dir, "--time", "2026-09-02 12:00", "--list"]);
    check(&demo, "diff", &["diff", dir, "100", "160"]);
    check(&demo, "verify", &["verify", dir]);
    check(&demo, "verify-json", &["verify", dir, "--format", "json"]);
}

#[test]
fn the_story_of_each_kind_of_payment() {
    let demo = Demo::of(40);
    let listed = payonce(&["list", demo.dir(), "--format", "csv", "--sort", "oldest"]);
    let ids = listed.out.lines().skip(1).map(|line| line.split(',').next().expect("an id"));
    let mut stories = String::new();
    for id in ids {
        let ran = payonce(&["show", demo.dir(), &id[..16]]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        stories += &ran.out;
        stories += "\n----\n\n";
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/show.txt");
    expect_file![path].assert_eq(&stories);
}

#[test]
fn a_terminal_of_forty_columns_is_enough() {
    let demo = Demo::of(40);
    let list = ["list", demo.dir(), "--limit", "20"];
    let csv = payonce(&["list", demo.dir(), "--limit", "20", "--format", "csv"]).out;
    for columns in [40, 80, 100] {
        let ran = Program { columns: Some(columns), colour: true, input: "" }.run(&list);
        let fits = |line: &str| line.chars().count() <= usize::from(columns);
        assert!(ran.out.lines().all(fits), "{columns}: {}", ran.out);
        // Nothing is broken that somebody wants to copy.
        for id in csv.lines().skip(1).map(|line| &line[..12]) {
            assert!(
                ran.out.lines().any(|line| line.starts_with(id)),
                "{columns}: {id} {}",
                ran.out
            );
        }
    }
    let wide = Program { columns: Some(200), colour: true, input: "" }.run(&list).out;
    assert_eq!(wide, payonce(&list).out, "a table where there is room");
    let narrow = Program { columns: Some(40), colour: true, input: "" };
    assert!(narrow.run(&["status", demo.dir()]).out.contains("\u{1b}["), "colours on a terminal");
    assert!(!payonce(&["status", demo.dir()]).out.contains('\u{1b}'), "and nowhere else");
}

/// The lines of the picture that `show` draws, and the parts that it has.
fn picture(demo: &Demo, id: &str, columns: u16) -> (Vec<String>, usize) {
    let program = Program { columns: Some(columns), colour: false, input: "" };
    let ran = program.run(&["show", demo.dir(), id]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines = ran.out.lines().skip_while(|line| !line.starts_with("parts  "));
    let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect();
    let is_bar = |word: &str| matches!(word.trim_start_matches('='), ">" | "+" | "*" | "x" | "o");
    let bars = lines.iter().filter(|line| line.split_whitespace().any(is_bar)).count();
    (lines, bars)
}

#[test]
fn a_picture_fits_every_terminal_and_has_a_bar_a_part() {
    let demo = Demo::of(40);
    let listed = payonce(&["list", demo.dir(), "--format", "csv", "--sort", "oldest"]);
    let ids = listed.out.lines().skip(1).map(|line| line.split(',').next().expect("an id"));
    for (nth, id) in ids.enumerate() {
        let story = payonce(&["show", demo.dir(), id, "--format", "json"]);
        let story: serde_json::Value = serde_json::from_str(&story.out).expect("JSON");
        let parts = story["parts"].as_array().expect("an array").len();
        let all = [40, 75, 76, 80, 120];
        for columns in if nth % 8 == 1 { &all[..] } else { &all[..1] } {
            let (lines, bars) = picture(&demo, id, *columns);
            let fits = |line: &String| line.chars().count() <= usize::from(*columns);
            assert!(lines.iter().all(fits), "{columns}: {}", lines.join("\n"));
            assert_eq!(bars, parts, "{columns}: {}", lines.join("\n"));
        }
    }
}

#[test]
fn the_same_seed_tells_the_same_bytes() {
    let (one, other) = (Demo::of(60), Demo::of(60));
    let segment = "00000000000000000001.log";
    let read = |demo: &Demo| std::fs::read(demo.path.join(segment)).expect("there is one");
    assert!(read(&one) == read(&other));
}
