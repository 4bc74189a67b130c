//! Group commit: the front, its batches, who leads, and what is done beside.

pub(crate) mod batch;
pub(crate) mod commit;
pub(crate) mod feed;
pub(crate) mod front;
pub(crate) mod gate;
pub(crate) mod history;
pub(crate) mod job;
pub(crate) mod keeper;
pub(crate) mod lead;
pub(crate) mod outcomes;
pub(crate) mod telemetry;
pub(crate) mod undriven;
pub(crate) mod upkeep;
pub(crate) mod wake_ups;
pub(crate) mod writer;
