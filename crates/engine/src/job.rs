//! A hand-over that is out, as the ledger has it.

use payonce_core::{
    Observation, ObservationKind, Part, PartId, PartKind, PartStatus, PaymentHash, PaymentId,
    State, UnixMillis,
};

use crate::{
    engine::{HandOver, Lookup},
    rules::Known,
    seat::Seat,
};

/// The observation that the engine has shown a hand-over: from then on *not known* means *forgotten*.
pub(crate) const SHOWN: ObservationKind = ObservationKind::Other(0);

/// A hand-over that is out.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) payment: PaymentId,
    pub(crate) part: PartId,
    pub(crate) payment_hash: PaymentHash,
    /// Which engine has it; `None` where the log does not say: a part that was adopted.
    pub(crate) engine: Option<Vec<u8>>,
    pub(crate) sayings: u32,
    /// What to say again, while its payment is open.
    pub(crate) hand_over: Option<HandOver>,
    seen: Option<u64>,
    was_shown: bool,
    recorded_at: UnixMillis,
    request: Option<payonce_core::Request>,
}

/// What this process knows of a hand-over beside the ledger.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Heard {
    /// How many sayings the engine has read.
    pub(crate) read: u32,
    /// Whether the engine had it: a saying that it read and refused is none of these.
    pub(crate) had: bool,
    /// How many sayings of earlier processes can arrive no more.
    pub(crate) gone: u32,
}

impl Job {
    /// The hand-over of this part, if it is out.
    pub(crate) fn of(state: &State, part: &PartId) -> Option<Self> {
        let (payment, status) = state.part(part)?;
        if status != PartStatus::InFlight {
            return None;
        }
        let held = state.payment(&payment)?;
        let own = held.part(part)?;
        if own.kind != PartKind::Delegated {
            return None;
        }
        let shown = |seen: &Observation| seen.part == *part && seen.kind == SHOWN;
        let open = held.status().is_open();
        Some(Self {
            payment,
            part: *part,
            payment_hash: own.own_hash().or_else(|| held.payment_hash())?,
            engine: engine_of(own),
            sayings: own.sayings(),
            hand_over: HandOver::of(held, part).filter(|_| open),
            seen: own.label().and_then(|label| label.mark),
            was_shown: own.adopted || held.observations().iter().any(shown),
            recorded_at: own.recorded_at,
            request: held.request().cloned(),
        })
    }

    pub(crate) const fn lookup(&self) -> Lookup {
        Lookup { part: Some(self.part), payment_hash: self.payment_hash }
    }

    pub(crate) const fn was_shown(&self) -> bool {
        self.was_shown
    }

    pub(crate) fn known(&self, seat: &Seat, heard: Heard, now: UnixMillis) -> Known {
        Known {
            promises: seat.engine.promises(),
            seen: self.seen,
            sayings: self.sayings,
            read: heard.read,
            gone: heard.gone,
            was_shown: self.was_shown || heard.had,
            recorded_at: self.recorded_at,
            closed_at: self.request.as_ref().and_then(|request| seat.closes_at(request)),
            now,
        }
    }
}

fn engine_of(part: &Part) -> Option<Vec<u8>> {
    part.label().map(|label| label.engine.as_bytes().to_vec())
}
