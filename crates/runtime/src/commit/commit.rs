//! Group commit: commands are decided against the newest state while the batch before them is
//! being written; one append and one sync carry all that came meanwhile.
//!
//! Nobody owns the disk. Whoever finds that nobody commits **leads**: takes the batch that has
//! formed, appends it, and tells those who wait for it. If another batch has formed by then, one of
//! *its* callers leads next, so that no caller serves the others for longer than its own batch.
//! Tasks never lead, since a task must not block its thread: for them the writer thread does.
//!
//! Two locks, never held together: `front` is held while deciding, never over I/O; `store` is held
//! over I/O by whoever leads or does maintenance. A gate's own lock may be taken within `front`, never around
//! it.
//!
//! What is not the ledger's own (a waker, a future, what a caller asked for, a line of the log) is
//! run and dropped while nothing is locked: whoever changes something gives back what is to be
//! [`WakeUps`]. Two exceptions: what a caller asks of the state, and a recorder's gauges.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, TryLockError},
};

use payonce_core::{
    EventStore, Exclusion, LedgerId, Machine, Receipt, SnapshotWriter, StoreError, Ticket,
};

use crate::{
    base::error::Unavailable,
    base::options::Options,
    base::sync::{AtomicUsize, Condvar, Mutex, lock, thread},
    base::waiter::{Parker, Waiter, done},
    commit::front::{Front, Guard, read},
    commit::gate::Signal,
    commit::telemetry::Telemetry,
    commit::upkeep::Upkeep,
};

/// Of many threads one half is written while the other is woken, which takes as long.
pub(crate) const HALF: usize = 2;

/// Tasks are woken more cheaply.
pub(crate) const QUARTER: usize = 4;

/// How often a thread lets others run before it sleeps for the front: it is held for a decision, which
/// takes less than being woken.
const YIELDS: usize = 2;

/// What all handles on one ledger share.
pub(crate) struct Commit<S> {
    front: Mutex<Front<S>>,
    /// `None` once it was handed back.
    pub(crate) store: Mutex<Option<S>>,
    pub(crate) writer_called: Condvar,
    pub(crate) keeper_called: Condvar,
    pub(crate) options: Options,
    pub(crate) telemetry: Telemetry,
    pub(crate) ledger: LedgerId,
    /// How many commands wait for the next append: what a leader looks at while it lets others run.
    pub(crate) queued: Arc<AtomicUsize>,
    /// Held while history is read for a verification or a dropping, so that none is dropped under a
    /// reader. Taken before the next one.
    pub(crate) reading: Mutex<()>,
    /// Saves snapshots beside appends, where the store can. Held so that nobody evicts a snapshot that
    /// somebody is about to make the base.
    pub(crate) snapshots: Mutex<Option<Box<dyn SnapshotWriter + Send>>>,
    /// What failed last beside the appends; held while something is written beside them.
    pub(crate) failed_beside: Mutex<Option<Arc<StoreError>>>,
}

/// How the batch that a thread waited for came to its end.
enum Settled<'a, S> {
    /// It was over when this thread looked, or never will be written.
    Found(Guard<'a, S>),
    /// It became durable; whoever waited has the proof and need not come to the front, where the next
    /// ones decide.
    Durable(Receipt),
}

impl<S: EventStore> Commit<S> {
    pub(crate) fn new(machine: Machine, store: S, options: Options, upkeep: Upkeep) -> Self {
        let ledger = store.ledger_id();
        let queued = Arc::new(AtomicUsize::new(0));
        let telemetry = Telemetry::of(ledger);
        let always_owner = store.exclusion() == Exclusion::Lock;
        let front =
            Front::new(machine, &options, &telemetry, upkeep, always_owner, Arc::clone(&queued));
        Self {
            front: Mutex::new(front),
            reading: Mutex::new(()),
            snapshots: Mutex::new(store.snapshot_writer()),
            failed_beside: Mutex::new(None),
            store: Mutex::new(Some(store)),
            telemetry,
            ledger,
            queued,
            writer_called: Condvar::new(),
            keeper_called: Condvar::new(),
            options,
        }
    }

