//! For operating systems that lack what the store needs: names that are durable once their directory is
//! synced, renaming and removing files that are open, a lock on a directory. Windows has none of these;
//! a log there could lose payments.

use std::{convert::Infallible, io, path::Path};

use crate::disk::{Access, Disk, DiskFile, Listed, Stamp};

/// A directory of the file system: none can be opened on this operating system.
#[derive(Debug, Clone)]
pub struct RealDisk(Infallible);

/// An open file; no value of it exists on this operating system.
#[derive(Debug)]
pub struct RealFile(Infallible);

impl RealDisk {
    /// Refuses.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`].
    pub fn open(_directory: impl AsRef<Path>) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this operating system cannot make the names of files durable; use Linux",
        ))
    }

    /// Refuses.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`].
    pub fn create(directory: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(directory)
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn list(&self) -> io::Result<Vec<Listed>> {
        match self.0 {}
    }

    fn open(&self, _: &str, _: Access) -> io::Result<RealFile> {
        match self.0 {}
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        match self.0 {}
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        match self.0 {}
    }

    fn sync_names(&self) -> io::Result<()> {
        match self.0 {}
    }

    fn try_hold(&self) -> io::Result<Option<RealFile>> {
        match self.0 {}
    }

    fn leads_to(&self, _: &str, _: &RealFile) -> io::Result<bool> {
        match self.0 {}
    }

    fn fresh_salt(&self) -> io::Result<u64> {
        match self.0 {}
    }

    fn process(&self) -> u32 {
        match self.0 {}
    }

    fn place(&self, _: &str) -> String {
        match self.0 {}
    }
}

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        match self.0 {}
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        match self.0 {}
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        match self.0 {}
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        match self.0 {}
    }

    fn sync(&self) -> io::Result<()> {
        match self.0 {}
    }

    fn stamp(&self) -> io::Result<Stamp> {
        match self.0 {}
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0 {}
    }
}
