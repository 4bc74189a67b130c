//! What the store needs of a disk: one directory of files.

use std::io;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; it must not exist yet. Only its owner may read it: the log holds
    /// preimages.
    CreateNew,
}

/// One directory. Names are those of the files directly in it. Whatever changes names is durable
/// only after [`sync_names`](Self::sync_names). A clone is the same directory, for another thread.
pub trait Disk: Clone + Send + 'static {
    /// An open file.
    type File: DiskFile + Send + Sync;

    /// The names of the files in the directory, in any order.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file.
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
    /// What the operating system says; never to be tried again.
    fn sync_names(&self) -> io::Result<()>;

    /// Random bytes for a new file's salt.
    ///
    /// # Errors
    /// What the operating system says.
    fn fresh_salt(&self) -> io::Result<u64>;

    /// Where a file is, for messages.
    fn place(&self, name: &str) -> String;
}

/// An open file.
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

    /// Makes the contents and the length durable.
    ///
    /// # Errors
    /// What the operating system says; never to be tried again, since a failed sync forgets what
    /// it did not write.
    fn sync(&self) -> io::Result<()>;

    /// Takes the exclusive lock on the file, kept until it is closed; `false` if another has it.
    ///
    /// # Errors
    /// What the operating system says.
    fn try_lock(&self) -> io::Result<bool>;
}

/// Reads from `offset` until `into` is full or the file ends; returns how much.
pub(crate) fn read_full(file: &impl DiskFile, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_full(file: &impl DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
