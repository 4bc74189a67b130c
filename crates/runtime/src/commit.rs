//! Group commit: commands are decided against the newest state while the batch before them is
//! being written; one append and one sync carry all that came meanwhile.
//!
//! Nobody owns the disk. Whoever finds that nobody commits **leads**: takes the batch that has
//! formed, appends it, and tells those who wait for it. If another batch has formed by then, one of
//! *its* callers leads next, so that no caller serves the others for longer than its own batch.
//! Tasks never lead, since a task must not block its thread: for them the writer thread does.
//!
//! Two locks, never held together: `front` is held while deciding, never over I/O; `store` is held
//! over I/O by whoever leads or does maintenance. A gate's own lock may be taken within `front`, never around
//! it.
//!
//! What is not the ledger's own (a waker, a future, what a caller asked for, a line of the log) is
//! run and dropped while nothing is locked: whoever changes something gives back what is to be
//! [`WakeUps`]. Two exceptions: what a caller asks of the state, and a recorder's gauges.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, TryLockError},
    time::{Duration, Instant},
};

use metrics::Gauge;
use payonce_core::{
    Entry, EventStore, Exclusion, LedgerId, Machine, Operation, Receipt, Release, ReleaseError,
    SnapshotWriter, State, Step, StoreError, Ticket, UnixMillis,
};

use crate::{
    driver::Undriven,
    error::Unavailable,
    feed::Feed,
    gate::{Gate, Signal, Waiting},
    options::Options,
    outcome::{Ended, Outcomes},
    sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, lock, thread},
    telemetry::{Age, Telemetry, Vitals},
    upkeep::Upkeep,
    waiter::{Parker, Waiter, done},
    writer::Job,
};

/// Which fraction of the time of an append a leader waits for one more caller.
const PATIENCE: u32 = 4;

/// So many callers are written together. Of more of them some are woken and decide while others are
/// written.
const FEW: usize = 24;

/// Of many threads one half is written while the other is woken, which takes as long.
pub(crate) const HALF: usize = 2;

/// Tasks are woken more cheaply.
pub(crate) const QUARTER: usize = 4;

/// How often a thread lets others run before it sleeps for the front: it is held for a decision, which
/// takes less than being woken.
const YIELDS: usize = 2;

/// What all handles on one ledger share.
pub(crate) struct Commit<S> {
    front: Mutex<Front<S>>,
    /// `None` once it was handed back.
    pub(crate) store: Mutex<Option<S>>,
    pub(crate) writer_called: Condvar,
    pub(crate) keeper_called: Condvar,
    pub(crate) options: Options,
    pub(crate) telemetry: Telemetry,
    pub(crate) ledger: LedgerId,
    /// How many commands wait for the next append: what a leader looks at while it lets others run.
    queued: Arc<AtomicUsize>,
    /// Held while history is read for a verification or a dropping, so that none is dropped under a
    /// reader. Taken before the next one.
    pub(crate) reading: Mutex<()>,
    /// Saves snapshots beside appends, where the store can. Held so that nobody evicts a snapshot that
    /// somebody is about to make the base.
    pub(crate) snapshots: Mutex<Option<Box<dyn SnapshotWriter + Send>>>,
    /// What failed last beside the appends; held while something is written beside them.
    pub(crate) failed_beside: Mutex<Option<Arc<StoreError>>>,
}

pub(crate) type Guard<'a, S> = MutexGuard<'a, Front<S>>;

