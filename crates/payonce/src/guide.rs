//! The guides, the same text as in the repository's `docs/`.
//!
//! | you | guide |
//! |---|---|
//! | pay through a node's API | [`api`] |
//! | embed LDK | [`ldk`] |
//! | drive HTLCs of your own | [`own_htlcs`] |
//! | keep the log in a database of yours | [`stores`] |
//! | operate it | [`operating`], [`hazards`] |
//! | look a rule or a word up | [`semantics`], [`glossary`] |

/// Paying through a node's API: LND, or an engine of your own.
///
/// The guide is [the one of `payonce-engine`](https://docs.rs/payonce-engine/latest/payonce_engine/guide/), the
/// crate that holds the driver: it hands payments over, follows them, and tells what became of them, exactly once. `payonce-lnd` is such an engine, LND over gRPC.
/// Both take a [`SharedLedger`](crate::runtime::SharedLedger) on any store, and the
/// [`Request`](crate::Request)s of this crate.
pub mod api {}

/// Embedding LDK.
///
/// The guide is [the one of `payonce-ldk`](https://docs.rs/payonce-ldk/latest/payonce_ldk/guide/), the crate that
/// drives LDK's `ChannelManager`: `pay`, `handle_event` and `tick` stand where a node sends, handles LDK's events
/// and has its timer. `payonce-store-kv` keeps the log in the `KVStore` that the node has.
pub mod ldk {}

/// Keeping the log in a store of your own.
///
/// 1. Implement [`EventSource`](crate::audit::EventSource) (how the log is read) and
///    [`EventStore`](crate::EventStore) (how it is written). The contract is numbered in the trait's
///    documentation; each sentence of it is a case of a suite.
/// 2. Run that suite, `payonce-store-testkit`, against your store: one macro, and a `Harness` of yours that opens,
///    crashes and opens again, makes an append fail and damages an entry. A hook that you leave out makes its cases fail
///    until `Harness::LEFT_OUT` names it.
/// 3. Open a ledger on it: [`Ledger::open`](crate::Ledger::open), or
///    [`SharedLedger::open`](crate::runtime::SharedLedger::open) for many threads.
///
/// A store moves bytes: the core encodes, hashes and chains. Keep of each entry its first and last seq, the
/// chain at its end (`Entry::after`), its bytes, and a checksum of your own, which finds what a disk did to them.
/// The example `sqlite` of the suite is a whole store; `payonce-store-memory` is the reference. A store depends
/// on `payonce-core`, and on the suite for its tests alone.
pub mod stores {}

#[doc = include_str!("../guide/INTEGRATING.md")]
pub mod own_htlcs {}

#[doc = include_str!("../guide/OPERATING.md")]
pub mod operating {}

#[doc = include_str!("../guide/HAZARDS.md")]
pub mod hazards {}

#[doc = include_str!("../guide/SEMANTICS.md")]
pub mod semantics {}

#[doc = include_str!("../guide/GLOSSARY.md")]
pub mod glossary {}
