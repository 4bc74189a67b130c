//! Imported hand-overs: those that LDK got before there was a ledger, marked by their label.

use payonce_core::{Label, Part};

const IMPORTED: &[u8] = b"imported";

pub(crate) fn label() -> Label {
    Label { engine: IMPORTED.into(), mark: None }
}

/// Whether another program's table told of it. Nothing was recorded before LDK got it: what LDK does not list
/// may be paid, and that table may lack it.
pub(crate) fn is_imported(part: &Part) -> bool {
    part.label().is_some_and(|label| label.engine.as_bytes() == IMPORTED)
}
