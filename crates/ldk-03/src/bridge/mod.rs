//! LDK, as far as payonce needs it: the files of payonce-ldk but for `line`.

#[path = "../../../ldk/src/bridge/border.rs"]
pub(crate) mod border;
#[path = "../../../ldk/src/bridge/engine.rs"]
pub(crate) mod engine;
#[path = "../../../ldk/src/bridge/entry.rs"]
pub(crate) mod entry;
#[path = "../../../ldk/src/bridge/head.rs"]
pub(crate) mod head;
#[path = "../../../ldk/src/bridge/imported.rs"]
pub(crate) mod imported;
#[path = "../../../ldk/src/bridge/limits.rs"]
pub(crate) mod limits;
pub(crate) mod line;
#[path = "../../../ldk/src/bridge/manager.rs"]
pub(crate) mod manager;
pub(crate) mod names;
#[path = "../../../ldk/src/bridge/options.rs"]
pub(crate) mod options;
