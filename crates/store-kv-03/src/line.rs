//! What one line of LDK says in other words than the next: this is 0.3.

use std::future::Future;

use lightning::util::native_async::FutureSpawner;

/// Runs a future on an executor.
pub(crate) fn spawn<F: FutureSpawner>(
    spawner: &F,
    future: impl Future<Output = ()> + Send + 'static,
) {
    // It goes on whether or not somebody waits for its end.
    drop(spawner.spawn(future));
}
