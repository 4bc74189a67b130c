//! The alphabet of the search: two payments, A and B, with two parts each, and one part and one
//! payment that nobody sent. Everything is named by small labels, so that symmetric names can be
//! exchanged.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use payonce_core::*;

/// A payment's label: 0 and 1 are A and B, 2 is never sent.
pub type P = u8;
/// A part's label under its payment: 0 and 1 are dispatched, 2 is not.
pub type K = u8;

pub const EARLY: UnixMillis = UnixMillis(1_000_000);
pub const LATE: UnixMillis = UnixMillis(2_000_000);
const EXPIRY: UnixMillis = UnixMillis(1_500_000);
pub const AMOUNT: u64 = 100;

pub fn payment(p: P) -> PaymentId {
    PaymentId::from_bytes([0xa0 + p; 32])
}

pub fn part(p: P, k: K) -> PartId {
    PartId::from_bytes([0x10 * (p + 1) + k; 32])
}

/// The label of a part id.
pub fn part_label(id: &PartId) -> (P, K) {
    let byte = id.as_bytes()[0];
    (byte / 0x10 - 1, byte % 0x10)
}

pub fn payment_label(id: &PaymentId) -> P {
    id.as_bytes()[0] - 0xa0
}

/// Hash 0 and 1 are those of A's and B's invoices.
pub fn preimage(h: u8) -> Preimage {
    Preimage::from_bytes([0xe0 + h; 32])
}

/// What kind of request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    Invoice,
    Offer,
}

/// What is dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// Both parts, half the amount each.
    Both,
    /// One part, with half the amount.
    Half(K),
    /// One part, with all of it.
    Whole(K),
    Delegated(K),
    /// More than may be out.
    TooMuch(K),
    /// More fees than allowed.
    TooDear(K),
    /// One part under the number of the attempt after the next.
    Stale(K),
    Empty,
    Zero(K),
    TwoDelegated,
}

/// One thing that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Send {
        p: P,
        other: bool,
        again: bool,
    },
    SendInvalid {
        p: P,
    },
    Invoice {
        p: P,
        h: u8,
        amount: u64,
        expires: bool,
    },
    Dispatch {
        p: P,
        batch: Batch,
    },
    Withdraw {
        p: P,
        k: K,
    },
    Claim {
        named: P,
        p: P,
        k: K,
        h: u8,
    },
    Finalize {
        p: P,
        k: K,
    },
    Fail {
        p: P,
        k: K,
        permanent: bool,
    },
    Assert {
        p: P,
        k: K,
    },
    Observe {
        p: P,
        k: K,
    },
    Adopt {
        named: P,
        p: P,
        k: K,
        h: u8,
        known: bool,
    },
    MarkPaid {
        p: P,
        k: Option<K>,
        h: Option<u8>,
    },
    Hold {
        h: u8,
    },
    Release {
        h: u8,
    },
    Abandon {
        p: P,
    },
    AcknowledgeAll {
        p: P,
    },
    AcknowledgeFirst {
        p: P,
    },
    AcknowledgeApart,
    AcknowledgeWrong,
    AcknowledgeFuture,
    Tick,
    Finish,
    CloseGap,
    /// The process dies and the log is opened again.
    Reopen {
        restored: bool,
    },
    /// Every deadline passes.
    TimePasses,
}

/// What is searched: the requests, the configuration, and what can happen.
pub struct Profile {
    pub name: &'static str,
    pub config: Config,
    pub target: Aim,
    pub retry: RetryPolicy,
    pub expiry: Option<UnixMillis>,
    pub acts: Vec<Act>,
    /// Whether the two parts of a payment can be exchanged.
    pub parts_alike: bool,
    /// Acts that lead to where it begins; the deepest first, so that what follows them is not
    /// taken for done because a shallower search came by.
    pub starts: Vec<Vec<Act>>,
    /// How many distinct states are expanded from each start.
    pub states: usize,
}

impl Profile {
    pub fn request(&self, p: P, other: bool) -> Request {
        let target = match self.target {
            Aim::Invoice => Target::Invoice { payment_hash: preimage(p).payment_hash() },
            Aim::Offer => Target::Offer {
                offer_hash: OfferHash::from_bytes([p; 32]),
                deadline: Deadline::Ticks(1),
            },
        };
        let mut request = Request::new(target, Msat(AMOUNT));
        request.max_fee = Some(Msat(10));
        request.retry = self.retry;
        request.expiry = self.expiry;
        if other {
            request.metadata = (&[1]).into();
        }
        request
    }

