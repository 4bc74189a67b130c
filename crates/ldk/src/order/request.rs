//! From an order to the ledger's request: what a repeat is compared with.

use core::{borrow::Borrow as _, fmt};

use lightning::{
    bitcoin::{
        Network,
        constants::ChainHash,
        hashes::{Hash as _, sha256},
        secp256k1::PublicKey,
    },
    bolt11_invoice::Bolt11Invoice,
    offers::offer::{Amount, Quantity},
    util::ser::Writeable as _,
};
use payonce_core::{
    Deadline, MaxFee, Msat, NodeId, OfferHash, PaymentHash, Request, RetryPolicy, Target,
    UnixMillis,
};

use crate::{
    order::order::{Bolt11Order, OfferOrder, Order, RefundOrder, SpontaneousOrder},
    order::terms::Terms,
};

/// Types below are the protocol's (BOLT 1).
const FIRST_CUSTOM_TLV: u64 = 65_536;
/// Above it these are in use: keysend's preimage, and the invoice request of an async payment.
const PROTOCOL_TLVS: [u64; 2] = [5_482_373_484, 77_777];

/// Why an order can never be paid like this, whatever the ledger holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderRefusal {
    /// The invoice is for another network.
    #[error("the invoice is for {invoice}, this node is on {node}")]
    InvoiceOfOtherNetwork {
        /// The network that the invoice is for.
        invoice: Network,
        /// The network that this node is on.
        node: Network,
    },
    /// The offer cannot be paid on this network.
    #[error("the offer cannot be paid on {node}")]
    OfferOfOtherNetwork {
        /// The network that this node is on.
        node: Network,
    },
    /// Neither the order nor the caller states an amount.
    #[error("no amount is stated: give one")]
    NoAmount,
    /// Less than the order asks for.
    #[error("the order asks for {stated}, {given} is less")]
    AmountTooSmall {
        /// What the order asks for.
        stated: Msat,
        /// What the caller gave.
        given: Msat,
    },
    /// More than twice what the order asks for: payees refuse that (BOLT 4), and a mistaken unit looks so.
    #[error("the order asks for {stated}, {given} is more than twice as much")]
    AmountTooLarge {
        /// What the order asks for.
        stated: Msat,
        /// What the caller gave.
        given: Msat,
    },
    /// The offer is priced in another currency.
    #[error("the offer is priced in a currency that LDK cannot convert")]
    OtherCurrency,
    /// A number of items times their price is more than there is money.
    #[error("{quantity} times {each} is more than there is money")]
    QuantityTooLarge {
        /// How many items were asked for.
        quantity: u64,
        /// The price of one.
        each: Msat,
    },
    /// The offer is not for so many.
    #[error("the offer is not for {given} items: it is for {offered}")]
    Quantity {
        /// How many were asked for.
        given: u64,
        /// How many it is for.
        offered: OfferedQuantity,
    },
    /// A name was given and a quantity: LDK can say only one of them to the payee.
    #[error("LDK cannot ask for a quantity of an offer that was found by its name")]
    QuantityOfNamedOffer,
    /// Records with a type below 65,536, twice the same, or one that the protocol has for itself.
    #[error(
        "the records for the payee need types of 65,536 or above, each once, none of the protocol's own"
    )]
    CustomTlvs,
}

/// How many items an offer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferedQuantity {
    /// One: the offer knows no quantities.
    One,
    /// At most this many.
    AtMost(u64),
    /// Any number above zero.
    AnyAboveZero,
}

impl fmt::Display for OfferedQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("one"),
            Self::AtMost(most) => write!(f, "one to {most}"),
            Self::AnyAboveZero => f.write_str("any number above zero"),
        }
    }
}

impl Order {
    /// What the ledger is asked to admit for this order: what [`Payer::pay`](crate::Payer::pay) asks, and
    /// what a word about a payment that the ledger lacks may name
    /// ([`MarkPaid::request`](payonce_core::MarkPaid)).
    ///
    /// # Errors
    /// [`OrderRefusal`].
    pub fn request(
        &self,
        amount: Option<Msat>,
        terms: &Terms,
        network: Network,
    ) -> Result<Request, OrderRefusal> {
        let Asked { target, amount, payee, expiry } = match self {
            Self::Bolt11(order) => bolt11(order, amount, network)?,
            Self::Offer(order) => offer(order, amount, terms, network)?,
            Self::Spontaneous(order) => spontaneous(order, amount)?,
            Self::Refund(order) => refund(order, amount)?,
        };
        let retry = match self {
            // A second hand-over would make a second refund, which nobody would give out.
            Self::Refund(_) => RetryPolicy::Attempts(0),
            _ => terms.retry,
        };
        let max_fee = terms.max_fee.map_or(MaxFee::Unlimited, MaxFee::AtMost);
        let mut request = Request::new(target, amount, max_fee, retry);
        request.payee = payee;
        request.expiry = expiry;
        Ok(self.write(request.metadata(&terms.metadata), terms.route))
    }
}

/// What an order says of its payment; the terms say the rest.
struct Asked {
    target: Target,
    amount: Msat,
    payee: Option<NodeId>,
    expiry: Option<UnixMillis>,
}

fn bolt11(order: &Bolt11Order, amount: Option<Msat>, node: Network) -> Result<Asked, OrderRefusal> {
    let invoice = &order.invoice;
    if invoice.network() != node {
        return Err(OrderRefusal::InvoiceOfOtherNetwork { invoice: invoice.network(), node });
    }
    check_custom_tlvs(&order.custom_tlvs)?;
    let amount = one_amount(invoice.amount_milli_satoshis().map(Msat), amount)?;
    let payment_hash = hash_of_invoice(invoice);
    let payee = Some(node_id(&invoice.recover_payee_pub_key()));
    let expiry = invoice.expires_at().map(|expiry| millis(expiry.as_millis()));
    Ok(Asked { target: Target::Invoice { payment_hash }, amount, payee, expiry })
}

