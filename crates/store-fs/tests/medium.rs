//! A real ext4 on a disk that refuses one large write while the newest segment grows: the log is
//! opened again as documented, payments are acknowledged, the machine forgets what it has read, and
//! all of them are there.
//!
//! The disk is a program of ours (`medium/disk.c`, FUSE) under a loop device; that needs root, a C
//! compiler, libfuse 3 and mkfs.ext4. Where one of them is missing that is said aloud; with
//! `PAYONCE_REQUIRE=all` it is a failure.
//!
//! Built with `--cfg payonce_faults`, the same is done once more with the mend switched off, and the
//! payments must be lost: or the test would not notice.

#![allow(clippy::print_stderr, reason = "says aloud that it cannot run")]

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use payonce_core::{EventSource, EventStore, Head};
use payonce_store_fs::{FsReader, FsStore, Options};

#[path = "it/support.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod support;

const OPTIONS: Options = {
    let mut options = Options::DEFAULT;
    options.reserve_bytes = 0;
    options
};

/// How many payments are acknowledged after the refusal.
const PAYMENTS: u64 = 200;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [role, log, refuse] if role == "grow" => grow(Path::new(log), Path::new(refuse)),
        [role, log] if role == "go-on" => go_on(Path::new(log)),
        [role, log] if role == "count" => count(Path::new(log)),
        // The arguments of `cargo test`: a filter is for tests by name, and this is one test.
        [filter, ..] if !filter.starts_with('-') && !"medium".contains(filter.as_str()) => {}
        _ => run(),
    }
}

fn run() {
    if let Some(missing) = missing() {
        let required = env::var("PAYONCE_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "PAYONCE_REQUIRE=all, but there is no {missing}");
        eprintln!("SKIPPED: the medium test needs {missing}");
        return;
    }
    let (acknowledged, found) = payments_after_a_refusal(None);
    assert_eq!(found, acknowledged, "with the mend");
    if cfg!(payonce_faults) {
        let (acknowledged, found) = payments_after_a_refusal(Some("1"));
        assert!(found < acknowledged, "the mend is off and nothing is lost: {found}");
    }
}

/// What this machine lacks.
fn missing() -> Option<&'static str> {
    let has = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let command = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let own = Command::new("id").arg("-u").output();
    if !own.is_ok_and(|own| own.stdout == b"0\n") {
        Some("root")
    } else if !Path::new("/dev/fuse").exists() {
        Some("/dev/fuse")
    } else if !Path::new("/dev/loop-control").exists() {
        Some("loop device")
    } else if !has("cc", &["--version"]) {
        Some("C compiler")
    } else if !has("pkg-config", &["--exists", "fuse3"]) {
        Some("libfuse 3 to compile with")
    } else if !has("mkfs.ext4", &["-V"]) {
        Some("mkfs.ext4")
    } else {
        None
    }
}

/// Runs the story; how far payments were acknowledged, and how far they were found.
fn payments_after_a_refusal(fault: Option<&str>) -> (u64, u64) {
    let bed = Bed::new();
    let (log, refuse) = (bed.mounted().join("log"), bed.path("fuse/refuse"));
    let grown = child(fault, &["grow", &text(&log), &text(&refuse)]).expect("it ends well");
    assert!(grown.contains("refused"), "{grown}");
    let told = fs::read_to_string(&refuse).expect("it tells");
    assert_eq!(told.trim(), "1", "one large write was refused");
    // Another process, or the same one: opens the log as documented, and goes on.
    let acknowledged = child(fault, &["go-on", &text(&log)]).expect("it opens again");
    let acknowledged: u64 = last_number(&acknowledged);

    // The machine forgets what it has read.
    run_command("sync", &[]);
    fs::write("/proc/sys/vm/drop_caches", "3").expect("root may");
    bed.remount();
    let found = child(fault, &["count", &text(&log)]).map_or(0, |found| last_number(&found));
    (acknowledged, found)
}