/// The state that runs ahead of the disk, and everybody who waits for the disk.
pub(crate) struct Front<S> {
    pub(crate) machine: Machine,
    /// The batch to be written next.
    forming: Batch,
    /// Who waits for the batch that is being written.
    in_flight: Waiting,
    /// The last seq of the batch that is being written, or was.
    in_flight_seq: u64,
    /// The number of the last batch that is over.
    over: u64,
    /// How many callers there seem to be: those of the batch before, and who came meanwhile.
    callers: usize,
    /// How long a leader waits for one more of them.
    patience: Duration,
    queued: Arc<AtomicUsize>,
    /// Somebody leads, or was told to. A batch that has anything in it has a leader.
    leading: bool,
    /// Ownership needs no asking: the store is locked.
    always_owner: bool,
    /// Why nothing is answered any more.
    fault: Option<Unavailable>,
    pub(crate) closing: bool,
    /// All handles are gone: nobody will take the store back.
    abandoned: bool,
    /// Who waits for room in the forming batch.
    pub(crate) room: Vec<Waiter>,
    /// Who waits for everything to be written.
    pub(crate) closers: Vec<Waiter>,
    /// How many use the store beside who leads.
    guests: usize,
    pub(crate) writer: WriterPost,
    jobs: VecDeque<Job<S>>,
    pub(crate) outcomes: Outcomes,
    pub(crate) feed: Feed,
    pub(crate) upkeep: Upkeep,
    /// Parts of which nobody said that they are driven.
    pub(crate) undriven: Undriven,
    /// The time that the latest command stated.
    latest: UnixMillis,
    /// What the gauges show next, once it is durable.
    vitals: Option<Ticket<Vitals>>,
    age: Age,
    /// Set where the fault is.
    poisoned: Gauge,
}

