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
    base::error::{MaintenanceError, Unavailable},
    base::sync::{Mutex, lock, start, try_start, wait},
    base::waiter::{Sleeper, Waiter, done},
    commit::commit::{Commit, QUARTER},
    commit::front::{Guard, WriterPost},
    commit::job::{Alarm, Job},
};

/// What is brought back; empty if it was never fetched.
type Fetched<T> = Arc<Mutex<Option<T>>>;

/// What failed for want of a thread.
fn failed(error: io::Error) -> MaintenanceError {
    MaintenanceError::Store(Arc::new(StoreError::Backend(Box::new(error))))
}

impl<S: EventStore + Send + 'static> Commit<S> {
    /// Submits something as soon as there is room; it is answered once the sleeper is done.
    pub(crate) async fn enter_async<T>(
        self: &Arc<Self>,
        submit: impl FnOnce(&mut Guard<'_, S>) -> (T, u64),
    ) -> Result<(T, Arc<Sleeper>), Unavailable> {
        loop {
            let sleeper = Sleeper::new();
            {
                let mut front = self.lock();
                if front.has_room(self.options.queue_commands)? {
                    let (submitted, batch) = submit(&mut front);
                    if front.is_over(batch) {
                        sleeper.done();
                    } else {
                        front.waiting_for(batch).add_task(Arc::clone(&sleeper));
                    }
                    self.call_writer(&mut front);
                    return Ok((submitted, sleeper));
                }
                front.room.push(Waiter::Task(Arc::clone(&sleeper)));
            }
            sleeper.wait().await;
        }
    }

    /// Makes sure that somebody commits what has formed; who leads now may hand over to the writer
    /// thread.
    pub(crate) fn call_writer(self: &Arc<Self>, front: &mut Guard<'_, S>) {
        if front.has_work() {
            self.staff(front);
        }
        if front.appoint_writer() {
            self.writer_called.notify_one();
        }
    }

    pub(crate) async fn close_async(self: &Arc<Self>) -> Option<S> {
        self.refuse_more();
        loop {
            let sleeper = Sleeper::new();
            {
                let mut front = self.lock();
                if front.is_idle() {
                    break;
                }
                front.closers.push(Waiter::Task(Arc::clone(&sleeper)));
            }
            sleeper.wait().await;
        }
        self.take_store()
    }

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
