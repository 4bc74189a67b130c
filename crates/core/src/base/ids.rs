//! Names of things: payments, parts, hashes, channels, ledgers. Bytes in the order in which they
//! are written on the wire; hex in the same order wherever they are shown.

use alloc::string::String;
use core::{fmt, str::FromStr};

use bitcoin_hashes::sha256;
use hex_conservative::{DisplayHex, decode_to_array};

use crate::base::{text_form, wire::layout};

/// The text is not the lower- or upper-case hex of an id of `expected_bytes` bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected_bytes} bytes written as hex: refused {refused:?}")]
#[non_exhaustive]
pub struct ParseIdError {
    /// The name of the id's type.
    pub what: &'static str,
    /// How many bytes the id has.
    pub expected_bytes: usize,
    /// The text that was refused.
    pub refused: String,
}

/// The bytes are more or fewer than an id has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {expected_bytes} bytes: refused {found_bytes}")]
#[non_exhaustive]
pub struct WrongLength {
    /// The name of the id's type.
    pub what: &'static str,
    /// How many bytes the id has.
    pub expected_bytes: usize,
    /// How many were given.
    pub found_bytes: usize,
}

/// What people read in place of a secret.
const HIDDEN: &str = "hidden";

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, shown: $shown:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        layout! { newtype $name }

        impl $name {
            /// Wraps the bytes, in wire order.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes, in wire order.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The bytes, in wire order.
            #[must_use]
            pub const fn to_byte_array(self) -> [u8; $len] {
                self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl From<$name> for [u8; $len] {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = WrongLength;

            fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
                bytes.try_into().map(Self).map_err(|_| WrongLength {
                    what: stringify!($name),
                    expected_bytes: $len,
                    found_bytes: bytes.len(),
                })
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0.as_hex(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hex(), f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                decode_to_array(text).map(Self).map_err(|_| ParseIdError {
                    what: stringify!($name),
                    expected_bytes: $len,
                    refused: text.into(),
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let shown: &dyn fmt::Display = if $shown { self } else { &HIDDEN };
                text_form::put(&shown, &self.0, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                text_form::take(concat!(stringify!($name), ": ", $len, " bytes, as hex"), from)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if $shown {
                    write!(f, concat!(stringify!($name), "({})"), self)
                } else {
                    f.write_str(concat!(stringify!($name), "(hidden)"))
                }
            }
        }
    };
}

byte_id! {
    /// The name of a payment: 32 bytes that the caller chooses and stores *before* the first call
    /// and uses again for every repeat. It is the idempotency key. Callers without an id of their own
    /// may use the payment hash: one invoice, one payment.
    PaymentId, 32, shown: true
}
byte_id! {
    /// The name of a part: 32 random bytes that the node chooses, never used twice.
    PartId, 32, shown: true
}
byte_id! {
    /// The SHA-256 of a payment's preimage (BOLT 2, `update_add_htlc`): 32 bytes.
    PaymentHash, 32, shown: true
}
byte_id! {
    /// The SHA-256 of an offer (BOLT 12) or of a refund, chosen by the caller: 32 bytes.
    OfferHash, 32, shown: true
}
byte_id! {
    /// A node's compressed public key (BOLT 7): 33 bytes.
    NodeId, 33, shown: true
}
byte_id! {
    /// The name of a ledger, chosen when it is created: 32 random bytes. The first entry's log hash
    /// covers it, so an entry of one ledger never fits another ledger.
    LedgerId, 32, shown: true
}
byte_id! {
    /// The hash of everything up to the end of one entry: `SHA256(previous log hash || entry bytes)`,
    /// where the ledger id stands before the first entry. 32 bytes.
    LogHash, 32, shown: true
}
byte_id! {
    /// The proof of payment (BOLT 2, `update_fulfill_htlc`): 32 bytes whose SHA-256 is the payment
    /// hash. A secret until the payment is settled: `Debug` hides it, and so does serde in formats for
    /// people, where it reads `hidden`; a field that is there to deliver it says `#[serde(with =
    /// "payonce_core::revealed")]`. `Display` and formats for machines show it.
    Preimage, 32, shown: false
}

/// Shows the preimage of a field, or of an optional one: `#[serde(with = "payonce_core::revealed")]`.
pub mod revealed {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Preimage;
    use crate::base::text_form;

    /// Writes the preimage, if there is one.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(
        preimage: &Option<Preimage>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        struct Shown<'a>(&'a Preimage);
        impl serde::Serialize for Shown<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                text_form::put(self.0, self.0.as_bytes(), serializer)
            }
        }
        serde::Serialize::serialize(&preimage.as_ref().map(Shown), serializer)
    }

    /// Reads the preimage, if there is one.
    ///
    /// # Errors
    /// The deserializer's, and what is no preimage.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Preimage>, D::Error> {
        Option::deserialize(deserializer)
    }
}

impl PaymentId {
    /// The id for callers without an id of their own: the payment hash, so one payment for each invoice.
    #[must_use]
    pub const fn from_payment_hash(hash: PaymentHash) -> Self {
        Self(hash.0)
    }

    /// The id of a payment that has a name in the caller's own system, an order's number say: the SHA-256 of the
    /// name. The same name is the same payment for ever, so that it must never be given to another one.
    ///
    /// ```
    /// use payonce_core::PaymentId;
    ///
    /// let id = PaymentId::from_name("abc");
    /// let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    /// assert_eq!(id.to_string(), sha256);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(sha256(name.as_bytes()))
    }
}

impl Preimage {
    /// The payment hash that this preimage proves: its SHA-256.
    #[must_use]
    pub fn payment_hash(&self) -> PaymentHash {
        PaymentHash(sha256(&self.0))
    }
}

/// A channel as BOLT 7 names it (`short_channel_id`): block height, transaction index and output
/// index in one number; also an alias that two peers agreed on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct ShortChannelId(pub u64);

layout! { newtype ShortChannelId }

impl fmt::Display for ShortChannelId {
    /// `block x transaction x output`, as BOLT 7 recommends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.0 >> 40, (self.0 >> 16) & 0xff_ffff, self.0 & 0xffff)
    }
}

/// SHA-256 as FIPS 180-4 has it, with the processor's instructions where there are some.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256::hash(bytes).to_byte_array()
}
