//! A ledger that was lost, rebuilt from its engines' own lists.

use payonce_core::{EventStore, HashHolder, PaymentHash, PaymentId};
use payonce_runtime::Unavailable;

use crate::{
    engine::{EngineError, Shown},
    payer::Payer,
    seat::Seat,
};

/// What was found in the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Payments that are paid, now known to be.
    pub paid: usize,
    /// Hashes of which something is out: blocked until it ends.
    pub out: usize,
    /// Payments that have failed: nothing is recorded of them.
    pub failed: usize,
    /// Payments of which an engine lists what cannot be: nothing is recorded of them. Look at each before
    /// the gap is closed.
    pub unclear: Vec<PaymentHash>,
    /// The names of engines that have no list.
    pub unlisted: Vec<String>,
}

/// Why a ledger was not rebuilt. What was told is told; it may be done again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// An engine does not answer.
    #[error("engine {name:?}: {error}")]
    Engine {
        /// The name of the engine that could not be asked.
        name: String,
        /// Why its list could not be read.
        #[source]
        error: EngineError,
    },
    /// What an engine lists as paid is not proven by its preimage.
    #[error("engine {name:?} lists {payment_hash} as paid with a preimage that is not its own")]
    FalseProof {
        /// The name of the engine whose list has it.
        name: String,
        /// The payment hash, which the preimage does not have.
        payment_hash: PaymentHash,
    },
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl<S: EventStore + Send + 'static> Payer<S> {
    /// Tells the ledger what its engines list and it does not know: what is paid is paid for good, what is
    /// out blocks its hash until it ends. `named` gives the user's id of a hash, where the user still has
    /// it; otherwise the hash is the id. Until the gap is [closed](crate::SharedLedger::close_gap_async)
    /// afterwards nothing new is paid. May be called again: what was told is told once.
    ///
    /// # Errors
    /// [`RebuildError`]; call it again.
    pub async fn rebuild(
        &self,
        named: impl Fn(&PaymentHash) -> Option<PaymentId> + Send,
    ) -> Result<Rebuilt, RebuildError> {
        let mut rebuilt = Rebuilt::default();
        for seat in &self.shared.seats {
            let name = || seat.name.clone();
            let mut after = 0;
            loop {
                let page = seat.list(after).await;
                let page = page.map_err(|error| RebuildError::Engine { name: name(), error })?;
                let Some(page) = page else {
                    rebuilt.unlisted.push(name());
                    break;
                };
                for (payment_hash, shown) in page.payments {
                    let id = named(&payment_hash);
                    self.rebuild_one(id, payment_hash, shown, seat, &mut rebuilt).await?;
                }
                rebuilt.unclear.extend(page.unclear);
                let Some(next) = page.next else { break };
                if next <= after {
                    let what = format!("a page after {after} that goes on from {next}");
                    let error = EngineError::Nonsense { what };
                    return Err(RebuildError::Engine { name: name(), error });
                }
                after = next;
            }
        }
        Ok(rebuilt)
    }

    async fn rebuild_one(
        &self,
        named: Option<PaymentId>,
        payment_hash: PaymentHash,
        shown: Shown,
        seat: &Seat,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), RebuildError> {
        // A block tells that something is out, not with whom else, and not that it is paid.
        let known = move |state: &payonce_core::State| {
            state.holder_of(&payment_hash).is_some_and(|holder| holder != HashHolder::Blocked)
        };
        let known = self.shared.ledger.query_async(known).await?;
        match shown {
            Shown::Paid(payout) if payout.preimage.payment_hash() != payment_hash => {
                return Err(RebuildError::FalseProof { name: seat.name.clone(), payment_hash });
            }
            Shown::Paid(payout) => {
                rebuilt.paid += 1;
                if !known {
                    let id = named.unwrap_or(PaymentId::from_payment_hash(payment_hash));
                    self.shared.claim_unknown(id, payment_hash, payout).await?;
                }
            }
            Shown::Out { .. } => {
                rebuilt.out += 1;
                if !known {
                    self.shared.block(seat, payment_hash).await?;
                }
            }
            Shown::Failed { .. } | Shown::NotKnown => rebuilt.failed += 1,
        }
        Ok(())
    }
}
