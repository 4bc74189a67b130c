//! Who drives a part that is in flight: who sees to it that what becomes of it is told.
//!
//! The ledger records that a part may be offered, and cannot see whether its caller then offered it.
//! So it keeps the parts of which nobody said so: those that were out when it was opened, until
//! somebody takes them over, and those whose [`Driver`] let go.

use std::{fmt, mem, sync::Arc};

use payonce_core::{
    Dispatch, DispatchRefusal, DispatchReply, EventStore, ExecuteError, PartId, UnixMillis,
    UnresolvedPart,
};

use crate::{
    base::error::Unavailable, commit::commit::Commit, commit::front::Front,
    handle::handle::SharedLedger,
};

/// The answer to a [`Dispatch`], and with it the parts that its holder drives: from
/// [`SharedLedger::dispatch`].
///
/// Say [`handed_over`](Self::handed_over) once whoever carries the parts has them (the channels, an
/// engine) and will tell what becomes of them. A driver that is dropped before, by a panic or with
/// the future that held it, lets go: its parts stay in flight, since some may have been offered, and
/// [`undriven`](SharedLedger::undriven) lists them.
#[must_use = "a driver that is dropped lets its parts go"]
pub struct Driver<S: EventStore + Send + 'static> {
    commit: Arc<Commit<S>>,
    reply: DispatchReply,
}

impl<S: EventStore + Send + 'static> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("reply", &self.reply).finish_non_exhaustive()
    }
}

impl<S: EventStore + Send + 'static> Driver<S> {
    /// What the ledger answered: only [`DispatchReply::Recorded`] is the right to offer its parts.
    #[must_use]
    pub const fn reply(&self) -> &DispatchReply {
        &self.reply
    }

    /// Says that whoever carries the parts has them, or that they were withdrawn. Gives the answer.
    #[allow(clippy::must_use_candidate, reason = "said for what it does")]
    pub fn handed_over(mut self) -> DispatchReply {
        let nothing = DispatchReply::Duplicate { statuses: Vec::new() };
        mem::replace(&mut self.reply, nothing)
    }
}

impl<S: EventStore + Send + 'static> Drop for Driver<S> {
    fn drop(&mut self) {
        match &mut self.reply {
            DispatchReply::Recorded { parts, .. } | DispatchReply::Overtaken { parts, .. } => {
                let mut front = self.commit.lock();
                let Front { machine, undriven, .. } = &mut *front;
                undriven.let_go(mem::take(parts), machine);
            }
            DispatchReply::Duplicate { .. } => {}
        }
    }
}

/// Parts in flight that nobody drives.
impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Executes a [`Dispatch`] and gives its answer together with the parts that the caller drives.
    /// With [`execute`](Self::execute) whoever has read the answer counts as their driver for as long
    /// as the ledger is open, even if it never offered them.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn dispatch(
        &self,
        dispatch: Dispatch,
        now: UnixMillis,
    ) -> Result<Driver<S>, ExecuteError<DispatchRefusal, Unavailable>> {
        let reply = self.execute(dispatch, now)?;
        Ok(Driver { commit: Arc::clone(self.commit()), reply })
    }

    /// [`dispatch`](Self::dispatch) for tasks. A future that is dropped before it is ready withdraws
    /// the parts; afterwards its [`Driver`] lets them go.
    ///
    /// # Errors
    /// As [`dispatch`](Self::dispatch).
    pub async fn dispatch_async(
        &self,
        dispatch: Dispatch,
        now: UnixMillis,
    ) -> Result<Driver<S>, ExecuteError<DispatchRefusal, Unavailable>> {
        let reply = self.execute_async(dispatch, now).await?;
        Ok(Driver { commit: Arc::clone(self.commit()), reply })
    }

    /// The parts in flight of which nobody said that they are driven, oldest payment first:
    ///
    /// - those that were out when the ledger was opened, and were neither resolved, nor adopted in
    ///   its recovery, nor [taken over](Self::drive) since;
    /// - those whose [`Driver`] was dropped before it said that they were handed over.
    ///
    /// A part whose dispatch was [executed](Self::execute) without a driver is not among them, though
    /// its caller may have died since: the ledger cannot see that.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn undriven(&self) -> Result<Vec<UnresolvedPart>, Unavailable> {
        let mut front = self.commit().enter()?;
        let listed = front.list_undriven();
        self.commit().settle(front, listed)
    }

    /// [`undriven`](Self::undriven) for tasks.
    ///
    /// # Errors
    /// As [`undriven`](Self::undriven).
    pub async fn undriven_async(&self) -> Result<Vec<UnresolvedPart>, Unavailable> {
        let (listed, settled) = self.commit().enter_async(|front| front.list_undriven()).await?;
        settled.wait().await;
        self.commit().read(listed)
    }

    /// Takes parts over: whoever calls sees to it that what becomes of them is told. A node does so
    /// after a restart, for those that its channels or its engine still hold. Records nothing.
    pub fn drive(&self, parts: impl IntoIterator<Item = PartId>) {
        // Drawn before the lock is taken: the iterator is the caller's code.
        let parts: Vec<_> = parts.into_iter().collect();
        self.commit().lock().undriven.drive(parts);
    }
}
