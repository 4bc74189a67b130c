//! The embedded default: the log in a directory, its witness in a file.

use std::{io, path::Path, sync::Arc};

use payonce_core::{LedgerId, Opening, Remember};
use payonce_runtime::{random_ledger_id, random_seed};
use payonce_store_fs::{FsError, FsReader, FsStore, Options as LogOptions};

use crate::{
    error::StartError,
    start::{Starting, Witnessed},
    witness::{FileWitness, Witness as _},
};

impl Starting<FsStore> {
    /// Makes a new ledger, under a random id: its log in the directory `log`, its witness in the file
    /// `witness`, which belongs on another volume. Once, when a service is set up, and by an operator: a service
    /// that makes one because it found none has forgotten what it paid. It blocks. If it fails it can be
    /// called again.
    ///
    /// # Errors
    /// [`StartError`] if there is a log already, or a witness that has seen one; nothing of either was
    /// changed.
    pub fn set_up(
        log: impl AsRef<Path>,
        witness: impl AsRef<Path>,
    ) -> Result<LedgerId, StartError> {
        let (log, witness) = (log.as_ref(), witness.as_ref());
        // Before anything is made: an empty witness beside a log that is there would believe any older copy
        // of it.
        if FsReader::open(log).is_ok() {
            return Err(FsError::AlreadyExists { place: log.display().to_string() }.into());
        }
        let is_new = new_witness(witness).map_err(StartError::Witness)?;
        let ledger = random_ledger_id();
        if let Err(error) = FsStore::create(log, ledger, LogOptions::default()) {
            if is_new {
                // What stays empty is taken by the next call.
                let _ = std::fs::remove_file(witness);
            }
            return Err(error.into());
        }
        Ok(ledger)
    }

    /// Opens a ledger that was [set up](Self::set_up), with default options. For others, and for other
    /// stores and witnesses, there is [`open`](Self::open).
    ///
    /// # Errors
    /// [`StartError`] if log or witness is not there or damaged, or another process has the log open.
    pub async fn open_dir(
        log: impl AsRef<Path>,
        witness: impl AsRef<Path>,
        remember: Remember,
    ) -> Result<Self, StartError> {
        let (log, witness) = (log.as_ref().to_owned(), witness.as_ref().to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            let witness = FileWitness::open(witness).map_err(StartError::Witness)?;
            Ok::<_, StartError>((FsStore::open(log, LogOptions::default())?.0, witness))
        });
        let (store, witness) = match opened.await {
            Ok(opened) => opened?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let opening = Opening::new(remember, random_seed());
        let witnessed = Witnessed::By(Arc::new(witness));
        Self::open(store, opening, witnessed, payonce_runtime::Options::DEFAULT).await
    }
}

/// Makes an empty witness, or finds one, and says whether it made it. One that is there and has seen nothing
/// is of a set-up that did not end; one that has seen a head is some ledger's, and with another log it would
/// call that log restored for ever.
fn new_witness(path: &Path) -> io::Result<bool> {
    match FileWitness::create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match FileWitness::open(path)?.load()? {
                None => Ok(false),
                Some(_) => Err(error),
            }
        }
        made => made.map(|_| true),
    }
}