    /// Waits for room among the commands to be written next.
    pub(crate) fn enter(&self) -> Result<Guard<'_, S>, Unavailable> {
        let mut front = self.lock();
        while !front.has_room(self.options.queue_commands)? {
            let parker = Parker::new();
            front.room.push(Waiter::Thread(Arc::clone(&parker)));
            drop(front);
            parker.wait();
            front = self.lock();
        }
        Ok(front)
    }

    /// Waits until this batch is over, committing it where nobody else does, and reads a reply.
    pub(crate) fn settle<T>(
        &self,
        front: Guard<'_, S>,
        (ticket, batch): (Ticket<T>, u64),
    ) -> Result<T, Unavailable> {
        match self.wait_for(front, batch) {
            Settled::Found(front) => read(front, ticket),
            Settled::Durable(receipt) => {
                ticket.redeem(&receipt).or_else(|ticket| self.read(ticket))
            }
        }
    }

    /// Reads a reply whose batch is over.
    pub(crate) fn read<T>(&self, ticket: Ticket<T>) -> Result<T, Unavailable> {
        read(self.lock(), ticket)
    }

    /// As [`settle`](Self::settle), for several replies of the core: they hold nothing of a caller's.
    pub(crate) fn settle_all<T>(
        &self,
        front: Guard<'_, S>,
        (tickets, batch): (Vec<Ticket<T>>, u64),
    ) -> Result<Vec<T>, Unavailable> {
        let (receipt, mut front) = match self.wait_for(front, batch) {
            Settled::Found(front) => (None, Some(front)),
            Settled::Durable(receipt) => (Some(receipt), None),
        };
        let each = tickets.into_iter().map(|ticket| {
            let ticket = match &receipt {
                Some(receipt) => ticket.redeem(receipt),
                None => Err(ticket),
            };
            ticket.or_else(|ticket| front.get_or_insert_with(|| self.lock()).release(ticket))
        });
        each.collect()
    }

    /// Waits until this batch is over, committing it where nobody else does.
    fn wait_for<'a>(&'a self, mut front: Guard<'a, S>, batch: u64) -> Settled<'a, S> {
        while front.over < batch {
            let receipt = if front.leading {
                let gate = front.waiting_for(batch).add_thread();
                drop(front);
                match gate.wait() {
                    Signal::Over(receipt) => receipt,
                    Signal::Lead => self.lead(self.lock(), HALF),
                }
            } else {
                front.leading = true;
                self.lead(front, HALF)
            };
            match receipt {
                Some(receipt) => return Settled::Durable(receipt),
                None => front = self.lock(),
            }
        }
        Settled::Found(front)
    }

    /// The store, for maintenance; appends wait meanwhile. A panic of the store ends everything.
    pub(crate) fn with_store<T>(&self, call: impl FnOnce(&mut S) -> T) -> Result<T, Unavailable> {
        let _guest = self.visit()?;
        let mut store = lock(&self.store);
        let present = store.as_mut().ok_or(Unavailable::Closed)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| call(present)));
        drop(store);
        outcome.or_else(|panicked| {
            self.poison(None);
            resume_unwind(panicked)
        })
    }

    /// Hands the store back once everything is written. `None` if somebody else was faster.
    pub(crate) fn close(&self) -> Option<S> {
        self.refuse_more();
        let mut front = self.lock();
        while !front.is_idle() {
            let parker = Parker::new();
            front.closers.push(Waiter::Thread(Arc::clone(&parker)));
            drop(front);
            parker.wait();
            front = self.lock();
        }
        drop(front);
        self.take_store()
    }
}

impl<S> Commit<S> {
    /// The front; poisoned, if a thread panicked while it changed it.
    pub(crate) fn lock(&self) -> Guard<'_, S> {
        for _ in 0..YIELDS {
            match self.front.try_lock() {
                Ok(front) => return front,
                Err(TryLockError::WouldBlock) => thread::yield_now(),
                Err(TryLockError::Poisoned(_)) => break,
            }
        }
        loop {
            let panicked = match self.front.lock() {
                Ok(front) => return front,
                Err(panicked) => panicked,
            };
            let mut front = panicked.into_inner();
            if front.fault.is_some() {
                return front;
            }
            let told = front.poison(None);
            drop(front);
            told.tell();
        }
    }

    /// Holds closing up until the guest leaves.
    pub(crate) fn visit(&self) -> Result<Guest<'_, S>, Unavailable> {
        let mut front = self.lock();
        front.check_open()?;
        front.guests += 1;
        Ok(Guest(self))
    }

    /// Hands the store back; the snapshots' writer goes with it.
    pub(crate) fn take_store(&self) -> Option<S> {
        let writer = lock(&self.snapshots).take();
        drop(writer);
        lock(&self.store).take()
    }

    /// Refuses what is new, and wakes whoever must know.
    pub(crate) fn refuse_more(&self) {
        let waiters = self.lock().begin_to_close();
        self.writer_called.notify_all();
        self.keeper_called.notify_all();
        done(waiters);
    }

    /// All handles are gone: who uses the store last drops it, the writer thread if there is one.
    pub(crate) fn abandon(&self) {
        let mut front = self.lock();
        front.abandoned = true;
        let waiters = front.begin_to_close();
        let unattended = front.is_unattended();
        drop(front);
        self.writer_called.notify_all();
        self.keeper_called.notify_all();
        done(waiters);
        if unattended {
            drop(self.take_store());
        }
    }

    /// Ends everything: the store failed, or a thread panicked while it held it.
    pub(crate) fn poison(&self, cause: Option<Arc<StoreError>>) {
        let told = self.lock().poison(cause);
        told.tell();
    }

    /// What is behind an error of the store: where it only says that something failed before, what
    /// that was.
    pub(crate) fn first_cause(&self, error: StoreError) -> Arc<StoreError> {
        let error = Arc::new(error);
        if !matches!(*error, StoreError::Poisoned { .. }) {
            return error;
        }
        // Waits for who is about to learn of it.
        lock(&self.failed_beside).clone().unwrap_or(error)
    }
}

/// Somebody who uses the store beside who leads.
pub(crate) struct Guest<'a, S>(&'a Commit<S>);

impl<S> Drop for Guest<'_, S> {
    fn drop(&mut self) {
        let mut front = self.0.lock();
        let waiters = front.leave();
        let unattended = front.is_unattended();
        drop(front);
        if unattended {
            drop(self.0.take_store());
        }
        done(waiters);
    }
}
