//! Replay on two threads: one reads, decodes and computes the chain, the other folds.

use std::{ops::ControlFlow, sync::mpsc, thread};

use payonce_core::{Decoder, EventSource, Head, Records, Replay, ReplayError};

/// How many events are handed over at a time: enough that handing over costs nothing, few enough
/// to stay in a cache.
const BATCH: usize = 256;
/// How many batches may wait to be folded.
const WAITING: usize = 8;
/// A log of fewer events than this is folded before a thread is up.
const SHORT: u64 = 4 * BATCH as u64;

/// Does what [`Replay::run`] does, folding on a thread of its own.
///
/// # Errors
/// As [`Replay::run`]: of several damages the first.
pub(crate) fn run<S: EventSource>(
    replay: &mut Replay,
    store: &S,
    stored: Head,
) -> Result<(), ReplayError> {
    let head = replay.state().head();
    if stored.seq.saturating_sub(head.seq) < SHORT {
        return replay.run(store, stored);
    }
    let (full, to_fold) = mpsc::sync_channel::<Records>(WAITING);
    let (empty, to_fill) = mpsc::channel();
    let (folded, read) = thread::scope(|scope| {
        let replay = &mut *replay;
        let folding = scope.spawn(move || {
            to_fold.into_iter().try_for_each(|records| {
                replay.fold(&records)?;
                // Once everything is read, nobody fills it again.
                let _ = empty.send(records);
                Ok(())
            })
        });
        let read = read(store, head, &full, &to_fill);
        drop(full);
        let folded = folding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (folded, read)
    });
    // What was folded was read before.
    folded
        .and(read)
        .and_then(|()| replay.check_end(stored))
        .map_err(|error| error.placed(store, head.seq + 1))
}

/// Reads and decodes until the end, or until the other side has given up.
fn read(
    store: &impl EventSource,
    head: Head,
    full: &mpsc::SyncSender<Records>,
    to_fill: &mpsc::Receiver<Records>,
) -> Result<(), ReplayError> {
    let mut decoder = Decoder::new(head);
    let mut records = Records::default();
    let mut failed = None;
    store.replay_unchained(head.seq + 1, &mut |stored| {
        if let Err(error) = decoder.decode(stored, &mut records) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        if records.events() < BATCH {
            return ControlFlow::Continue(());
        }
        let mut next: Records = to_fill.try_recv().unwrap_or_default();
        next.clear();
        match full.send(std::mem::replace(&mut records, next)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    // Also what was decoded before a damage is folded: it may not fit, which is told first.
    let _ = full.send(records);
    failed.map_or(Ok(()), Err)
}
