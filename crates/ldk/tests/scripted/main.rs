//! The border between a payer and its engine, on an engine that answers as it is told: every error,
//! every event in the wrong order, every start that real nodes come to only by accident.

mod bad_input;
mod contradictions;
mod events;
mod guide;
mod hand_overs;
mod heads;
mod import;
mod in_store;
mod kv;
mod listed;
mod money;
mod refunds;
mod rooms;
mod script;
mod starts;
mod tasks;
