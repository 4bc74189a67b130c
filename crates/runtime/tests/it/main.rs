//! The shared handle: group commit, tasks, poison, shutdown, outcomes, subscriptions, snapshots,
//! replay on two threads.

mod beside;
mod close;
mod drivers;
mod group_commit;
mod late;
mod listing;
mod metrics;
mod outcomes;
mod poison;
mod recovery;
mod room;
mod snapshots;
mod subscriptions;
mod support;
mod tasks;
mod ticks;
mod verify;
mod wakers;
