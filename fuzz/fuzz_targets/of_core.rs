//! What the targets of the core share: the bodies in its tests, and what these build on.

#[path = "../../crates/core/tests/fuzz/bodies.rs"]
pub mod bodies;
#[path = "../../crates/core/tests/fuzz/commands.rs"]
pub mod commands;
