//! The ledger in the node's own key-value store, beside the manager: opened, or made with a node that is new.

use core::ops::Deref;
use std::sync::Arc;

use lightning::{sign::EntropySource, util::persist::KVStoreSync};
use payonce_core::{EventSource as _, LedgerId, Opening, Remember, UnixMillis};
use payonce_store_kv::{KvError, KvStore, Namespace};

use crate::{
    bridge::engine::Engine,
    bridge::head::HeadKeeper,
    bridge::options::Options,
    payer::error::StartError,
    payer::payer::Payer,
    payer::start::{Starting, check_network},
};

/// A payer whose ledger is in the node's own key-value store: what [`Starting::in_store`] leads to.
pub type KvPayer<K, E, R> = Payer<KvStore<K>, E, R>;

impl<K, E, R> Starting<KvStore<K>, E, R>
where
    K: Deref<Target: KVStoreSync> + Clone + Send + Sync + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// Opens the ledger in the node's own key-value store, in the namespace of
    /// [`Namespace::default`](payonce_store_kv::Namespace), with the head that is kept with the manager; once the
    /// start is finished, the keeper watches the ledger. A node that never ran gets a new ledger, under a random
    /// id. Everything that is acknowledged is remembered for ever. It blocks: for tasks, for other stores
    /// and other terms there are [`open`](Self::open) and [`open_async`](Self::open_async).
    ///
    /// By calling it you say that no other process has this store open: a key-value store cannot keep one out.
    ///
    /// # Errors
    /// [`StartError::LogMissing`] if there is no ledger and the node has run: it is lost, and a new one would pay
    /// again what it knew to be paid. [`StartError::Store`] if the log is damaged or the store fails,
    /// [`StartError::Head`] if the head is another ledger's, else as [`open`](Self::open). Nothing but a log
    /// without entries may have been written.
    pub fn in_store(
        keeper: &Arc<HeadKeeper<K>>,
        engine: E,
        entropy: R,
        options: Options,
        now: UnixMillis,
    ) -> Result<Self, StartError> {
        check_network(&*engine, options.network)?;
        let log = match KvStore::open(keeper.store().clone(), Namespace::default()) {
            Err(KvError::NotALedger { place }) => {
                check_never_ran(keeper, &*engine, place)?;
                let ledger = LedgerId::from_bytes(entropy.get_secure_random_bytes());
                KvStore::create(keeper.store().clone(), Namespace::default(), ledger)?
            }
            opened => opened?,
        };
        // Payees choose payment hashes: what orders the ledger's tables must be secret.
        let random = entropy.get_secure_random_bytes();
        let seed = u64::from_le_bytes(core::array::from_fn(|nth| random[nth]));
        let mut opening = Opening::new(Remember::Forever, seed);
        opening.known_head = keeper.head(log.ledger_id())?;
        opening.single_writer = true;
        let starting = Self::open(log, &opening, engine, entropy, options, now)?;
        let keeper = Arc::clone(keeper);
        Ok(starting.on_started(move |ledger| keeper.watch(ledger)))
    }
}

/// A log that is missing beside a node that has run is a lost one. A new one in its place would know of nothing
/// that was paid, and a repeat of any of it would be paid a second time.
fn check_never_ran<K, E>(
    keeper: &HeadKeeper<K>,
    engine: &E,
    place: String,
) -> Result<(), StartError>
where
    K: Deref<Target: KVStoreSync>,
    E: Engine + ?Sized,
{
    let sign = if engine.has_channels() {
        "has channels"
    } else if !engine.recent_payments().is_empty() {
        "tracks payments"
    } else if keeper.has_manager()? {
        "has written its manager"
    } else if keeper.has_head()? {
        "had a ledger, whose head is kept"
    } else {
        return Ok(());
    };
    Err(StartError::LogMissing { place, sign })
}
