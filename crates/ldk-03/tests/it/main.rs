//! The tests of payonce-ldk on an engine that answers as it is told, for LDK 0.3; and what only 0.3 tells.

#![allow(dead_code, reason = "the script of the other line, of which not all is used here")]

// Its tests are those of the other line.
extern crate payonce_ldk_03 as payonce_ldk;

#[path = "../../../ldk/tests/scripted/hand_overs.rs"]
mod hand_overs;
mod listed;
#[path = "../../../ldk/tests/scripted/money.rs"]
mod money;
#[path = "../../../ldk/tests/scripted/script.rs"]
mod script;
mod tells_more;
