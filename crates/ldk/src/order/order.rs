//! Orders: what LDK is asked to pay, kept in a request's instructions so that a payment can be
//! handed over again after a crash.

use lightning::{
    bitcoin::secp256k1::PublicKey,
    bolt11_invoice::Bolt11Invoice,
    ln::msgs::DecodeError,
    offers::offer::Offer,
    util::ser::{Readable, Writeable},
};
use payonce_core::{Preimage, Request, Target, UnixMillis};

use crate::order::written::{Tlv, Written};

/// What most payees accept (BOLT 11's `min_final_cltv_expiry_delta` by LDK's default and more), in
/// blocks.
const KEYSEND_FINAL_CLTV_DELTA: u32 = 40;

/// What LDK is asked to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// A BOLT 11 invoice.
    Bolt11(Bolt11Order),
    /// A BOLT 12 offer: LDK requests an invoice and pays it.
    Offer(Box<OfferOrder>),
    /// A payment that nobody asked for (keysend).
    Spontaneous(SpontaneousOrder),
    /// A refund: LDK pays the invoice that its holder sends.
    Refund(RefundOrder),
}

/// A BOLT 11 invoice to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bolt11Order {
    /// The invoice.
    pub invoice: Bolt11Invoice,
}

/// A BOLT 12 offer to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferOrder {
    /// The offer.
    pub offer: Offer,
    /// How many of what it offers, where it offers several.
    pub quantity: Option<u64>,
    /// A note for the payee.
    pub payer_note: Option<String>,
}

/// A payment that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpontaneousOrder {
    /// The payee.
    pub payee: PublicKey,
    /// The preimage, secret and random: who guesses it can take the payment on its way.
    pub preimage: Preimage,
    /// The CLTV delta of the last hop, in blocks.
    pub final_cltv_delta: u32,
    /// Further records for the payee, in increasing order of their types.
    pub custom_tlvs: Vec<(u64, Vec<u8>)>,
}

/// A refund to give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrder {
    /// Until when an invoice is paid.
    pub expiry: UnixMillis,
    /// What it is for.
    pub description: String,
    /// A note for the payee.
    pub payer_note: Option<String>,
}

/// Why instructions are not an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payment's instructions are not an order for LDK: {0}")]
pub struct NotAnOrder(pub(crate) &'static str);

impl Order {
    /// A BOLT 11 invoice.
    #[must_use]
    pub const fn bolt11(invoice: Bolt11Invoice) -> Self {
        Self::Bolt11(Bolt11Order { invoice })
    }

    /// One of what a BOLT 12 offer offers, without a note.
    #[must_use]
    pub fn offer(offer: Offer) -> Self {
        Self::Offer(Box::new(OfferOrder { offer, quantity: None, payer_note: None }))
    }

    /// A payment that nobody asked for. The preimage is chosen like the payment's id, secret and
    /// random, and stored before the first call, so that a repeat is a repeat.
    #[must_use]
    pub const fn spontaneous(payee: PublicKey, preimage: Preimage) -> Self {
        let final_cltv_delta = KEYSEND_FINAL_CLTV_DELTA;
        Self::Spontaneous(SpontaneousOrder {
            payee,
            preimage,
            final_cltv_delta,
            custom_tlvs: Vec::new(),
        })
    }

    /// A refund, without a note.
    #[must_use]
    pub const fn refund(expiry: UnixMillis, description: String) -> Self {
        Self::Refund(RefundOrder { expiry, description, payer_note: None })
    }

    /// The bytes for [`Request::instructions`](payonce_core::Request::instructions). The preimage
    /// of a spontaneous payment is not among them: the request's target holds it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let written = match self {
            Self::Bolt11(order) => Written::Bolt11 { invoice: order.invoice.to_string() },
            Self::Offer(order) => Written::Offer {
                offer: order.offer.to_string(),
                quantity: order.quantity,
                payer_note: order.payer_note.clone(),
            },
            Self::Spontaneous(order) => Written::Spontaneous {
                payee: order.payee,
                final_cltv_delta: order.final_cltv_delta,
                custom_tlvs: (order.custom_tlvs.iter())
                    .map(|(number, value)| Tlv { number: *number, value: value.clone() })
                    .collect(),
            },
            Self::Refund(order) => Written::Refund {
                expiry_ms: order.expiry.0,
                description: order.description.clone(),
                payer_note: order.payer_note.clone(),
            },
        };
        written.encode()
    }

    /// Reads what [`encode`](Self::encode) wrote. `preimage` is that of the request's target.
    ///
    /// # Errors
    /// [`NotAnOrder`] for anything else.
    pub fn decode(bytes: &[u8], preimage: Option<Preimage>) -> Result<Self, NotAnOrder> {
        let mut rest = bytes;
        let written = Written::read(&mut rest).map_err(|error: DecodeError| match error {
            DecodeError::UnknownRequiredFeature => NotAnOrder("written by a newer version"),
            _ => NotAnOrder("damaged, or another program's"),
        })?;
        if !rest.is_empty() {
            return Err(NotAnOrder("bytes are left over"));
        }
        Ok(match written {
            Written::Bolt11 { invoice } => Self::Bolt11(Bolt11Order {
                invoice: invoice.parse().map_err(|_| NotAnOrder("the invoice is damaged"))?,
            }),
            Written::Offer { offer, quantity, payer_note } => Self::Offer(Box::new(OfferOrder {
                offer: offer.parse().map_err(|_| NotAnOrder("the offer is damaged"))?,
                quantity,
                payer_note,
            })),
            Written::Spontaneous { payee, final_cltv_delta, custom_tlvs } => {
                Self::Spontaneous(SpontaneousOrder {
                    payee,
                    preimage: preimage.ok_or(NotAnOrder("the target holds no preimage"))?,
                    final_cltv_delta,
                    custom_tlvs: custom_tlvs
                        .into_iter()
                        .map(|tlv| (tlv.number, tlv.value))
                        .collect(),
                })
            }
            Written::Refund { expiry_ms, description, payer_note } => {
                Self::Refund(RefundOrder { expiry: UnixMillis(expiry_ms), description, payer_note })
            }
        })
    }

    /// What a request of a payment asks for: of a page of [`Payer::list`](crate::Payer::list), say.
    ///
    /// # Errors
    /// [`NotAnOrder`] where another program made the request, or its instructions are not known any more.
    pub fn of_request(request: &Request) -> Result<Self, NotAnOrder> {
        let preimage = match request.target {
            Target::Spontaneous { preimage } => Some(preimage),
            Target::Invoice { .. } | Target::Offer { .. } => None,
        };
        Self::decode(request.instructions.as_bytes(), preimage)
    }

    /// Whether LDK gets the payment hash only with an invoice.
    #[must_use]
    pub const fn awaits_invoice(&self) -> bool {
        matches!(self, Self::Offer(_) | Self::Refund(_))
    }
}

impl From<Bolt11Invoice> for Order {
    fn from(invoice: Bolt11Invoice) -> Self {
        Self::bolt11(invoice)
    }
}

impl From<Offer> for Order {
    fn from(offer: Offer) -> Self {
        Self::offer(offer)
    }
}
