//! Telling followers, and following.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use crate::{
    error::PostgresError,
    session::{Purpose, Session},
    shared::Shared,
};

/// The channel of `NOTIFY`; what is told is the name of a ledger.
pub(crate) const CHANNEL: &str = "payonce";

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
        *session = Some(Session::open(&shared.config, Purpose::Reading).await?);
    }
    let session = session.as_ref().expect("it was filled");
    session
        .execute(
            &shared.config,
            "notifying the followers",
            "select pg_notify($1, $2)",
            &[&CHANNEL, &shared.name],
        )
        .await
        .map(drop)
}