/// How the batch that a thread waited for came to its end.
enum Settled<'a, S> {
    /// It was over when this thread looked, or never will be written.
    Found(Guard<'a, S>),
    /// It became durable; whoever waited has the proof and need not come to the front, where the next
    /// ones decide.
    Durable(Receipt),
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

/// What one append writes, and who waits for it.
#[derive(Debug, Default)]
struct Batch {
    number: u64,
    entries: Vec<Entry>,
    bytes: usize,
    commands: usize,
    asks_owner: bool,
    waiting: Waiting,
}

impl Batch {
    fn numbered(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    const fn is_empty(&self) -> bool {
        self.commands == 0
    }
}

/// Everybody who is to be told something, once nothing is locked.
#[must_use = "who waits is told, once nothing is locked"]
pub(crate) struct WakeUps<S> {
    /// At whose gate who leads next waits.
    successor: Option<Arc<Gate>>,
    /// Whose batch is over.
    over: Waiting,
    /// That it is durable.
    receipt: Option<Receipt>,
    /// Whose batch will never be written.
    lost: Waiting,
    /// What will never be run.
    jobs: VecDeque<Job<S>>,
    others: Vec<Waiter>,
    /// What the log is told, if this is what ended it all.
    fault: Option<Unavailable>,
}

impl<S> Default for WakeUps<S> {
    fn default() -> Self {
        Self {
            successor: None,
            over: Waiting::default(),
            receipt: None,
            lost: Waiting::default(),
            jobs: VecDeque::new(),
            others: Vec::new(),
            fault: None,
        }
    }
}

impl<S> WakeUps<S> {
    pub(crate) fn tell(self) {
        if let Some(Unavailable::Poisoned { cause }) = self.fault {
            tracing::error!(cause = cause.as_ref().map(tracing::field::display), "poisoned");
        }
        if let Some(gate) = self.successor {
            gate.call();
        }
        self.over.tell(self.receipt);
        self.lost.tell(None);
        drop(self.jobs);
        done(self.others);
    }
}

impl<S: EventStore> Commit<S> {
    pub(crate) fn new(machine: Machine, store: S, options: Options, upkeep: Upkeep) -> Self {
        let ledger = store.ledger_id();
        let queued = Arc::new(AtomicUsize::new(0));
        let telemetry = Telemetry::of(ledger);
        let front = Front {
            forming: Batch::numbered(1),
            in_flight: Waiting::default(),
            in_flight_seq: machine.durable().seq,
            over: 0,
            callers: 0,
            patience: Duration::ZERO,
            queued: Arc::clone(&queued),
            leading: false,
            always_owner: store.exclusion() == Exclusion::Lock,
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
        };
        Self {
            front: Mutex::new(front),
            reading: Mutex::new(()),
            snapshots: Mutex::new(store.snapshot_writer()),
            failed_beside: Mutex::new(None),
            store: Mutex::new(Some(store)),
            telemetry,
            ledger,
            queued,
            writer_called: Condvar::new(),
            keeper_called: Condvar::new(),
            options,
        }
    }

    /// Waits for room among the commands to be written next.
    pub(crate) fn enter(&self) -> Result<Guard<'_, S>, Unavailable> {
        let mut front = self.lock();
        while !front.has_room(self.options.queue_commands)? {
            let parker = Parker::new();
            front.room.push(Waiter::Thread(Arc::clone(&parker)));
            drop(front);
            parker.wait();
            front = self.lock();
        }
        Ok(front)
    }

    /// Waits until this batch is over, committing it where nobody else does, and reads a reply.
    pub(crate) fn settle<T>(
        &self,
        front: Guard<'_, S>,
        (ticket, batch): (Ticket<T>, u64),
    ) -> Result<T, Unavailable> {
        match self.wait_for(front, batch) {
            Settled::Found(front) => read(front, ticket),
            Settled::Durable(receipt) => {
                ticket.redeem(&receipt).or_else(|ticket| self.read(ticket))
            }
        }
    }

    /// Reads a reply whose batch is over.
    pub(crate) fn read<T>(&self, ticket: Ticket<T>) -> Result<T, Unavailable> {
        read(self.lock(), ticket)
    }

    /// As [`settle`](Self::settle), for several replies of the core: they hold nothing of a caller's.
    pub(crate) fn settle_all<T>(
        &self,
        front: Guard<'_, S>,
        (tickets, batch): (Vec<Ticket<T>>, u64),
    ) -> Result<Vec<T>, Unavailable> {
        let (receipt, mut front) = match self.wait_for(front, batch) {
            Settled::Found(front) => (None, Some(front)),
            Settled::Durable(receipt) => (Some(receipt), None),
        };
        let each = tickets.into_iter().map(|ticket| {
            let ticket = match &receipt {
                Some(receipt) => ticket.redeem(receipt),
                None => Err(ticket),
            };
            ticket.or_else(|ticket| front.get_or_insert_with(|| self.lock()).release(ticket))
        });
        each.collect()
    }

    /// Waits until this batch is over, committing it where nobody else does.
    fn wait_for<'a>(&'a self, mut front: Guard<'a, S>, batch: u64) -> Settled<'a, S> {
        while front.over < batch {
            let receipt = if front.leading {
                let gate = front.waiting_for(batch).add_thread();
                drop(front);
                match gate.wait() {
                    Signal::Over(receipt) => receipt,
                    Signal::Lead => self.lead(self.lock(), HALF),
                }
            } else {
                front.leading = true;
                self.lead(front, HALF)
            };
            match receipt {
                Some(receipt) => return Settled::Durable(receipt),
                None => front = self.lock(),
            }
        }
        Settled::Found(front)
    }

    /// Commits the batch that has formed, and gives proof if it is durable. Only who leads calls it;
    /// afterwards somebody else does, or nobody has to.
    pub(crate) fn lead(&self, front: Guard<'_, S>, share: usize) -> Option<Receipt> {
        let guard = LeaderGuard { commit: self, fulfilled: false };
        let mut front = self.gather(front, share);
        let batch = front.take_batch();
        let room = mem::take(&mut front.room);
        let (fed, watched) = (front.feed.is_read(), front.outcomes.are_awaited());
        drop(front);
        done(room);
        let begun = Instant::now();
        let outcome = self.write(&batch).map_err(|error| self.first_cause(error));
        let took = begun.elapsed();
        let copies = if fed { Feed::copy(&batch.entries) } else { Vec::new() };
        let ended = if watched { Ended::by(&batch.entries) } else { Ended::default() };
        let mut front = self.lock();
        // No clock decides in a model.
        front.patience = if cfg!(payonce_shuttle) { Duration::ZERO } else { took / PATIENCE };
        let mut told = front.finish(batch, outcome);
        if front.fault.is_none() {
            told.others.extend(front.feed.extend(fed, copies));
            told.others.extend(front.outcomes.end(&ended));
        }
        self.observe(&mut front);
        self.call_keeper(&front);
        // A writer thread that waits to go home is told as well that nobody leads any more.
        let call_writer = front.writer == WriterPost::Leads || front.closing;
        let unattended = front.is_unattended();
        drop(front);
        guard.fulfilled();
        if unattended {
            drop(self.take_store());
        }
        if call_writer {
            self.writer_called.notify_one();
        }
        let receipt = told.receipt.clone();
        told.tell();
        receipt
    }

    /// Lets callers run who are about to submit: until one in `share` of those who seem to be here
    /// has, as long as more of them come, and for each a fraction of what an append takes. Costs
    /// nothing to who is alone.
    ///
    /// It yields rather than sleeps: the others run where it ran, and none has to wake it.
    fn gather<'a>(&'a self, front: Guard<'a, S>, share: usize) -> Guard<'a, S> {
        let expected = if front.callers > FEW { front.callers / share } else { front.callers };
        // No more of them fit.
        let expected = expected.min(self.options.queue_commands);
        let (patience, mut before) = (front.patience, front.queued());
        if patience.is_zero() || before >= expected {
            return front;
        }
        drop(front);
        let mut since = Instant::now();
        while before < expected && since.elapsed() < patience {
            thread::yield_now();
            let queued = self.queued.load(Ordering::Relaxed);
            if queued > before {
                (before, since) = (queued, Instant::now());
            }
        }
        self.lock()
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let span = tracing::debug_span!(
            "payonce.commit",
            batch = batch.number,
            entries = batch.entries.len(),
            bytes = batch.bytes
        );
        let _entered = span.enter();
        let mut store = lock(&self.store);
        let store = store.as_mut().expect("the store is handed back only when nobody leads");
        if batch.entries.is_empty() {
            return if batch.asks_owner { store.confirm_owner() } else { Ok(()) };
        }
        let begun = Instant::now();
        let outcome = store.append(&batch.entries);
        self.telemetry.appended(batch.entries.len(), batch.bytes, begun.elapsed(), &outcome);
        outcome
    }

    /// Brings the gauges up to date with what is durable.
    fn observe(&self, front: &mut Front<S>) {
        self.telemetry.queued(front.queued());
        let vitals = front.vitals.take();
        let vitals = vitals.unwrap_or_else(|| front.machine.query(Vitals::of));
        match front.machine.release(vitals) {
            Ok(vitals) => {
                let age = front.age.of(&vitals, front.latest);
                self.telemetry.observe(&vitals, age);
                self.telemetry.log(&front.upkeep, front.machine.durable().seq);
            }
            Err(ReleaseError::NotDurable(vitals)) => front.vitals = Some(vitals),
            // The gauge that tells of it was set where the fault was.
            Err(_) => {}
        }
    }

    /// Says that something is due.
    fn call_keeper(&self, front: &Front<S>) {
        if front.upkeep.due(&self.options).is_some() {
            self.keeper_called.notify_one();
        }
    }

    /// The store, for maintenance; appends wait meanwhile. A panic of the store ends everything.
    pub(crate) fn with_store<T>(&self, call: impl FnOnce(&mut S) -> T) -> Result<T, Unavailable> {
        let _guest = self.visit()?;
        let mut store = lock(&self.store);
        let present = store.as_mut().ok_or(Unavailable::Closed)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| call(present)));
        drop(store);
        outcome.or_else(|panicked| {
            self.poison(None);
            resume_unwind(panicked)
        })
    }

    /// Hands the store back once everything is written. `None` if somebody else was faster.
    pub(crate) fn close(&self) -> Option<S> {
        self.refuse_more();
        let mut front = self.lock();
        while !front.is_idle() {
            let parker = Parker::new();
            front.closers.push(Waiter::Thread(Arc::clone(&parker)));
            drop(front);
            parker.wait();
            front = self.lock();
        }
        drop(front);
        self.take_store()
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

impl<S> Commit<S> {
    /// The front; poisoned, if a thread panicked while it changed it.
    pub(crate) fn lock(&self) -> Guard<'_, S> {
        for _ in 0..YIELDS {
            match self.front.try_lock() {
                Ok(front) => return front,
                Err(TryLockError::WouldBlock) => thread::yield_now(),
                Err(TryLockError::Poisoned(_)) => break,
            }
        }
        loop {
            let panicked = match self.front.lock() {
                Ok(front) => return front,
                Err(panicked) => panicked,
            };
            let mut front = panicked.into_inner();
            if front.fault.is_some() {
                return front;
            }
            let told = front.poison(None);
            drop(front);
            told.tell();
        }
    }

    /// Holds closing up until the guest leaves.
    pub(crate) fn visit(&self) -> Result<Guest<'_, S>, Unavailable> {
        let mut front = self.lock();
        front.check_open()?;
        front.guests += 1;
        Ok(Guest(self))
    }

    /// Hands the store back; the snapshots' writer goes with it.
    pub(crate) fn take_store(&self) -> Option<S> {
        let writer = lock(&self.snapshots).take();
        drop(writer);
        lock(&self.store).take()
    }

    /// Refuses what is new, and wakes whoever must know.
    pub(crate) fn refuse_more(&self) {
        let waiters = self.lock().begin_to_close();
        self.writer_called.notify_all();
        self.keeper_called.notify_all();
        done(waiters);
    }

    /// All handles are gone: who uses the store last drops it, the writer thread if there is one.
    pub(crate) fn abandon(&self) {
        let mut front = self.lock();
        front.abandoned = true;
        let waiters = front.begin_to_close();
        let unattended = front.is_unattended();
        drop(front);
        self.writer_called.notify_all();
        self.keeper_called.notify_all();
        done(waiters);
        if unattended {
            drop(self.take_store());
        }
    }

    /// Ends everything: the store failed, or a thread panicked while it held it.
    pub(crate) fn poison(&self, cause: Option<Arc<StoreError>>) {
        let told = self.lock().poison(cause);
        told.tell();
    }

    /// What is behind an error of the store: where it only says that something failed before, what
    /// that was.
    pub(crate) fn first_cause(&self, error: StoreError) -> Arc<StoreError> {
        let error = Arc::new(error);
        if !matches!(*error, StoreError::Poisoned { .. }) {
            return error;
        }
        // Waits for who is about to learn of it.
        lock(&self.failed_beside).clone().unwrap_or(error)
    }
}

