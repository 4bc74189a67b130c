//! Runs the program on streams of the test's own.

use std::{
    io::{self, Cursor, Write},
    path::{Path, PathBuf},
};

use payonce::UnixMillis;
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
        let own = tempfile::tempdir().expect("a directory for temporary files");
        let path = own.path().join("log");
        let payments = payments.to_string();
        let text = path.to_str().expect("plain");
        let ran = payonce(&["demo", text, "--payments", &payments, "--seed", "7"]);
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
