//! The state that runs ahead of the disk, and everybody who waits for the disk.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use metrics::Gauge;
use payonce_core::{
    Entry, Machine, Operation, Release, ReleaseError, State, Step, StoreError, Ticket, UnixMillis,
    UnresolvedPart,
};

use crate::{
    base::error::Unavailable,
    base::options::Options,
    base::sync::{AtomicUsize, MutexGuard, Ordering},
    base::waiter::Waiter,
    commit::batch::Batch,
    commit::feed::Feed,
    commit::gate::{Gate, Waiting},
    commit::job::Job,
    commit::outcomes::Outcomes,
    commit::telemetry::{Age, Telemetry, Vitals},
    commit::undriven::Undriven,
    commit::upkeep::Upkeep,
    commit::wake_ups::WakeUps,
};

pub(crate) type Guard<'a, S> = MutexGuard<'a, Front<S>>;

/// The state that runs ahead of the disk, and everybody who waits for the disk.
pub(crate) struct Front<S> {
    pub(crate) machine: Machine,
    /// The batch to be written next.
    pub(crate) forming: Batch,
    /// Who waits for the batch that is being written.
    pub(crate) in_flight: Waiting,
    /// The last seq of the batch that is being written, or was.
    pub(crate) in_flight_seq: u64,
    /// The number of the last batch that is over.
    pub(crate) over: u64,
    /// How many callers there seem to be: those of the batch before, and who came meanwhile.
    pub(crate) callers: usize,
    /// How long a leader waits for one more of them.
    pub(crate) patience: Duration,
    pub(crate) queued: Arc<AtomicUsize>,
    /// Somebody leads, or was told to. A batch that has anything in it has a leader.
    pub(crate) leading: bool,
    /// Ownership needs no asking: the store is locked.
    pub(crate) always_owner: bool,
    /// Why nothing is answered any more.
    pub(crate) fault: Option<Unavailable>,
    pub(crate) closing: bool,
    /// All handles are gone: nobody will take the store back.
    pub(crate) abandoned: bool,
    /// Who waits for room in the forming batch.
    pub(crate) room: Vec<Waiter>,
    /// Who waits for everything to be written.
    pub(crate) closers: Vec<Waiter>,
    /// How many use the store beside who leads.
    pub(crate) guests: usize,
    pub(crate) writer: WriterPost,
    pub(crate) jobs: VecDeque<Job<S>>,
    pub(crate) outcomes: Outcomes,
    pub(crate) feed: Feed,
    pub(crate) upkeep: Upkeep,
    /// Parts of which nobody said that they are driven.
    pub(crate) undriven: Undriven,
    /// The time that the latest command stated.
    pub(crate) latest: UnixMillis,
    /// What the gauges show next, once it is durable.
    pub(crate) vitals: Option<Ticket<Vitals>>,
    pub(crate) age: Age,
    /// Set where the fault is.
    pub(crate) poisoned: Gauge,
}

/// What a command answers, sealed.
pub(crate) type Sealed<O> = Ticket<Result<<O as Operation>::Reply, <O as Operation>::Refusal>>;

/// Whether there is a writer thread, and what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterPost {
    /// No task has called yet.
    Vacant,
    /// It waits, or maintenance is done on it.
    Waiting,
    /// It is its turn to lead.
    Leads,
}

