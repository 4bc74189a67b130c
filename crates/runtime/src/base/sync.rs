//! The primitives under the handle: the standard library's, or those of shuttle, which chooses the
//! order in which threads meet.

#[cfg(payonce_shuttle)]
pub(crate) use shuttle::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};
#[cfg(not(payonce_shuttle))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use std::{io, sync::PoisonError};

/// Locks what stays sound when a thread panics: it is whole between any two of its changes.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the lock up until `condvar` is notified, or for no reason.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread of the ledger's own.
///
/// # Panics
/// If the operating system starts none, as for any runtime.
pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) {
    try_start(name, run).expect("a thread can be started");
}

/// As [`start`], where the caller can do without.
pub(crate) fn try_start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.into());
    builder.spawn(run).map(drop)
}
