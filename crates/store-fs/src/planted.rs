//! Faults that a test plants, to see that it would find them: the build for it is made with `--cfg
//! payonce_faults`, and the environment of the process chooses one by its number. In every other
//! build there are none.

/// The newest segment is trusted, whatever happened to its last writer: it is written again in place,
/// and synced.
#[cfg(payonce_faults)]
pub(crate) const BELIEVES_THE_NEWEST: u32 = 1;
/// The store does not check whether its files are still the ones under their names.
pub(crate) const LOOKS_NOWHERE: u32 = 2;
/// A reader trusts a single listing of the directory.
pub(crate) const BELIEVES_A_LISTING: u32 = 3;

/// Whether this fault is planted.
#[cfg(payonce_faults)]
pub(crate) fn is_planted(fault: u32) -> bool {
    std::env::var("PAYONCE_FAULT").is_ok_and(|planted| planted == fault.to_string())
}

/// There are none in this build.
#[cfg(not(payonce_faults))]
pub(crate) const fn is_planted(_fault: u32) -> bool {
    false
}
