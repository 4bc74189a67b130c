//! The engine layer by itself: its rules as a table, its driver over engines that are not LND.

mod rules;
mod till;
mod witness;
