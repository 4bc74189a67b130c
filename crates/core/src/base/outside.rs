//! Hashes and preimages from and to the types of the rust-bitcoin family, each behind the feature of its
//! crate: without it the crate is not built.

#[cfg(feature = "lightning-types")]
mod lightning {
    use lightning_types::payment as ldk;

    use crate::base::ids::{PaymentHash, Preimage};

    impl From<ldk::PaymentHash> for PaymentHash {
        fn from(hash: ldk::PaymentHash) -> Self {
            Self::from_bytes(hash.0)
        }
    }

    impl From<PaymentHash> for ldk::PaymentHash {
        fn from(hash: PaymentHash) -> Self {
            Self(*hash.as_bytes())
        }
    }

    impl From<ldk::PaymentPreimage> for Preimage {
        fn from(preimage: ldk::PaymentPreimage) -> Self {
            Self::from_bytes(preimage.0)
        }
    }

    impl From<Preimage> for ldk::PaymentPreimage {
        fn from(preimage: Preimage) -> Self {
            Self(*preimage.as_bytes())
        }
    }
}

/// The `sha256::Hash` that rust-bitcoin 0.32 and LDK speak of, whose major is not the one that the core
/// hashes with.
#[cfg(feature = "bitcoin-hashes")]
mod bitcoin {
    use bitcoin_hashes_0_14::{Hash as _, sha256};

    use crate::base::ids::PaymentHash;

    impl From<sha256::Hash> for PaymentHash {
        fn from(hash: sha256::Hash) -> Self {
            Self::from_bytes(hash.to_byte_array())
        }
    }

    impl From<PaymentHash> for sha256::Hash {
        fn from(hash: PaymentHash) -> Self {
            Self::from_byte_array(*hash.as_bytes())
        }
    }
}
