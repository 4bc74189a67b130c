//! What a state answers: all that it can be asked, and what it would decide about everything that its
//! log names. States that encode alike must answer alike, however their indexes came to be.

use std::collections::BTreeSet;

use payonce_core::{
    Abandon, Acknowledge, AdoptPart, BlockHash, ClaimPart, CloseGap, Command, Config, Context,
    Decision, Dispatch, FailPart, Failure, FailureReason, FinalizePart, FinishRecovery, MaxFee,
    Msat, NewPart, Operation, PartId, PartKind, Pay, PaymentHash, PaymentId, Preimage, Refusal,
    Remember, Reply, Request, RetryPolicy, State, StatusKind, Tick, UnblockHash, UnixMillis,
    WithdrawPart, decode_events,
};
use payonce_store_memory::Image;
use serde_json::Value;

/// Of scripts that name thousands of ids, so many are asked about.
const MOST: usize = 12;

/// What a log names.
pub(super) struct Named {
    /// Every 32 bytes: each is taken for an id, a part, a hash and a preimage.
    keys: Vec<[u8; 32]>,
    /// When something was decided, or would end, each with its neighbours.
    moments: Vec<UnixMillis>,
}

impl Named {
    pub(super) fn by(image: &Image) -> Self {
        let (mut keys, mut moments) = (BTreeSet::new(), BTreeSet::new());
        for entry in image.entries() {
            let header = decode_events(entry.bytes, |_, event| {
                let told = serde_json::to_value(&event).expect("events have a JSON form");
                gather(&told, "", &mut keys, &mut moments);
            });
            moments.insert(header.expect("the log is sound").now.0);
        }
        let around = |at: u64| [at.saturating_sub(1), at, at.saturating_add(1)];
        let moments: BTreeSet<_> = moments.into_iter().flat_map(around).collect();
        let moments: Vec<_> = moments.into_iter().map(UnixMillis).collect();
        Self { keys: some(keys.into_iter().collect()), moments: some(moments) }
    }
}

fn gather(told: &Value, name: &str, keys: &mut BTreeSet<[u8; 32]>, moments: &mut BTreeSet<u64>) {
    match told {
        Value::String(text) => {
            keys.extend(hex_conservative::decode_to_array::<32>(text).ok());
        }
        Value::Number(number) if matches!(name, "expiry" | "until" | "at") => {
            moments.extend(number.as_u64());
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, name, keys, moments)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| gather(field, name, keys, moments));
        }
        _ => {}
    }
}

/// Some of them, spread evenly.
fn some<T>(all: Vec<T>) -> Vec<T> {
    let every = all.len().div_ceil(MOST).max(1);
    all.into_iter().step_by(every).collect()
}

/// That two states answer alike.
pub(super) fn assert_same(one: &State, other: &State, named: &Named) {
    assert_eq!(one.counts(), other.counts());
    assert_eq!(one.oldest_unresolved_since(), other.oldest_unresolved_since());
    assert_eq!(one.unresolved(), other.unresolved());
    let statuses = [
        StatusKind::AwaitingInvoice,
        StatusKind::Pending,
        StatusKind::Fulfilled,
        StatusKind::Abandoned,
        StatusKind::Failed,
    ];
    for status in statuses {
        let ids = |state: &State| state.payments(status).map(|at| *at.id()).collect::<Vec<_>>();
        assert_eq!(ids(one), ids(other), "{status:?}, in their order");
    }
    let heights = one.unresolved().into_iter().filter_map(|part| match part.part.kind {
        PartKind::Htlc { cltv_expiry, .. } => cltv_expiry,
        PartKind::Delegated => None,
    });
    for height in heights.flat_map(|at| [at.saturating_sub(1), at]).chain([u32::MAX]) {
        assert_eq!(one.overdue(height), other.overdue(height), "at height {height}");
    }
    for now in &named.moments {
        assert_eq!(one.due(*now), other.due(*now), "at {now:?}");
    }
    for key in &named.keys {
        let (part, hash) = (PartId::from_bytes(*key), PaymentHash::from_bytes(*key));
        assert_eq!(one.part(&part), other.part(&part));
        assert_eq!(one.holder_of(&hash), other.holder_of(&hash));
    }
    for now in &named.moments {
        for command in timed(one, named) {
            let decided = decide(one, command.clone(), *now);
            assert_eq!(decided, decide(other, command.clone(), *now), "{command:?} at {now:?}");
        }
    }
    let last = named.moments.last().copied().unwrap_or_default();
    for command in timeless(one, named) {
        let decided = decide(one, command.clone(), last);
        assert_eq!(decided, decide(other, command.clone(), last), "{command:?}");
    }
}

