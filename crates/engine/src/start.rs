//! Starting: the ledger is opened, its engines are asked what became of what is out, and only then
//! anything new is paid.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    fmt,
    sync::Arc,
};

use payonce_core::{
    Answer, BlockedHash, Command, EventStore, LedgerId, ListParts, OpenError, Opening, PartId,
    Request, UnixMillis, limits,
};
use payonce_runtime::{SharedLedger, SharedRecovery, Unavailable};
use tokio::task::JoinSet;

use crate::{
    chores::all_out,
    clock::{Clock, SystemClock},
    engine::{Engine, Shown},
    error::StartError,
    follow::facts,
    job::{Heard, Job},
    options::Options,
    payer::{Payer, Route, Shared},
    rules::{Conclusion, Why},
    seat::Seat,
    sink::Sink,
    witness::Witness,
};

/// How many questions one engine is asked at the same time at a start.
const QUESTIONS: usize = 32;

/// Who has seen the ledger's head. A choice without a default: nobody is one, and what it costs is in
/// [`StartReport::unwitnessed`].
pub enum Witnessed {
    /// This witness keeps the head of the ledger.
    By(Arc<dyn Witness>),
    /// Nobody. **A log put back from an older copy then opens as if it were the newest**: its payments of
    /// the gap are due again. An engine that pays a hash once, and forgets nothing, still pays them once;
    /// any other may pay them twice.
    ByNobody,
}

impl fmt::Debug for Witnessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::By(_) => "By(..)",
            Self::ByNobody => "ByNobody",
        })
    }
}

/// An opened ledger, to which engines are added. It pays nothing before it is [finished](Self::finish).
#[must_use = "a payer is had by finishing its start"]
pub struct Starting<S: EventStore + Send + 'static> {
    recovery: SharedRecovery<S>,
    ledger: LedgerId,
    witness: Option<Arc<dyn Witness>>,
    witness_was_empty: bool,
    engines: Vec<(String, Arc<dyn Engine>, bool)>,
    route: Option<Box<Route>>,
    sink: Option<Arc<dyn Sink>>,
    clock: Arc<dyn Clock>,
    options: Options,
}

impl<S: EventStore + Send + 'static> fmt::Debug for Starting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("engines", &self.engines).finish_non_exhaustive()
    }
}

/// What a start found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartReport {
    /// Whether the log lacks something that was known. Nothing new is paid until the payments of the gap
    /// are told ([`Payer::rebuild`]) and it is closed
    /// ([`close_gap_async`](crate::SharedLedger::close_gap_async)).
    pub restored: bool,
    /// Whether no witness has seen the head: a log put back from an older copy cannot be told from the
    /// newest.
    pub unwitnessed: bool,
    /// Whether the witness knew no head, although the log is not new: it shows nothing of what was before.
    pub witness_was_empty: bool,
    /// Hand-overs that turned out to be paid.
    pub paid: Vec<PartId>,
    /// Hand-overs that turned out to have failed.
    pub failed: Vec<PartId>,
    /// Hand-overs that are out still, or may be: also those that were recorded and perhaps never sent. They are
    /// followed up.
    pub out: Vec<PartId>,
    /// Hand-overs to engines that were not given to this start: they stay out until their engine is back,
    /// or an operator's word.
    pub unattended: Vec<PartId>,
    /// Hand-overs that stay out until an operator's word, and why.
    pub attention: Vec<(PartId, Why)>,
    /// Hashes for which an engine has a payment out that this ledger did not send, and which engine. Each
    /// stays blocked until that very engine shows its end, or an operator's word
    /// ([`UnblockHash`](payonce_core::UnblockHash) that names the engine, on [`Payer::ledger`]).
    pub blocked: Vec<BlockedHash>,
    /// The names of engines that did not answer about what they have out: they are asked again later. Who has
    /// nothing out is not asked.
    pub silent: Vec<String>,
    /// The names of engines that have something out, a hand-over or what blocks a hash, and were not given
    /// to this start: nobody else can end it. Give the next start these as well.
    pub missing: Vec<String>,
}

