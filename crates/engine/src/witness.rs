//! The witness of the ledger's head, for those who have no channel state to keep it with.
//!
//! A log that was put back from an older copy opens without a fault: it is a log, only not the newest.
//! Payments of the gap are due again then, and what the engine paid for them is unknown to it. The
//! head, kept elsewhere, shows it.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use payonce_core::{Head, LogHash};

/// Keeps the newest head apart from the log: a file on another volume, a row in the user's database.
/// What is restored together with the log shows nothing.
pub trait Witness: Send + Sync + 'static {
    /// The last head stored; `None` before the first.
    ///
    /// # Errors
    /// If it cannot be read: the ledger must not be opened then.
    fn load(&self) -> io::Result<Option<Head>>;

    /// Stores a head, durably when it returns. Called before each hand-over goes out; heads only grow, and a
    /// call begins when the one before it has ended. It runs on a thread where it may block. One that takes
    /// longer than [`Options::call_timeout`](crate::Options::call_timeout) counts as failed: nothing goes out,
    /// and everything else goes on.
    ///
    /// # Errors
    /// If it is not durable: nothing goes out then.
    fn store(&self, head: Head) -> io::Result<()>;
}

/// A head in a file: its seq and its log hash, one line of text. Keep it on another volume than the
/// log.
#[derive(Debug)]
pub struct FileWitness {
    path: PathBuf,
}

impl FileWitness {
    /// Makes the file of a new ledger, which has no head yet.
    ///
    /// # Errors
    /// If there is one already: it is another ledger's, or this one's.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = fs::File::create_new(&path).map_err(at(&path))?;
        file.sync_all()?;
        let witness = Self { path };
        witness.sync_directory()?;
        Ok(witness)
    }

    /// Opens the file of a ledger. Never makes one: a witness that begins anew has seen nothing.
    ///
    /// # Errors
    /// If there is none, or it holds something else.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let witness = Self { path: path.as_ref().to_path_buf() };
        witness.load()?;
        Ok(witness)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// An error that names the file.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A line `SEQ HEX`.
fn parse(text: &str) -> Option<Head> {
    let (seq, chain) = text.trim_end().split_once(' ')?;
    // A log hash has no reader of its own; a payment hash is read the same way.
    let chain: payonce_core::PaymentHash = chain.parse().ok()?;
    Some(Head { seq: seq.parse().ok()?, chain: LogHash::from_bytes(*chain.as_bytes()) })
}

impl Witness for FileWitness {
    fn load(&self) -> io::Result<Option<Head>> {
        let text = fs::read_to_string(&self.path).map_err(at(&self.path))?;
        if text.is_empty() {
            return Ok(None);
        }
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the witness holds no head");
        parse(&text).map(Some).ok_or_else(damaged)
    }

    fn store(&self, head: Head) -> io::Result<()> {
        let next = self.path.with_extension("next");
        let mut file = fs::File::create(&next)?;
        writeln!(file, "{} {}", head.seq, head.chain)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        self.sync_directory()
    }
}
