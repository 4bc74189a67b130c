//! Orders: what LDK is asked to pay, kept in a request's instructions so that a payment can be
//! handed over again after a crash.

use lightning::{
    bitcoin::secp256k1::PublicKey,
    bolt11_invoice::Bolt11Invoice,
    ln::msgs::DecodeError,
    offers::offer::Offer,
    onion_message::dns_resolution::HumanReadableName,
    util::ser::{Readable, Writeable},
};
use payonce_core::{CustomRecord, Preimage, Request, Target, UnixMillis};

use crate::{
    order::route::RouteLimits,
    order::written::{Instructions, Written},
};

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
    /// The invoice, whose signature was checked when it was read.
    pub invoice: Bolt11Invoice,
    /// Records for the payee beside the invoice's own, each of a type of 65,536 or above.
    pub custom_tlvs: Vec<(u64, Vec<u8>)>,
}

/// A BOLT 12 offer to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferOrder {
    /// The offer, as its payee published it.
    pub offer: Offer,
    /// How many of what it offers, where it offers several.
    pub quantity: Option<u64>,
    /// A note for the payee.
    pub payer_note: Option<String>,
    /// The name that the user paid, where the offer was found by it (BIP 353): the payee is told.
    pub name: Option<HumanReadableName>,
}

/// A payment that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpontaneousOrder {
    /// The node id of the payee.
    pub payee: PublicKey,
    /// The preimage, secret and random: who guesses it can take the payment on its way.
    pub preimage: Preimage,
    /// The CLTV delta of the last hop, in blocks.
    pub final_cltv_delta: u32,
    /// Further records for the payee, each of a type of 65,536 or above.
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
        Self::Bolt11(Bolt11Order { invoice, custom_tlvs: Vec::new() })
    }

    /// One of what a BOLT 12 offer offers, without a note.
    #[must_use]
    pub fn offer(offer: Offer) -> Self {
        Self::Offer(Box::new(OfferOrder { offer, quantity: None, payer_note: None, name: None }))
    }

    /// The offer that was found under a name (BIP 353), by the bitcoin-payment-instructions crate, say.
    #[must_use]
    pub fn named_offer(name: HumanReadableName, offer: Offer) -> Self {
        let name = Some(name);
        Self::Offer(Box::new(OfferOrder { offer, quantity: None, payer_note: None, name }))
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

    /// What a request holds of this order: in its fields what has one there, so that a repeat that differs
    /// is told which; the rest as instructions.
    pub(crate) fn write(&self, request: Request, route: RouteLimits) -> Request {
        let instructions = Instructions { order: self.written(), route }.encode();
        let request = request.instructions(instructions);
        match self {
            Self::Bolt11(order) => request.custom_records(records(&order.custom_tlvs)),
            Self::Offer(order) => {
                let mut request = request;
                request.details.change(|details| {
                    details.quantity = order.quantity;
                    details.payer_note = order.payer_note.as_deref().unwrap_or_default().into();
                    details.payee_name =
                        order.name.as_ref().map(name_text).unwrap_or_default().as_str().into();
                });
                request
            }
            Self::Spontaneous(order) => request.custom_records(records(&order.custom_tlvs)),
            Self::Refund(order) => {
                request.payer_note(order.payer_note.as_deref().unwrap_or_default())
            }
        }
    }

    fn written(&self) -> Written {
        match self {
            Self::Bolt11(order) => Written::Bolt11 { invoice: order.invoice.to_string() },
            Self::Offer(order) => Written::Offer { offer: order.offer.to_string() },
            Self::Spontaneous(order) => Written::Spontaneous {
                payee: order.payee,
                final_cltv_delta: order.final_cltv_delta,
            },
            Self::Refund(order) => Written::Refund {
                expiry_ms: order.expiry.0,
                description: order.description.clone(),
            },
        }
    }

    /// What a request of a payment asks for: of a page of [`Payer::list`](crate::Payer::list), say.
    ///
    /// # Errors
    /// [`NotAnOrder`] where another program made the request, or its instructions are not known any more.
    pub fn of_request(request: &Request) -> Result<Self, NotAnOrder> {
        let details = &request.details;
        let payer_note = Some(details.payer_note.as_str()).filter(|note| !note.is_empty());
        let payer_note = payer_note.map(String::from);
        let custom_tlvs = || {
            let record = |record: &CustomRecord| (record.tag, record.value.as_bytes().to_vec());
            details.custom_records.iter().map(record).collect()
        };
        Ok(match read(request)?.order {
            Written::Bolt11 { invoice } => Self::Bolt11(Bolt11Order {
                invoice: invoice.parse().map_err(|_| NotAnOrder("the invoice is damaged"))?,
                custom_tlvs: custom_tlvs(),
            }),
            Written::Offer { offer } => Self::Offer(Box::new(OfferOrder {
                offer: offer.parse().map_err(|_| NotAnOrder("the offer is damaged"))?,
                quantity: details.quantity,
                payer_note,
                name: name(details.payee_name.as_str())?,
            })),
            Written::Spontaneous { payee, final_cltv_delta } => {
                let Target::Spontaneous { preimage } = request.target else {
                    return Err(NotAnOrder("the target holds no preimage"));
                };
                let custom_tlvs = custom_tlvs();
                Self::Spontaneous(SpontaneousOrder {
                    payee,
                    preimage,
                    final_cltv_delta,
                    custom_tlvs,
                })
            }
            Written::Refund { expiry_ms, description } => {
                Self::Refund(RefundOrder { expiry: UnixMillis(expiry_ms), description, payer_note })
            }
        })
    }

    /// Whether LDK gets the payment hash only with an invoice.
    #[must_use]
    pub const fn awaits_invoice(&self) -> bool {
        matches!(self, Self::Offer(_) | Self::Refund(_))
    }
}

/// The limits to the route that a request holds.
pub(crate) fn route_of(request: &Request) -> RouteLimits {
    read(request).map(|read| read.route).unwrap_or_default()
}

fn read(request: &Request) -> Result<Instructions, NotAnOrder> {
    let mut rest = request.instructions.as_bytes();
    let read = Instructions::read(&mut rest).map_err(|error: DecodeError| match error {
        DecodeError::UnknownRequiredFeature => NotAnOrder("written by a newer version"),
        _ => NotAnOrder("damaged, or another program's"),
    })?;
    if rest.is_empty() { Ok(read) } else { Err(NotAnOrder("bytes are left over")) }
}

fn records(tlvs: &[(u64, Vec<u8>)]) -> impl Iterator<Item = CustomRecord> {
    tlvs.iter().map(|(tag, value)| CustomRecord { tag: *tag, value: value.as_slice().into() })
}

/// As people write it.
pub(crate) fn name_text(name: &HumanReadableName) -> String {
    format!("{}@{}", name.user(), name.domain())
}

fn name(text: &str) -> Result<Option<HumanReadableName>, NotAnOrder> {
    let name = (!text.is_empty()).then(|| HumanReadableName::from_encoded(text)).transpose();
    name.map_err(|()| NotAnOrder("the payee's name is none"))
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
