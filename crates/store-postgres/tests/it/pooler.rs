//! PgBouncer between the store and the server: by session it works; by transaction nothing is ever
//! written that was not checked, and the error says why.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use payonce_core::{EventStore, StoreError};
use payonce_store_postgres::{
    Config, PostgresStore,
    cluster::free_port,
    tokio_postgres::{Client, Config as Connection, NoTls},
};

use crate::support::{LEDGER, entry, fresh_name, heads, shared};

/// A PgBouncer of the test's own, ended with it.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test is told to whoever runs it")]
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = places.map(|place| place.join("pgbouncer")).find(|program| program.is_file());
    if found.is_none() {
        let required = std::env::var("PAYONCE_REQUIRE").is_ok_and(|value| value == "all");
        assert!(!required, "pooling needs PgBouncer: install Debian's pgbouncer");
        eprintln!("SKIPPED: pooling needs PgBouncer: install Debian's pgbouncer");
    }
    found
}

impl Pooler {
    fn start(server: u16, mode: &str) -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().expect("a directory for temporary files");
        let port = free_port();
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = 20\n"
        );
        fs::write(&settings, text).expect("writable");
        // It refuses root as PostgreSQL does, and reads its settings as whom it becomes.
        let all = |mode| fs::Permissions::from_mode(mode);
        fs::set_permissions(folder.path(), all(0o755)).expect("our own");
        fs::set_permissions(&settings, all(0o644)).expect("our own");
        let mut process = Self::spawn(&program, &settings);
        let mut log = BufReader::new(process.stderr.take().expect("it is a pipe"));
        let (mut said, mut line) = (String::new(), String::new());
        while !line.contains("process up") {
            line.clear();
            assert_ne!(log.read_line(&mut line).expect("text"), 0, "it does not start:\n{said}");
            said += &line;
        }
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || {
            let _ = log.read_to_end(&mut Vec::new());
        });
        Some(Self { process, port, _folder: folder })
    }

    fn spawn(program: &Path, settings: &Path) -> Child {
        let mut command = Command::new(program);
        let own = fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
        if own.is_ok_and(|own| own == 0) {
            command.uid(65_534).gid(65_534);
        }
        command.arg(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("it is installed")
    }

    fn address(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port)
    }

    fn config(&self) -> Config {
        let config: Config = self.address().parse().expect("an address");
        config.notify(false)
    }
}

/// A client that holds a connection of the pool in a transaction: the one that was used last.
async fn hold(address: &str) -> Client {
    let connection: Connection = address.parse().expect("an address");
    let (client, connection) = connection.connect(NoTls).await.expect("it answers");
    tokio::spawn(connection);
    client.batch_execute("begin").await.expect("a transaction");
    client
}

#[tokio::test]
async fn pooled_by_transaction_nothing_is_written_that_was_not_checked() {
    let Some((port, direct)) = shared("pooling").map(|cluster| (cluster.port(), cluster.config()))
    else {
        return;
    };
    let Some(pooler) = Pooler::start(port, "transaction") else { return };
    let name = fresh_name();
    drop(PostgresStore::create(direct.clone(), &name, LEDGER).expect("a new ledger"));
    // While nobody else uses the pool, it goes well by chance.
    let mut store = PostgresStore::open(pooler.config(), &name).expect("open");
    let head = store.fence().expect("by chance").head;
    let first = entry(head, 1);
    store.append(std::slice::from_ref(&first)).expect("by chance");
    let holder = hold(&pooler.address()).await;
    let second = entry(first.after(), 2);
    let refused = store.append(std::slice::from_ref(&second)).expect_err("another server process");
    assert!(refused.to_string().contains("pool by session"), "{refused}");
    assert!(matches!(store.append(&[second]), Err(StoreError::Poisoned { .. })));
    drop(holder);
    let direct = PostgresStore::open(direct, &name).expect("open");
    assert_eq!(heads(&direct), [head, first.after()], "and nothing else");
}

#[tokio::test]
async fn pooled_by_session_it_works() {
    let Some((port, direct)) = shared("pooling").map(|cluster| (cluster.port(), cluster.config()))
    else {
        return;
    };
    let Some(pooler) = Pooler::start(port, "session") else { return };
    let name = fresh_name();
    let mut store = PostgresStore::create(pooler.config(), &name, LEDGER).expect("a new ledger");
    let head = store.fence().expect("the fence").head;
    let first = entry(head, 1);
    store.append(std::slice::from_ref(&first)).expect("appended");
    let _holder = hold(&pooler.address()).await;
    let second = entry(first.after(), 2);
    store.append(std::slice::from_ref(&second)).expect("its session is its own");
    let mut other = PostgresStore::open(direct, &name).expect("open");
    assert_eq!(heads(&other), [head, first.after(), second.after()]);
    other.fence().expect("taken over");
    let third = entry(second.after(), 3);
    let fenced = store.append(&[third]);
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
}
