//! LDK, as far as payonce needs it: what is asked of it, what it lists, what is kept with it.

pub(crate) mod border;
pub(crate) mod engine;
pub(crate) mod entry;
pub(crate) mod head;
pub(crate) mod imported;
pub(crate) mod limits;
pub(crate) mod line;
pub(crate) mod manager;
pub(crate) mod names;
pub(crate) mod options;
