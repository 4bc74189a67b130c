//! The report: one HTML file with everything in it, for a browser that loads nothing else.

mod data;
mod page;

pub(crate) use data::{Data, collect};
pub(crate) use page::render;
