//! The node and its clock: takes the steps of all plans in the order of time.

use std::{cmp::Reverse, collections::BinaryHeap, fmt::Display, path::Path};

use payonce::{
    Abandon, Acknowledge, AdoptPart, Answer, ClaimPart, Dispatch, FailPart, FinalizePart, Head,
    Ledger, LedgerId, MarkPaid, MaxFee, Msat, NewPart, NodeId, NotificationKind, Opening, PartId,
    PartKind, PartStatus, Pay, PaymentId, Preimage, ReceiveInvoice, Remember, Request, RetryPolicy,
    Tick, UnixMillis, UnresolvedPart, WithdrawPart,
    machine::{
        Label, LogHash, ObservationKind, ObservePart, Operation, SayAgain, Settlement,
        ShortChannelId,
    },
    store_fs::{FsStore, Options},
};

use crate::{
    demo::{
        disk::LazyDisk,
        plan::{GIVEN_UP, Plan, Step, plan},
        rng::Rng,
    },
    io::Failure,
};

/// When the story begins: 1 September 2026.
const START: UnixMillis = UnixMillis(1_788_220_800_000);
const HOUR: u64 = 3_600_000;

/// What happens next, and when; what is due at the same moment in the order in which it was planned.
type Queue = BinaryHeap<Reverse<(u64, u64, u32, usize)>>;

struct World {
    disk: LazyDisk,
    options: Options,
    remember: Remember,
    rng: Rng,
    ledger: Option<Ledger<FsStore<LazyDisk>>>,
    plans: Vec<Option<Plan>>,
    queue: Queue,
    planned: u64,
    now: u64,
    next_tick: u64,
}

/// How far the log was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) head: Head,
}

/// Writes the log of so many payments to a new directory.
///
/// # Errors
/// [`Failure::Refused`].
pub(crate) fn write(
    directory: &Path,
    payments: u32,
    seed: u64,
    remember: Remember,
) -> Result<Written, Failure> {
    let mut rng = Rng::new(seed);
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let ledger = LedgerId::from_bytes(rng.bytes());
    let salts = Rng::new(rng.next());
    let disk = LazyDisk::create(directory, salts).map_err(|error| cannot(directory, &error))?;
    FsStore::create_on(disk.clone(), ledger, options).map_err(Failure::refused)?;
    let mut world = World {
        disk,
        options,
        remember,
        rng,
        ledger: None,
        plans: Vec::new(),
        queue: Queue::new(),
        planned: 0,
        now: 0,
        next_tick: HOUR,
    };
    world.start(false)?;
    // Five days at least, sixty at most.
    let apart = (5 * 24 * HOUR / u64::from(payments)).max(12 * 60_000);
    let apart = apart.min(60 * 24 * HOUR / u64::from(payments));
    for number in 0..payments {
        let began = u64::from(number) * apart + world.rng.between(0, apart / 2);
        world.until(began)?;
        world.begin(number, began)?;
        let tenths = |of: u32| number == payments / 10 * of;
        if [2, 5, 9].into_iter().any(tenths) && number > 0 {
            world.restart()?;
        }
        if tenths(7) && number > 0 {
            world.lose()?;
        }
    }
    world.until(u64::from(payments) * apart + 2 * HOUR)?;
    world.close()
}

fn cannot(directory: &Path, error: &std::io::Error) -> Failure {
    Failure::refused(format!("cannot create {}: {error}", directory.display()))
}

fn at(millis: u64) -> UnixMillis {
    START.plus(millis)
}

fn name(error: impl Display) -> Failure {
    Failure::refused(format!("the demo cannot be written: {error}"))
}

impl World {
    fn id(plan: &Plan) -> PaymentId {
        PaymentId::from_payment_hash(plan.preimage.payment_hash())
    }

    /// A payment begins: its steps are put into the queue.
    fn begin(&mut self, number: u32, began: u64) -> Result<(), Failure> {
        let plan = plan(number, &mut self.rng);
        for (nth, (after, _)) in plan.steps.iter().enumerate() {
            self.planned += 1;
            self.queue.push(Reverse((began + after, self.planned, number, nth)));
        }
        self.plans.push(Some(plan));
        self.until(began)
    }

