//! Who waits for something of its own: a parked thread, or a task's waker.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::base::sync::{AtomicBool, Mutex, Ordering, lock, thread};

/// A thread that waits. It is told once for each time that it was put up to wait.
#[derive(Debug)]
pub(crate) struct Parker {
    told: AtomicBool,
    thread: thread::Thread,
}

impl Parker {
    /// One for the calling thread.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { told: AtomicBool::new(false), thread: thread::current() })
    }

    /// Waits until it is told.
    pub(crate) fn wait(&self) {
        while !self.told.load(Ordering::Acquire) {
            thread::park();
        }
    }

    fn done(&self) {
        self.told.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// A task that waits. Outlives the future that was dropped while it waited.
#[derive(Debug, Default)]
pub(crate) struct Sleeper(Mutex<Sleep>);

#[derive(Debug, Default)]
enum Sleep {
    #[default]
    Unpolled,
    Waiting(Waker),
    Done,
}

impl Sleeper {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn done(&self) {
        let before = std::mem::replace(&mut *lock(&self.0), Sleep::Done);
        if let Sleep::Waiting(waker) = before {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        // Cloned before the lock is taken, and the former one dropped after it is given back: a
        // waker is its executor's code.
        let waker = context.waker().clone();
        let mut sleep = lock(&self.0);
        if matches!(*sleep, Sleep::Done) {
            return Poll::Ready(());
        }
        let before = std::mem::replace(&mut *sleep, Sleep::Waiting(waker));
        drop(sleep);
        drop(before);
        Poll::Pending
    }

    /// Waits for what it was put up for.
    pub(crate) async fn wait(&self) {
        poll_fn(|context| self.poll(context)).await;
    }
}

/// A thread or a task that waits.
#[derive(Debug)]
pub(crate) enum Waiter {
    Thread(Arc<Parker>),
    Task(Arc<Sleeper>),
}

/// Tells all of them. Runs what is not the ledger's own: never under a lock.
pub(crate) fn done(waiters: Vec<Waiter>) {
    for waiter in waiters {
        match waiter {
            Waiter::Thread(parker) => parker.done(),
            Waiter::Task(sleeper) => sleeper.done(),
        }
    }
}
