//! Decide: state + command + now -> events and a reply, or a refusal. Pure: it reads the state and
//! the configuration and changes neither.

pub(crate) mod admission;
pub(crate) mod adoption;
pub(crate) mod assertion;
pub(crate) mod claim;
pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod conclusions;
pub(crate) mod config;
pub(crate) mod decision;
pub(crate) mod dispatch;
mod draft;
pub(crate) mod foreign;
pub(crate) mod invoice_request;
pub(crate) mod operation;
mod others;
pub(crate) mod outbox;
pub(crate) mod paid;
pub(crate) mod refusal;
pub(crate) mod reply;
pub(crate) mod resolution;
pub(crate) mod tick;
