//! The store's own thread: it speaks with the server, so that a caller may be a thread or a task.

use std::{future::Future, io, sync::mpsc, thread};

use tokio::{runtime::Handle, sync::oneshot};

use crate::error::PostgresError;

/// Runs what speaks with the server until it is dropped. Callers wait on a channel of the standard
/// library, which no executor forbids.
#[derive(Debug)]
pub(crate) struct Thread {
    handle: Handle,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl Thread {
    pub(crate) fn start() -> Result<Self, PostgresError> {
        let (started, starts) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => {
                    // Whoever started this thread waits for it.
                    let _ = started.send(Ok(runtime.handle().clone()));
                    let _ = runtime.block_on(stopped);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        };
        let begun = thread::Builder::new().name("payonce-postgres".into()).spawn(run);
        let handle = begun.and_then(|_| starts.recv().unwrap_or_else(|_| Err(ended())));
        handle.map(|handle| Self { handle, _stop: stop }).map_err(PostgresError::Thread)
    }

    /// Runs a future to its end there, while the caller waits.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, PostgresError>> + Send + 'static,
    ) -> Result<T, PostgresError> {
        let (answer, answers) = mpsc::sync_channel(1);
        self.spawn(async move {
            // Who asked waits for it.
            let _ = answer.send(work.await);
        });
        answers.recv().unwrap_or_else(|_| Err(PostgresError::Thread(ended())))
    }

    /// Starts a future there and lets it go on.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(work));
    }
}

fn ended() -> io::Error {
    io::Error::other("it ended before it answered")
}
