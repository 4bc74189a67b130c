//! A payment as an aggregate of cqrs-es: the same commands, decided for each payment by itself, and
//! events as a user of cqrs-es writes them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use cqrs_es::{
    Aggregate, DomainEvent, EventEnvelope, Query,
    event_sink::EventSink,
    persist::{PersistedEventRepository, QueryReplay},
};
use payonce_core::{Command, PaymentId};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::Result;

/// One payment as cqrs-es keeps it: what it needs to refuse a step out of order.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payment {
    last: Option<Event>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    Accepted { payment_hash: String, amount_msat: u64, max_fee_msat: u64, expiry_ms: u64 },
    Dispatched { part: String, amount_msat: u64, fee_msat: u64 },
    Claimed { part: String, preimage: String },
    Finalized { part: String },
}

/// Says that a step does not follow the one before.
#[derive(Debug, thiserror::Error)]
#[error("this step does not follow the last one")]
pub(crate) struct OutOfOrder;

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Accepted { .. } => "Accepted",
            Self::Dispatched { .. } => "Dispatched",
            Self::Claimed { .. } => "Claimed",
            Self::Finalized { .. } => "Finalized",
        }
        .into()
    }

    fn event_version(&self) -> String {
        "1".into()
    }
}

impl Aggregate for Payment {
    const TYPE: &'static str = "payment";
    type Command = Command;
    type Event = Event;
    type Error = OutOfOrder;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> std::result::Result<(), OutOfOrder> {
        let (_, event) = event_of(&command).map_err(|_| OutOfOrder)?;
        let follows = matches!(
            (&self.last, &event),
            (None, Event::Accepted { .. })
                | (Some(Event::Accepted { .. }), Event::Dispatched { .. })
                | (Some(Event::Dispatched { .. }), Event::Claimed { .. })
                | (Some(Event::Claimed { .. }), Event::Finalized { .. })
        );
        if !follows {
            return Err(OutOfOrder);
        }
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.last = Some(event);
    }
}

/// The payment that a command is about, and what cqrs-es records of it.
pub(crate) fn event_of(command: &Command) -> Result<(String, Event)> {
    let (id, event): (&PaymentId, _) = match command {
        Command::Pay(send) => (
            &send.id,
            Event::Accepted {
                payment_hash: send.request.target.payment_hash().ok_or("no hash")?.to_string(),
                amount_msat: send.request.amount.0,
                max_fee_msat: send.request.max_fee.limit().map_or(0, |fee| fee.0),
                expiry_ms: send.request.expiry.map_or(0, |expiry| expiry.0),
            },
        ),
        Command::Dispatch(dispatch) => match &dispatch.parts[..] {
            [payonce_core::NewPart::Htlc { id, amount, fee, .. }] => (
                &dispatch.id,
                Event::Dispatched { part: id.to_string(), amount_msat: amount.0, fee_msat: fee.0 },
            ),
            _ => return Err("not one HTLC".into()),
        },
        Command::ClaimPart(claim) => (
            &claim.id,
            Event::Claimed { part: claim.part.to_string(), preimage: claim.preimage.to_string() },
        ),
        Command::FinalizePart(done) => (&done.id, Event::Finalized { part: done.part.to_string() }),
        _ => return Err("not a step of these payments".into()),
    };
    Ok((id.to_string(), event))
}

/// What a replay folds into: every payment, as payonce's replay does.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fold(Arc<Mutex<Folded>>);

impl Fold {
    /// How many events were folded.
    pub(crate) fn events(&self) -> u64 {
        self.0.lock().map_or(0, |folded| folded.events)
    }
}

/// Replays all events into a fold of all payments, as the framework does it; returns how many.
pub(crate) fn replay<R: PersistedEventRepository>(runtime: &Runtime, repository: R) -> Result<u64> {
    let fold = Fold::default();
    let replay: QueryReplay<_, _, Payment> = QueryReplay::new(repository, fold.clone());
    runtime.block_on(replay.replay_all())?;
    Ok(fold.events())
}

#[derive(Debug, Default)]
struct Folded {
    events: u64,
    payments: HashMap<String, Payment>,
}

#[async_trait::async_trait]
impl Query<Payment> for Fold {
    async fn dispatch(&self, id: &str, events: &[EventEnvelope<Payment>]) {
        let Ok(mut folded) = self.0.lock() else { return };
        for event in events {
            folded.events += 1;
            if let Some(payment) = folded.payments.get_mut(id) {
                payment.apply(event.payload.clone());
            } else {
                let payment = Payment { last: Some(event.payload.clone()) };
                folded.payments.insert(id.into(), payment);
            }
        }
    }
}