    /// The command of an act in this state; none where it is not a command, or means nothing.
    pub fn command(&self, act: Act, state: &State) -> Option<Command> {
        Some(match act {
            Act::Send { p, other, again } => {
                let stands = state.standing(&payment(p));
                let failed = stands.and_then(|stands| stands.failed);
                let again_after = if again { Some(failed?) } else { None };
                let request = self.request(p, other);
                Command::Send(Send { id: payment(p), request, again_after })
            }
            Act::SendInvalid { p } => {
                let mut request = self.request(p, false);
                request.amount = Msat(0);
                Command::Send(Send { id: payment(p), request, again_after: None })
            }
            Act::Invoice { p, h, amount, expires } => Command::ReceiveInvoice(ReceiveInvoice {
                id: payment(p),
                payment_hash: preimage(h).payment_hash(),
                amount: Msat(amount),
                expiry: expires.then_some(EXPIRY),
            }),
            Act::Dispatch { p, batch } => dispatch(state, p, batch),
            Act::Withdraw { p, k } => {
                Command::WithdrawPart(WithdrawPart { id: payment(p), part: part(p, k) })
            }
            Act::Claim { named, p, k, h } => Command::ClaimPart(ClaimPart {
                id: payment(named),
                part: part(p, k),
                preimage: preimage(h),
                settlement: None,
            }),
            Act::Finalize { p, k } => {
                Command::FinalizePart(FinalizePart { id: payment(p), part: part(p, k) })
            }
            Act::Fail { p, k, permanent } => {
                fail(p, k, Failure { permanent, ..Failure::default() })
            }
            Act::Assert { p, k } => {
                let assertion = Assertion { by: "me".into(), why: "gone".into(), height: 1_000 };
                fail(p, k, Failure { assertion: Some(assertion), ..Failure::default() })
            }
            Act::Observe { p, k } => Command::ObservePart(ObservePart {
                id: payment(p),
                part: part(p, k),
                kind: ObservationKind::PathFailed,
                bytes: Blob::default(),
            }),
            Act::Adopt { named, p, k, h, known } => Command::AdoptPart(AdoptPart {
                id: payment(named),
                part: part(p, k),
                payment_hash: preimage(h).payment_hash(),
                amount: known.then_some(Msat(AMOUNT / 2)),
                fee: known.then_some(Msat(1)),
                kind: PartKind::Htlc { cltv_expiry: None, first_channel: None },
            }),
            Act::MarkPaid { p, k, h } => Command::MarkPaid(MarkPaid {
                id: payment(p),
                part: k.map(|k| part(p, k)),
                payment_hash: h.map(|h| preimage(h).payment_hash()),
                settlement: Settlement::default(),
            }),
            Act::Hold { h } => {
                Command::HoldHash(HoldHash { payment_hash: preimage(h).payment_hash() })
            }
            Act::Release { h } => {
                Command::ReleaseHash(ReleaseHash { payment_hash: preimage(h).payment_hash() })
            }
            Act::Abandon { p } => {
                Command::Abandon(Abandon { id: payment(p), reason: FailureReason::UserAbandoned })
            }
            Act::Tick => Command::Tick(Tick),
            Act::Finish => Command::FinishRecovery(FinishRecovery),
            Act::CloseGap => Command::CloseGap(CloseGap),
            Act::AcknowledgeAll { .. }
            | Act::AcknowledgeFirst { .. }
            | Act::AcknowledgeApart
            | Act::AcknowledgeWrong
            | Act::AcknowledgeFuture => acknowledge(state, act)?,
            Act::Reopen { .. } | Act::TimePasses => return None,
        })
    }
}

/// What a repeat of the same command must not change: everything but what asks for a new decision.
pub fn is_fact(act: Act) -> bool {
    !matches!(act, Act::Tick | Act::Finish | Act::CloseGap | Act::Reopen { .. } | Act::TimePasses)
}

fn fail(p: P, k: K, failure: Failure) -> Command {
    Command::FailPart(FailPart { id: payment(p), part: part(p, k), failure })
}

fn htlc(id: PartId, amount: u64, fee: u64) -> NewPart {
    NewPart::Htlc {
        id,
        amount: Msat(amount),
        fee: Msat(fee),
        cltv_expiry: 500,
        first_channel: None,
    }
}

