//! What happened to payments: the events that concern each, and the lives of its parts.

use std::collections::{BTreeMap, HashMap, HashSet};

use payonce::{
    Event, PartId, PartStatus, PaymentHash, PaymentId, UnixMillis, audit::EntryHeader,
    machine::Delivery,
};
use serde::Serialize;

use crate::payments::Ended;

/// One event of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StoryEvent {
    pub(crate) seq: u64,
    pub(crate) at_ms: u64,
    /// The run of the program that recorded it.
    pub(crate) epoch: u64,
    pub(crate) event: &'static str,
    pub(crate) words: String,
    /// The parts that it is about, where it is not about all.
    #[serde(skip)]
    pub(crate) parts: Vec<PartId>,
}

/// The life of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) id: PartId,
    /// The attempt; 0 for a part that was adopted.
    pub(crate) attempt: u32,
    /// Counts the tries of its payment, from 1.
    pub(crate) of_try: u32,
    pub(crate) amount: Option<u64>,
    pub(crate) fee: Option<u64>,
    pub(crate) from: UnixMillis,
    pub(crate) claimed: Option<UnixMillis>,
    pub(crate) to: Option<UnixMillis>,
    pub(crate) status: PartStatus,
}

/// What happened to a payment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<StoryEvent>,
    pub(crate) lives: Vec<Life>,
    /// How its status changed: the seq, the moment, the name.
    pub(crate) statuses: Vec<(u64, UnixMillis, &'static str)>,
    pub(crate) tries: u32,
    pub(crate) payment_hash: Option<PaymentHash>,
    /// The caller's own bytes, as they came with the request.
    pub(crate) metadata: Vec<u8>,
    /// What was told last of what it paid.
    pub(crate) ended: Option<Ended>,
}

impl Story {
    /// Goes on with what happened later.
    pub(crate) fn join(&mut self, later: Self) {
        self.events.extend(later.events);
        self.lives.retain(|life| later.lives.iter().all(|other| other.id != life.id));
        self.lives.extend(later.lives);
        self.statuses.extend(later.statuses);
        self.tries = self.tries.max(later.tries);
        self.payment_hash = later.payment_hash.or(self.payment_hash);
        if !later.metadata.is_empty() {
            self.metadata = later.metadata;
        }
        self.ended = later.ended.or(self.ended);
    }

    pub(crate) fn life(&mut self, part: &PartId) -> Option<&mut Life> {
        self.lives.iter_mut().find(|life| life.id == *part)
    }
}

/// Collects the stories of one payment or of all.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    wanted: Option<HashSet<PaymentId>>,
    owners: HashMap<PartId, PaymentId>,
    notes: HashMap<u64, PaymentId>,
    hashes: HashMap<PaymentHash, Vec<PaymentId>>,
    /// By seq of their first event, so that a listing is in the order of the log.
    pub(crate) stories: BTreeMap<(u64, PaymentId), Story>,
    index: HashMap<PaymentId, u64>,
}

impl Teller {
    /// Of those alone that are [wanted](Self::want).
    pub(crate) fn of_wanted() -> Self {
        Self { wanted: Some(HashSet::new()), ..Self::default() }
    }

    /// The stories, in the order of the log.
    pub(crate) fn into_stories(self) -> impl Iterator<Item = (PaymentId, Story)> {
        self.stories.into_iter().map(|((_, id), story)| (id, story))
    }

    /// Tells of this one too, from here on.
    pub(crate) fn want(&mut self, id: PaymentId) {
        self.wanted.get_or_insert_default().insert(id);
    }

    /// What later events name the payments by that are told of: their parts, their hashes, and the seqs of
    /// their notifications.
    pub(crate) fn names(
        &self,
    ) -> (
        impl ExactSizeIterator<Item = &PartId>,
        impl ExactSizeIterator<Item = &PaymentHash>,
        impl ExactSizeIterator<Item = &u64>,
    ) {
        (self.owners.keys(), self.hashes.keys(), self.notes.keys())
    }

