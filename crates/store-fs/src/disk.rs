//! What the store needs of a disk: one directory of files.

use std::{ffi::OsString, io, ops::Range};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; it must not exist yet. Only its owner may read it: the log holds
    /// preimages.
    CreateNew,
}

/// One name in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name within the directory, which need not be UTF-8.
    pub name: OsString,
    /// Whether it is that of a regular file, and no directory, link, pipe or device.
    pub is_file: bool,
}

/// Identifies a file, whatever its name, and its last change: equal stamps mean the same file, with no
/// write in between. A copy has another stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The number of the file in its file system.
    pub inode: u64,
    /// When its contents or its attributes changed last, in nanoseconds; no program can set it.
    pub changed_nanos: u64,
}

/// One directory. Names are those of the files directly in it. Whatever changes names is durable
/// only after [`sync_names`](Self::sync_names). A clone is the same directory, for another thread;
/// it stays the same one when another is put in its place.
pub trait Disk: Clone + Send + Sync + 'static {
    /// A file that is open; it stays the same one when its name goes.
    type File: DiskFile + Send + Sync;

    /// The names in the directory, in any order.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self) -> io::Result<Vec<Listed>>;

    /// Opens a regular file; anything else under that name is an error, at once (a pipe is not waited
    /// for).
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, name: &str, access: Access) -> io::Result<Self::File>;

    /// Gives a file another name, atomically, in place of whatever had that name.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable: syncs the directory.
    ///
    /// # Errors
    /// What the operating system says; never try again.
    fn sync_names(&self) -> io::Result<()>;

    /// Takes the exclusive lock on the directory itself, kept until what is returned is closed;
    /// `None` if another handle has it. Deleting names does not undo it.
    ///
    /// # Errors
    /// What the operating system says.
    fn try_hold(&self) -> io::Result<Option<Self::File>>;

    /// Whether a process that opens this name now, by the path of the directory, gets this very
    /// file: not if the file or the directory was moved, removed or replaced.
    ///
    /// # Errors
    /// What the operating system says, except that a name does not exist.
    fn leads_to(&self, name: &str, file: &Self::File) -> io::Result<bool>;

    /// Random bytes for a new file's salt.
    ///
    /// # Errors
    /// What the operating system says.
    fn fresh_salt(&self) -> io::Result<u64>;

    /// The number of this process, shown to others that find the log locked.
    fn process(&self) -> u32;

    /// Where a file is, for messages.
    fn place(&self, name: &str) -> String;
}

/// A file that is open, to be read and written at offsets in bytes.
pub trait DiskFile {
    /// The length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads at most `into.len()` bytes from `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes a part of `bytes` at `offset`, growing the file if need be, and returns how many
    /// bytes it wrote.
    ///
    /// # Errors
    /// What the operating system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Gives an empty file this length, and takes the space for it.
    ///
    /// # Errors
    /// What the operating system says.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Makes the contents and the length durable.
    ///
    /// # Errors
    /// What the operating system says; never try again, since after a failed sync the system forgets
    /// what it did not write. What the file had grown by stays lost even when it is written again.
    fn sync(&self) -> io::Result<()>;

    /// What the file is and when it was last changed.
    ///
    /// # Errors
    /// What the operating system says.
    fn stamp(&self) -> io::Result<Stamp>;

    /// Takes the exclusive lock on the file, kept until it is closed; `false` if another handle has it.
    ///
    /// # Errors
    /// What the operating system says.
    fn try_lock(&self) -> io::Result<bool>;
}

/// How often in a row an interrupted call is repeated: signals are rare, and a device that only ever
/// reports interruptions is broken.
const INTERRUPTIONS: u32 = 1_000;

/// Repeats a call that a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..INTERRUPTIONS {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
    call()
}

/// Reads from `offset` until `into` is full or the file ends; returns how much.
pub(crate) fn read_full(file: &impl DiskFile, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match uninterrupted(|| file.read_at(&mut into[done..], offset + done as u64))? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_full(file: &impl DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match uninterrupted(|| file.write_at(&bytes[done..], offset + done as u64))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => done += written,
        }
    }
    Ok(())
}

/// Writes zeros over a range.
pub(crate) fn write_zeros(file: &impl DiskFile, range: Range<usize>) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = range.start;
    while at < range.end {
        let some = ZEROS.len().min(range.end - at);
        write_full(file, &ZEROS[..some], at as u64)?;
        at += some;
    }
    Ok(())
}
