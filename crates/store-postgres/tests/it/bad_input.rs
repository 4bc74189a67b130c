//! What an operator gets wrong: a clear error that says what to do, and nothing done.

use std::{ops::ControlFlow, time::Duration};

use payonce_core::{EventSource, EventStore, Head, StoreError};
use payonce_store_postgres::{
    Config, PostgresError, PostgresStore, SCHEMA_VERSION,
    cluster::{Cluster, is_available},
};

use crate::support::{LEDGER, entry, fresh_name, large_entry, shared};

fn refused<T: std::fmt::Debug>(outcome: Result<T, PostgresError>, says: &[&str]) -> PostgresError {
    let error = outcome.expect_err("it is refused");
    let text = error.to_string();
    for said in says {
        assert!(text.contains(said), "{text:?} does not say {said:?}");
    }
    error
}

#[test]
fn a_connection_string_with_a_typo_is_refused() {
    let parse = |text: &str| text.parse::<Config>();
    refused(parse("hots=localhost user=me"), &["hots"]);
    refused(parse("host=localhost port=many user=me"), &["port"]);
    refused(parse("user=me"), &["host"]);
    refused(parse("host=localhost"), &["user"]);
    refused(parse("postgres://me@db.example.org/pay"), &["sslmode=require"]);
    parse("postgres://me@db.example.org/pay?sslmode=require").expect("encrypted");
    parse("postgres://me@db.example.org/pay?sslmode=disable").expect("said aloud");
}

#[test]
fn no_server_no_user_no_database() {
    let nobody: Config = "host=127.0.0.1 port=1 user=me".parse().expect("an address");
    let error = refused(PostgresStore::open(nobody, "mine"), &["127.0.0.1:1", "is it running"]);
    assert!(matches!(error, PostgresError::Unreachable { .. }));
    let Some(cluster) = shared("bad input") else { return };
    let (port, none) = (cluster.port(), "mine");
    let config = |rest: &str| -> Config {
        format!("host=127.0.0.1 port={port} {rest}").parse().expect("an address")
    };
    let error = refused(PostgresStore::open(config("user=nobody_here"), none), &["nobody_here"]);
    assert!(matches!(error, PostgresError::NotLetIn { .. }), "{error}");
    let error =
        refused(PostgresStore::open(config("user=postgres dbname=pey"), none), &["\"pey\""]);
    assert!(matches!(error, PostgresError::NoDatabase { .. }));
    cluster.sql("create database empty");
    let error =
        refused(PostgresStore::open(config("user=postgres dbname=empty"), none), &["create"]);
    assert!(matches!(error, PostgresError::NoSchema { .. }));
    cluster.sql("create role limited login");
    let error = refused(
        PostgresStore::create(config("user=limited dbname=empty"), none, LEDGER),
        &["limited", "grant"],
    );
    assert!(matches!(error, PostgresError::NoRight { .. }), "{error}");
    // Asked for encryption, the server has none to offer.
    let secret = config("user=postgres dbname=postgres sslmode=require");
    let error = refused(PostgresStore::open(secret, none), &["TLS"]);
    assert!(matches!(error, PostgresError::Tls { .. }), "{error}");
}

#[test]
fn a_wrong_password_is_told_as_such() {
    if !is_available("passwords") {
        return;
    }
    let cluster = Cluster::start();
    cluster.sql("set password_encryption = 'scram-sha-256'; alter role postgres password 'right'");
    cluster.require_passwords();
    let config = |password: &str| -> Config {
        format!("{} password={password}", cluster.address()).parse().expect("an address")
    };
    let name = fresh_name();
    let error = refused(PostgresStore::open(config("wrong"), &name), &["password", "postgres"]);
    assert!(matches!(error, PostgresError::NotLetIn { .. }), "{error}");
    assert!(!error.to_string().contains("wrong"), "no password in an error");
    let none = PostgresStore::open(cluster.config(), &name);
    assert!(matches!(none, Err(PostgresError::NotLetIn { .. })), "{none:?}");
    drop(PostgresStore::create(config("right"), &name, LEDGER).expect("let in"));
}

#[test]
fn an_encrypted_connection_is_to_a_server_whose_certificate_is_trusted() {
    if !is_available("TLS") {
        return;
    }
    let certificate = || {
        let names = vec!["127.0.0.1".to_owned()];
        rcgen::generate_simple_self_signed(names).expect("a certificate")
    };
    let (own, other) = (certificate(), certificate());
    let mut cluster = Cluster::start();
    let trusted = cluster.encrypt(&own.cert.pem(), &own.signing_key.serialize_pem());
    cluster.kill();
    cluster.start_again();
    let config = || -> Config {
        format!("{} sslmode=require", cluster.address()).parse().expect("an address")
    };
    let name = fresh_name();
    let mut store = PostgresStore::create(config().root_certificates(&trusted), &name, LEDGER)
        .expect("the certificate is trusted");
    let head = store.fence().expect("the fence").head;
    store.append(&[entry(head, 1)]).expect("appended");
    let encrypted = "select count(*) > 0 from pg_stat_ssl join pg_stat_activity using (pid) \
                     where ssl and application_name = 'payonce'";
    assert_eq!(cluster.sql(encrypted), "t");
    // Somebody else's certificate, the system's, none at all.
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let wrong = directory.path().join("wrong.pem");
    std::fs::write(&wrong, other.cert.pem()).expect("writable");
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").expect("writable");
    for distrusting in [
        config().root_certificates(wrong),
        config(),
        config().root_certificates(empty),
        config().root_certificates(directory.path().join("absent.pem")),
    ] {
        let error = refused(PostgresStore::open(distrusting, &name), &["TLS"]);
        assert!(matches!(error, PostgresError::Tls { .. }), "{error}");
    }
}