impl<S> Front<S> {
    pub(crate) fn check_open(&self) -> Result<(), Unavailable> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None if self.closing => Err(Unavailable::Closed),
            None => Ok(()),
        }
    }

    /// Refuses what is new; gives who must know.
    fn begin_to_close(&mut self) -> Vec<Waiter> {
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
        let Step { entry, ticket } = self.machine.submit(operation, now);
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

    fn take_batch(&mut self) -> Batch {
        let next = Batch::numbered(self.forming.number + 1);
        let mut batch = mem::replace(&mut self.forming, next);
        self.queued.store(0, Ordering::Relaxed);
        self.in_flight = mem::take(&mut batch.waiting);
        self.in_flight_seq = batch.entries.last().map_or(self.in_flight_seq, |at| at.after().seq);
        batch
    }

    /// What a leader does with the outcome of its append.
    fn finish(&mut self, batch: Batch, outcome: Result<(), Arc<StoreError>>) -> WakeUps<S> {
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
    fn poison(&mut self, cause: Option<Arc<StoreError>>) -> WakeUps<S> {
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
    fn is_unattended(&self) -> bool {
        self.abandoned && self.writer == WriterPost::Vacant && self.is_idle()
    }

    fn closers_if_idle(&mut self) -> Vec<Waiter> {
        if self.is_idle() { mem::take(&mut self.closers) } else { Vec::new() }
    }
}

/// Ends what a leader began: should the store panic, everybody who waits is told.
struct LeaderGuard<'a, S> {
    commit: &'a Commit<S>,
    fulfilled: bool,
}

impl<S> LeaderGuard<'_, S> {
    fn fulfilled(mut self) {
        self.fulfilled = true;
    }
}

impl<S> Drop for LeaderGuard<'_, S> {
    fn drop(&mut self) {
        if !self.fulfilled {
            let mut front = self.commit.lock();
            let mut told = front.poison(None);
            front.leading = false;
            told.others.extend(front.closers_if_idle());
            drop(front);
            self.commit.writer_called.notify_one();
            told.tell();
        }
    }
}

/// Somebody who uses the store beside who leads.
pub(crate) struct Guest<'a, S>(&'a Commit<S>);

impl<S> Drop for Guest<'_, S> {
    fn drop(&mut self) {
        let mut front = self.0.lock();
        let waiters = front.leave();
        let unattended = front.is_unattended();
        drop(front);
        if unattended {
            drop(self.0.take_store());
        }
        done(waiters);
    }
}
