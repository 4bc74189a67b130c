//! Telling followers, and following.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use payonce_core::{
    EventSource, Head, Ledger, OpenError, Opening, Recovery, Replay, ReplayError, Snapshot, State,
    StoreError, UnixMillis,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{
    config::Config,
    error::PostgresError,
    session::{Purpose, Session},
    shared::Shared,
    store::PostgresStore,
};

/// How long followers are not told again: each telling is a transaction, beside which the next append
/// takes longer. What came meanwhile is told once.
const TELL_EVERY: Duration = Duration::from_millis(10);

/// The channel of `NOTIFY` of a ledger.
fn channel(shared: &Shared) -> String {
    format!("payonce_{}", shared.number)
}

/// Tells followers whenever it is woken, apart from the append: a transaction that notifies locks out
/// every other one of the whole server until its commit is durable. Those that come together are
/// told once.
pub(crate) fn tell(shared: &Arc<Shared>) -> Arc<Notify> {
    let woken = Arc::new(Notify::new());
    let (wakes, weak) = (Arc::downgrade(&woken), Arc::downgrade(shared));
    shared.spawn(async move {
        let mut session = None;
        while let Some(woken) = wakes.upgrade() {
            woken.notified().await;
            drop(woken);
            if let Err(error) = tell_once(&weak, &mut session).await {
                // They look by themselves, too.
                tracing::debug!(%error, "cannot notify the followers");
                session = None;
            }
            sleep(TELL_EVERY).await;
        }
    });
    woken
}

async fn tell_once(
    shared: &Weak<Shared>,
    session: &mut Option<Session>,
) -> Result<(), PostgresError> {
    let Some(shared) = shared.upgrade() else { return Ok(()) };
    if session.as_ref().is_none_or(|session| session.client.is_closed()) {
        let opened = Session::open(&shared.config, Purpose::Reading).await?;
        // To notify is to commit. What it tells of is durable already: a disk, or a standby, that is waited
        // for once more would be one that the next append waits for.
        let unwaited = opened.client.batch_execute("set synchronous_commit = off");
        Session::ask(&shared.config, "notifying the followers", unwaited).await?;
        *session = Some(opened);
    }
    let session = session.as_ref().expect("it was filled");
    let (doing, text) = ("notifying the followers", "select pg_notify($1, '')");
    session.execute(&shared.config, doing, text, &[&channel(&shared)]).await.map(drop)
}

/// Reads a ledger that another machine writes, and keeps its state warm: taking over then costs what
/// came since it looked last, and no replay.
///
/// It writes nothing and can read a standby. A primary wakes it at each append (`NOTIFY`); a standby
/// cannot, nor can a primary that was lost: so [`follow`](Self::follow) looks by itself after a time.
#[derive(Debug)]
pub struct Follower {
    store: PostgresStore,
    fold: Replay,
    seed: u64,
    listener: Arc<tokio::sync::Mutex<Option<Session>>>,
}

impl Follower {
    /// Opens the ledger of this name and reads it to its end. `seed` keys the hash tables, as
    /// [`Opening::seed`] does.
    ///
    /// # Errors
    /// [`ReplayError`] when the log is damaged, or with what the server lacks.
    pub fn open(config: Config, name: &str, seed: u64) -> Result<Self, ReplayError> {
        let store = PostgresStore::open(config, name).map_err(StoreError::from)?;
        let fold = cold(&store, seed)?;
        let mut follower = Self { store, fold, seed, listener: Arc::default() };
        follower.catch_up()?;
        Ok(follower)
    }

    /// The state at the head that it has read.
    #[must_use]
    pub const fn state(&self) -> &State {
        self.fold.state()
    }

    /// Reads what is new and gives the head. A log that is no longer the one that was read (a standby
    /// that was not in sync is the primary now) is read anew from its beginning.
    ///
    /// # Errors
    /// [`ReplayError`] when the log is damaged or the database does not answer: it can be asked again.
    pub fn catch_up(&mut self) -> Result<Head, ReplayError> {
        let (read, stored) = (self.state().head(), self.store.refresh()?);
        if stored == read {
            return Ok(stored);
        }
        let outcome = if stored.seq > read.seq {
            self.fold.run(&self.store, stored)
        } else {
            Err(ReplayError::HeadDiffers { replayed: read, stored })
        };
        if outcome.is_err() {
            // Folded in part, or of another history.
            self.fold = cold(&self.store, self.seed)?;
            self.fold.run(&self.store, stored)?;
        }
        Ok(stored)
    }

    /// Waits until something was appended, or for `at_most`, and then [catches up](Self::catch_up).
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub fn follow(&mut self, at_most: Duration) -> Result<Head, ReplayError> {
        let (shared, listener) = (Arc::clone(self.store.shared()), Arc::clone(&self.listener));
        let waited = self.store.shared().wait(async move {
            let woken = timeout(at_most, wait_for_news(&shared, &listener)).await;
            // Nobody said anything: that is what the time is for.
            woken.unwrap_or(Ok(()))
        });
        waited.map_err(StoreError::from)?;
        self.catch_up()
    }

    /// Takes the ledger over with the state as it is, as [`Ledger::open_from`] does. Before anything is
    /// answered *never sent*, the former writer must be shut out of the node as well.
    ///
    /// # Errors
    /// [`OpenError`] as [`Ledger::open`].
    pub fn take_over(
        self,
        opening: &Opening,
        now: UnixMillis,
    ) -> Result<Recovery<PostgresStore>, OpenError> {
        Ledger::open_from(self.store, self.fold, opening, now)
    }
}

/// The fold of the newest snapshot that can be read, or the beginning of history.
fn cold(store: &PostgresStore, seed: u64) -> Result<Replay, ReplayError> {
    if let Some(Snapshot { at, bytes }) = store.load_snapshot(u64::MAX)?
        && let Ok(state) = State::decode(&bytes, seed)
        && state.head() == at
        && state.ledger_id() == store.ledger_id()
    {
        return Ok(Replay::from_state(state));
    }
    Replay::from_beginning(store, seed)
}

/// Waits for a notification. On a server that has none, a standby, for ever.
async fn wait_for_news(
    shared: &Shared,
    listener: &tokio::sync::Mutex<Option<Session>>,
) -> Result<(), PostgresError> {
    let mut slot = listener.lock().await;
    if slot.as_ref().is_none_or(|session| session.client.is_closed()) {
        let session = Session::open(&shared.config, Purpose::Reading).await?;
        if !session.is_standby {
            let listen = format!("listen {}", channel(shared));
            let listened = session.client.batch_execute(&listen);
            Session::ask(&shared.config, "listening", listened).await?;
        }
        *slot = Some(session);
        // What came before nobody told.
        return Ok(());
    }
    if let Some(session) = slot.as_ref() {
        session.notified().await;
    }
    Ok(())
}