fn decide(state: &State, command: Command, now: UnixMillis) -> Result<Decision<Reply>, Refusal> {
    let config = Config::new(Remember::Window);
    let durable_seq = state.head().seq;
    command.decide(state, &Context { now, config: &config, durable_seq })
}

/// Commands whose answer may hang on the time.
fn timed(state: &State, named: &Named) -> Vec<Command> {
    let ids = state.outbox().map(|notification| notification.id).collect();
    let mut commands: Vec<Command> = vec![
        Tick::new().into(),
        FinishRecovery.into(),
        CloseGap.into(),
        Acknowledge { ids }.into(),
    ];
    let fresh = PartId::from_bytes([0xfe; 32]);
    for id in named.keys.iter().map(|key| PaymentId::from_bytes(*key)) {
        if let Some(payment) = state.payment(&id) {
            let amount = payment.remaining_amount().max(Msat(1));
            let attempt = payment.attempts() + 1;
            let parts = vec![NewPart::htlc(fresh, amount, Msat::ZERO, 900_000)];
            commands.push(Dispatch { id, attempt, parts }.into());
            let request = payment.request().cloned();
            commands.extend(request.map(|request| Pay::new(id, request).into()));
        }
    }
    commands
}

/// Commands about everything that is named, and about every pair of it.
fn timeless(state: &State, named: &Named) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for key in &named.keys {
        let (id, payment_hash) = (PaymentId::from_bytes(*key), PaymentHash::from_bytes(*key));
        let request =
            Request::invoice(payment_hash, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual);
        commands.push(Pay::new(STRANGER, request.clone()).into());
        commands.push(Pay::new(id, request).into());
        commands.push(Abandon { id, reason: FailureReason::UserAbandoned }.into());
        for engine in ["", "a", "b"] {
            commands.push(BlockHash::new(payment_hash).engine(engine).into());
            commands.push(UnblockHash::new(payment_hash).engine(engine).into());
        }
        for other in &named.keys {
            let part = PartId::from_bytes(*other);
            let parts = vec![NewPart::htlc(part, Msat(1), Msat::ZERO, 900_000)];
            commands.push(Dispatch { id, attempt: 1, parts }.into());
            commands.push(WithdrawPart { id, part }.into());
            commands.push(FinalizePart { id, part }.into());
            commands.push(FailPart { id, part, failure: Failure::default() }.into());
            commands.push(adoption(STRANGER, part, payment_hash).into());
            commands.push(adoption(id, part, PaymentHash::from_bytes([0xfc; 32])).into());
            let preimage = Preimage::from_bytes(*other);
            let claimed = PartId::from_bytes(*key);
            let owner = state.part(&claimed).map_or(STRANGER, |(owner, _)| owner);
            commands.push(ClaimPart::new(owner, claimed, preimage).into());
        }
    }
    commands
}

/// A payment that no script has.
const STRANGER: PaymentId = PaymentId::from_bytes([0xfd; 32]);

fn adoption(id: PaymentId, part: PartId, payment_hash: PaymentHash) -> AdoptPart {
    let (amount, fee, kind) = (Some(Msat(1)), None, PartKind::Delegated);
    AdoptPart { id, part, payment_hash, amount, fee, kind }
}