impl<S: EventStore + Send + 'static> Starting<S> {
    /// Opens the log of a store that exists: the store's own `open` never creates one, nor does this. The
    /// witness is asked for the last head.
    ///
    /// # Errors
    /// [`StartError`] when the witness cannot be read, or the log is damaged.
    pub async fn open(
        store: S,
        opening: Opening,
        witnessed: Witnessed,
        options: payonce_runtime::Options,
    ) -> Result<Self, StartError> {
        Self::open_by(store, opening, witnessed, options, Arc::new(SystemClock)).await
    }

    /// [`open`](Self::open) by another clock.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_by(
        store: S,
        opening: Opening,
        witnessed: Witnessed,
        options: payonce_runtime::Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let open = move |opening: &Opening, now| SharedLedger::open(store, opening, options, now);
        Self::open_with(opening, witnessed, clock, open).await
    }

    /// [`open`](Self::open) of a log that something else opens: a standby that kept its state warm and
    /// takes over, say, whose recovery [`SharedRecovery::from_recovery`] shares. `take_over` is given the
    /// opening with the last head that the witness has seen, and runs where it may block.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(
        mut opening: Opening,
        witnessed: Witnessed,
        clock: Arc<dyn Clock>,
        take_over: impl FnOnce(&Opening, UnixMillis) -> Result<SharedRecovery<S>, OpenError>
        + Send
        + 'static,
    ) -> Result<Self, StartError> {
        let witness = match witnessed {
            Witnessed::By(witness) => Some(witness),
            Witnessed::ByNobody => None,
        };
        let now = clock.now();
        let asked = witness.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let head = asked.as_ref().map(|witness| witness.load()).transpose();
            let head = head.map_err(StartError::Witness)?.flatten();
            opening.known_head = head.or(opening.known_head);
            // A new log has one event: that it was opened.
            let recovery = take_over(&opening, now)?;
            let is_new = recovery.head().seq <= 1;
            Ok::<_, StartError>((recovery, head.is_none() && !is_new))
        });
        let (recovery, was_empty) = match opened.await {
            Ok(opened) => opened?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        Ok(Self {
            ledger: recovery.ledger_id(),
            recovery,
            witness_was_empty: witness.is_some() && was_empty,
            witness,
            engines: Vec::new(),
            route: None,
            sink: None,
            clock,
            options: Options::default(),
        })
    }

    /// Adds an engine. Its name, 1 to 64 bytes, is recorded with each hand-over: never give it to another
    /// engine, which would be asked about payments that it does not know.
    pub fn engine(mut self, name: &str, engine: Arc<dyn Engine>) -> Self {
        self.engines.push((name.into(), engine, false));
        self
    }

    /// As [`engine`](Self::engine), with the caller's word that the engine, and whatever stands between
    /// it and us, was started after the last process that used this ledger had ended: no request of that
    /// process can still wait anywhere.
    pub fn engine_started_after(mut self, name: &str, engine: Arc<dyn Engine>) -> Self {
        self.engines.push((name.into(), engine, true));
        self
    }

    /// With a choice of engine for each payment's next hand-over; without one the first engine gets all.
    /// What an engine has it keeps until it is resolved, whatever this says.
    pub fn route(mut self, route: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        self.route = Some(Box::new(route));
        self
    }

    /// With a sink for what the user must see. Without one the outbox is the caller's to read.
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Takes these options in place of the default ones.
    pub const fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    fn seats(&self) -> Result<Vec<Arc<Seat>>, StartError> {
        let mut names = HashSet::new();
        for (name, ..) in &self.engines {
            let fits = (1..=limits::LABEL_BYTES).contains(&name.len());
            if !fits || !names.insert(name.as_str()) {
                return Err(StartError::Name { name: name.clone() });
            }
        }
        let seat = |(name, engine, started_after): &(String, Arc<dyn Engine>, bool)| {
            let engine = Arc::clone(engine);
            Arc::new(Seat::new(name.clone(), engine, *started_after, self.ledger, self.options))
        };
        match &self.engines[..] {
            [] => Err(StartError::NoEngine),
            engines => Ok(engines.iter().map(seat).collect()),
        }
    }

    /// Asks each engine what became of what it has, tells the ledger, and starts to pay. An engine that
    /// does not answer holds nobody up: what it has stays out, and is asked later.
    ///
    /// # Errors
    /// [`StartError`]; nothing was paid.
    pub async fn finish(self) -> Result<(Payer<S>, StartReport), StartError> {
        let seats = self.seats()?;
        let Self { recovery, witness, witness_was_empty, route, sink, clock, options, .. } = self;
        let unwitnessed = witness.is_none();
        if unwitnessed {
            tracing::warn!("no witness: a log put back from an older copy will not be noticed");
        }
        let mut report = StartReport { unwitnessed, witness_was_empty, ..StartReport::default() };
        let heard = ask_all(&recovery, &seats, &*clock, &mut report).await?;
        let asked = |state: &payonce_core::State| {
            (state.is_restored(), state.blocked_hashes().cloned().collect())
        };
        (report.restored, report.blocked) = recovery.query_async(asked).await?;
        let ledger = recovery.finish_async(clock.now()).await?;
        let first = seats[0].name.clone();
        let route = route.unwrap_or_else(|| Box::new(move |_| first.clone()));
        let shared = Arc::new(Shared::new(ledger, seats, route, sink, witness, clock, options));
        shared.minds().followed.extend(heard);
        shared.start_following(&mut report).await?;
        // The gauges tell of this start before anybody reads them.
        shared.sweep().await?;
        if !report.missing.is_empty() {
            tracing::warn!(engines = ?report.missing, "these have something out, and are not given");
        }
        shared.start_chores();
        Ok((Payer::new(shared), report))
    }
}

