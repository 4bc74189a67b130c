//! The engine layer by itself: its rules as a table, its driver over engines that are not LND.

mod blocked;
mod chance;
mod directory;
mod log;
mod metrics;
mod row;
mod rules;
mod till;
mod witness;