    /// Tells of an entry.
    pub(crate) fn entry(&mut self, header: &EntryHeader, events: &[Event]) {
        for (seq, event) in (header.first_seq..).zip(events) {
            for id in self.concerned(event) {
                if self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&id)) {
                    self.tell(id, seq, header, event);
                }
            }
        }
    }

    /// The payments that an event concerns.
    fn concerned(&self, event: &Event) -> Vec<PaymentId> {
        if let Some(id) = event.payment() {
            return vec![*id];
        }
        match event {
            Event::PartsListed { parts } => {
                let owners = parts.iter().filter_map(|part| self.owners.get(part).copied());
                let mut owners: Vec<_> = owners.collect();
                owners.sort_unstable();
                owners.dedup();
                owners
            }
            Event::Acknowledged { seq } => self.notes.get(seq).copied().into_iter().collect(),
            Event::HashBlocked { payment_hash, .. }
            | Event::HashUnblocked { payment_hash, .. }
            | Event::HashPaid { payment_hash, .. } => {
                self.hashes.get(payment_hash).cloned().unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn tell(&mut self, id: PaymentId, seq: u64, header: &EntryHeader, event: &Event) {
        let now = header.now;
        self.note(id, seq, event);
        let first = *self.index.entry(id).or_insert(seq);
        let words = words(event, |part| self.owners.get(part) == Some(&id));
        let story = self.stories.entry((first, id)).or_default();
        live(story, now, event);
        named(story, event);
        let recalled = || {
            // It came back with its outcome.
            let mut known = story.statuses.iter().rev().map(|(_, _, name)| *name);
            known.find(|name| !["remembered", "forgotten"].contains(name))
        };
        let is_recalled = matches!(event, Event::PaymentRecalled { .. });
        if let Some(status) = if is_recalled { recalled() } else { status(event) } {
            story.statuses.push((seq, now, status));
        }
        story.events.push(StoryEvent {
            seq,
            at_ms: now.0,
            epoch: header.epoch,
            event: event.name(),
            words,
            parts: parts_of(event),
        });
    }

    /// Remembers what later events name a payment by.
    fn note(&mut self, id: PaymentId, seq: u64, event: &Event) {
        match event {
            Event::PaymentAccepted { request, .. } => {
                self.has(id, request.target.payment_hash());
            }
            Event::PaymentAdopted { payment_hash, .. } => self.has(id, *payment_hash),
            Event::InvoiceReceived { invoice, .. } => self.has(id, Some(invoice.payment_hash)),
            _ => {}
        }
        for part in parts_of(event) {
            self.owners.insert(part, id);
        }
        let notifies = match event {
            Event::PaymentSent { .. }
            | Event::PaymentSettled { .. }
            | Event::PaymentFailed { .. } => true,
            Event::PartFinalized { notify, .. } | Event::PartFailed { notify, .. } => *notify,
            Event::AnomalyNoted { delivery, .. } => *delivery == Delivery::Notify,
            _ => false,
        };
        if notifies {
            self.notes.insert(seq, id);
        }
    }

    fn has(&mut self, id: PaymentId, hash: Option<PaymentHash>) {
        let Some(hash) = hash else { return };
        let ids = self.hashes.entry(hash).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
}

/// What an event tells of a payment beside its parts.
fn named(story: &mut Story, event: &Event) {
    match event {
        Event::PaymentAccepted { request, .. } => {
            story.payment_hash = request.target.payment_hash();
            story.metadata = request.metadata.as_bytes().to_vec();
        }
        Event::PaymentAdopted { payment_hash, .. } => story.payment_hash = *payment_hash,
        Event::InvoiceReceived { invoice, .. } => story.payment_hash = Some(invoice.payment_hash),
        Event::PaymentSent { amount, fee, .. } | Event::PaymentSettled { amount, fee, .. } => {
            let msat = |sum: Option<payonce::Msat>| sum.map(|sum| sum.0);
            story.ended = Some(Ended { amount: msat(*amount), fee: msat(*fee) });
        }
        _ => {}
    }
}

/// The status that an event brings its payment to.
fn status(event: &Event) -> Option<&'static str> {
    use payonce::machine::Target;

    Some(match event {
        Event::PaymentAccepted { request, .. } => match request.target {
            Target::Offer { .. } => "awaiting_invoice",
            _ => "pending",
        },
        Event::InvoiceReceived { .. } => "pending",
        Event::InvoiceDropped { .. } => "awaiting_invoice",
        Event::PaymentAdopted { .. } | Event::PaymentAbandoned { .. } => "abandoned",
        Event::PaymentSent { .. } => "fulfilled",
        Event::PaymentFailed { .. } => "failed",
        Event::PaymentForgotten { remembered: true, .. } => "remembered",
        Event::PaymentForgotten { remembered: false, .. } => "forgotten",
        _ => return None,
    })
}

/// An event in words; of a listing of many parts only this payment's.
fn words(event: &Event, is_own: impl Fn(&PartId) -> bool) -> String {
    let Event::PartsListed { parts } = event else { return event.words().to_string() };
    let own: Vec<_> = parts.iter().filter(|part| is_own(part)).copied().collect();
    Event::PartsListed { parts: own.into() }.words().to_string()
}

/// The parts that an event is about.
fn parts_of(event: &Event) -> Vec<PartId> {
    match event {
        Event::PartsDispatched { parts, .. } => parts.iter().map(|part| part.id).collect(),
        Event::PartAdopted { part, .. } => vec![part.part],
        Event::PartWithdrawn { part, .. }
        | Event::PartMoved { part, .. }
        | Event::PartDisowned { part, .. }
        | Event::PartClaimed { part, .. }
        | Event::PartFinalized { part, .. }
        | Event::PartFailed { part, .. }
        | Event::PartSaidAgain { part, .. }
        | Event::InvoiceRequested { part, .. } => vec![*part],
        Event::PartObserved { observation, .. } => vec![observation.part],
        _ => Vec::new(),
    }
}

/// What an event does to the lives of a payment's parts.
fn live(story: &mut Story, now: UnixMillis, event: &Event) {
    match event {
        Event::PaymentAccepted { .. } => story.tries += 1,
        Event::PartsDispatched { attempt, parts, .. } => {
            let of_try = story.tries.max(1);
            story.lives.extend(parts.iter().map(|part| Life {
                id: part.id,
                attempt: *attempt,
                of_try,
                amount: Some(part.amount.0),
                fee: Some(part.fee.0),
                from: now,
                claimed: None,
                to: None,
                status: PartStatus::InFlight,
            }));
        }
        Event::PartAdopted { part, .. } => {
            let of_try = story.tries.max(1);
            if let Some(life) = story.life(&part.part) {
                (life.to, life.status) = (None, PartStatus::InFlight);
                return;
            }
            story.lives.push(Life {
                id: part.part,
                attempt: 0,
                of_try,
                amount: part.amount.map(|sum| sum.0),
                fee: part.fee.map(|sum| sum.0),
                from: now,
                claimed: None,
                to: None,
                status: PartStatus::InFlight,
            });
        }
        _ => {
            for part in parts_of(event) {
                if let Some(life) = story.life(&part) {
                    change(life, now, event);
                }
            }
        }
    }
}

fn change(life: &mut Life, now: UnixMillis, event: &Event) {
    match event {
        Event::PartWithdrawn { .. } => (life.to, life.status) = (Some(now), PartStatus::Withdrawn),
        Event::PartClaimed { settlement, .. } => {
            life.claimed.get_or_insert(now);
            // One that was told as over is off its channel: it counts as paid, and stays off.
            let over = life.to.is_some() && life.status == PartStatus::Failed;
            life.status = if over { PartStatus::Finalized } else { PartStatus::Claimed };
            if let Some(told) = settlement {
                life.amount = told.amount.map(|sum| sum.0).or(life.amount);
                life.fee = told.fee.map(|sum| sum.0).or(life.fee);
            }
        }
        Event::PartFinalized { .. } => (life.to, life.status) = (Some(now), PartStatus::Finalized),
        Event::PartFailed { .. } => {
            let claimed = life.status == PartStatus::Claimed;
            life.status = if claimed { PartStatus::Finalized } else { PartStatus::Failed };
            life.to = Some(now);
        }
        _ => {}
    }
}

pub(crate) use crate::payments::status_name as status_name_of;

/// The name of a part's status in JSON, CSV and the report.
pub(crate) const fn fate_name(status: PartStatus) -> &'static str {
    match status {
        PartStatus::InFlight => "in_flight",
        PartStatus::Claimed => "claimed",
        PartStatus::Finalized => "finalized",
        PartStatus::Failed => "failed",
        PartStatus::Withdrawn => "withdrawn",
    }
}
