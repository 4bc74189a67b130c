//! The program, in its own process: command line in, text and exit code out.

mod bad_input;
mod golden;
mod support;
