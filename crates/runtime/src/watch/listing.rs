//! Listing payments: selected in the state, completed from the log beside the appends.

use payonce_core::{
    EventStore, ExecuteError, ListError, Listing, Page, ReplayError, StoreError, list,
};

use crate::{
    base::error::{MaintenanceError, Unavailable},
    commit::commit::Commit,
    commit::history::History,
    handle::handle::SharedLedger,
};

impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Lists payments, live and remembered, a page at a time. Everybody is held up for a look at every
    /// payment that the state holds; what only the log still has (the requests of payments that are only
    /// remembered, the instructions of those that are over) is read beside the appends, as far as the log
    /// reaches back. A payment that changes between the two is listed as it was before.
    ///
    /// # Errors
    /// [`ExecuteError::Refused`] with why there is no such page or where the log is damaged, or
    /// [`ExecuteError::Unavailable`].
    pub fn list(&self, listing: &Listing) -> Result<Page, ExecuteError<ListError, Unavailable>> {
        self.commit().list(listing)
    }

    /// [`list`](Self::list) for tasks.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn list_async(
        &self,
        listing: Listing,
    ) -> Result<Page, ExecuteError<ListError, Unavailable>> {
        let listed = self.commit().apart(move |commit| Ok(commit.list(&listing))).await;
        listed.unwrap_or_else(|error| match error {
            MaintenanceError::Unavailable(error) => Err(error.into()),
            other => {
                let store = StoreError::Backend(Box::new(other));
                Err(ExecuteError::Refused(ReplayError::from(store).into()))
            }
        })
    }
}

impl<S: EventStore + Send + 'static> Commit<S> {
    fn list(&self, listing: &Listing) -> Result<Page, ExecuteError<ListError, Unavailable>> {
        list(listing, |rest| {
            let mut front = self.enter()?;
            let asked = front.query(|state| state.select(rest));
            let selection = self.settle(front, asked)?;
            let selection = selection.map_err(|refused| ExecuteError::Refused(refused.into()))?;
            History::until(self, self.durable()).complete(selection, rest)
        })
    }
}
