//! The suite on the example's store, one test a case.

#[path = "../examples/sqlite.rs"]
#[allow(dead_code, reason = "its main runs the same cases")]
mod sqlite;

payonce_store_testkit::conformance!(crate::sqlite::Sqlite::new());
