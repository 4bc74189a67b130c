//! Pays a Lightning invoice exactly once, whatever crashes in between.
//!
//! > **Append before act.** Nothing goes out to the network, and no answer goes to the user, before
//! > the events that record it are durable.
//!
//! ```rust
//! use payonce::{store_fs::{FsStore, Options}, *};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (dir, now) = (tempfile::tempdir()?, UnixMillis(1_790_000_000_000));
//!     let (store, _) = FsStore::create(&dir, LedgerId::from_bytes([7; 32]), Options::default())?;
//!     let opening = Opening::new(Remember::Forever, 42); // in production a random, secret seed
//!     let recovery = Ledger::open(store, &opening, now)?; // lists what was out at a crash: nothing
//!     let mut ledger = recovery.finish(now)?;
//!
//!     let preimage = Preimage::from_bytes([1; 32]); // in production the payee's secret
//!     let hash = preimage.payment_hash();
//!     let id = PaymentId::from_payment_hash(hash); // the idempotency key: store it before you send
//!     let (fee, retry) = (MaxFee::AtMost(Msat(500)), RetryPolicy::Manual); // no defaults
//!     let pay = Pay::new(id, Request::invoice(hash, Msat(50_000), fee, retry));
//!     assert_eq!(ledger.execute(pay.clone(), now)?, PayReply::Accepted);
//!
//!     let part = PartId::from_bytes([2; 32]); // in production random
//!     let htlc = NewPart::htlc(part, Msat(50_000), Msat(10), 900_000);
//!     ledger.execute(Dispatch { id, attempt: 1, parts: vec![htlc] }, now)?;
//!     // The dispatch is durable: now, and not before, offer the HTLC. Then tell what became of it.
//!     ledger.execute(ClaimPart::new(id, part, preimage), now)?;
//!
//!     let repeat = ledger.execute(pay, now)?;
//!     assert!(matches!(repeat, PayReply::Duplicate(known) if known.status == Status::Fulfilled));
//!     Ok(())
//! }
//! ```
//!
//! Five concepts are enough for that program: a [`Command`] ([`Pay`], [`Dispatch`], ...) is decided
//! into [`Event`]s, which fold into a [`Payment`], kept in an [`EventStore`] by a [`Ledger`].
//!
//! # Which of these are you?
//!
//! | you | begin with |
//! |---|---|
//! | pay through a node's API: LND, or an engine of your own | [`guide::api`], the crates `payonce-engine` and `payonce-lnd` |
//! | embed LDK | [`guide::ldk`], the crate `payonce-ldk` |
//! | drive HTLCs of your own | [`guide::own_htlcs`], then [`runtime::SharedLedger`] |
//! | keep the log in a database of yours | [`guide::stores`], [`EventStore`]; PostgreSQL is `payonce-store-postgres` |
//! | operate, audit, or answer a customer | [`guide::operating`], the program of `payonce-cli`, [`audit`] |
//! | write a runtime, an engine layer or a bridge | [`machine`] |
//!
//! # What is where
//!
//! At the root is what a first program and a node need. [`store_fs`] keeps the log in a directory,
//! [`runtime`] shares one ledger among many threads and tasks. [`machine`] and [`audit`] hold the rest of
//! the core, [`guide`] the guides. This crate is the front door and holds no logic.
//!
//! Some everyday words have one exact meaning each here: *out*, *part*, *settled*, *remaining*, *rest*, *restored*.
//! [`guide::glossary`] has them all.

#![forbid(unsafe_code)]

// What a payment is told, from the order to its end.
pub use payonce_core::{
    Abandon, Acknowledge, ClaimPart, Command, Dispatch, FailPart, FinalizePart, MarkPaid, NewPart,
    Pay, ReceiveInvoice, Tick, WithdrawPart,
};

// What a node answers at start-up, and of what a restored log lacks.
pub use payonce_core::{
    AdoptPart, Answer, BlockHash, CloseGap, Recovery, UnblockHash, UnresolvedPart,
};

// What is asked for.
pub use payonce_core::{Backoff, CustomRecord, Deadline, MaxFee, Request, RetryPolicy};