fn dispatch(state: &State, p: P, batch: Batch) -> Command {
    let next = state.missing(&payment(p)).map_or(1, |missing| missing.attempt);
    let half = |k| htlc(part(p, k), AMOUNT / 2, 1);
    let (attempt, parts) = match batch {
        Batch::Both => (next, vec![half(0), half(1)]),
        Batch::Half(k) => (next, vec![half(k)]),
        Batch::Whole(k) => (next, vec![htlc(part(p, k), AMOUNT, 1)]),
        Batch::Delegated(k) => (next, vec![NewPart::delegated(part(p, k))]),
        Batch::TooMuch(k) => (next, vec![htlc(part(p, k), AMOUNT + 11, 1)]),
        Batch::TooDear(k) => (next, vec![htlc(part(p, k), AMOUNT / 2, 11)]),
        Batch::Stale(k) => (next + 1, vec![half(k)]),
        Batch::Empty => (next, vec![]),
        Batch::Zero(k) => (next, vec![htlc(part(p, k), 0, 1)]),
        Batch::TwoDelegated => {
            let delegated = |k| NewPart::delegated(part(p, k));
            (next, vec![delegated(0), delegated(1)])
        }
    };
    Command::Dispatch(Dispatch { id: payment(p), attempt, parts })
}

/// The payment to whose outbox a notice belongs; none for what touches no payment.
pub fn owner(notice: &Notice) -> Option<P> {
    match notice {
        Notice::Anomaly {
            anomaly: Anomaly::Stray { .. } | Anomaly::ForeignClaim { .. }, ..
        } => None,
        _ => Some(payment_label(notice.payment())),
    }
}

fn acknowledge(state: &State, act: Act) -> Option<Command> {
    let of = |wanted: Option<P>| {
        let unread = state.outbox().filter(|told| owner(&told.notice) == wanted);
        unread.map(|told| told.id).collect::<Vec<_>>()
    };
    let mut ids = match act {
        Act::AcknowledgeAll { p } | Act::AcknowledgeFirst { p } => of(Some(p)),
        Act::AcknowledgeApart => of(None),
        _ => state.outbox().map(|told| told.id).take(1).collect(),
    };
    match act {
        Act::AcknowledgeFirst { .. } => ids.truncate(1),
        Act::AcknowledgeWrong => ids.iter_mut().for_each(|id| id.chain[0] ^= 1),
        Act::AcknowledgeFuture => {
            ids = vec![NotificationId { seq: state.head().seq + 1, chain: [0; 8] }];
        }
        _ => {}
    }
    if ids.is_empty() { None } else { Some(Command::Acknowledge(Acknowledge { ids })) }
}

fn send(p: P) -> Act {
    Act::Send { p, other: false, again: false }
}

fn dispatch_act(p: P, batch: Batch) -> Act {
    Act::Dispatch { p, batch }
}

fn for_each_payment(acts: impl Fn(P) -> Vec<Act>) -> Vec<Act> {
    [0, 1].into_iter().flat_map(acts).collect()
}

fn config(remember: Remember) -> Config {
    let mut config = Config::new(remember);
    config.idempotency_ticks = 1;
    config.min_tick_interval_ms = 0;
    config
}

fn always() -> Vec<Act> {
    let mut acts = for_each_payment(|p| {
        vec![
            Act::Send { p, other: false, again: false },
            Act::Send { p, other: true, again: false },
            Act::Send { p, other: false, again: true },
            Act::Abandon { p },
            Act::AcknowledgeAll { p },
            Act::AcknowledgeFirst { p },
        ]
    });
    acts.extend([Act::Tick, Act::Finish, Act::Reopen { restored: false }, Act::TimePasses]);
    acts
}

/// Every part driven by the node itself: batches, retries, refusals, corrections.
pub fn parts_of_invoices(states: usize) -> Profile {
    let mut acts = always();
    acts.extend(for_each_payment(|p| {
        let mut acts: Vec<_> = [
            Batch::Both,
            Batch::TooMuch(0),
            Batch::TooDear(0),
            Batch::Stale(0),
            Batch::Empty,
            Batch::Zero(0),
        ]
        .map(|batch| Act::Dispatch { p, batch })
        .into();
        for k in [0, 1] {
            acts.extend([
                Act::Dispatch { p, batch: Batch::Half(k) },
                Act::Withdraw { p, k },
                Act::Claim { named: p, p, k, h: p },
                Act::Finalize { p, k },
                Act::Fail { p, k, permanent: false },
                Act::Fail { p, k, permanent: true },
                Act::Claim { named: p, p, k, h: 1 - p },
            ]);
        }
        acts.push(Act::SendInvalid { p });
        acts
    }));
    acts.extend([Act::AcknowledgeWrong, Act::AcknowledgeFuture]);
    Profile {
        name: "parts of invoices",
        config: config(Remember::Window),
        target: Aim::Invoice,
        retry: RetryPolicy::Attempts(1),
        expiry: Some(EXPIRY),
        acts,
        starts: vec![
            vec![
                Act::Finish,
                send(0),
                send(1),
                dispatch_act(0, Batch::Both),
                dispatch_act(1, Batch::Both),
            ],
            vec![],
        ],
        parts_alike: true,
        states,
    }
}

