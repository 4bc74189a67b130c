//! A machine and the entries that it made, as a store without failures would hold them.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several test crates, none of which uses all of it"
)]

use payonce_core::{
    Command, Config, LedgerId, Machine, Refusal, ReleaseError, Replay, Reply, State, StoredEntry,
    UnixMillis,
};

const LEDGER: LedgerId = LedgerId::from_bytes([0x1e; 32]);

#[derive(Debug)]
pub struct Journal {
    machine: Machine,
    entries: Vec<(u64, Vec<u8>)>,
}

impl Journal {
    pub fn new(config: Config, now: UnixMillis) -> Self {
        let (machine, opened) = Machine::open(State::new(LEDGER, 1), config, "journal", false, now);
        let mut journal = Self { machine, entries: vec![] };
        journal.keep(opened);
        journal
    }

    fn keep(&mut self, entry: payonce_core::Entry) {
        self.entries.push((entry.first_seq(), entry.bytes().to_vec()));
        self.machine.confirmed([entry]).expect("entries are confirmed in order");
    }

    pub fn state(&self) -> &State {
        self.machine.durable_state().expect("nothing is in flight")
    }

    /// Runs a command to its durable end. What is refused or changes nothing leaves no trace.
    pub fn run(&mut self, command: Command, now: UnixMillis) -> Result<Reply, Refusal> {
        let before = self.state().digest();
        let step = self.machine.submit(command, now);
        let recorded = step.entry.is_some();
        step.entry.into_iter().for_each(|entry| self.keep(entry));
        let outcome = self.machine.release(step.ticket).expect("all is durable");
        assert_eq!(recorded, self.state().digest() != before, "a trace without an entry");
        assert!(!(recorded && outcome.is_err()), "a refusal was recorded");
        outcome
    }

    /// Runs a command whose entry never reaches the store: its reply is never read.
    pub fn lose(&mut self, command: Command, now: UnixMillis) {
        let step = self.machine.submit(command, now);
        let Some(entry) = step.entry else { return };
        let sealed = match self.machine.release(step.ticket) {
            Err(ReleaseError::NotDurable(ticket)) => ticket,
            other => panic!("a reply was read before it was durable: {other:?}"),
        };
        drop(entry);
        let poisoned = self.machine.release(sealed);
        assert!(matches!(poisoned, Err(ReleaseError::Poisoned(_))), "a lost entry was answered");
    }

    /// The fold of what is stored.
    pub fn replayed(&self) -> State {
        let mut replay = Replay::new(LEDGER, 2);
        for (first_seq, bytes) in &self.entries {
            let stored = StoredEntry { first_seq: *first_seq, bytes };
            replay.entry(stored).expect("what was written is read back");
        }
        let head = replay.state().head();
        replay.finish(head).expect("the head is its own")
    }

    /// Dies and opens again.
    pub fn reopen(&mut self, restored: bool, now: UnixMillis) {
        let state = self.replayed();
        if let Ok(live) = self.machine.durable_state() {
            assert_eq!(live.digest(), state.digest(), "replay differs from what was live");
        }
        let read_back = State::decode(&state.encode(), 3).expect("a snapshot is read back");
        assert_eq!(read_back.digest(), state.digest(), "a snapshot differs from its state");
        let config = *self.machine.config();
        let (machine, opened) = Machine::open(read_back, config, "journal", restored, now);
        self.machine = machine;
        self.keep(opened);
    }
}
