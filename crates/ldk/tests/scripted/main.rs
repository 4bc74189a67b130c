//! The border between a payer and its engine, on an engine that answers as it is told: every error,
//! every event in the wrong order, every start that real nodes come to only by accident.

mod bad_input;
mod events;
mod hand_overs;
mod heads;
mod kv;
mod money;
mod rooms;
mod script;
mod starts;
mod tasks;
