//! One playing of a script: a process on a disk, its clock, and what its user has seen.

use std::collections::{BTreeMap, BTreeSet};

use payonce_core::{
    Answer, Command, Config, Counts, ExecuteError, ForeignPart, Head, Ledger, LedgerError,
    LedgerId, Notification, NotificationId, Opening, Payment, Recovery, Refusal, Remaining, Replay,
    Reply, State, StatusKind, UnixMillis,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

use super::{judged::Film, names::T0, outcome::Outcome, prefix, runner::Mode};
use crate::judge::Act;

mod expect;
mod steps;

/// A script's ledger, from its first opening on.
pub(crate) struct Scenario {
    config: Config,
    mode: Mode,
    disk: MemoryDisk,
    process: Process,
    now: UnixMillis,
    /// The last head that the node knows durable.
    known: Option<Head>,
    /// The log as it is on disk, replayed: what every expectation is checked against.
    replay: Replay,
    delivered: BTreeMap<u64, NotificationId>,
    acknowledged: BTreeSet<NotificationId>,
    openings: u64,
    /// Operations of the disks that this one was put in the place of.
    spent: u64,
    /// What is told to the judge at the end.
    film: Film,
    marks: u8,
}

enum Process {
    Down,
    Recovering(Recovery<MemoryStore>),
    Up(Ledger<MemoryStore>),
}

/// A moment to which a script puts its log back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64, u8);

/// Everything that an opening must leave as it was.
#[derive(Debug, PartialEq)]
struct View {
    outbox: Vec<Notification>,
    payments: Vec<Payment>,
    strays: Vec<ForeignPart>,
    counts: Counts,
    due: Vec<Remaining>,
    tick: u64,
    restored: bool,
}

/// Playing.
impl Scenario {
    pub(super) fn begin(config: Config, mode: Mode) -> Self {
        let ledger = LedgerId::from_bytes([9; 32]);
        let disk = MemoryDisk::new(ledger);
        if let Mode::Crash { operation, failure } = mode {
            disk.fail_nth(operation, failure);
        }
        let mut scenario = Self {
            config,
            mode,
            disk,
            process: Process::Down,
            now: T0,
            known: None,
            replay: Replay::new(ledger, 0),
            delivered: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            openings: 0,
            spent: 0,
            film: Film::new(&config),
            marks: 0,
        };
        scenario.restart();
        scenario
    }

    /// Ends the script. Gives the number of operations of the store.
    pub(super) fn end(mut self) -> u64 {
        self.catch_up();
        let audited = prefix::audited(&self.disk);
        assert_eq!(audited.digest(), self.state().digest());
        if self.mode == Mode::Live {
            prefix::check(&self.disk.image());
            self.film.judge();
        }
        let operations = self.spent + self.disk.operations();
        if let Mode::Crash { operation, .. } = self.mode {
            assert!(operations >= operation, "the crash was not reached");
        }
        operations
    }

    /// One step, as its caller sees it: after a crash the log is opened again and the step is
    /// repeated.
    pub(crate) fn run(&mut self, command: impl Into<Command>) -> Outcome {
        let command = command.into();
        self.film.told(self.now, &command);
        let before = self.disk.image();
        let (result, repeated) = match self.attempt(&command) {
            Some(result) => (result, false),
            None => {
                let stayed = self.disk.image() != before;
                self.expect_poisoned(&command);
                self.open_as_it_was();
                (self.attempt(&command).expect("there is one crash in a script"), stayed)
            }
        };
        self.catch_up();
        if result.is_err() && !repeated && self.process.is_up() {
            let after = self.disk.image();
            let same = after == before || matches!(self.mode, Mode::Crash { .. });
            assert!(same, "refused, but recorded: {command:?}");
        }
        if self.mode == Mode::Reopened {
            self.reopen_unchanged();
        }
        Outcome { command: format!("{command:?}"), result, repeated }
    }

    /// None if the store failed.
    fn attempt(&mut self, command: &Command) -> Option<Result<Reply, Refusal>> {
        let done = match &mut self.process {
            Process::Up(ledger) => split(ledger.execute(command.clone(), self.now)),
            Process::Recovering(recovery) => answered(recovery, command.clone(), self.now),
            Process::Down => panic!("the script goes on after its end"),
        };
        match done {
            Ok(result) => Some(result),
            Err(LedgerError::Store(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Neither a command nor a query is answered any more.
    fn expect_poisoned(&mut self, command: &Command) {
        let poisoned = |error: &LedgerError| matches!(error, LedgerError::Poisoned(_));
        let (asked, told) = match &mut self.process {
            Process::Up(ledger) => {
                let asked = ledger.query(State::digest);
                (asked, split(ledger.execute(command.clone(), self.now)).err())
            }
            Process::Recovering(recovery) => {
                let asked = recovery.query(State::digest);
                (asked, recovery.answer([Answer::StillInFlight], self.now).err())
            }
            Process::Down => panic!("the script goes on after its end"),
        };
        assert!(asked.as_ref().err().is_some_and(poisoned), "a query is answered: {asked:?}");
        assert!(told.as_ref().is_some_and(poisoned), "a command is answered: {told:?}");
    }

    fn open_as_it_was(&mut self) {
        let up = self.process.is_up();
        self.crash();
        if up {
            self.finish();
        }
    }

    /// An opening by itself changes nothing that anybody can see.
    fn reopen_unchanged(&mut self) {
        let before = self.view();
        self.open_as_it_was();
        assert_eq!(self.view(), before, "an opening changed something");
    }

    fn view(&self) -> View {
        let state = self.state();
        View {
            outbox: state.outbox().collect(),
            payments: StatusKind::ALL.iter().flat_map(|at| state.payments(*at)).cloned().collect(),
            strays: state.foreign_parts().cloned().collect(),
            counts: state.counts(),
            due: if state.is_recovering() { Vec::new() } else { state.due(self.now) },
            tick: state.tick(),
            restored: state.is_restored(),
        }
    }

    /// Replays what has come to the disk, and checks that the process thinks the same.
    fn catch_up(&mut self) {
        let image = self.disk.image();
        let from = self.state().head().seq;
        for entry in image.entries().filter(|entry| entry.first_seq > from) {
            self.replay.entry(entry).expect("the log is sound");
        }
        if let Process::Up(ledger) = &self.process {
            let live = ledger.machine().durable_state().expect("nothing is in flight");
            assert_eq!(live.digest(), self.state().digest(), "replay and live differ");
            self.known = Some(ledger.head());
        }
        self.check_deliveries();
    }

    /// A notification has the same id at every delivery and is not delivered once acknowledged.
    fn check_deliveries(&mut self) {
        let outbox: Vec<_> = self.replay.state().outbox().collect();
        for Notification { id, .. } in outbox {
            assert_eq!(*self.delivered.entry(id.seq).or_insert(id), id);
            assert!(!self.acknowledged.contains(&id), "{id} was acknowledged");
        }
    }
}

impl Process {
    const fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }
}

/// A refusal is an answer; only a failing ledger is an error.
fn split<T, R: std::error::Error>(
    done: Result<T, ExecuteError<R>>,
) -> Result<Result<T, R>, LedgerError> {
    match done {
        Ok(reply) => Ok(Ok(reply)),
        Err(ExecuteError::Refused(refusal)) => Ok(Err(refusal)),
        Err(ExecuteError::Unavailable(error)) => Err(error),
    }
}

/// What a node may say while recovery is not finished.
fn answered(
    recovery: &mut Recovery<MemoryStore>,
    command: Command,
    now: UnixMillis,
) -> Result<Result<Reply, Refusal>, LedgerError> {
    let answer = match command {
        Command::Acknowledge(command) => {
            let told = split(recovery.acknowledge(command, now))?;
            return Ok(told.map(Reply::from).map_err(Refusal::from));
        }
        Command::WithdrawPart(fact) => Answer::NeverSent(fact),
        Command::ClaimPart(fact) => Answer::Claimed(fact),
        Command::FinalizePart(fact) => Answer::Gone(fact),
        Command::FailPart(fact) => Answer::Failed(fact),
        Command::MarkPaid(fact) => Answer::Paid(fact),
        Command::ObservePart(fact) => Answer::Observed(fact),
        Command::AdoptPart(fact) => Answer::Adopted(fact),
        Command::ListParts(fact) => Answer::Listed(fact),
        Command::DisownPart(word) => Answer::NotOfPayment(word),
        Command::Abandon(command) => Answer::GivenUp(command),
        Command::BlockHash(fact) => Answer::Blocked(fact),
        Command::UnblockHash(fact) => Answer::Unblocked(fact),
        other => panic!("the script asks for {other:?} before recovery is finished"),
    };
    let mut replies = recovery.answer([answer], now)?;
    let reply = replies.pop().expect("one answer, one reply");
    Ok(reply.map(Reply::from).map_err(Refusal::from))
}

/// Processes.
impl Scenario {
    /// The process dies; a new one opens the log and has not finished its recovery.
    pub(crate) fn crash(&mut self) {
        self.process = Process::Down;
        let restored = self.state().is_restored();
        self.open();
        // The judge opens a log by itself.
        if self.openings > 1 {
            let restored = !restored && self.state().is_restored();
            self.film.happens(self.now, Act::Open { restored });
        }
    }

    fn open(&mut self) {
        // A crash while opening: opened once more.
        for _ in 0..2 {
            self.openings += 1;
            let mut opening = Opening::new(self.config.remember, self.openings);
            opening.config = self.config;
            opening.known_head = self.known;
            if let Ok(recovery) = Ledger::open(self.disk.open(), &opening, self.now) {
                self.known = Some(recovery.head());
                self.process = Process::Recovering(recovery);
                return self.catch_up();
            }
        }
        panic!("the log cannot be opened");
    }

    /// Finishes the recovery.
    pub(crate) fn finish(&mut self) {
        self.film.happens(self.now, Act::Finish);
        for _ in 0..2 {
            let Process::Recovering(recovery) = std::mem::replace(&mut self.process, Process::Down)
            else {
                panic!("there is no recovery to finish");
            };
            match recovery.finish(self.now) {
                Ok(ledger) => {
                    self.process = Process::Up(ledger);
                    return self.catch_up();
                }
                Err(_) => self.crash(),
            }
        }
        panic!("there is one crash in a script");
    }

    /// The process dies; a new one opens the log and finishes its recovery without an answer.
    pub(crate) fn restart(&mut self) {
        self.crash();
        self.finish();
    }

    /// This moment of the log, to be put back later.
    pub(crate) fn mark(&mut self) -> Mark {
        self.marks += 1;
        self.film.happens(self.now, Act::Mark { name: self.marks });
        Mark(self.state().head().seq, self.marks)
    }

    /// The process dies and its log is put back to an older copy; a new process opens it with the
    /// head that the node knows, and has not finished its recovery.
    pub(crate) fn put_back_to(&mut self, mark: Mark) {
        self.process = Process::Down;
        let older = self.disk.image().cut_after(mark.0);
        self.spent += self.disk.operations();
        self.disk = MemoryDisk::from_image(older);
        if let Mode::Crash { operation, failure } = self.mode
            && operation > self.spent
        {
            self.disk.fail_nth(operation - self.spent, failure);
        }
        self.replay = Replay::new(LedgerId::from_bytes([9; 32]), 0);
        self.delivered.clear();
        self.acknowledged.clear();
        self.film.happens(self.now, Act::PutBack { name: mark.1 });
        self.open();
        assert!(self.state().is_restored());
    }
}
