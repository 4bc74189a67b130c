//! Two processes fight over one ledger: there is one history, and whoever loses is told why.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use payonce_core::{EventStore, Head, StoreError};
use payonce_store_postgres::{Config, PostgresStore, cluster::is_available};

use crate::support::{LEDGER, entry, fresh_name, heads, is_long, shared};

const ADDRESS: &str = "PAYONCE_TEST_FIGHT_ADDRESS";
const LEDGER_NAME: &str = "PAYONCE_TEST_FIGHT_LEDGER";
const HOLDER: &str = "PAYONCE_TEST_FIGHT_HOLDER";
const SECONDS: &str = "PAYONCE_TEST_FIGHT_SECONDS";

/// What each of the two processes does: takes the ledger over, appends until it is taken over from,
/// and takes it back. Prints what was acknowledged, and by whom it was refused.
#[test]
#[expect(clippy::print_stdout, reason = "what the parent reads")]
fn one_of_two_processes() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let [name, holder, seconds] =
        [LEDGER_NAME, HOLDER, SECONDS].map(|name| std::env::var(name).expect("given"));
    let config: Config = address.parse().expect("an address");
    let config = config.holder(&*holder);
    let end = Instant::now() + Duration::from_secs(seconds.parse().expect("a number"));
    let mut tag: u64 = holder.bytes().map(u64::from).sum::<u64>() << 40;
    while Instant::now() < end {
        let mut store = PostgresStore::open(config.clone(), &name).expect("open");
        let mut head = store.fence().expect("the fence").head;
        let refused = loop {
            tag += 1;
            let entry = entry(head, tag);
            match store.append(std::slice::from_ref(&entry)) {
                Ok(()) => {
                    head = entry.after();
                    println!("\nacknowledged {head}");
                }
                Err(error) => break error,
            }
            if Instant::now() >= end {
                return;
            }
        };
        match refused {
            StoreError::Fenced { by: Some(by) } => println!("\nrefused by {}", by.holder),
            other => println!("\nfailed {other}"),
        }
    }
}

fn start(address: &str, name: &str, holder: &str, seconds: u64) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "fight::one_of_two_processes", "--nocapture"])
        .env(ADDRESS, address)
        .env(LEDGER_NAME, name)
        .env(HOLDER, holder)
        .env(SECONDS, seconds.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process")
}

#[test]
fn two_processes_fight_and_there_is_one_history() {
    if !is_available("two processes that fight") {
        return;
    }
    let (address, config) = {
        let cluster = shared("two processes that fight").expect("available");
        (cluster.address(), cluster.config())
    };
    let name = fresh_name();
    drop(PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger"));
    let seconds = if is_long() { 60 } else { 5 };
    let both = ["left", "right"].map(|holder| (holder, start(&address, &name, holder, seconds)));
    let mut acknowledged: Vec<Head> = Vec::new();
    for (holder, child) in both {
        let other = if holder == "left" { "right" } else { "left" };
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{holder} failed");
        let (mut own, mut refused) = (0, 0);
        for line in BufReader::new(&*output.stdout).lines() {
            let line = line.expect("text");
            if let Some(head) = line.strip_prefix("acknowledged ") {
                acknowledged.push(head.parse().expect("a head"));
                own += 1;
            } else if let Some(by) = line.strip_prefix("refused by ") {
                assert_eq!(by, other, "told who took over");
                refused += 1;
            } else {
                assert!(!line.starts_with("failed"), "{holder}: {line}");
            }
        }
        assert!(own > 0 && refused > 0, "{holder} wrote {own} and was refused {refused} times");
    }
    let store = PostgresStore::open(config, &name).expect("open");
    let heads = heads(&store);
    for head in &acknowledged {
        assert!(
            heads
                .binary_search_by_key(&head.seq, |held| held.seq)
                .is_ok_and(|nth| { heads[nth] == *head }),
            "{head} was acknowledged and is not in the one history"
        );
    }
    // Genesis is nobody's; what was not acknowledged at the very end may be there all the same.
    assert!(heads.len() > acknowledged.len(), "nothing was acknowledged twice");
}
