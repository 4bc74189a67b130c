//! Who waits for a batch: a parked thread, or a task's waker.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::sync::{AtomicU32, Mutex, Ordering, lock, thread};

/// What a waiting thread is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// What it waits for has happened.
    Done,
    /// Nobody commits: it is its turn to lead.
    Lead,
}

const NOTHING: u32 = 0;
const DONE: u32 = 1;
const LEAD: u32 = 2;

/// A thread that waits. It is signalled once for each time that it was put up to wait.
#[derive(Debug)]
pub(crate) struct Parker {
    signal: AtomicU32,
    thread: thread::Thread,
    /// Whom it tells once it was told.
    helps: Mutex<Option<Arc<Told>>>,
    /// Whether its thread is sure to wait, and so to tell on.
    tells_on: bool,
}

impl Parker {
    /// The calling thread's own, ready to wait. A thread waits for one thing at a time, so there is
    /// one a thread, and waiting allocates nothing.
    #[cfg(not(payonce_shuttle))]
    pub(crate) fn current() -> Arc<Self> {
        thread_local! {
            static OWN: Arc<Parker> = Arc::new(Parker::new(true));
        }
        OWN.with(|own| {
            own.signal.store(NOTHING, Ordering::Relaxed);
            Arc::clone(own)
        })
    }

    #[cfg(payonce_shuttle)]
    pub(crate) fn current() -> Arc<Self> {
        Arc::new(Self::new(true))
    }

    /// One beside the thread's own, for who waits for two things, and perhaps for one of them alone.
    pub(crate) fn apart() -> Arc<Self> {
        Arc::new(Self::new(false))
    }

    fn new(tells_on: bool) -> Self {
        Self {
            signal: AtomicU32::new(NOTHING),
            thread: thread::current(),
            helps: Mutex::default(),
            tells_on,
        }
    }

    /// Waits for the signal and takes it.
    pub(crate) fn wait(&self) -> Signal {
        loop {
            match self.signal.swap(NOTHING, Ordering::Acquire) {
                NOTHING => thread::park(),
                LEAD => return Signal::Lead,
                _ => {
                    let told = lock(&self.helps).take();
                    told.inspect(Told::tell);
                    return Signal::Done;
                }
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let code = match signal {
            Signal::Done => DONE,
            Signal::Lead => LEAD,
        };
        self.signal.store(code, Ordering::Release);
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
        let mut sleep = lock(&self.0);
        match &mut *sleep {
            Sleep::Done => return Poll::Ready(()),
            Sleep::Waiting(waker) => waker.clone_from(context.waker()),
            Sleep::Unpolled => *sleep = Sleep::Waiting(context.waker().clone()),
        }
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

/// Those who are to be told, shared by who tells them. Waking a thread costs as much as a command, so
/// each wakes two, and those two others: no core wakes all while another one works for all.
#[derive(Debug)]
struct Told {
    waiters: Vec<Waiter>,
    next: AtomicU32,
}

/// How many threads a thread wakes, who tells first and who is woken alike.
const WAKES: usize = 2;

impl Told {
    /// Tells the next of them, up to so many threads; these tell on.
    fn tell(self: &Arc<Self>) {
        let mut threads = 0;
        while threads < WAKES {
            let next = self.next.fetch_add(1, Ordering::Relaxed) as usize;
            match self.waiters.get(next) {
                Some(Waiter::Thread(parker)) if !parker.tells_on => parker.signal(Signal::Done),
                Some(Waiter::Thread(parker)) => {
                    *lock(&parker.helps) = Some(Arc::clone(self));
                    parker.signal(Signal::Done);
                    threads += 1;
                }
                Some(Waiter::Task(sleeper)) => sleeper.done(),
                None => return,
            }
        }
    }
}

/// Tells all of them.
pub(crate) fn done(waiters: Vec<Waiter>) {
    if !waiters.is_empty() {
        Arc::new(Told { waiters, next: AtomicU32::new(0) }).tell();
    }
}
