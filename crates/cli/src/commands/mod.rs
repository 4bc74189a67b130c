//! The commands, one file each.

use crate::{cli::Shown, units::Clock};

pub(crate) mod at;
pub(crate) mod backup;
pub(crate) mod copy;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod raw;
pub(crate) mod report;
pub(crate) mod resolve;
pub(crate) mod salvage;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod verify;

/// How what a command says is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) shown: &'a Shown,
    pub(crate) clock: &'a Clock,
}
