//! Names, amounts, limits; bytes on the wire; what is bounded.

pub(crate) mod amount;
pub(crate) mod bounded;
#[cfg(payonce_faults)]
pub mod faults;
#[cfg(not(payonce_faults))]
pub(crate) mod faults;
pub(crate) mod head;
pub(crate) mod ids;
pub mod limits;
pub(crate) mod list;
mod outside;
pub(crate) mod slab;
pub(crate) mod state_digest;
pub(crate) mod text_form;
pub(crate) mod vocabulary;
pub(crate) mod wire;