impl<S> Front<S> {
    pub(crate) fn new(
        machine: Machine,
        options: &Options,
        telemetry: &Telemetry,
        upkeep: Upkeep,
        always_owner: bool,
        queued: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            forming: Batch::numbered(1),
            in_flight: Waiting::default(),
            in_flight_seq: machine.durable().seq,
            over: 0,
            callers: 0,
            patience: Duration::ZERO,
            queued,
            leading: false,
            always_owner,
            fault: None,
            closing: false,
            abandoned: false,
            room: Vec::new(),
            closers: Vec::new(),
            guests: 0,
            writer: WriterPost::Vacant,
            jobs: VecDeque::new(),
            outcomes: Outcomes::default(),
            feed: Feed::new(options.feed_bytes),
            upkeep,
            undriven: Undriven::of(&machine),
            latest: UnixMillis(0),
            vitals: None,
            age: Age::default(),
            poisoned: telemetry.poisoned(),
            machine,
        }
    }

    pub(crate) fn check_open(&self) -> Result<(), Unavailable> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None if self.closing => Err(Unavailable::Closed),
            None => Ok(()),
        }
    }

    /// Refuses what is new; gives who must know.
    pub(crate) fn begin_to_close(&mut self) -> Vec<Waiter> {
        self.closing = true;
        let mut waiters = mem::take(&mut self.room);
        waiters.extend(self.outcomes.end_all());
        waiters.extend(self.feed.end());
        waiters
    }

    pub(crate) fn has_room(&self, limit: usize) -> Result<bool, Unavailable> {
        self.check_open()?;
        Ok(self.forming.commands < limit.max(1))
    }

    /// Decides a command. Its ticket can be released once the batch told with it is over; 0 is over
    /// from the start.
    pub(crate) fn submit<O: Operation>(
        &mut self,
        operation: O,
        now: UnixMillis,
    ) -> (Sealed<O>, u64) {
        self.latest = now;
        self.decide(operation, now)
    }

    fn decide<O: Operation>(&mut self, operation: O, now: UnixMillis) -> (Sealed<O>, u64) {
        let Self { machine, outcomes, forming, .. } = self;
        let awaited = outcomes.are_awaited();
        // Who puts itself up later finds the outcome in the state.
        let Step { entry, ticket } = machine.submit_seen(operation, now, |event| {
            if awaited {
                forming.ended.note(event);
            }
        });
        let batch = match entry {
            Some(entry) => self.put(entry),
            None => self.batch_of(ticket.waits_for()),
        };
        (ticket, batch)
    }

    /// Decides several commands, each against the state after those before it.
    pub(crate) fn submit_all<O: Operation>(
        &mut self,
        operations: Vec<O>,
        now: UnixMillis,
    ) -> (Vec<Sealed<O>>, u64) {
        let submitted = operations.into_iter().map(|operation| self.submit(operation, now));
        let mut last = 0;
        let each = submitted.map(|(ticket, batch)| {
            last = last.max(batch);
            ticket
        });
        (each.collect(), last)
    }

    /// Withdraws what nobody was, or will be, given the right to offer, at the time at which it was
    /// asked for: the clock that the others have stated since may be wrong.
    pub(crate) fn forfeit<T: Release, E>(
        &mut self,
        unread: Vec<Ticket<Result<T, E>>>,
        now: UnixMillis,
    ) {
        if self.check_open().is_err() {
            return;
        }
        for ticket in unread {
            for withdrawn in self.machine.forfeit(ticket) {
                // Its reply is nobody's; the entry is written like any other.
                let _ = self.decide(withdrawn, now);
            }
        }
    }

    /// The parts that nobody drives.
    pub(crate) fn list_undriven(&mut self) -> (Ticket<Vec<UnresolvedPart>>, u64) {
        let mut undriven = mem::take(&mut self.undriven);
        let listed = self.query(|state| undriven.list(state));
        self.undriven = undriven;
        listed
    }

    /// Asks the newest state.
    pub(crate) fn query<T>(&mut self, ask: impl FnOnce(&State) -> T) -> (Ticket<T>, u64) {
        let ticket = self.machine.query(ask);
        let batch = self.batch_of(ticket.waits_for());
        (ticket, batch)
    }

    fn count_in(&mut self) {
        self.forming.commands += 1;
        self.queued.store(self.forming.commands, Ordering::Relaxed);
    }

    fn put(&mut self, entry: Entry) -> u64 {
        self.count_in();
        self.forming.bytes += entry.bytes().len();
        self.forming.entries.push(entry);
        self.forming.number
    }

    /// The batch after which a reply without events can be released. Where another writer may take
    /// over, ownership must be confirmed by a call that begins after the reply was decided.
    fn batch_of(&mut self, seq: u64) -> u64 {
        if !self.always_owner {
            self.count_in();
            self.forming.asks_owner = true;
            self.forming.number
        } else if seq <= self.machine.durable().seq {
            0
        } else if seq <= self.in_flight_seq {
            self.forming.number - 1
        } else {
            self.forming.number
        }
    }

    /// Whether this batch is over; else who is told when it is.
    pub(crate) const fn is_over(&self, batch: u64) -> bool {
        self.over >= batch
    }

    pub(crate) fn waiting_for(&mut self, batch: u64) -> &mut Waiting {
        if batch == self.forming.number { &mut self.forming.waiting } else { &mut self.in_flight }
    }

    /// Gives what has formed a leader, if it has none: the writer thread, since a task must not
    /// block. Whether it must be called.
    pub(crate) fn appoint_writer(&mut self) -> bool {
        let needed = !self.leading && !self.forming.is_empty();
        if needed {
            self.leading = true;
            self.writer = WriterPost::Leads;
        }
        needed
    }

    /// Whether somebody may still be told to lead: who leads now tells.
    pub(crate) const fn may_appoint(&self) -> bool {
        self.leading
    }

    pub(crate) fn add_job(&mut self, job: Job<S>) {
        self.jobs.push_back(job);
    }

    /// The next job; who takes it is a guest of the store until it is done.
    pub(crate) fn next_job(&mut self) -> Option<Job<S>> {
        let job = self.jobs.pop_front();
        self.guests += usize::from(job.is_some());
        job
    }

    /// A guest leaves the store.
    pub(crate) fn leave(&mut self) -> Vec<Waiter> {
        self.guests -= 1;
        self.closers_if_idle()
    }

    pub(crate) const fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    pub(crate) const fn queued(&self) -> usize {
        self.forming.commands
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.forming.is_empty()
    }

    /// Reads a reply of the core, which holds nothing of a caller's.
    pub(crate) fn release<T>(&self, ticket: Ticket<T>) -> Result<T, Unavailable> {
        self.machine.release(ticket).map_err(|error| match error {
            ReleaseError::Poisoned(_) => self.unavailable(),
            _ => unreachable!("the ticket is of this machine and its batch is over"),
        })
    }

    /// Why nothing is answered any more, if that is so.
    pub(crate) fn fault(&self) -> Option<Unavailable> {
        self.fault.clone()
    }

    /// Why there is no answer.
    pub(crate) fn unavailable(&self) -> Unavailable {
        self.fault.clone().unwrap_or(Unavailable::Poisoned { cause: None })
    }

    pub(crate) fn take_batch(&mut self) -> Batch {
        let next = Batch::numbered(self.forming.number + 1);
        let mut batch = mem::replace(&mut self.forming, next);
        self.queued.store(0, Ordering::Relaxed);
        self.in_flight = mem::take(&mut batch.waiting);
        self.in_flight_seq = batch.entries.last().map_or(self.in_flight_seq, |at| at.after().seq);
        batch
    }

    /// What a leader does with the outcome of its append.
    pub(crate) fn finish(
        &mut self,
        batch: Batch,
        outcome: Result<(), Arc<StoreError>>,
    ) -> WakeUps<S> {
        self.callers = batch.commands + self.forming.commands;
        let confirmed = match outcome {
            Ok(()) => self.machine.confirmed(batch.entries).map_err(|_| None),
            Err(error) => Err(Some(error)),
        };
        if let Err(cause) = confirmed {
            let mut told = self.poison(cause);
            self.leading = false;
            told.others.extend(self.closers_if_idle());
            return told;
        }
        self.upkeep.appended(batch.bytes);
        self.over = self.over.max(batch.number);
        let over = mem::take(&mut self.in_flight);
        let successor = self.appoint();
        let receipt = self.machine.receipt().ok();
        let others = self.closers_if_idle();
        WakeUps { successor, over, receipt, others, ..WakeUps::default() }
    }

    /// Who leads next: a thread that waits for what has formed, else the writer thread, which is
    /// there where only tasks wait.
    fn appoint(&mut self) -> Option<Arc<Gate>> {
        self.leading = !self.forming.is_empty();
        if !self.leading {
            return None;
        }
        let gate = self.forming.waiting.appoint();
        if gate.is_none() {
            self.writer = WriterPost::Leads;
        }
        gate
    }

    /// Ends everything: nothing is answered any more. Everybody who waits is to be told.
    pub(crate) fn poison(&mut self, cause: Option<Arc<StoreError>>) -> WakeUps<S> {
        self.machine.poison();
        self.poisoned.set(1.0);
        let fault = Unavailable::Poisoned { cause };
        let first = self.fault.is_none().then(|| fault.clone());
        self.fault.get_or_insert(fault);
        self.over = self.forming.number;
        let next = Batch::numbered(self.over + 1);
        let lost = mem::replace(&mut self.forming, next);
        self.queued.store(0, Ordering::Relaxed);
        let jobs = mem::take(&mut self.jobs);
        let mut others = mem::take(&mut self.room);
        others.extend(self.outcomes.end_all());
        others.extend(self.feed.end());
        others.extend(self.closers_if_idle());
        let over = mem::take(&mut self.in_flight);
        WakeUps { over, lost: lost.waiting, jobs, others, fault: first, ..WakeUps::default() }
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.leading && self.guests == 0 && self.jobs.is_empty()
    }

    /// Whether nobody is left to whom the store could be handed back, nor anybody who uses it.
    pub(crate) fn is_unattended(&self) -> bool {
        self.abandoned && self.writer == WriterPost::Vacant && self.is_idle()
    }

    pub(crate) fn closers_if_idle(&mut self) -> Vec<Waiter> {
        if self.is_idle() { mem::take(&mut self.closers) } else { Vec::new() }
    }
}

/// Reads a reply whose batch is over. One that cannot be read is dropped when the front is free: it
/// may hold what is not the ledger's own.
pub(crate) fn read<S, T>(front: Guard<'_, S>, ticket: Ticket<T>) -> Result<T, Unavailable> {
    if front.machine.is_poisoned() {
        let unavailable = front.unavailable();
        drop(front);
        drop(ticket);
        return Err(unavailable);
    }
    front.release(ticket)
}
