//! The writer thread: it commits and reads the store for tasks, which must not block. It is started
//! with the first call of a task, so a program without tasks has no such thread. What takes long,
//! maintenance, has a thread of its own for as long as it takes.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use payonce_core::{EventStore, StoreError};

use crate::{
    commit::{Commit, Guard, QUARTER, WriterPost},
    error::{MaintenanceError, Unavailable},
    sync::{Mutex, lock, start, try_start, wait},
    waiter::{Sleeper, done},
};

/// Something to do with the store, for a task, which is woken when this is dropped, done or not.
pub(crate) struct Job<S> {
    work: Box<dyn FnOnce(&mut S) + Send>,
    alarm: Alarm,
}

/// Wakes who waits.
struct Alarm(Arc<Sleeper>);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.done();
    }
}

/// What is brought back; empty if it was never fetched.
type Fetched<T> = Arc<Mutex<Option<T>>>;

/// What failed for want of a thread.
fn failed(error: io::Error) -> MaintenanceError {
    MaintenanceError::Store(Arc::new(StoreError::Backend(Box::new(error))))
}

impl<S: EventStore + Send + 'static> Commit<S> {
    /// Starts the writer thread where there is none yet.
    pub(crate) fn staff(self: &Arc<Self>, front: &mut Guard<'_, S>) {
        if front.writer != WriterPost::Vacant {
            return;
        }
        front.writer = WriterPost::Waiting;
        let commit = Arc::clone(self);
        start("payonce-writer", move || commit.serve());
    }

    /// What the writer thread does, until the ledger is closed.
    fn serve(&self) {
        let mut front = self.lock();
        loop {
            if front.writer == WriterPost::Leads {
                front.writer = WriterPost::Waiting;
                self.lead(front, QUARTER);
                front = self.lock();
            } else if let Some(job) = front.next_job() {
                drop(front);
                self.run(job);
                let waiters = self.lock().leave();
                done(waiters);
                front = self.lock();
            } else if front.closing && !front.may_appoint() {
                break;
            } else {
                front = wait(&self.writer_called, front);
            }
        }
        let abandoned = front.is_abandoned();
        drop(front);
        if abandoned {
            // Here, and not on the thread of a task that must not block.
            drop(self.take_store());
        }
    }

    /// A panic of the store ends everything, but not in silence.
    fn run(&self, Job { work, alarm }: Job<S>) {
        let mut store = lock(&self.store);
        let present = store.as_mut().expect("the store is handed back only when it has no guests");
        let outcome: Result<(), Box<dyn Any + Send>> =
            catch_unwind(AssertUnwindSafe(|| work(present)));
        drop(store);
        if outcome.is_err() {
            self.poison(None);
        }
        drop(alarm);
    }

    /// Does something with the store on the writer thread; appends wait meanwhile.
    pub(crate) async fn with_store_async<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (sleeper, fetched) = (Sleeper::new(), Fetched::<T>::default());
        let put = Arc::clone(&fetched);
        let work = Box::new(move |store: &mut S| *lock(&put) = Some(call(store)));
        let job = Job { work, alarm: Alarm(Arc::clone(&sleeper)) };
        self.send(job)?;
        sleeper.wait().await;
        let value = lock(&fetched).take();
        value.ok_or_else(|| self.lock().unavailable())
    }

    /// Sends the writer thread.
    fn send(self: &Arc<Self>, job: Job<S>) -> Result<(), Unavailable> {
        let mut front = self.lock();
        front.check_open()?;
        self.staff(&mut front);
        front.add_job(job);
        drop(front);
        self.writer_called.notify_one();
        Ok(())
    }

    /// Does something that takes long on a thread of its own: the writer thread commits meanwhile,
    /// and a task must not block its own. A dropped future leaves it to its end.
    pub(crate) async fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) -> Result<T, MaintenanceError> + Send + 'static,
    ) -> Result<T, MaintenanceError> {
        let (sleeper, fetched) =
            (Sleeper::new(), Fetched::<Result<T, MaintenanceError>>::default());
        let (alarm, put) = (Alarm(Arc::clone(&sleeper)), Arc::clone(&fetched));
        let commit = Arc::clone(self);
        try_start("payonce-apart", move || {
            // Dropped last, by a panic too.
            let _alarm = alarm;
            let outcome = act(&commit);
            *lock(&put) = Some(outcome);
        })
        .map_err(failed)?;
        sleeper.wait().await;
        let outcome = lock(&fetched).take();
        let fault = self.lock().fault();
        outcome.unwrap_or_else(|| {
            let panicked = || failed(io::Error::other("the thread that did it panicked"));
            Err(fault.map_or_else(panicked, MaintenanceError::from))
        })
    }
}
