//! What the scripts are written in: names, commands, expectations, and the runner that plays every
//! script live, reopened after every step, and with a crash at every operation of the store.

mod answers;
mod judged;
mod names;
mod outcome;
mod outlines;
mod prefix;
mod runner;
mod scenario;
mod text;

pub(crate) use self::{
    names::{
        T0, adopted, but, claimed, delegated, hash, htlc, id, offer, part, pay, permanent,
        preimage, routed_over, seconds, unlimited,
    },
    outcome::Outcome,
    runner::{forever, live, play, window},
    scenario::Scenario,
};
