//! Pages of a listing: together they are the listing, whatever its order and filters.

use serde_json::Value;

use crate::support::{Demo, payonce, with_dropped_history};

fn rows(line: &[&str]) -> Vec<Value> {
    let ran = payonce(&[line, &["--format", "jsonl"]].concat());
    assert_eq!(ran.code, 0, "{line:?}: {}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn pages_are_the_listing_in_every_order_under_every_filter() {
    for demo in [Demo::of(80), with_dropped_history(80)] {
        let mut sorts = vec!["newest", "oldest", "age", "amount", "fee"].into_iter();
        for sort in sorts.by_ref() {
            for filter in [
                &[][..],
                &["--live"],
                &["--live", "--status", "pending,abandoned"],
                &["--status", "fulfilled"],
                &["--status", "forgotten"],
                &["--stuck", "10m"],
                &["--prefix", "8"],
                &["--metadata", "order 10"],
            ] {
                let mut line = vec!["list", demo.dir(), "--sort", sort];
                line.extend(filter);
                paged(&line);
            }
        }
    }
}

fn paged(line: &[&str]) {
    let all = rows(line);
    let (mut paged, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut page = line.to_vec();
        page.extend(["--limit", "7"]);
        if let Some(after) = &after {
            page.extend(["--after", after]);
        }
        let found = rows(&page);
        assert!(found.len() <= 7, "{line:?}");
        let Some(last) = found.last() else { break };
        after = last["cursor"].as_str().map(str::to_owned);
        paged.extend(found);
    }
    assert_eq!(paged, all, "{line:?}");
}

#[test]
fn a_table_says_how_to_go_on_and_a_foreign_cursor_is_refused() {
    let demo = Demo::of(40);
    let ran = payonce(&["list", demo.dir(), "--limit", "3"]);
    let more = ran.out.lines().last().and_then(|line| line.strip_prefix("more: --after "));
    let next = payonce(&["list", demo.dir(), "--after", more.expect("more"), "--format", "jsonl"]);
    let all = rows(&["list", demo.dir()]);
    assert_eq!(next.out.lines().count(), all.len() - 3);
    assert!(!payonce(&["list", demo.dir()]).out.contains("--after"), "all of it");
    let own = more.expect("more");
    let (seq, ledger) = own.split_once('-').expect("a cursor");
    for (cursor, says) in [
        (format!("{seq}-0123456789abcdef"), "of another ledger"),
        (format!("99999999-{ledger}"), "beyond seq"),
        (all[0]["id"].as_str().expect("an id").to_owned(), "is no cursor"),
    ] {
        for sort in ["newest", "fee"] {
            let ran = payonce(&["list", demo.dir(), "--sort", sort, "--after", &cursor]);
            assert!(ran.code == 2 && ran.err.contains(says) && ran.out.is_empty(), "{}", ran.err);
        }
    }
}
