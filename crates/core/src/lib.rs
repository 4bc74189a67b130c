//! The pure state machine of payonce: commands -> events -> payment state, without I/O, clock,
//! threads or randomness.
//!
//! > **Append before act.** Nothing goes out to the network, and no answer goes to the user, before
//! > the events that record it are durable.
//!
//! Five concepts are enough for a first program: a [`Command`] is decided into [`Event`]s, which
//! fold into a [`Payment`], kept in an [`EventStore`] by a [`Ledger`].
//!
//! Some everyday words have one exact meaning each here: *out*, *part*, *settled*, *remaining*, *rest*, *restored*. The
//! [glossary] has them all, [SEMANTICS] what each command does in each status.
//!
//! [glossary]: https://github.com/payonce/payonce/blob/main/docs/GLOSSARY.md
//! [SEMANTICS]: https://github.com/payonce/payonce/blob/main/docs/SEMANTICS.md

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

// The rooms, from the top floor to the ground: each uses those below it.
// The log and the state together: the machine, replay, opening, recovery.
mod ledger;
// Commands, and what each is decided into.
mod decide;
// All payments: where each is found, what is asked of them, what an event does to them.
mod state;
// One payment: its parts, and what an event does to it.
mod payment;
// How events are kept: entries, and the store.
mod log;
// What happened: events, and what they are made of.
mod event;
// Names, amounts, limits; bytes on the wire; what is bounded.
mod base;

#[cfg(payonce_faults)]
pub use crate::base::faults;
#[cfg(feature = "lightning-invoice")]
pub use crate::event::bolt11::Bolt11Refusal;
pub use crate::{
    base::amount::{AmountTooLarge, Msat, UnixMillis},
    base::bounded::{Blob, List, Text},
    base::head::Head,
    base::ids::{
        LedgerId, LogHash, NodeId, OfferHash, ParseIdError, PartId, PaymentHash, PaymentId,
        Preimage, ShortChannelId, WrongLength, revealed,
    },
    base::limits,
    base::state_digest::StateDigest,
    base::wire::{DecodeError, FORMAT_VERSION, TailFault, UnknownField, UnknownFields},
    decide::command::{
        Abandon, Acknowledge, AdoptPart, BlockHash, ClaimPart, CloseGap, DisownPart, Dispatch,
        FailPart, FinalizePart, FinishRecovery, ListParts, MarkPaid, NewPart, ObservePart, Pay,
        ReceiveInvoice, RequestInvoice, SayAgain, Tick, UnblockHash, WithdrawPart,
    },
    decide::config::{Config, Remember, SameHash},
    decide::decision::{Context, Decision},
    decide::operation::{Command, Operation},
    decide::refusal::{
        AcknowledgeRefusal, AssertionLimit, DispatchRefusal, FactRefusal, PayRefusal, PhaseRefusal,
        ReceiveInvoiceRefusal, Refusal,
    },
    decide::reply::{
        AbandonReply, AcknowledgeReply, DispatchReply, FactReply, PayReply, Release, Reply,
        TickReply, WorkReply,
    },
    event::blocked_hash::BlockedHash,
    event::event::{
        AdoptedPart, AdoptionSource, Attribution, Delivery, Event, Invoice, Settlement,
    },
    event::hash_paid::{HashPaid, PaidElsewhere},
    event::notification::{Anomaly, Notification, NotificationId, NotificationKind},
    event::part::{
        Assertion, Failure, Label, Observation, ObservationKind, PartKind, PartStatus, PartTerms,
    },
    event::request::{
        Backoff, CustomRecord, Deadline, MaxFee, Request, RequestDetail, RequestDetails,
        RequestField, RetryPolicy, Target, TargetKind,
    },
    event::status::{FailureReason, Status, StatusKind},
    event::words::{Shown, Words},
    ledger::base::{BaseCheck, CheckedBase, check_base},
    ledger::copy::{CopyError, copy},
    ledger::ledger::{ExecuteError, Ledger, Replies},
    ledger::ledger_error::{LedgerError, PoisonedBy},
    ledger::listing::{ListError, list},
    ledger::machine::{
        Machine, OpenedBy, Poisoned, Receipt, ReleaseError, SnapshotError, Step, Ticket,
    },
    ledger::opening::{OpenError, Opening},
    ledger::outline::Outline,
    ledger::past::{Until, state_at},
    ledger::records::{Linker, Records},
    ledger::recovery::{Answer, Recovery},
    ledger::replay::{Record, Replay, history, verify},
    ledger::replay_error::ReplayError,
    log::entry::{EncodeError, Entry, EntryHeader, decode_events},
    log::store::{
        EventSource, EventStore, Exclusion, Fence, Snapshot, SnapshotWriter, StoreError,
        StoredEntry, TakenOver,
    },
    payment::details::{Idle, WaitsUntil},
    payment::foreign_part::ForeignPart,
    payment::part::Part,
    payment::payment::{Payment, Sums},
    state::evolve::Position,
    state::image::Image,
    state::listing::{
        ListedPayment, Listing, ListingCursor, ListingOrder, ListingRefusal, Page, Selection,
    },
    state::query::{Counts, Remaining, UnresolvedPart},
    state::state::{HashHolder, State},
    state::views::{Paid, PaymentView},
};
