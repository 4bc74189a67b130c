//! A snapshot on two threads: one decodes its payments, the other builds the state from them.

use std::{sync::mpsc, thread};

use payonce_core::relay::{Build, Loads};

/// How many loads may wait to be built of.
const WAITING: usize = 16;

/// Does what [`in_turn`](payonce_core::relay::in_turn) does, building on a thread of its own: what
/// is decoded stays, and an allocator gives the memory that the calling thread already has.
pub(crate) fn beside(loads: Loads<'_>, build: Build<'_>) {
    // What one load holds is done before a thread is up.
    let Some(first) = loads.next() else { return };
    let Some(second) = loads.next() else {
        let _ = build(first);
        return;
    };
    let (full, to_build) = mpsc::sync_channel(WAITING);
    thread::scope(|scope| {
        scope.spawn(move || {
            for load in to_build {
                if build(load).is_break() {
                    break;
                }
            }
        });
        for load in [first, second].into_iter().chain(loads) {
            // Nobody takes them any more.
            if full.send(load).is_err() {
                break;
            }
        }
        // The thread ends once there is nothing left.
        drop(full);
    });
}
