//! A disk on which somebody else is at work.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use payonce_store_fs::{
    Access, Disk, Listed,
    model::{ModelDisk, ModelFile},
};

/// A disk on which somebody else acts before a certain operation on the directory, and whose
/// listing may be of names of before and after it.
#[derive(Clone)]
pub(crate) struct Watched {
    disk: ModelDisk,
    watch: Arc<Mutex<Watch>>,
}

struct Watch {
    before: u64,
    operations: u64,
    act: Box<dyn FnMut() + Send>,
    listing: Option<Vec<Listed>>,
}

impl Watched {
    /// Acts before the `before`th operation; 1 is the next one.
    pub(crate) fn new(disk: &ModelDisk, before: u64, act: impl FnMut() + Send + 'static) -> Self {
        let watch = Watch { before, operations: 0, act: Box::new(act), listing: None };
        Self { disk: disk.clone(), watch: Arc::new(Mutex::new(watch)) }
    }

    /// Tells these names instead of those that are there, once.
    pub(crate) fn list_once(&self, names: Vec<Listed>) {
        self.watch().listing = Some(names);
    }

    /// How many operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.watch().operations
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().expect("nothing panics")
    }

    fn count(&self) {
        let mut watch = self.watch();
        watch.operations += 1;
        if watch.operations == watch.before {
            (watch.act)();
        }
    }
}

impl Disk for Watched {
    type File = ModelFile;

    fn list(&self) -> io::Result<Vec<Listed>> {
        self.count();
        let listed = self.disk.list()?;
        Ok(self.watch().listing.take().unwrap_or(listed))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<ModelFile> {
        self.count();
        self.disk.open(name, access)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.count();
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.count();
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.count();
        self.disk.sync_names()
    }

    fn try_hold(&self) -> io::Result<Option<ModelFile>> {
        self.count();
        self.disk.try_hold()
    }

    fn leads_to(&self, name: &str, file: &ModelFile) -> io::Result<bool> {
        self.count();
        self.disk.leads_to(name, file)
    }

    fn fresh_salt(&self) -> io::Result<u64> {
        self.disk.fresh_salt()
    }

    fn process(&self) -> u32 {
        self.disk.process()
    }

    fn place(&self, name: &str) -> String {
        self.disk.place(name)
    }
}
