//! Throw-away PostgreSQL clusters for tests: real servers in a folder for temporary files, on a
//! loopback port, as a user without privileges.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::config::Config;

/// How long a server may take to start, to stop, or to catch up.
const PATIENCE: Duration = Duration::from_secs(180);

/// The database that every cluster has from the beginning, and its superuser.
const DATABASE: &str = "postgres";

/// What a test's server says in `postgresql.conf`: small, and as durable as in production. A
/// standby answers what it was asked before it replays what would take the rows away.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 90
shared_buffers = 32MB
wal_level = replica
max_wal_senders = 8
wal_keep_size = 64MB
hot_standby = on
max_standby_streaming_delay = -1
dynamic_shared_memory_type = mmap
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 100ms
log_min_messages = warning
";

/// Tells whether there is a PostgreSQL to test with. If not, says aloud that `test` is skipped.
///
/// # Panics
/// If there is none and the environment says `PAYONCE_REQUIRE=all`.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test is told to whoever runs it")]
pub fn is_available(test: &str) -> bool {
    if binaries().is_some() {
        return true;
    }
    let required = std::env::var("PAYONCE_REQUIRE").is_ok_and(|value| value == "all");
    assert!(!required, "{test} needs a PostgreSQL server: install Debian's postgresql");
    eprintln!("SKIPPED: {test} needs a PostgreSQL server: install Debian's postgresql");
    false
}

/// The directory with `initdb` and `postgres`: that of the newest version installed.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> =
        versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).collect();
    versions.sort_unstable();
    let debian = versions.last().map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = debian.into_iter().chain(std::env::split_paths(&path));
    places.into_iter().find(|place: &PathBuf| place.join("initdb").is_file())
}

