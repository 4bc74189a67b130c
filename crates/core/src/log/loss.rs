//! The alarm of an entry that was dropped before it was confirmed.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

/// Poisons the machine when an entry is dropped before it was confirmed.
#[derive(Debug, Default)]
pub(crate) struct LossAlarm(Option<Arc<AtomicBool>>);

impl LossAlarm {
    pub(crate) fn of(lost: &Arc<AtomicBool>) -> Self {
        Self(Some(Arc::clone(lost)))
    }

    pub(crate) fn is_of(&self, lost: &Arc<AtomicBool>) -> bool {
        self.0.as_ref().is_some_and(|own| Arc::ptr_eq(own, lost))
    }

    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for LossAlarm {
    fn drop(&mut self) {
        if let Some(lost) = &self.0 {
            lost.store(true, Ordering::Release);
        }
    }
}
