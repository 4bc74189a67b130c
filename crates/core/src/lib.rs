//! The pure state machine of payonce: commands -> events -> payment state, without I/O, clock,
//! threads or randomness.
//!
//! > **Append before act.** Nothing goes out to the network, and no answer goes to the user, before
//! > the events that record it are durable.
//!
//! Five concepts are enough for a first program: a [`Command`] is decided into [`Event`]s, which
//! fold into a [`Payment`], kept in an [`EventStore`] by a [`Ledger`].

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod amount;
mod bounded;
mod chain;
mod command;
mod config;
mod decide;
mod details;
mod entry;
mod event;
mod evolve;
#[cfg(payonce_faults)]
pub mod faults;
#[cfg(not(payonce_faults))]
mod faults;
mod former;
mod hash_paid;
mod held;
mod ids;
mod image;
mod index;
mod ledger;
pub mod limits;
mod list;
mod machine;
mod notification;
mod outbox;
mod part;
mod parts;
mod payment;
mod query;
mod records;
mod recovery;
mod refusal;
pub mod relay;
mod replay;
mod reply;
mod request;
mod slab;
mod snapshot;
mod state;
mod state_digest;
mod status;
mod store;
mod stray;
mod table;
mod timing;
mod tombstone;
mod vocabulary;
mod wire;

pub use crate::{
    amount::{Msat, UnixMillis},
    bounded::{Blob, List, Text},
    chain::{ChainHash, Head},
    command::{
        Abandon, Acknowledge, AdoptPart, ClaimPart, CloseGap, Command, DisownPart, Dispatch,
        FailPart, FinalizePart, FinishRecovery, HoldHash, ListParts, MarkPaid, NewPart,
        ObservePart, Operation, ReceiveInvoice, ReleaseHash, SayAgain, Send, Tick, WithdrawPart,
    },
    config::{Config, Remember, SameHash},
    decide::{Context, Decision},
    entry::{EncodeError, Entry, EntryHeader, decode_events},
    event::{AdoptedPart, Delivery, Event, Home, Invoice, Settlement, Word},
    evolve::Position,
    hash_paid::{HashPaid, PaidElsewhere},
    ids::{
        LedgerId, NodeId, OfferHash, ParseIdError, PartId, PaymentHash, PaymentId, Preimage,
        ShortChannelId,
    },
    image::Image,
    ledger::{
        Answers, BaseCheck, CheckedBase, ExecuteError, Ledger, LedgerError, OpenError, Opening,
        PoisonedBy, check_base,
    },
    machine::{Machine, OpenedBy, Poisoned, Receipt, ReleaseError, SnapshotError, Step, Ticket},
    notification::{Anomaly, Notice, Notification, NotificationId},
    part::{
        Assertion, Failure, Fate, Label, Observation, ObservationKind, Part, PartKind, PartTerms,
    },
    payment::{Payment, Quiet, Sums, WaitsUntil},
    query::{Counts, Shortfall, UnresolvedPart},
    records::{Linker, Records},
    recovery::{Answer, Recovery},
    refusal::{
        AbandonRefusal, AcknowledgeRefusal, AssertionLimit, CloseGapRefusal, DispatchRefusal,
        FactRefusal, FinishRefusal, NeverRefused, ReceiveInvoiceRefusal, Refusal, SendRefusal,
        TickRefusal,
    },
    replay::{Record, Replay, ReplayError, history, verify},
    reply::{
        AbandonReply, AcknowledgeReply, DispatchReply, FactReply, Paid, Release, Reply, SendReply,
        Standing, TickReply, WorkReply,
    },
    request::{
        Backoff, CustomRecord, Deadline, MaxFee, Request, RequestField, RetryPolicy, Target,
    },
    state::{HashHolder, State},
    state_digest::StateDigest,
    status::{FailureReason, Status, StatusKind},
    store::{
        EventSource, EventStore, Exclusion, Fence, Snapshot, SnapshotWriter, StoreError,
        StoredEntry, TakenOver,
    },
    stray::Stray,
    wire::{DecodeError, FORMAT_VERSION, TailFault, UnknownField, UnknownFields},
};
