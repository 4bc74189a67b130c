//! What one line of LDK says in other words than the next: this is 0.2 (docs/adr/0017).

use std::future::Future;

use lightning::util::native_async::FutureSpawner;

/// Runs a future on an executor.
pub(crate) fn spawn<F: FutureSpawner>(
    spawner: &F,
    future: impl Future<Output = ()> + Send + 'static,
) {
    spawner.spawn(future);
}
