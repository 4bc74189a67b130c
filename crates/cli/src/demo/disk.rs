//! The real disk, synced once at the end: nobody is promised anything while a demo is written. The salts
//! of its files follow from the seed, so that the same demo is the same bytes.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use payonce::store_fs::{Access, Disk, DiskFile, Listed, RealDisk, Stamp};

use crate::demo::rng::Rng;

/// The disk of a demo.
#[derive(Debug, Clone)]
pub(crate) struct LazyDisk {
    real: RealDisk,
    salts: Arc<Mutex<Rng>>,
}

/// A file of it.
#[derive(Debug)]
pub(crate) struct LazyFile(<RealDisk as Disk>::File);

impl LazyDisk {
    /// Creates the directory, if need be.
    pub(crate) fn create(directory: &Path, salts: Rng) -> io::Result<Self> {
        let real = RealDisk::create(directory)?;
        Ok(Self { real, salts: Arc::new(Mutex::new(salts)) })
    }

    /// Makes everything durable that was left undone.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        for Listed { name, is_file } in self.real.list()? {
            if let (Some(name), true) = (name.to_str(), is_file) {
                self.real.open(name, Access::Write)?.sync()?;
            }
        }
        self.real.sync_names()
    }
}

impl Disk for LazyDisk {
    type File = LazyFile;

    fn list(&self) -> io::Result<Vec<Listed>> {
        self.real.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<LazyFile> {
        self.real.open(name, access).map(LazyFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.real.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.real.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_hold(&self) -> io::Result<Option<LazyFile>> {
        Ok(self.real.try_hold()?.map(LazyFile))
    }

    fn leads_to(&self, name: &str, file: &LazyFile) -> io::Result<bool> {
        self.real.leads_to(name, &file.0)
    }

    fn fresh_salt(&self) -> io::Result<u64> {
        Ok(self.salts.lock().unwrap_or_else(PoisonError::into_inner).next())
    }

    fn process(&self) -> u32 {
        self.real.process()
    }

    fn place(&self, name: &str) -> String {
        self.real.place(name)
    }
}

impl DiskFile for LazyFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        DiskFile::read_at(&self.0, into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        DiskFile::write_at(&self.0, bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.0.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn stamp(&self) -> io::Result<Stamp> {
        self.0.stamp()
    }

    fn try_lock(&self) -> io::Result<bool> {
        DiskFile::try_lock(&self.0)
    }
}
