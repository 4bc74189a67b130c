//! One process's handle on the log.

use std::{ops::ControlFlow, sync::Arc};

use payonce_core::{
    Entry, EventSource, EventStore, Exclusion, Fence, Head, LedgerId, Snapshot, SnapshotWriter,
    StoreError, StoredEntry,
};

use crate::{
    disk::{MemoryDisk, Shared},
    image::Image,
    plan::{Failure, InjectedFailure, Planned},
};

/// A handle on a [`MemoryDisk`]. Writers are excluded atomically: the last one to fence writes.
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
    ledger: LedgerId,
    health: Health,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Health {
    /// Not the writer yet.
    Opened,
    /// The writer since this fence.
    Writer(u64),
    /// Another writer took the log over.
    Fenced,
    /// A call failed with an unknown outcome; with the text of that failure.
    Poisoned(Arc<str>),
}

impl Health {
    fn check_usable(&self) -> Result<(), StoreError> {
        match self {
            Self::Opened | Self::Writer(_) => Ok(()),
            Self::Fenced => Err(StoreError::Fenced { by: None }),
            Self::Poisoned(cause) => Err(StoreError::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    fn check_owner(&self, shared: &Shared) -> Result<(), StoreError> {
        match self {
            Self::Writer(fence) if *fence == shared.fences => Ok(()),
            _ => Err(StoreError::Fenced { by: None }),
        }
    }

    /// Notes the outcome of a call whose failure leaves the log unknown: after any error the handle
    /// refuses everything.
    fn note<T>(&mut self, outcome: &Result<T, StoreError>) {
        match outcome {
            Ok(_) => {}
            Err(StoreError::Fenced { .. }) => *self = Self::Fenced,
            Err(error) => *self = Self::Poisoned(error.cause()),
        }
    }

    /// Notes the outcome of saving a snapshot or dropping history, whose failure is of that call alone.
    fn note_fenced<T>(&mut self, outcome: &Result<T, StoreError>) {
        if let Err(StoreError::Fenced { .. }) = outcome {
            *self = Self::Fenced;
        }
    }
}

impl MemoryStore {
    pub(crate) const fn new(disk: MemoryDisk, ledger: LedgerId) -> Self {
        Self { disk, ledger, health: Health::Opened }
    }

    /// The disk under this handle.
    #[must_use]
    pub const fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        self.health.check_usable()
    }

    fn check_owner(&self, shared: &Shared) -> Result<(), StoreError> {
        self.health.check_owner(shared)
    }

    /// Runs a writing call as planned; after any error the handle refuses everything.
    fn write<T>(
        &mut self,
        call: impl FnOnce(&mut Self, &mut Shared, Planned) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = self.run(call)?;
        self.health.note(&outcome);
        outcome
    }

    /// Runs a call after which the log is known, whether it fails or not.
    fn maintain<T>(
        &mut self,
        call: impl FnOnce(&mut Self, &mut Shared, Planned) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = self.run(call)?;
        self.health.note_fenced(&outcome);
        outcome
    }

    fn run<T>(
        &mut self,
        call: impl FnOnce(&mut Self, &mut Shared, Planned) -> Result<T, StoreError>,
    ) -> Result<Result<T, StoreError>, StoreError> {
        self.check_usable()?;
        let planned = arrive(&self.disk);
        let disk = self.disk.clone();
        Ok(call(self, &mut disk.lock(), planned))
    }

    fn read<T>(&self, call: impl FnOnce(&Image) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.check_usable()?;
        let planned = arrive(&self.disk);
        match planned.failure {
            None => call(&self.disk.image()),
            Some(_) => Err(injected(&planned)),
        }
    }
}

/// Counts an operation and waits at its gate, if it has one. The lock is free meanwhile.
fn arrive(disk: &MemoryDisk) -> Planned {
    let planned = disk.lock().plans.next();
    if let Some(gate) = &planned.gate {
        gate.pass();
    }
    planned
}

fn injected(planned: &Planned) -> StoreError {
    StoreError::Backend(Box::new(InjectedFailure { operation: planned.operation }))
}

/// Makes a change unless the operation fails before its effect.
fn effect<T>(
    planned: &Planned,
    change: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match planned.failure {
        None => change(),
        Some(Failure::AfterEffect) => change().and_then(|_| Err(injected(planned))),
        Some(Failure::BeforeEffect | Failure::AfterEntries(_)) => Err(injected(planned)),
    }
}

impl EventSource for MemoryStore {
    fn ledger_id(&self) -> LedgerId {
        self.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.read(|image| Ok(image.head()))
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.read(|image| image.replay(from, visit))
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.read(|image| Ok(image.load_snapshot(at_most).cloned()))
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.read(|image| Ok(image.base().cloned()))
    }
}

impl EventStore for MemoryStore {
    fn exclusion(&self) -> Exclusion {
        Exclusion::Atomic
    }

    fn fence(&mut self) -> Result<Fence, StoreError> {
        self.write(|store, shared, planned| {
            effect(&planned, || {
                shared.fences += 1;
                store.health = Health::Writer(shared.fences);
                let number = Some(shared.fences);
                Ok(Fence { head: shared.image.head(), number })
            })
        })
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|store, shared, planned| {
            store.check_owner(shared)?;
            shared.image.check_continues(entries)?;
            if let Some(Failure::AfterEntries(count)) = planned.failure {
                shared.image.append(&entries[..count.min(entries.len())])?;
            }
            effect(&planned, || shared.image.append(entries))
        })
    }

    fn confirm_owner(&mut self) -> Result<(), StoreError> {
        self.write(|store, shared, planned| effect(&planned, || store.check_owner(shared)))
    }

    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        self.maintain(|store, shared, planned| {
            store.check_owner(shared)?;
            effect(&planned, || shared.image.save_snapshot(at, bytes))
        })
    }

    fn snapshot_writer(&self) -> Option<Box<dyn SnapshotWriter + Send>> {
        Some(Box::new(Detached { disk: self.disk.clone(), health: self.health.clone() }))
    }

    fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        self.maintain(|store, shared, planned| {
            store.check_owner(shared)?;
            effect(&planned, || shared.image.drop_history(base))
        })
    }
}

/// Saves snapshots for as long as nobody has fenced after the store that made it.
struct Detached {
    disk: MemoryDisk,
    health: Health,
}

impl SnapshotWriter for Detached {
    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        self.health.check_usable()?;
        let planned = arrive(&self.disk);
        let mut shared = self.disk.lock();
        let outcome = self
            .health
            .check_owner(&shared)
            .and_then(|()| effect(&planned, || shared.image.save_snapshot(at, bytes)));
        self.health.note_fenced(&outcome);
        outcome
    }
}