    /// Takes every step up to a moment.
    fn until(&mut self, end: u64) -> Result<(), Failure> {
        loop {
            let next = self.queue.peek().map(|Reverse((when, ..))| *when);
            match next.filter(|when| *when <= end) {
                Some(when) if when <= self.next_tick => {
                    let Some(Reverse((when, _, number, nth))) = self.queue.pop() else { continue };
                    self.now = when;
                    self.step(number, nth)?;
                }
                _ if self.next_tick <= end => {
                    self.now = self.next_tick;
                    self.next_tick += HOUR;
                    self.tick()?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Tells the ledger something. Every step is one that it takes.
    fn tell<O>(&mut self, operation: O) -> Result<(), Failure>
    where
        O: Operation<Refusal: 'static>,
    {
        let now = at(self.now);
        self.ledger()?.execute(operation, now).map(drop).map_err(name)
    }

    fn ledger(&mut self) -> Result<&mut Ledger<FsStore<LazyDisk>>, Failure> {
        self.ledger.as_mut().ok_or_else(|| name("the ledger is closed"))
    }

    fn height(&self) -> u32 {
        900_000 + u32::try_from(self.now / (HOUR / 6)).unwrap_or(0)
    }

    /// The block height, what is read by now, and the clock.
    fn tick(&mut self) -> Result<(), Failure> {
        let now = self.now;
        let ledger = self.ledger.as_mut().ok_or_else(|| name("the ledger is closed"))?;
        let days = ledger.machine().durable().seq.saturating_sub(2_000);
        let read = ledger.query(|state| {
            let told = state.outbox().filter(|told| match told.kind {
                // A human looks at these, later.
                NotificationKind::Anomaly { .. } => told.id.seq < days,
                _ => true,
            });
            told.map(|told| told.id).take(4_096).collect::<Vec<_>>()
        });
        let ids = read.map_err(name)?;
        if !ids.is_empty() {
            self.tell(Acknowledge { ids })?;
        }
        self.now = now;
        let height = self.height();
        self.tell(Tick::at_height(height))
    }

    fn step(&mut self, number: u32, nth: usize) -> Result<(), Failure> {
        let index = number as usize;
        let Some(plan) = self.plans[index].take() else { return Ok(()) };
        let step = plan.steps[nth].1.clone();
        self.take(&plan, step)?;
        // What is over needs no memory.
        if nth + 1 < plan.steps.len() {
            self.plans[index] = Some(plan);
        }
        Ok(())
    }

    fn take(&mut self, plan: &Plan, step: Step) -> Result<(), Failure> {
        let id = Self::id(plan);
        let part = |nth: usize| plan.parts[nth];
        match step {
            Step::Pay => self.pay(plan, id),
            Step::PayAgain => self.pay_again(id),
            Step::Invoice => {
                let (payment_hash, amount) = (plan.preimage.payment_hash(), plan.amount);
                self.tell(ReceiveInvoice { id, payment_hash, amount, expiry: None })
            }
            Step::Dispatch(amounts) => self.dispatch(plan, id, &amounts),
            Step::HandOver => {
                let label = Some(Label { engine: "lnd-1".into(), mark: Some(7) });
                let parts = vec![NewPart::Delegated { id: part(0), label }];
                self.tell(Dispatch { id, attempt: 1, parts })
            }
            Step::SayAgain => self.tell(SayAgain { id, part: part(0) }),
            Step::Observe(succeeded) => {
                let kind = if succeeded {
                    ObservationKind::PathSucceeded
                } else {
                    ObservationKind::PathFailed
                };
                self.tell(ObservePart { id, part: part(0), kind, bytes: "a path".into() })
            }
            Step::Withdraw => self.tell(WithdrawPart { id, part: part(0) }),
            Step::Fail(nth, failure) => self.tell(FailPart { id, part: part(nth), failure }),
            Step::Claim(nth) => self.claim(plan, id, part(nth)),
            Step::Finalize(nth) => self.tell(FinalizePart { id, part: part(nth) }),
            Step::Abandon => self.tell(Abandon { id, reason: GIVEN_UP }),
            Step::MarkPaid(word) => self.tell(MarkPaid::new(id).asserted(word)),
        }
    }

    fn request(&mut self, plan: &Plan) -> Request {
        let mut payee = [2; 33];
        payee[1..9].copy_from_slice(&(self.rng.between(1, 20)).to_le_bytes());
        let fee = MaxFee::AtMost(Msat(plan.amount.0 / 100 + 5_000));
        let retry = RetryPolicy::Attempts(plan.retries());
        let target = plan.target(&mut self.rng);
        let mut request = Request::new(target, plan.amount, fee, retry)
            .payee(NodeId::from_bytes(payee))
            .metadata(plan.label.as_bytes());
        request.expiry = plan.expiry(at(self.now));
        request
    }

    fn pay(&mut self, plan: &Plan, id: PaymentId) -> Result<(), Failure> {
        let request = self.request(plan);
        self.tell(Pay::new(id, request))
    }

    /// The same request, naming the failure that the user has read.
    fn pay_again(&mut self, id: PaymentId) -> Result<(), Failure> {
        let now = at(self.now);
        let known = self.ledger()?.query(|state| {
            let failed = state.payment_view(&id).and_then(|view| view.failed);
            let request = state.payment(&id).and_then(|payment| payment.request()).cloned();
            failed.zip(request)
        });
        // Its failure was read in the meantime, and its request with it: nothing to name.
        let Some((failed, mut request)) = known.map_err(name)? else { return Ok(()) };
        request.expiry = Some(now.plus(24 * HOUR));
        self.tell(Pay::new(id, request).again_after(failed))
    }

    fn dispatch(&mut self, plan: &Plan, id: PaymentId, amounts: &[u64]) -> Result<(), Failure> {
        let lacks = self.ledger()?.query(|state| state.remaining(&id)).map_err(name)?;
        // Tried again too late: it has no more time.
        let Some(lacks) = lacks.filter(|lacks| lacks.amount > Msat::ZERO) else { return Ok(()) };
        let expiry = self.height() + 144;
        let known = |part: &PartId| {
            self.ledger.as_ref().is_some_and(|ledger| {
                ledger.machine().durable_state().is_ok_and(|state| state.owner_of(part).is_some())
            })
        };
        let mut fresh: Vec<_> = plan.parts.iter().filter(|part| !known(part)).copied().collect();
        fresh.truncate(amounts.len());
        let parts = fresh.into_iter().zip(amounts).map(|(id, amount)| {
            let fee = Msat(1_000 + amount / 400 + self.rng.between(0, 999));
            let channel = 780_000 << 40 | self.rng.between(1, 12) << 16;
            NewPart::Htlc {
                id,
                amount: Msat(*amount),
                fee,
                cltv_expiry: expiry,
                first_channel: Some(ShortChannelId(channel)),
            }
        });
        let parts = parts.collect();
        self.tell(Dispatch { id, attempt: lacks.attempt, parts })
    }

    fn claim(&mut self, plan: &Plan, id: PaymentId, part: PartId) -> Result<(), Failure> {
        let claim = ClaimPart::new(id, part, plan.preimage);
        let delegated = plan.steps.iter().any(|(_, step)| matches!(step, Step::HandOver));
        if !delegated {
            return self.tell(claim);
        }
        let fee = Some(Msat(plan.amount.0 / 500 + 1_000));
        self.tell(claim.settlement(Settlement { amount: Some(plan.amount), fee }))
    }

    /// The node starts: it opens the log, lists what is out, and goes on.
    fn start(&mut self, lost: bool) -> Result<(), Failure> {
        let (store, _) = FsStore::open_on(self.disk.clone(), self.options).map_err(name)?;
        let mut opening = Opening::new(self.remember, 7);
        opening.program = "payonce demo".into();
        opening.holder = "node-1, process 4711".into();
        if lost {
            let seq = payonce::audit::EventSource::head(&store).map_err(name)?.seq + 3;
            opening.known_head = Some(Head { seq, chain: LogHash::from_bytes(self.rng.bytes()) });
        }
        let now = at(self.now);
        let mut recovery = Ledger::open(store, &opening, now).map_err(name)?;
        let out = recovery.unresolved().map_err(name)?;
        // What was claimed after the ledger had forgotten it: listed, it would be news from before a gap.
        let is_forgotten = |out: &UnresolvedPart| {
            let is_known = out.part.amount.is_some() || out.part.is_of_earlier_try();
            out.part.status == PartStatus::Claimed
                && !is_known
                && out.part.kind != PartKind::Delegated
        };
        let is_listed = |out: &UnresolvedPart| out.payment_hash.is_some() && !is_forgotten(out);
        let listed = out.into_iter().filter(is_listed).map(|out| {
            Answer::Adopted(AdoptPart {
                id: out.payment,
                part: out.part.id,
                payment_hash: out.payment_hash.unwrap_or(payonce::PaymentHash::from_bytes([0; 32])),
                amount: out.part.amount,
                fee: out.part.fee,
                kind: out.part.kind,
            })
        });
        let answers: Vec<_> = listed.collect();
        recovery.answer(answers, now).map_err(name)?;
        self.ledger = Some(recovery.finish(now).map_err(name)?);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.ledger()?.save_snapshot().map_err(name)?;
        drop(self.ledger.take());
        self.now += 45_000;
        self.start(false)
    }

    /// The node comes back with an older copy of the log: what it has and the log lacks is told, then the
    /// gap is closed.
    fn lose(&mut self) -> Result<(), Failure> {
        drop(self.ledger.take());
        self.now += 90_000;
        self.start(true)?;
        let kind = PartKind::Htlc { cltv_expiry: Some(self.height() + 100), first_channel: None };
        let preimage = Preimage::from_bytes(self.rng.bytes());
        let payment_hash = preimage.payment_hash();
        let id = PaymentId::from_payment_hash(payment_hash);
        let (amount, fee) = (Some(Msat(42_000_000)), Some(Msat(61_000)));
        let part = PartId::from_bytes(self.rng.bytes());
        self.tell(AdoptPart { id, part, payment_hash, amount, fee, kind })?;
        self.tell(ClaimPart::new(id, part, preimage))?;
        self.tell(FinalizePart { id, part })?;
        // And a part under a payment whose hash it is not.
        let stuck = self.ledger()?.query(|state| state.unresolved().first().map(|out| out.payment));
        if let Some(id) = stuck.map_err(name)? {
            let payment_hash = Preimage::from_bytes(self.rng.bytes()).payment_hash();
            let part = PartId::from_bytes(self.rng.bytes());
            self.tell(AdoptPart { id, part, payment_hash, amount, fee, kind })?;
        }
        let now = at(self.now);
        self.ledger()?.close_gap(now).map_err(name)
    }

    fn close(mut self) -> Result<Written, Failure> {
        let mut ledger = self.ledger.take().ok_or_else(|| name("the ledger is closed"))?;
        let head = ledger.head();
        ledger.save_snapshot().map_err(name)?;
        ledger.into_store().close().map_err(name)?;
        self.disk.sync_all().map_err(name)?;
        Ok(Written { head })
    }
}
