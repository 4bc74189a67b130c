//! A server for the tests that need none of their own, and ledgers with names of their own on it.

use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use payonce_store_postgres::cluster::{Cluster, is_available};

static SHARED: OnceLock<Option<Mutex<Cluster>>> = OnceLock::new();

/// The server that tests share, which none of them kills; `None`, said aloud, where there is no
/// PostgreSQL.
pub(crate) fn shared(test: &str) -> Option<MutexGuard<'static, Cluster>> {
    let shared = SHARED.get_or_init(|| is_available(test).then(|| Mutex::new(Cluster::start())));
    if shared.is_none() {
        let _ = is_available(test);
    }
    shared.as_ref().map(|cluster| cluster.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A name that no other test has.
pub(crate) fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("ledger-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
