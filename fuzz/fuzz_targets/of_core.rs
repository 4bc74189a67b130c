//! What the targets of the core share: the bodies in its tests, and what these build on.

#[path = "../../crates/core/tests/reference/agreement.rs"]
pub mod agreement;
#[path = "../../crates/core/tests/fuzz/bodies.rs"]
pub mod bodies;
#[path = "../../crates/core/tests/reference/histories.rs"]
pub mod histories;
#[path = "../../crates/core/tests/common/journal.rs"]
pub mod journal;
#[path = "../../crates/core/tests/oracle/reference.rs"]
pub mod reference;
#[path = "../../crates/core/tests/reference/translate.rs"]
pub mod translate;
