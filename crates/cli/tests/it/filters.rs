//! Each filter passes what it says: what is asked for is worked out here, of the whole listing and the
//! whole log.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use crate::support::{Demo, NOW, Program, payonce};

fn rows(line: &[&str]) -> Vec<Value> {
    let ran = payonce(&[line, &["--format", "jsonl"]].concat());
    assert_eq!(ran.code, 0, "{line:?}: {}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn ids(rows: &[Value]) -> Vec<String> {
    let mut ids: Vec<_> =
        rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

/// That a filter lists those rows of the whole listing that fit, and that these are some and not all.
fn lists(demo: &Demo, filter: &[&str], fits: impl Fn(&Value) -> bool) {
    let mut fitting = rows(&["list", demo.dir()]);
    let all = fitting.len();
    fitting.retain(fits);
    assert!(!fitting.is_empty() && fitting.len() < all, "{filter:?}: {} of {all}", fitting.len());
    let line = [&["list", demo.dir()], filter].concat();
    assert_eq!(ids(&rows(&line)), ids(&fitting), "{filter:?}");
}

#[test]
fn every_filter_of_the_listing() {
    for (demo, forgets) in [(Demo::of(80), false), (Demo::forgetting(80), true)] {
        let at = |field: &'static str| move |row: &Value| row[field].as_u64();
        let accepted = at("accepted_at_ms");
        let mut moments: Vec<_> = rows(&["list", demo.dir()]).iter().filter_map(accepted).collect();
        moments.sort_unstable();
        let (early, late) = (moments[moments.len() / 4], moments[moments.len() * 3 / 4]);
        let (from, to) = (early.to_string(), late.to_string());
        lists(&demo, &["--since", &from], |row| accepted(row) >= Some(early));
        lists(&demo, &["--until", &to], |row| accepted(row).is_some_and(|at| at < late));
        lists(&demo, &["--since", &from, "--until", &to], |row| {
            accepted(row).is_some_and(|at| (early..late).contains(&at))
        });
        let is_open = |row: &Value| {
            ["awaiting_invoice", "pending", "abandoned"].iter().any(|name| row["status"] == *name)
        };
        let stuck = |row: &Value, millis| {
            is_open(row) && row["changed_at_ms"].as_u64().expect("a moment") + millis <= NOW.0
        };
        lists(&demo, &["--stuck", "10m"], |row| stuck(row, 600_000));
        lists(&demo, &["--stuck", "3d"], |row| stuck(row, 3 * 86_400_000));
        for status in ["pending", "fulfilled"] {
            lists(&demo, &["--status", status], |row| row["status"] == status);
        }
        lists(&demo, &["--metadata", "order 101"], |row| {
            row["metadata"].as_str().is_some_and(|text| text.starts_with("order 101"))
        });
        lists(&demo, &["--live"], |row| row["remembered"] == false && row["status"] != "forgotten");
        // What is forgotten has no kind any more, and nearly everything is.
        if !forgets {
            by_kind(&demo);
        }
        by_height(&demo);
    }
}

/// What each payment is for, as the log tells it.
fn by_kind(demo: &Demo) {
    let mut told = BTreeMap::new();
    for event in rows(&["log", demo.dir()]) {
        let (payment, words) = (event["payment"].to_string(), event["words"].to_string());
        match event["event"].as_str() {
            Some("payment_accepted") => drop(told.insert(payment, words)),
            // It came back without its request.
            Some("payment_adopted" | "payment_recalled") => drop(told.remove(&payment)),
            _ => {}
        }
    }
    for (kind, words) in [
        ("invoice", "\"accepted: an invoice"),
        ("offer", "\"accepted: an offer"),
        ("spontaneous", "\"accepted: a spontaneous payment"),
    ] {
        lists(demo, &["--kind", kind], |row| {
            let is_of_kind =
                told.get(&row["id"].to_string()).is_some_and(|of| of.starts_with(words));
            is_of_kind && row["status"] != "forgotten"
        });
    }
}

/// The parts that are out, and the blocks at which they expire, as the log tells them.
fn by_height(demo: &Demo) {
    let mut expiries = BTreeMap::new();
    for event in rows(&["log", demo.dir()]) {
        let words = event["words"].as_str().expect("words");
        for part in words.split("part ").skip(1) {
            if let Some((_, height)) = part.split_once("expires at block ") {
                let height: String = height.chars().take_while(char::is_ascii_digit).collect();
                let height: u64 = height.parse().expect("a height");
                expiries.entry(part[..8].to_owned()).or_insert(height);
            }
        }
    }
    let soonest = |row: &Value| -> Option<u64> {
        let id = row["id"].as_str().expect("an id");
        let story = payonce(&["show", demo.dir(), id, "--format", "json"]);
        let story: Value = serde_json::from_str(&story.out).expect("JSON");
        let out = story["parts"].as_array().expect("an array").iter();
        let out = out.filter(|part| part["status"] == "in_flight" || part["status"] == "claimed");
        out.filter_map(|part| expiries.get(&part["id"].as_str().expect("an id")[..8]).copied())
            .min()
    };
    let open = rows(&["list", demo.dir(), "--stuck", "1m"]);
    let mut heights: Vec<_> = open.iter().filter_map(soonest).collect();
    heights.sort_unstable();
    let height = heights[heights.len() / 2];
    let fitting: Vec<_> =
        open.into_iter().filter(|row| soonest(row).is_some_and(|at| at <= height)).collect();
    assert!(!fitting.is_empty(), "overdue at {height}");
    let listed = rows(&["list", demo.dir(), "--overdue", &height.to_string()]);
    assert_eq!(ids(&listed), ids(&fitting), "overdue at {height}");
}

#[test]
fn the_log_from_and_to_a_seq_or_a_moment() {
    let demo = Demo::of(40);
    let all = rows(&["log", demo.dir()]);
    let at = |event: &Value| event["at_ms"].as_u64().expect("a moment");
    let seq = |event: &Value| event["seq"].as_u64().expect("a seq");
    let (early, late) = (at(&all[all.len() / 3]), at(&all[all.len() / 2]));
    let (from, to) = (early.to_string(), late.to_string());
    let shown = |line: &[&str]| rows(&[&["log", demo.dir()], line].concat());
    let those = |fits: &dyn Fn(&Value) -> bool| {
        let fitting: Vec<_> = all.iter().filter(|event| fits(event)).cloned().collect();
        assert!(!fitting.is_empty() && fitting.len() < all.len());
        fitting
    };
    assert_eq!(shown(&["--since", &from]), those(&|event| at(event) >= early));
    assert_eq!(shown(&["--until", &to]), those(&|event| at(event) < late));
    let both = those(&|event| (early..late).contains(&at(event)));
    assert_eq!(shown(&["--since", &from, "--until", &to]), both);
    let seqs = those(&|event| (20..=33).contains(&seq(event)));
    assert_eq!(shown(&["--from", "20", "--to", "33"]), seqs);
}

/// In the zone of whoever asks, with its offset; in another process, since a zone is a process's own.
#[test]
fn local_times_bear_their_offset() {
    let demo = Demo::of(10);
    let run = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payonce"));
        command.env("TZ", "JST-9").args(["log", demo.dir(), "--to", "3"]).args(options);
        String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8")
    };
    let (utc, local) = (run(&[]), run(&["--local"]));
    assert!(utc.contains("2026-09-01 00:00:00Z"), "{utc}");
    assert!(local.contains("2026-09-01 09:00:00+09:00") && !local.contains("00Z"), "{local}");
}

#[test]
fn colours_are_chosen() {
    let demo = Demo::of(10);
    let status = |colour, choice| {
        let program = Program { columns: Some(100), colour, input: "" };
        program.run(&["status", demo.dir(), "--color", choice]).out.contains('\u{1b}')
    };
    assert!(status(false, "always") && status(true, "auto"));
    assert!(!status(true, "never") && !status(false, "auto"));
}
