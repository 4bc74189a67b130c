//! An image: the state as it was at one moment, to be encoded elsewhere while the state goes on.

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use crate::{
    amount::UnixMillis,
    chain::Head,
    codec::{FORMAT_VERSION, encode_into},
    hash_paid::HashPaid,
    ids::{LedgerId, PaymentHash},
    notification::Unread,
    payment::Payment,
    slab::Contents,
    state::State,
    stray::Stray,
    tombstone::Tombstone,
};

/// A state as it was when the image was taken: all that is encoded of it, and no index.
///
/// Taking one costs microseconds and a few bytes for every thousand payments, so it can be taken
/// between two commands and encoded on another thread; later commands copy what they change while
/// it lives.
#[derive(Debug, Clone)]
pub struct Image {
    prelude: Prelude,
    payments: Contents<Payment>,
    tombstones: Contents<Tombstone>,
    strays: Contents<Stray>,
    hashes_paid: Contents<HashPaid>,
    held: Contents<PaymentHash>,
    outbox: Contents<(u64, Unread)>,
}

/// What stands before the lists.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Prelude {
    format: u8,
    pub(crate) ledger: LedgerId,
    pub(crate) head: Head,
    pub(crate) epoch: u64,
    pub(crate) recovering: bool,
    pub(crate) recovery_since: u64,
    pub(crate) gap: bool,
    pub(crate) misfit: Option<u64>,
    pub(crate) tick: u64,
    pub(crate) tick_reference: Option<UnixMillis>,
    pub(crate) tick_unfinished: bool,
    pub(crate) tick_doubted: Option<UnixMillis>,
    pub(crate) first_reading: UnixMillis,
    pub(crate) height: Option<u32>,
    pub(crate) anomalies_unread: u32,
    pub(crate) anomalies_folded: u64,
}

impl State {
    /// The state as it is now. A runtime asks for it with
    /// [`Machine::query`](crate::Machine::query), whose ticket gives it once its head is durable,
    /// and encodes it where nobody waits.
    #[must_use]
    pub fn image(&self) -> Image {
        Image {
            prelude: self.prelude(),
            payments: self.payments.image(),
            tombstones: self.tombstones.image(),
            strays: self.strays.image(),
            hashes_paid: self.hashes_paid.image(),
            held: self.held.image(),
            outbox: self.outbox.image(),
        }
    }

    const fn prelude(&self) -> Prelude {
        Prelude {
            format: FORMAT_VERSION,
            ledger: self.ledger,
            head: self.head,
            epoch: self.epoch,
            recovering: self.recovering,
            recovery_since: self.recovery_since,
            gap: self.gap,
            misfit: self.misfit,
            tick: self.tick,
            tick_reference: self.tick_reference,
            tick_unfinished: self.tick_unfinished,
            tick_doubted: self.tick_doubted,
            first_reading: self.first_reading,
            height: self.height,
            anomalies_unread: self.anomalies_unread,
            anomalies_folded: self.anomalies_folded,
        }
    }
}

impl Image {
    /// The end of the last entry folded when the image was taken: where its snapshot belongs.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.prelude.head
    }

    /// What [`State::encode`] would have given at that moment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_into(&self.prelude, &mut bytes);
        encode_sorted(&self.payments, |payment| payment.created_seq, &mut bytes);
        encode_sorted(&self.tombstones, |tombstone| tombstone.id, &mut bytes);
        encode_sorted(&self.strays, |stray| stray.created_seq, &mut bytes);
        encode_sorted(&self.hashes_paid, |paid| paid.payment_hash, &mut bytes);
        encode_sorted(&self.held, |payment_hash| *payment_hash, &mut bytes);
        encode_sorted(&self.outbox, |(seq, _)| *seq, &mut bytes);
        bytes
    }
}

fn encode_sorted<T: Encode, K: Ord>(
    contents: &Contents<T>,
    key: impl Fn(&T) -> K,
    bytes: &mut Vec<u8>,
) {
    let mut items: Vec<_> = contents.iter().collect();
    items.sort_unstable_by_key(|item| key(item));
    encode_into(&(items.len() as u64), bytes);
    for item in items {
        encode_into(item, bytes);
    }
}