/// Where clusters are kept: in memory if there is plenty, since a kill of the server loses nothing there
/// either, and a sync costs nothing.
fn place() -> PathBuf {
    const PLENTY: u64 = 2 << 30;
    let memory = PathBuf::from("/dev/shm");
    let free = rustix::fs::statvfs(&memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    if free >= PLENTY { memory } else { std::env::temp_dir() }
}

/// A user and a group that PostgreSQL runs as, where this process is root's, whom it refuses.
fn unprivileged(folder: &Path) -> Option<(u32, u32)> {
    let own = fs::metadata(folder).expect("it was just made").uid();
    if own != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    user("postgres").or_else(|| user("nobody")).or(Some((65_534, 65_534)))
}

/// A cluster with one server, which is killed and removed when this is dropped or its process ends.
#[derive(Debug)]
pub struct Cluster {
    folder: tempfile::TempDir,
    user: Option<(u32, u32)>,
    port: u16,
    server: Option<Server>,
}

/// A running server. It is killed once the pipe to its guard is closed, by the end of this process if
/// by nothing else.
#[derive(Debug)]
struct Server {
    process: u32,
    guard: Child,
    pipe: Option<ChildStdin>,
}

/// A loopback port for a server that is started, killed and started again. None of those that the system
/// gives to outgoing connections, which are taken at any moment.
///
/// # Panics
/// If none is free.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 20_000;
    // Other processes of the tests begin elsewhere.
    let begin = std::process::id().wrapping_mul(7_919);
    let free = (0..PORTS).find_map(|_| {
        let nth = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = u16::try_from(FIRST + nth).expect("below 65,536");
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    free.expect("a free port")
}

/// Whether a process is gone, or waits only for its parent to ask what became of it: the guard does not ask
/// before it is told to.
fn has_ended(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

impl Cluster {
    /// Makes a cluster and starts its server.
    ///
    /// # Panics
    /// If that fails: a test cannot go on.
    #[must_use]
    pub fn start() -> Self {
        Self::start_in(&place())
    }

    /// As [`start`](Self::start), in a folder under this one.
    ///
    /// # Panics
    /// If that fails: a test cannot go on.
    #[must_use]
    pub fn start_in(place: &Path) -> Self {
        Self::start_with(place, "")
    }

    /// As [`start_in`](Self::start_in), with more in `postgresql.conf`.
    ///
    /// # Panics
    /// If that fails: a test cannot go on.
    #[must_use]
    pub fn start_with(place: &Path, settings: &str) -> Self {
        let mut cluster = Self::empty(place);
        cluster.program("initdb", |command| {
            command.args(["--no-sync", "-U", DATABASE, "-E", "UTF8", "--locale=C", "-A", "trust"])
        });
        cluster.configure(SETTINGS);
        cluster.configure(settings);
        cluster.start_again();
        cluster
    }

    fn empty(place: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).expect("a directory for temporary files");
        let user = unprivileged(folder.path());
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).expect("as root");
        }
        Self { folder, user, port: free_port(), server: None }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL's, as the user without privileges.
    fn command(&self, name: impl AsRef<Path>) -> Command {
        let mut command = Command::new(binaries().expect("it is installed").join(name));
        command.current_dir("/").stdin(Stdio::null()).env("PGDATA", self.data());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn program(&self, name: &str, with: impl FnOnce(&mut Command) -> &mut Command) -> String {
        let mut command = self.command(name);
        let output = with(&mut command).output().expect("it is installed");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Adds to `postgresql.conf`, which counts from the next start or [`reload`](Self::reload) on.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn configure(&self, settings: &str) {
        let file = self.data().join("postgresql.conf");
        let text = fs::read_to_string(&file).expect("it was made") + "\n" + settings + "\n";
        fs::write(&file, text).expect("writable");
    }

    /// Lets nobody in without a password from now on.
    ///
    /// # Panics
    /// If that cannot be set.
    pub fn require_passwords(&self) {
        let rule = "host all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rule).expect("writable");
        self.reload();
    }

    /// Makes the server speak TLS, from its next start on, with this certificate and key, in PEM. Gives
    /// the file that holds the certificate.
    ///
    /// # Panics
    /// If they cannot be written.
    #[must_use]
    pub fn encrypt(&self, certificate: &str, key: &str) -> PathBuf {
        let write = |name: &str, text: &str| {
            let file = self.data().join(name);
            fs::write(&file, text).expect("writable");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our own");
            if let Some((user, group)) = self.user {
                std::os::unix::fs::chown(&file, Some(user), Some(group)).expect("as root");
            }
            file
        };
        write("server.key", key);
        self.configure("ssl = on");
        write("server.crt", certificate)
    }

    /// Makes a running server read `postgresql.conf` again.
    ///
    /// # Panics
    /// If it does not run.
    pub fn reload(&self) {
        self.sql("select pg_reload_conf()");
    }

    /// Starts the server that was killed, or stopped.
    ///
    /// # Panics
    /// If it does not start within three minutes.
    pub fn start_again(&mut self) {
        let begun = Instant::now();
        while !self.try_start() {
            // What is left of a killed server holds its memory for a moment.
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "the server does not start:\n{log}");
        }
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new("sh");
        // Tells the server's process, waits for the end of its own input, and kills it then.
        let guard = r#""$0" -p "$1" >>"$2/log" 2>&1 </dev/null & echo $!
            if read -r _; then kill -9 $!; wait; else kill -9 $!; wait; rm -rf "$2"; fi"#;
        let postgres = binaries().expect("it is installed").join("postgres");
        command.arg("-c").arg(guard).arg(postgres).arg(self.port.to_string());
        command.arg(self.folder.path()).env("PGDATA", self.data()).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let mut guard = command.spawn().expect("there is a shell");
        let mut line = String::new();
        let output = guard.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("the process of the server");
        let (process, pipe) = (line.trim().parse().expect("a number"), guard.stdin.take());
        self.server = Some(Server { process, guard, pipe });
        self.wait_until_it_answers()
    }

    /// Whether it came up; if it ended instead it is forgotten.
    fn wait_until_it_answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let mut ready = self.command("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().is_ok_and(|status| status.success()) {
                return true;
            }
            let process = self.server.as_ref().map_or(0, |server| server.process);
            if has_ended(process) {
                break;
            }
            thread::yield_now();
        }
        self.kill();
        false
    }

    /// Kills the server with SIGKILL, as a power cut would; what it acknowledged stays on its disk.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        if let Some(mut pipe) = server.pipe.take() {
            // A guard that has ended needs no word.
            let _ = pipe.write_all(b"stop\n");
        }
        // Reaped by the guard, which ends with it.
        let _ = server.guard.wait();
    }

    /// The address of a database of this cluster, for its superuser.
    #[must_use]
    pub fn address(&self) -> String {
        format!("host=127.0.0.1 port={} user={DATABASE} dbname={DATABASE}", self.port)
    }

    /// The port on which the server listens, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A configuration for a store there.
    ///
    /// # Panics
    /// Never: the address is sound.
    #[must_use]
    pub fn config(&self) -> Config {
        self.address().parse().expect("an address of our own")
    }

    /// Runs statements as the superuser and gives what they print, one row a line.
    ///
    /// # Panics
    /// If a statement fails: a test cannot go on.
    #[expect(clippy::must_use_candidate, reason = "most statements are run for what they do")]
    pub fn sql(&self, text: &str) -> String {
        let port = self.port.to_string();
        let printed = self.program("psql", |command| {
            let idle = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", DATABASE];
            command.args(idle).args(["-h", "127.0.0.1", "-p", &port, "-d", DATABASE, "-c", text])
        });
        printed.trim().into()
    }

    /// Runs a script of many statements as the superuser, a dump for instance.
    ///
    /// # Panics
    /// If a statement fails: a test cannot go on.
    pub fn run(&self, script: &str) {
        let file = self.folder.path().join("script.sql");
        fs::write(&file, script).expect("writable");
        let address = self.address();
        self.program("psql", |command| {
            let idle = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &address, "-f"];
            command.args(idle).arg(&file)
        });
    }

    /// How often a second so many clients of `pgbench` run a statement, each as a transaction of its own.
    ///
    /// # Panics
    /// If it is not installed, or prints something else.
    #[must_use]
    pub fn inserts_a_second(&self, statement: &str, clients: u64, seconds: u64) -> f64 {
        let script = self.folder.path().join("statement.sql");
        fs::write(&script, statement).expect("writable");
        let (port, seconds) = (self.port.to_string(), seconds.to_string());
        let clients = clients.to_string();
        let printed = self.program("pgbench", |command| {
            let server = ["-h", "127.0.0.1", "-U", DATABASE, "-p", &port, "-n", "-M", "prepared"];
            command.args(server).args(["-c", &clients, "-T", &seconds, "-f"]).arg(&script);
            command.arg(DATABASE)
        });
        let rate = printed.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split(' ').next()?.parse().ok());
        rate.expect("pgbench tells its rate")
    }

    /// Waits until a statement prints this.
    ///
    /// # Panics
    /// If it does not within three minutes.
    pub fn wait_for(&self, text: &str, expected: &str) {
        let begun = Instant::now();
        loop {
            let found = self.sql(text);
            if found == expected {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{text}: {found:?}, not {expected:?}");
        }
    }

    /// Makes a standby of this cluster, called so, that streams from it, and starts it.
    ///
    /// # Panics
    /// If that fails: a test cannot go on.
    #[must_use]
    pub fn standby(&self, name: &str) -> Self {
        let mut standby = Self::empty(&place());
        let source = format!("{} application_name={name}", self.address());
        let data = standby.data();
        standby.program("pg_basebackup", |command| {
            command.args(["--no-sync", "-c", "fast", "-R", "-d", &source, "-D"]).arg(data)
        });
        standby.start_again();
        standby
    }

    /// Keeps WAL in an archive from the next start on, as a point-in-time restore needs it.
    ///
    /// # Panics
    /// If that cannot be set.
    pub fn archive(&self) {
        let archive = self.folder.path().join("archive");
        fs::create_dir(&archive).expect("our own");
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(&archive, Some(user), Some(group)).expect("as root");
        }
        let archive = archive.display();
        self.configure(&format!("archive_mode = on\narchive_command = 'cp %p {archive}/%f'"));
    }

    /// A base backup of this cluster, not started.
    ///
    /// # Panics
    /// If that fails: a test cannot go on.
    #[must_use]
    pub fn backup(&self) -> Self {
        let (backup, source) = (Self::empty(&place()), self.address());
        let data = backup.data();
        backup.program("pg_basebackup", |command| {
            command.args(["--no-sync", "-c", "fast", "-d", &source, "-D"]).arg(data)
        });
        backup
    }

    /// Starts this backup as it was at a position of `source`'s log, from `source`'s archive, and makes it
    /// a primary of its own.
    ///
    /// # Panics
    /// If it does not come so far within three minutes.
    pub fn recover(&mut self, source: &Self, position: &str) {
        let archive = source.folder.path().join("archive");
        self.configure(&format!(
            "archive_mode = off\nrestore_command = 'cp {}/%f %p'\n\
             recovery_target_lsn = '{position}'\nrecovery_target_action = 'promote'",
            archive.display()
        ));
        fs::write(self.data().join("recovery.signal"), "").expect("writable");
        self.start_again();
        self.wait_for("select pg_is_in_recovery()", "f");
    }

    /// A dump of a schema, as `pg_dump` prints it.
    ///
    /// # Panics
    /// If that fails: a test cannot go on.
    #[must_use]
    pub fn dump(&self, schema: &str) -> String {
        let (schema, address) = (format!("--schema={schema}"), self.address());
        self.program("pg_dump", |command| command.args([&schema, "-d", &address]))
    }

    /// Waits until a standby of this name streams, and so many of its commits wait for it.
    ///
    /// # Panics
    /// If it does not within three minutes.
    pub fn wait_until_synchronous(&self, name: &str) {
        let text = format!(
            "select count(*) from pg_stat_replication where application_name = '{name}' \
             and sync_state in ('sync', 'quorum') and state = 'streaming'"
        );
        self.wait_for(&text, "1");
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    /// If it is none.
    pub fn promote(&self) {
        // A statement that waits for the end of the replay could be what the replay waits for.
        assert_eq!(self.sql("select pg_promote(false)"), "t", "it was a standby");
        self.wait_for("select pg_is_in_recovery()", "f");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}