impl<S: EventStore + Send + 'static> Shared<S> {
    async fn start_following(
        self: &Arc<Self>,
        report: &mut StartReport,
    ) -> Result<(), Unavailable> {
        let out = self.ledger.query_async(all_out).await?;
        let with = out.iter().filter_map(|job| job.engine.as_deref());
        let blocked = report.blocked.iter().map(|block| block.engine.as_bytes());
        let missing = with.chain(blocked).filter(|name| !name.is_empty());
        let missing = missing.filter(|name| self.seat(name).is_none());
        let missing: BTreeSet<_> = missing.map(String::from_utf8_lossy).collect();
        report.missing = missing.into_iter().map(Cow::into_owned).collect();
        for job in out {
            if self.seat_of(&job).is_none() {
                report.unattended.push(job.part);
            } else {
                report.out.push(job.part);
                self.follow(job.part, crate::hand_over::Said::Ask);
            }
        }
        self.minds().attention.extend(report.attention.iter().copied());
        Ok(())
    }
}

/// What one engine says of what it has.
type Said = (Vec<(Job, Shown)>, Option<String>);

/// Asks each engine about its own, all at once. Gives what is known of those that stay out.
async fn ask_all<S: EventStore + Send + 'static>(
    recovery: &SharedRecovery<S>,
    seats: &[Arc<Seat>],
    clock: &dyn Clock,
    report: &mut StartReport,
) -> Result<Vec<(PartId, Heard)>, StartError> {
    let out = recovery.query_async(all_out).await?;
    let mut heard = Vec::new();
    let mut asking: JoinSet<(Arc<Seat>, Said)> = JoinSet::new();
    for seat in seats {
        let mine = |job: &&Job| match &job.engine {
            Some(name) => name == seat.name.as_bytes(),
            None => seats.len() == 1,
        };
        let jobs: Vec<Job> = out.iter().filter(mine).cloned().collect();
        let gone = |job: &Job| if seat.started_after { job.sayings } else { 0 };
        heard.extend(
            jobs.iter().map(|job| (job.part, Heard { gone: gone(job), ..Heard::default() })),
        );
        let seat = Arc::clone(seat);
        asking.spawn(async move { (Arc::clone(&seat), ask(seat, jobs).await) });
    }
    let of = |part: &PartId, heard: &[(PartId, Heard)]| {
        heard.iter().find(|(known, _)| known == part).map_or(Heard::default(), |(_, heard)| *heard)
    };
    while let Some(asked) = asking.join_next().await {
        let Ok((seat, (shown, silent))) = asked else { continue };
        report.silent.extend(silent);
        let mut answers = Vec::new();
        for (job, shown) in &shown {
            let known = job.known(&seat, of(&job.part, &heard), clock.now());
            let conclusion = known.conclusion(shown);
            let told = answers_to(job, &conclusion, shown, report);
            if !told.is_empty() {
                seat.telemetry.ended(&conclusion);
            }
            answers.extend(told);
        }
        let told = recovery.answer_async(answers, clock.now()).await?;
        for refusal in told.into_iter().filter_map(Result::err) {
            tracing::error!(%refusal, "the ledger does not take an engine's word");
        }
    }
    Ok(heard)
}

/// One engine's answers, until it falls silent.
async fn ask(seat: Arc<Seat>, jobs: Vec<Job>) -> Said {
    let mut shown = Vec::new();
    for some in jobs.chunks(QUESTIONS) {
        let mut questions = JoinSet::new();
        for job in some.iter().cloned() {
            let seat = Arc::clone(&seat);
            questions.spawn(async move { (seat.find(&job.lookup()).await, job) });
        }
        let mut silent = false;
        while let Some(answer) = questions.join_next().await {
            match answer {
                Ok((Ok(news), job)) => shown.push((job, news)),
                _ => silent = true,
            }
        }
        if silent {
            return (shown, Some(seat.name.clone()));
        }
    }
    (shown, None)
}

/// What a start tells the ledger of a hand-over.
fn answers_to(
    job: &Job,
    conclusion: &Conclusion,
    shown: &Shown,
    report: &mut StartReport,
) -> Vec<Answer> {
    let part = job.part;
    if let Conclusion::Operator(why) = conclusion {
        report.attention.push((part, *why));
    }
    match facts(job, conclusion) {
        Ok(Some(facts)) => {
            match conclusion {
                Conclusion::Paid(_) => report.paid.push(part),
                _ => report.failed.push(part),
            }
            facts.into_iter().filter_map(answer).collect()
        }
        Ok(None) if matches!(shown, Shown::Out { .. }) => {
            vec![Answer::Listed(ListParts { parts: vec![part] })]
        }
        Ok(None) => Vec::new(),
        Err(error) => {
            tracing::error!(%part, %error, "not believed");
            Vec::new()
        }
    }
}

/// A fact, as recovery takes it.
fn answer(fact: Command) -> Option<Answer> {
    match fact {
        Command::ClaimPart(fact) => Some(Answer::Claimed(fact)),
        Command::FinalizePart(fact) => Some(Answer::Gone(fact)),
        Command::FailPart(fact) => Some(Answer::Failed(fact)),
        _ => None,
    }
}