/// Offers, delegated parts, an operator's word, and outcomes that are remembered.
pub fn delegated_offers(states: usize) -> Profile {
    let mut acts = always();
    acts.extend(for_each_payment(|p| {
        let mut acts = vec![
            Act::Invoice { p, h: p, amount: AMOUNT, expires: false },
            Act::Invoice { p, h: 1 - p, amount: AMOUNT, expires: true },
            Act::Invoice { p, h: p, amount: AMOUNT + 1, expires: false },
            Act::Invoice { p, h: p, amount: 0, expires: false },
            Act::Dispatch { p, batch: Batch::TwoDelegated },
        ];
        for k in [0, 1] {
            acts.extend([
                Act::Dispatch { p, batch: Batch::Delegated(k) },
                Act::Dispatch { p, batch: Batch::Whole(k) },
                Act::Claim { named: p, p, k, h: p },
                Act::Finalize { p, k },
                Act::Fail { p, k, permanent: false },
                Act::Assert { p, k },
                Act::Observe { p, k },
            ]);
        }
        acts
    }));
    acts.extend([Act::CloseGap, Act::Reopen { restored: true }]);
    Profile {
        name: "delegated offers",
        config: config(Remember::Forever),
        target: Aim::Offer,
        retry: RetryPolicy::Until(400_000),
        expiry: None,
        acts,
        starts: vec![
            vec![
                Act::Finish,
                send(0),
                send(1),
                dispatch_act(0, Batch::Delegated(0)),
                Act::Invoice { p: 1, h: 1, amount: AMOUNT, expires: false },
            ],
            vec![],
        ],
        parts_alike: true,
        states,
    }
}

/// What the node knows and the log lacks: adoption, strays, holds, restored logs, unknown claims.
pub fn recovery(states: usize, remember: Remember) -> Profile {
    let mut acts = always();
    acts.extend(for_each_payment(|p| {
        vec![
            Act::Dispatch { p, batch: Batch::Half(0) },
            Act::Dispatch { p, batch: Batch::Whole(1) },
            Act::Withdraw { p, k: 0 },
            Act::Claim { named: p, p, k: 0, h: p },
            Act::Claim { named: p, p, k: 2, h: p },
            Act::Claim { named: p, p, k: 2, h: 2 },
            Act::Claim { named: 2, p, k: 0, h: p },
            Act::Finalize { p, k: 0 },
            Act::Fail { p, k: 0, permanent: false },
            Act::Fail { p, k: 2, permanent: false },
            Act::Adopt { named: p, p, k: 0, h: p, known: true },
            Act::Adopt { named: p, p, k: 2, h: p, known: false },
            Act::Adopt { named: p, p, k: 2, h: 1 - p, known: true },
            Act::Adopt { named: 2, p, k: 2, h: p, known: true },
            Act::MarkPaid { p, k: None, h: None },
            Act::MarkPaid { p, k: Some(2), h: Some(p) },
            Act::Hold { h: p },
            Act::Release { h: p },
        ]
    }));
    acts.extend([
        Act::Claim { named: 2, p: 2, k: 2, h: 2 },
        Act::Fail { p: 2, k: 2, permanent: false },
        Act::AcknowledgeApart,
        Act::AcknowledgeAll { p: 2 },
        Act::CloseGap,
        Act::Reopen { restored: true },
    ]);
    Profile {
        name: match remember {
            Remember::Window => "recovery, forgetting",
            Remember::Forever => "recovery, remembering",
        },
        config: config(remember),
        target: Aim::Invoice,
        retry: RetryPolicy::Attempts(0),
        expiry: Some(EXPIRY),
        acts,
        starts: vec![
            vec![
                Act::Finish,
                send(0),
                send(1),
                dispatch_act(0, Batch::Half(0)),
                dispatch_act(1, Batch::Whole(1)),
                Act::Fail { p: 1, k: 1, permanent: false },
                Act::Reopen { restored: false },
            ],
            vec![],
        ],
        parts_alike: false,
        states,
    }
}