fn offer(
    order: &OfferOrder,
    given: Option<Msat>,
    terms: &Terms,
    node: Network,
) -> Result<Asked, OrderRefusal> {
    let offer = &order.offer;
    if !offer.supports_chain(ChainHash::using_genesis_block_const(node)) {
        return Err(OrderRefusal::OfferOfOtherNetwork { node });
    }
    check_quantity(order)?;
    let stated = match offer.amount() {
        None => None,
        Some(Amount::Currency { .. }) => return Err(OrderRefusal::OtherCurrency),
        Some(Amount::Bitcoin { amount_msats }) => {
            let (each, quantity) = (Msat(amount_msats), order.quantity.unwrap_or(1));
            let all = amount_msats.checked_mul(quantity);
            Some(Msat(all.ok_or(OrderRefusal::QuantityTooLarge { quantity, each })?))
        }
    };
    let amount = one_amount(stated, given)?;
    let offer_hash = hash_of(&offer.encode());
    let payee: Option<NodeId> = offer.issuer_signing_pubkey().as_ref().map(node_id);
    let expiry = offer.absolute_expiry().map(|expiry| millis(expiry.as_millis()));
    let target = Target::Offer { offer_hash, deadline: terms.wait };
    Ok(Asked { target, amount, payee, expiry })
}

fn spontaneous(order: &SpontaneousOrder, amount: Option<Msat>) -> Result<Asked, OrderRefusal> {
    check_custom_tlvs(&order.custom_tlvs)?;
    let amount = amount.ok_or(OrderRefusal::NoAmount)?;
    let target = Target::Spontaneous { preimage: order.preimage };
    let payee = Some(node_id(&order.payee));
    Ok(Asked { target, amount, payee, expiry: None })
}

/// The refund itself exists only after the hand-over: its terms stand for it.
fn refund(refund: &RefundOrder, amount: Option<Msat>) -> Result<Asked, OrderRefusal> {
    let amount = amount.ok_or(OrderRefusal::NoAmount)?;
    let RefundOrder { expiry, description, payer_note } = refund;
    let note = payer_note.as_deref().unwrap_or_default();
    let expiry_ms = expiry.0.to_be_bytes();
    // The length keeps a description and a note apart.
    let length = (description.len() as u64).to_be_bytes();
    let terms = [&expiry_ms[..], &length, description.as_bytes(), note.as_bytes()].concat();
    let (offer_hash, deadline) = (hash_of(&terms), Deadline::At(*expiry));
    let target = Target::Offer { offer_hash, deadline };
    Ok(Asked { target, amount, payee: None, expiry: Some(*expiry) })
}

/// What the order asks for, or up to twice as much where the caller says so (BOLT 4 lets a payee take no
/// more).
fn one_amount(stated: Option<Msat>, given: Option<Msat>) -> Result<Msat, OrderRefusal> {
    match (stated, given) {
        (Some(stated), Some(given)) if given < stated => {
            Err(OrderRefusal::AmountTooSmall { stated, given })
        }
        (Some(stated), Some(given)) if given.0 > stated.0.saturating_mul(2) => {
            Err(OrderRefusal::AmountTooLarge { stated, given })
        }
        (_, Some(amount)) | (Some(amount), None) => Ok(amount),
        (None, None) => Err(OrderRefusal::NoAmount),
    }
}

/// What LDK would refuse once the payment is recorded.
fn check_quantity(order: &OfferOrder) -> Result<(), OrderRefusal> {
    let Some(given) = order.quantity else { return Ok(()) };
    if order.name.is_some() {
        return Err(OrderRefusal::QuantityOfNamedOffer);
    }
    let offered = match order.offer.supported_quantity() {
        Quantity::One => OfferedQuantity::One,
        Quantity::Bounded(most) => OfferedQuantity::AtMost(most.get()),
        Quantity::Unbounded => OfferedQuantity::AnyAboveZero,
    };
    let fits = match offered {
        // An offer without quantities takes none, not even one (BOLT 12).
        OfferedQuantity::One => false,
        OfferedQuantity::AtMost(most) => (1..=most).contains(&given),
        OfferedQuantity::AnyAboveZero => given > 0,
    };
    if fits { Ok(()) } else { Err(OrderRefusal::Quantity { given, offered }) }
}

/// What LDK would refuse once the payment is recorded.
fn check_custom_tlvs(tlvs: &[(u64, Vec<u8>)]) -> Result<(), OrderRefusal> {
    let mut numbers: Vec<_> = tlvs.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    let twice = numbers.windows(2).any(|pair| pair[0] == pair[1]);
    let taken = |number: &u64| *number < FIRST_CUSTOM_TLV || PROTOCOL_TLVS.contains(number);
    if twice || numbers.iter().any(taken) { Err(OrderRefusal::CustomTlvs) } else { Ok(()) }
}

/// The lines of LDK give it in types of their own.
fn hash_of_invoice(invoice: &Bolt11Invoice) -> PaymentHash {
    let hash = invoice.payment_hash();
    let bytes: &[u8] = hash.borrow();
    PaymentHash::from_bytes(bytes.try_into().expect("a SHA-256"))
}

fn node_id(key: &PublicKey) -> NodeId {
    NodeId::from_bytes(key.serialize())
}

fn hash_of(bytes: &[u8]) -> OfferHash {
    OfferHash::from_bytes(sha256::Hash::hash(bytes).to_byte_array())
}

fn millis(millis: u128) -> UnixMillis {
    UnixMillis(u64::try_from(millis).unwrap_or(u64::MAX))
}
