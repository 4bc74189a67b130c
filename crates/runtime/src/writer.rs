//! The writer thread: it commits and keeps house for tasks, which must not block. It is started
//! with the first call of a task, so a program without tasks has no such thread.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use payonce_core::EventStore;

use crate::{
    commit::{Commit, Guard, QUARTER, WriterPost},
    error::Unavailable,
    sync::{Mutex, lock, start, wait},
    waiter::{Sleeper, done},
};

/// Something to do with the store, for a task.
pub(crate) struct Errand<S>(Box<dyn FnOnce(&mut S) + Send>);

/// What an errand brings back; empty if it was never run.
struct Fetched<T> {
    value: Mutex<Option<T>>,
    sleeper: Arc<Sleeper>,
}

/// Wakes who waits for an errand, run or not.
struct Return<T>(Arc<Fetched<T>>);

impl<T> Drop for Return<T> {
    fn drop(&mut self) {
        self.0.sleeper.done();
    }
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
            } else if let Some(errand) = front.next_errand() {
                drop(front);
                self.run(errand);
                front = self.lock();
                done(front.leave());
            } else if front.closing {
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
    fn run(&self, Errand(errand): Errand<S>) {
        let mut store = lock(&self.store);
        let store = store.as_mut().expect("the store is handed back only when it has no guests");
        let outcome: Result<(), Box<dyn Any + Send>> =
            catch_unwind(AssertUnwindSafe(|| errand(store)));
        if outcome.is_err() {
            self.poison(None);
        }
    }

    /// Does something with the store on the writer thread; appends wait meanwhile.
    pub(crate) async fn with_store_async<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let sleeper = Sleeper::new();
        let result = Arc::new(Fetched { value: Mutex::new(None), sleeper: Arc::clone(&sleeper) });
        let returned = Return(Arc::clone(&result));
        {
            let mut front = self.lock();
            front.check_open()?;
            self.staff(&mut front);
            front.add_errand(Errand(Box::new(move |store| {
                let value = call(store);
                *lock(&returned.0.value) = Some(value);
            })));
            self.writer_called.notify_one();
        }
        sleeper.wait().await;
        let value = lock(&result.value).take();
        value.ok_or_else(|| self.lock().unavailable())
    }
}
