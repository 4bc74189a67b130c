//! Parts of which nobody said that they are driven.

use std::collections::HashSet;

use payonce_core::{Machine, PartId, PartStatus, State, UnresolvedPart};

/// So many parts that are resolved by now may be kept among the others.
const STALE: usize = 1_024;

/// Parts of which nobody said that they are driven; among them some that are resolved by now.
#[derive(Debug, Default)]
pub(crate) struct Undriven(HashSet<PartId>);

impl Undriven {
    /// Those that are out when a ledger is opened.
    pub(crate) fn of(machine: &Machine) -> Self {
        machine.durable_state().map_or_else(
            |_| Self::default(),
            |state| Self(state.unresolved().into_iter().map(|at| at.part.id).collect()),
        )
    }

    fn forget_resolved(&mut self, state: &State) {
        let out = |part: &PartId| matches!(state.part(part), Some((_, PartStatus::InFlight)));
        self.0.retain(out);
    }

    pub(crate) fn list(&mut self, state: &State) -> Vec<UnresolvedPart> {
        self.forget_resolved(state);
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut parts = state.unresolved();
        parts.retain(|at| self.0.contains(&at.part.id));
        parts
    }

    /// Somebody drives these from here on.
    pub(crate) fn drive(&mut self, parts: impl IntoIterator<Item = PartId>) {
        for part in parts {
            self.0.remove(&part);
        }
    }

    /// Nobody drives these any more.
    pub(crate) fn let_go(&mut self, parts: Vec<PartId>, machine: &Machine) {
        self.0.extend(parts);
        if self.0.len() > 2 * STALE {
            let _ = machine.query(|state| self.forget_resolved(state));
        }
    }
}