#[cfg(feature = "lightning-invoice")]
pub use payonce_core::Bolt11Refusal;

// Names and amounts.
pub use payonce_core::{
    Head, LedgerId, Msat, NodeId, PartId, PaymentHash, PaymentId, Preimage, UnixMillis,
};

// What is answered.
pub use payonce_core::{
    DispatchReply, ExecuteError, FactRefusal, FactReply, LedgerError, OpenError, PayRefusal,
    PayReply,
};

// What is known.
pub use payonce_core::{
    Event, Failure, FailureReason, Notification, NotificationId, NotificationKind, PartKind,
    PartStatus, Payment, PaymentView, State, Status, StatusKind,
};

// Pages of payments.
pub use payonce_core::{ListedPayment, Listing, Page};

// The ledger, and where its log is kept.
pub use payonce_core::{Config, EventStore, Ledger, Opening, Remember};

/// For authors of runtimes, engine layers and bridges: the two-step [`Machine`](machine::Machine), every
/// command, reply and refusal that is not at the root, and what events are made of.
pub mod machine {
    pub use payonce_core::{
        AbandonReply, AcknowledgeRefusal, AcknowledgeReply, AdoptedPart, AdoptionSource,
        AmountTooLarge, Anomaly, Assertion, AssertionLimit, Attribution, Blob, BlockedHash,
        Context, Counts, Decision, DecodeError, Delivery, DisownPart, DispatchRefusal, EncodeError,
        Exclusion, FORMAT_VERSION, Fence, FinishRecovery, ForeignPart, HashHolder, HashPaid, Idle,
        Image, Invoice, Label, List, ListError, ListParts, ListingCursor, ListingOrder,
        ListingRefusal, LogHash, Machine, Observation, ObservationKind, ObservePart, OfferHash,
        OpenedBy, Operation, Paid, PaidElsewhere, ParseIdError, Part, PartTerms, PhaseRefusal,
        Poisoned, PoisonedBy, Receipt, ReceiveInvoiceRefusal, Refusal, Release, ReleaseError,
        Remaining, Replies, Reply, RequestDetail, RequestDetails, RequestField, RequestInvoice,
        SameHash, SayAgain, Selection, Settlement, ShortChannelId, SnapshotError, SnapshotWriter,
        Step, Sums, TailFault, TakenOver, Target, TargetKind, Text, TickReply, Ticket,
        UnknownField, UnknownFields, WaitsUntil, WorkReply, WrongLength, limits, list, revealed,
        verify,
    };
}

/// What a tool needs that reads a log: the program `payonce` is built of it.
///
/// - any [`EventSource`](audit::EventSource) is a log; a directory is read by [`FsReader`](audit::FsReader),
///   without a lock, also while a node writes to it;
/// - [`history`](audit::history) walks over it entry by entry, with the chain checked;
///   [`Event::words`] tells an event in words, [`Shown`](audit::Shown) a text from outside so that it cannot
///   play with the terminal;
/// - [`state_at`](audit::state_at) is the state as it was at a seq or a moment; [`verify`](audit::verify)
///   folds all of it, on two threads; [`Outline`](audit::Outline) is what is live, at once;
/// - [`scan`](audit::scan) and [`survey`](audit::survey) read what can be read of a damaged directory, with
///   file and offset.
pub mod audit {
    pub use payonce_core::{
        BaseCheck, CheckedBase, CopyError, Entry, EntryHeader, EventSource, Linker, Outline,
        Position, Record, Records, Replay, ReplayError, Shown, Snapshot, StateDigest, StoreError,
        StoredEntry, Until, Words, check_base, copy, decode_events, history, state_at,
    };
    pub use payonce_runtime::{replay, verify};
    pub use payonce_store_fs::{Found, FsReader, Place, Survey, Verified, scan, survey};
}

pub mod guide;

/// One ledger for many threads and tasks, with group commit.
pub use payonce_runtime as runtime;

/// The log in segment files under one directory: the embedded default.
pub use payonce_store_fs as store_fs;

#[cfg(doctest)]
#[doc = include_str!("../guide/README.md")]
struct Readme;
