//! A ledger in a database is read as one in segment files is; copying leads to the same head.

use std::path::Path;

use payonce_store_postgres::cluster::{Cluster, is_available};
use serde_json::Value;

use crate::support::{Demo, Ran, payonce};

/// The address of a ledger of this cluster.
fn address(cluster: &Cluster, ledger: &str) -> String {
    let config = cluster.config();
    let port = config.connection.get_ports()[0];
    let user = config.connection.get_user().expect("it names one");
    let database = config.connection.get_dbname().expect("it names one");
    format!("postgres://{user}@127.0.0.1:{port}/{database}#{ledger}")
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).expect("JSON")
}

fn head(address: &str) -> (Value, Value) {
    let ran = payonce(&["at", address, "--time", "2100-01-01", "--format", "json"]);
    let told = json(&ran);
    (told["head_seq"].clone(), told["head_log_hash"].clone())
}

#[test]
fn a_database_is_read_copied_and_written_to_as_a_directory_is() {
    if !is_available("the program on a database") {
        return;
    }
    let cluster = Cluster::start();
    let demo = Demo::of(40);
    let database = address(&cluster, "node 1");
    there_is_none(&cluster, &demo, &database);
    let ran = payonce(&["copy", demo.dir(), &database]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(head(&database), head(demo.dir()));
    assert!(ran.out.contains("never again on"), "{}", ran.out);
    every_view_is_the_same(&demo, &database);
    // The only ledger needs no name.
    let (nameless, _) = database.split_once('#').expect("a name");
    assert_eq!(head(nameless), head(&database));
    back_and_on(&demo, &database);
    told_once_and_never_under_a_writer(&cluster, &database);
    edited_by_hand(&cluster, &database);
    without_its_beginning(&cluster);
    made_there(&cluster, &demo);
}

/// What there is no ledger in, and what cannot be written to.
fn there_is_none(cluster: &Cluster, demo: &Demo, database: &str) {
    for (line, says) in [
        (vec!["status", database], "there are no tables of payonce"),
        (vec!["salvage", database, "new"], "restored from its own backup"),
        (vec!["backup", demo.dir(), database], "`payonce copy` writes to a database"),
        (vec!["import", "-", database], "the file is empty"),
        (vec!["demo", "postgres://nobody:secret@127.0.0.1:1/none#a"], "connect"),
        (vec!["status", "postgres://nobody:secret@127.0.0.1:1/none#a"], "connect"),
        (vec!["status", "postgres://nobody:secret@db.example/none#a"], "sslmode"),
        (vec!["copy", database, database], "onto itself"),
        (vec!["copy", demo.dir(), demo.dir()], "onto itself"),
    ] {
        let ran = payonce(&line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{line:?}: {}", ran.err);
        assert!(!ran.err.contains("secret"), "{line:?}: {}", ran.err);
    }
    assert_eq!(cluster.sql("select to_regclass('payonce.ledgers') is null").trim(), "t");
}

fn every_view_is_the_same(demo: &Demo, database: &str) {
    for view in [
        vec!["list"],
        vec!["list", "--format", "json", "--reveal"],
        vec!["list", "--stuck", "10m"],
        vec!["show", "8674cf8f"],
        vec!["log", "--to", "90"],
        vec!["at", "--seq", "100"],
        vec!["at", "--seq", "100", "--list"],
        vec!["diff", "100", "160"],
        vec!["export", "--reveal"],
        vec!["export", "--what", "postings", "--format", "csv"],
        vec!["verify"],
    ] {
        let of = |dir: &str| {
            let mut line = view.clone();
            line.insert(1, dir);
            payonce(&line)
        };
        let (ours, theirs) = (of(demo.dir()), of(database));
        assert_eq!(theirs.code, ours.code, "{view:?}: {}", theirs.err);
        if view[0] != "verify" {
            assert_eq!(theirs.out, ours.out, "{view:?}");
        }
    }
    let verified = payonce(&["verify", database, "--format", "json"]);
    assert_eq!(json(&verified)["sound"], true, "{}", verified.out);
    assert_eq!(json(&verified)["snapshots_equal"], 1, "the newest snapshot came too");
    let status = json(&payonce(&["status", database, "--format", "json"]));
    let ours = json(&payonce(&["status", demo.dir(), "--format", "json"]));
    for same in ["head_log_hash", "pending", "fulfilled", "outbox", "oldest_unresolved", "health"] {
        assert_eq!(status[same], ours[same], "{same}");
    }
    let raw = payonce(&["log", database, "--raw", "--to", "9", "--reveal", "--format", "jsonl"]);
    let disk = payonce(&["log", demo.dir(), "--raw", "--to", "9", "--reveal", "--format", "jsonl"]);
    let hex = |ran: &Ran| {
        let rows = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        rows.map(|row| (row["hex"].clone(), row["log_hash"].clone())).collect::<Vec<_>>()
    };
    assert!(!hex(&raw).is_empty() && hex(&raw) == hex(&disk), "{}", raw.out);
    let report = demo.beside("report.html");
    let ran = payonce(&["report", database, "-o", &report]);
    assert!(ran.code == 0 && ran.out.contains("SOUND"), "{}", ran.err);
}

/// Out of the database into a directory, and what is new there later.
fn back_and_on(demo: &Demo, database: &str) {
    let (copy, backup) = (demo.beside("back"), demo.beside("backup"));
    assert_eq!(payonce(&["copy", database, &copy]).code, 0);
    assert_eq!(payonce(&["backup", database, &backup]).code, 0);
    assert_eq!(payonce(&["verify", &copy]).code, 0);
    assert_eq!(payonce(&["verify", &backup]).code, 0);
    assert_eq!(head(&copy), head(demo.dir()));
    // A second copy adds nothing, and another ledger is refused.
    assert_eq!(payonce(&["copy", database, &copy]).code, 0);
    let other = demo.beside("other");
    assert_eq!(payonce(&["demo", &other, "--payments", "5", "--seed", "9"]).code, 0);
    let before = head(database);
    let ran = payonce(&["copy", &other, database]);
    assert!(ran.code == 2 && ran.err.contains("create it with that id"), "{}", ran.err);
    assert_eq!(head(database), before);
    assert!(!Path::new(&format!("{copy}.partial")).exists());
}

/// `resolve` tells its fact, and never takes a ledger from a writer that is at work.
fn told_once_and_never_under_a_writer(cluster: &Cluster, database: &str) {
    let stuck = json(&payonce(&["list", database, "--stuck", "1s", "--format", "json"]));
    let ids = stuck.as_array().expect("an array").iter().filter(|row| row["status"] == "pending");
    let id = ids.map(|row| row["id"].as_str().expect("an id")).next().expect("one is stuck");
    let line = ["resolve", database, id, "abandon", "--by", "Ada", "--why", "a test", "--yes"];
    cluster.sql("update payonce.ledgers set holder = 'node-7', seen_at = clock_timestamp()");
    let before = head(database);
    let ran = payonce(&line);
    assert!(ran.code == 2 && ran.err.contains("node-7"), "{}", ran.err);
    assert_eq!(head(database), before, "nothing was recorded");
    cluster.sql("update payonce.ledgers set seen_at = clock_timestamp() - interval '1 hour'");
    let ran = payonce(&line);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let story = json(&payonce(&["show", database, id, "--format", "json"]));
    let events = story["events"].as_array().expect("an array");
    assert!(events.iter().any(|event| event["event"] == "payment_abandoned"), "{story}");
}

/// A row that somebody edited: told, and named.
fn edited_by_hand(cluster: &Cluster, database: &str) {
    cluster.sql(
        "update payonce.entries set bytes = set_byte(bytes, 40, get_byte(bytes, 40) # 1) \
         where seq = (select min(seq) from payonce.entries where seq >= 50)",
    );
    let ran = payonce(&["verify", database, "--format", "json"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let told = json(&ran);
    let named = "payonce.entries, ledger \"node 1\", seq 5";
    assert!(told["first_damage"].as_str().is_some_and(|what| what.contains(named)), "{told}");
    let out = std::env::temp_dir().join("payonce-never-written");
    let out = out.to_str().expect("plain");
    for line in [
        vec!["list", database],
        vec!["log", database],
        vec!["export", database, "-o", out],
        vec!["backup", database, out],
        vec!["copy", database, out],
    ] {
        let ran = payonce(&line);
        assert_eq!(ran.code, 2, "{line:?}: {}", ran.err);
        assert!(!Path::new(out).exists(), "{line:?}");
    }
}

/// A log that is made begins in a database as it does in a directory, and leaves nothing behind elsewhere.
fn made_there(cluster: &Cluster, demo: &Demo) {
    let export = demo.beside("export.jsonl");
    assert_eq!(payonce(&["export", demo.dir(), "--reveal", "-o", &export]).code, 0);
    let (imported, written) = (address(cluster, "imported"), address(cluster, "written"));
    let ran = payonce(&["import", &export, &imported]);
    assert!(ran.code == 0 && ran.out.contains("#imported ends at"), "{}{}", ran.out, ran.err);
    assert_eq!(head(&imported), head(demo.dir()));
    let ran = payonce(&["demo", &written, "--payments", "40"]);
    assert!(ran.code == 0 && ran.out.contains(&format!("status '{written}'")), "{}", ran.out);
    assert_eq!(head(&written), head(demo.dir()), "the same seed tells the same");
    assert_eq!(payonce(&["verify", &written]).code, 0);
    // An export that was edited imports nothing.
    let text = std::fs::read_to_string(&export).expect("readable");
    std::fs::write(&export, text.replacen("\"log_hash\":\"", "\"log_hash\":\"00", 3))
        .expect("ours");
    let ran = payonce(&["import", &export, &address(cluster, "edited")]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    let names = cluster.sql("select string_agg(name, ',' order by name) from payonce.ledgers");
    assert_eq!(names, "dropped,imported,node 1,written");
}

/// A log whose history was dropped moves with its base, there and back.
fn without_its_beginning(cluster: &Cluster) {
    let dropped = crate::support::with_dropped_history(40);
    let (database, back) = (address(cluster, "dropped"), dropped.beside("dropped back"));
    for (from, to) in [(dropped.dir(), &*database), (&*database, &*back)] {
        let ran = payonce(&["copy", from, to]);
        assert_eq!(ran.code, 0, "{from} to {to}: {}", ran.err);
        let ran = payonce(&["verify", to, "--format", "json"]);
        assert_eq!(json(&ran)["sound"], true, "{to}: {}{}", ran.out, ran.err);
        assert_eq!(head(to), head(dropped.dir()), "{to}");
    }
    // A second copy adds nothing.
    assert_eq!(payonce(&["copy", dropped.dir(), &database]).code, 0);
    assert_eq!(head(&database), head(dropped.dir()));
}