/// A child: appends until the segment has to grow, has the disk refuse that, and dies of it.
fn grow(log: &Path, refuse: &Path) {
    let (mut store, _) = FsStore::create(log, support::ledger(), OPTIONS).expect("new");
    let mut head = store.head().expect("sound");
    // A mebibyte is reserved; most of it is used.
    while head.seq < 25_000 {
        let batch = support::batch(head, &[200; 20]);
        store.append(&batch).expect("it is reserved");
        head = batch[19].after();
    }
    let size = segment_bytes(log);
    fs::write(refuse, "1").expect("the disk listens");
    let refused = loop {
        let batch = support::batch(head, &[200; 20]);
        match store.append(&batch) {
            Ok(()) => head = batch[19].after(),
            Err(error) => break error,
        }
        assert_eq!(segment_bytes(log), size, "it grew, and nothing was refused");
    };
    println_now(&format!("refused: {refused}"));
    std::process::exit(0);
}

fn segment_bytes(log: &Path) -> u64 {
    fs::metadata(log.join("00000000000000000001.log")).expect("it is there").len()
}

/// A child: opens the log and appends payments; tells how far, and dies.
fn go_on(log: &Path) {
    let (mut store, report) = FsStore::open(log, OPTIONS).expect("it opens again");
    assert!(!report.was_closed, "its writer died");
    let mut head: Head = store.head().expect("sound");
    for _ in 0..PAYMENTS {
        let batch = support::batch(head, &[100]);
        store.append(&batch).expect("the disk works again");
        head = batch[0].after();
    }
    println_now(&head.seq.to_string());
    std::process::exit(0);
}

/// A child: reads how far the log goes, both ways.
fn count(log: &Path) {
    let reader = FsReader::open(log).expect("sound");
    reader.verify().expect("sound");
    let (store, _) = FsStore::open(log, OPTIONS).expect("sound");
    let head = store.head().expect("sound");
    assert_eq!(reader.head().expect("sound"), head);
    println_now(&head.seq.to_string());
}

fn println_now(text: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).expect("the parent listens");
}

/// Runs this program in another role; what it said, if it ended well.
fn child(fault: Option<&str>, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(arguments).env_remove("PAYONCE_FAULT");
    if let Some(fault) = fault {
        command.env("PAYONCE_FAULT", fault);
    }
    let output = command.output().expect("started");
    if !output.status.success() && fault.is_none() {
        eprintln!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn last_number(said: &str) -> u64 {
    let number = said.lines().last().and_then(|line| line.parse().ok());
    number.unwrap_or_else(|| panic!("no number: {said}"))
}

fn text(path: &Path) -> String {
    path.to_str().expect("of our own making").into()
}

fn run_command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

/// The disk, and an ext4 on it, mounted.
struct Bed {
    directory: tempfile::TempDir,
    disk: Child,
}

impl Bed {
    fn new() -> Self {
        let directory = support::directory();
        let path = |name: &str| directory.path().join(name);
        let program = path("disk");
        compile(&program);
        for name in ["fuse", "mounted"] {
            fs::create_dir(path(name)).expect("new");
        }
        let image = path("image");
        let file = fs::File::create(&image).expect("new");
        file.set_len(96 << 20).expect("sparse");
        // Nothing is left to be written in the background.
        let lazy = "lazy_itable_init=0,lazy_journal_init=0";
        run_command("mkfs.ext4", &["-q", "-F", "-b", "4096", "-E", lazy, &text(&image)]);
        let disk = Command::new(&program).arg(&image).arg(path("fuse")).spawn().expect("compiled");
        let bed = Self { directory, disk };
        let begun = Instant::now();
        while !bed.path("fuse/disk").exists() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the disk does not show up");
            std::thread::yield_now();
        }
        bed.mount();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn mounted(&self) -> PathBuf {
        self.path("mounted")
    }

    fn mount(&self) {
        let (disk, mounted) = (text(&self.path("fuse/disk")), text(&self.mounted()));
        run_command("mount", &["-t", "ext4", "-o", "loop", &disk, &mounted]);
    }

    fn remount(&self) {
        run_command("umount", &[&text(&self.mounted())]);
        self.mount();
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for name in ["mounted", "fuse"] {
            // Whatever is still in use is left to the system, which takes it away later.
            let _ = Command::new("umount").arg(self.path(name)).stderr(Stdio::null()).status();
        }
        let _ = self.disk.kill();
        let _ = self.disk.wait();
    }
}

fn compile(program: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/medium/disk.c");
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", "fuse3"]).output();
    let flags = String::from_utf8(flags.expect("it is there").stdout).expect("plain");
    let mut arguments = vec!["-O1", "-Wall", "-Wextra", source, "-o"];
    let program = text(program);
    arguments.push(&program);
    arguments.extend(flags.split_whitespace());
    run_command("cc", &arguments);
}
