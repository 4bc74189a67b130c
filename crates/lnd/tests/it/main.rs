//! payonce-lnd against a real LND, and against a fake one on the real wire.

mod net;
mod real;