#[test]
fn names_are_checked() {
    let Some(config) = shared("names").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    drop(PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger"));
    refused(PostgresStore::create(config.clone(), &name, LEDGER), &[&name, "already"]);
    let error =
        refused(PostgresStore::open(config.clone(), "my-ledger"), &["my-ledger", "ledger-"]);
    assert!(matches!(error, PostgresError::NoLedger { .. }));
    for bad in ["", "a\nb", &"x".repeat(101)] {
        let error = refused(PostgresStore::create(config.clone(), bad, LEDGER), &["cannot be"]);
        assert!(matches!(error, PostgresError::Name { .. }));
    }
    // Quotes are part of a name and of no statement.
    let odd = "a'; drop table payonce.entries; -- \u{e4}";
    drop(PostgresStore::create(config.clone(), odd, LEDGER).expect("a new ledger"));
    assert_eq!(PostgresStore::open(config.clone(), odd).expect("it is there").name(), odd);
    assert!(PostgresStore::list(&config).expect("readable").contains(&odd.to_owned()));
}

#[test]
fn a_schema_from_the_future_is_refused_and_an_old_one_is_migrated_by_many_at_once() {
    if !is_available("schemas") {
        return;
    }
    let cluster = Cluster::start();
    // The first version, as a program of then left it.
    cluster.sql(include_str!("../../sql/1-log.sql"));
    let error = refused(PostgresStore::open(cluster.config(), "mine"), &["migrate"]);
    assert!(matches!(error, PostgresError::OlderSchema { found: 1, .. }));
    let starts: Vec<_> = (0..8)
        .map(|nth| {
            let config = cluster.config();
            let name = format!("ledger-{nth}");
            std::thread::spawn(move || PostgresStore::create(config, &name, LEDGER).map(drop))
        })
        .collect();
    for start in starts {
        start.join().expect("no panic").expect("all of them start");
    }
    assert_eq!(PostgresStore::list(&cluster.config()).expect("readable").len(), 8);
    assert_eq!(
        cluster.sql("select version from payonce.schema_version"),
        SCHEMA_VERSION.to_string()
    );
    cluster.sql("update payonce.schema_version set version = 99");
    for outcome in [
        PostgresStore::open(cluster.config(), "ledger-1").map(drop),
        PostgresStore::create(cluster.config(), "other", LEDGER).map(drop),
        PostgresStore::migrate(&cluster.config()),
    ] {
        let error = refused(outcome, &["99", "newer program"]);
        assert!(matches!(StoreError::from(error), StoreError::NewerVersion { found: 99, .. }));
    }
}

#[test]
fn a_standby_takes_no_writes_and_says_so() {
    if !is_available("a standby") {
        return;
    }
    let primary = Cluster::start();
    drop(PostgresStore::create(primary.config(), "mine", LEDGER).expect("a new ledger"));
    let standby = primary.standby("reader");
    standby.wait_for("select count(*) from payonce.ledgers", "1");
    let error =
        refused(PostgresStore::create(standby.config(), "new", LEDGER), &["standby", "primary"]);
    assert!(matches!(error, PostgresError::Standby { .. }));
    // Reading is what it is for.
    let mut reader = PostgresStore::open(standby.config(), "mine").expect("readable");
    assert_eq!(reader.head().expect("readable"), Head::genesis(LEDGER));
    let error = reader.fence().expect_err("it takes no writes");
    assert!(error.to_string().contains("standby"), "{error}");
}

/// A ledger of three entries on the shared server.
fn three_entries() -> Option<(Config, String, Vec<Head>)> {
    let config = shared("a table edited by hand")?.config();
    let name = fresh_name();
    let mut store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let mut heads = vec![store.fence().expect("the fence").head];
    for tag in 1..=3 {
        let entry = entry(heads[heads.len() - 1], tag);
        store.append(std::slice::from_ref(&entry)).expect("appended");
        heads.push(entry.after());
    }
    Some((config, name, heads))
}

#[test]
fn a_table_edited_by_hand_is_an_error_that_names_the_place() {
    let edits = [
        ("delete from payonce.entries where seq = 2 and", 3),
        ("delete from payonce.entries where seq = 3 and", 2),
        ("delete from payonce.entries where seq = 1 and", 2),
        ("update payonce.entries set log_hash = sha256('') where seq = 2 and", 2),
        ("update payonce.entries set bytes = bytes || '\\x00' where seq = 2 and", 2),
        ("update payonce.entries set seq = 4 where seq = 3 and", 2),
    ];
    for (edit, place) in edits {
        let Some((config, name, _)) = three_entries() else { return };
        let number = format!("ledger = (select number from payonce.ledgers where name = '{name}')");
        shared("an edit").expect("it runs").sql(&format!("{edit} {number}"));
        let store = PostgresStore::open(config, &name).expect("open");
        match store.replay(1, &mut |_| ControlFlow::Continue(())) {
            Err(StoreError::Corrupt { place: named, what }) => {
                assert!(named.contains(&format!("seq {place}")), "{edit}: {named}: {what}");
                assert!(named.contains(&name), "{edit}: {named}");
            }
            other => panic!("{edit}: {other:?}"),
        }
    }
}

#[test]
fn a_head_edited_by_hand_ends_the_writer() {
    let Some((config, name, heads)) = three_entries() else { return };
    let mut store = PostgresStore::open(config, &name).expect("open");
    let _ = store.fence().expect("the fence");
    let cluster = shared("an edit").expect("it runs");
    cluster.sql(&format!("update payonce.ledgers set head_seq = 2 where name = '{name}'"));
    drop(cluster);
    match store.append(&[entry(heads[3], 9)]) {
        Err(StoreError::NotNext { expected, actual }) => {
            assert_eq!((expected, actual.seq), (heads[3], 2));
        }
        other => panic!("{other:?}"),
    }
}

/// Taken over between two statements of one batch: what was written is not told as refused.
#[test]
fn a_batch_of_which_some_was_written_is_not_told_as_refused() {
    let Some(config) = shared("a large batch").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    let mut store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let mut head = store.fence().expect("the fence").head;
    let cluster = shared("a takeover").expect("it runs");
    let number = cluster.sql(&format!("select number from payonce.ledgers where name = '{name}'"));
    cluster.sql(&format!(
        "create function public.take_over() returns trigger language plpgsql as $$ begin \
           update payonce.ledgers set fence = fence + 1, holder = 'thief' where number = {number}; \
           return null; end $$; \
         create trigger take_over after insert on payonce.entries for each row \
           when (NEW.ledger = {number}) execute function public.take_over()"
    ));
    drop(cluster);
    let mut batch = Vec::new();
    while batch.len() < 6 {
        let entry = large_entry(head, 1 + batch.len() as u64);
        head = entry.after();
        batch.push(entry);
    }
    let error = store.append(&batch).expect_err("taken over from");
    let is_unknown = matches!(&error, StoreError::Backend(_));
    assert!(is_unknown && error.to_string().contains("thief"), "{error}");
    assert!(matches!(store.head(), Err(StoreError::Poisoned { .. })));
    let store = PostgresStore::open(config, &name).expect("open");
    let held = crate::support::heads(&store).len() - 1;
    assert!(0 < held && held < 6, "{held} entries were written");
    shared("an end").expect("it runs").sql("drop trigger take_over on payonce.entries");
}

#[test]
fn a_writer_seen_lately_is_spared_if_asked_for() {
    let Some(config) = shared("sparing").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    let mut first =
        PostgresStore::create(config.clone().holder("first"), &name, LEDGER).expect("a new ledger");
    let head = first.fence().expect("the fence").head;
    let sparing =
        config.clone().holder("second").spare_writer_seen_within(Duration::from_secs(600));
    let mut second = PostgresStore::open(sparing.clone(), &name).expect("open");
    match second.fence() {
        Err(StoreError::Locked { holder }) => assert!(holder.contains("\"first\""), "{holder}"),
        other => panic!("{other:?}"),
    }
    // A clock that was set back between the two: seen in the future is seen now.
    let cluster = shared("a clock").expect("it runs");
    cluster.sql(&format!(
        "update payonce.ledgers set seen_at = seen_at + interval '1 year' \
                          where name = '{name}'"
    ));
    drop(cluster);
    let mut third = PostgresStore::open(sparing.clone(), &name).expect("open");
    assert!(matches!(third.fence(), Err(StoreError::Locked { .. })));
    first.append(&[entry(head, 1)]).expect("it was spared");
    first.close().expect("it says that it is over");
    let mut fourth = PostgresStore::open(sparing, &name).expect("open");
    let _ = fourth.fence().expect("nobody is alive");
    let mut forced = PostgresStore::open(config, &name).expect("open");
    let _ = forced.fence().expect("not asked to spare anybody");
}

#[test]
fn a_task_may_call_it() {
    let Some(config) = shared("a task").map(|cluster| cluster.config()) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let name = fresh_name();
    runtime.expect("a runtime").block_on(async move {
        let mut store = PostgresStore::create(config, &name, LEDGER).expect("a new ledger");
        let head = store.fence().expect("the fence").head;
        store.append(&[entry(head, 1)]).expect("appended");
        store.confirm_owner().expect("the writer");
        assert_eq!(crate::support::heads(&store).len(), 2);
    });
}
