//! Logs with a history, as a node writes them in months.

use std::path::Path;

use payonce_core::{Acknowledge, Command, Ledger, NotificationId, Tick, UnixMillis};
use payonce_store_fs::FsStore;

use crate::{
    Result,
    life::{BEGIN, Planned},
    subjects::create_ledger,
};

/// Payments that begin, and are over, between two ticks.
const PAYMENTS_A_TICK: u64 = 500;

/// A ledger that lives fast.
pub(crate) struct History {
    pub(crate) ledger: Ledger<FsStore>,
    /// What its clock shows; a minute later after each tick.
    pub(crate) now: UnixMillis,
    next: u64,
}

impl History {
    /// An empty one in this directory.
    pub(crate) fn begin(directory: &Path) -> Result<Self> {
        Ok(Self { ledger: create_ledger(directory)?, now: BEGIN, next: 0 })
    }

    /// Pays payments of one attempt, acknowledges both notifications of each by a command of its
    /// own, and lets a tick pass, until the log holds so many events. All but the last ticks'
    /// payments are forgotten by then.
    pub(crate) fn live_until(&mut self, events: u64) -> Result<()> {
        while self.ledger.head().seq < events {
            self.pay(PAYMENTS_A_TICK)?;
            self.tick()?;
        }
        Ok(())
    }

    /// Pays so many payments, from Pay to the second acknowledgement.
    pub(crate) fn pay(&mut self, payments: u64) -> Result<()> {
        let now = self.now;
        let planned = self.plan(payments);
        // As on a busy node, the payments' steps are mixed.
        let steps: [fn(&Planned, UnixMillis) -> Command; 4] = [
            |planned, now| planned.send(now).into(),
            |planned, _| planned.dispatch().into(),
            |planned, _| planned.claim().into(),
            |planned, _| planned.finalize().into(),
        ];
        for step in steps {
            self.run(planned.iter().map(|planned| step(planned, now)))?;
        }
        let unread = self.ledger.query(|state| {
            state.outbox().map(|notification| notification.id).collect::<Vec<NotificationId>>()
        })?;
        self.run(unread.into_iter().map(|id| Acknowledge { ids: vec![id] }.into()))
    }

    /// Sends and dispatches so many payments, and leaves them pending.
    pub(crate) fn leave_pending(&mut self, payments: u64) -> Result<()> {
        let now = self.now;
        let mut left = payments;
        while left > 0 {
            let planned = self.plan(left.min(PAYMENTS_A_TICK * 4));
            self.run(planned.iter().map(|planned| planned.send(now).into()))?;
            self.run(planned.iter().map(|planned| planned.dispatch().into()))?;
            left -= planned.len() as u64;
        }
        Ok(())
    }

    /// A minute passes, and all that is due in it is done.
    pub(crate) fn tick(&mut self) -> Result<()> {
        self.now = self.now.plus(60_000);
        while self.ledger.execute(Tick::new(), self.now)?.more {}
        Ok(())
    }

    fn plan(&mut self, payments: u64) -> Vec<Planned> {
        let planned = (self.next..self.next + payments).map(Planned::new).collect();
        self.next += payments;
        planned
    }

    fn run(&mut self, commands: impl Iterator<Item = Command>) -> Result<()> {
        for answer in self.ledger.execute_all(commands, self.now)? {
            answer?;
        }
        Ok(())
    }
}
