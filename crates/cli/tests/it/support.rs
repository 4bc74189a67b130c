//! Runs the program on streams of the test's own.

use std::{
    io::{self, Cursor, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use payonce::{
    EventStore, Ledger, Opening, Remember, UnixMillis,
    audit::{Entry, EventSource, StoredEntry},
    store_fs::{FsReader, FsStore, Options},
};
use payonce_cli::{io::Io, run};

/// When the tests look at the demo: a day after its end.
pub(crate) const NOW: UnixMillis = UnixMillis(1_788_739_200_000);

/// What a run of the program wrote, and its exit code.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: u8,
}

impl Ran {
    /// Everything, for a golden text.
    pub(crate) fn shown(&self, directory: &Path) -> String {
        let own = directory.to_str().expect("plain");
        let err = if self.err.is_empty() { String::new() } else { format!("! {}", self.err) };
        format!("{}{err}exit {}\n", self.out, self.code).replace(own, "DIR")
    }
}

/// How the program is run.
pub(crate) struct Program<'a> {
    pub(crate) columns: Option<u16>,
    pub(crate) colour: bool,
    pub(crate) input: &'a str,
}

impl Program<'_> {
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut out = Vec::new();
        let (code, err) = self.run_to(arguments, &mut out);
        Ran { out: String::from_utf8(out).expect("UTF-8"), err, code }
    }

    /// Writes standard output there.
    pub(crate) fn run_to(&self, arguments: &[&str], out: &mut dyn Write) -> (u8, String) {
        let mut err = Vec::new();
        let mut io = Io {
            out,
            err: &mut err,
            input: &mut Cursor::new(self.input.as_bytes().to_vec()),
            columns: self.columns,
            shows_progress: false,
            colour: self.colour,
            now: NOW,
        };
        let line = std::iter::once("payonce").chain(arguments.iter().copied());
        let code = run(line.map(Into::into), &mut io);
        (code, String::from_utf8(err).expect("UTF-8"))
    }
}

/// Runs it without a terminal.
pub(crate) fn payonce(arguments: &[&str]) -> Ran {
    Program { columns: None, colour: false, input: "" }.run(arguments)
}

/// Says aloud that something could not be tested here. Where everything must be, that is a failure;
/// but for what no installation changes.
pub(crate) fn skipped(why: &str) {
    let mut err = io::stderr();
    writeln!(err, "SKIPPED: {why}").expect("standard error");
}

/// A directory of the test's own, and the demo ledger in it.
pub(crate) struct Demo {
    _own: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Demo {
    pub(crate) fn of(payments: u32) -> Self {
        Self::with(payments, &[])
    }

    /// Of a ledger that forgets what is over.
    pub(crate) fn forgetting(payments: u32) -> Self {
        Self::with(payments, &["--forget"])
    }

    fn with(payments: u32, options: &[&str]) -> Self {
        let own = tempfile::tempdir().expect("a directory for temporary files");
        let path = own.path().join("log");
        let payments = payments.to_string();
        let text = path.to_str().expect("plain");
        let line = ["demo", text, "--payments", &payments, "--seed", "7"];
        let ran = payonce(&[&line[..], options].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        Self { _own: own, path }
    }

    pub(crate) fn dir(&self) -> &str {
        self.path.to_str().expect("plain")
    }

    /// A path beside the log.
    pub(crate) fn beside(&self, name: &str) -> String {
        self.path.with_file_name(name).to_str().expect("plain").to_owned()
    }
}

/// Appends every entry of a log to a new one, entry by entry.
pub(crate) fn copy_entries(source: &FsReader, store: &mut impl EventStore) {
    let mut head = store.fence().expect("new").head;
    let append = &mut |stored: StoredEntry<'_>| {
        let entry = Entry::from_stored(head, stored.bytes.to_vec()).expect("the next one");
        head = entry.after();
        store.append(&[entry]).expect("room");
        ControlFlow::Continue(())
    };
    source.replay(1, append).expect("sound");
}

/// The demo, its history dropped up to its oldest snapshot, as a node does.
pub(crate) fn with_dropped_history(payments: u32) -> Demo {
    let demo = Demo::of(payments);
    let (store, _) = FsStore::open(&demo.path, Options::default()).expect("sound");
    let (mut at_most, mut oldest) = (Some(u64::MAX), None);
    while let Some(snapshot) = at_most.and_then(|seq| store.load_snapshot(seq).expect("sound")) {
        at_most = snapshot.at.seq.checked_sub(1);
        oldest = Some(snapshot.at);
    }
    let opening = Opening::new(Remember::Forever, 7);
    let now = UnixMillis(1_788_739_000_000);
    let mut ledger = Ledger::open(store, &opening, now).expect("sound").finish(now).expect("sound");
    ledger.drop_history(oldest.expect("one was saved"), 7).expect("a snapshot is there");
    ledger.into_store().close().expect("in order");
    demo
}

/// An output that somebody closes after so many bytes.
pub(crate) struct Closing(pub(crate) usize);

impl Write for Closing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let written = bytes.len().min(self.0);
        self.0 -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
