//! From an order to the ledger's request: what a repeat is compared with.

use lightning::{
    bitcoin::{
        Network,
        constants::ChainHash,
        hashes::{Hash as _, sha256},
        secp256k1::PublicKey,
    },
    offers::offer::Amount,
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

/// Why an order can never be paid like this, whatever the ledger holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderRefusal {
    /// The invoice is for another network.
    #[error("the invoice is for {invoice}, this node is on {node}")]
    InvoiceOfOtherNetwork {
        /// The invoice's network.
        invoice: Network,
        /// The node's.
        node: Network,
    },
    /// The offer cannot be paid on this network.
    #[error("the offer cannot be paid on {node}")]
    OfferOfOtherNetwork {
        /// The node's network.
        node: Network,
    },
    /// Neither the order nor the caller states an amount.
    #[error("no amount is stated: give one")]
    NoAmount,
    /// Both state one.
    #[error("the order asks for {stated}, so none may be given; {given} was")]
    AmountGivenTwice {
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
        /// How many.
        quantity: u64,
        /// The price of one.
        each: Msat,
    },
}

/// What the ledger is asked to admit.
pub(crate) fn request(
    order: &Order,
    amount: Option<Msat>,
    terms: &Terms,
    network: Network,
) -> Result<Request, OrderRefusal> {
    let Asked { target, amount, payee, expiry } = match order {
        Order::Bolt11(order) => bolt11(order, amount, network)?,
        Order::Offer(order) => offer(order, amount, terms, network)?,
        Order::Spontaneous(order) => spontaneous(order, amount)?,
        Order::Refund(refunded) => refund(refunded, order, amount)?,
    };
    let retry = match order {
        // A second hand-over would make a second refund, which nobody would give out.
        Order::Refund(_) => RetryPolicy::Attempts(0),
        _ => terms.retry,
    };
    let max_fee = terms.max_fee.map_or(MaxFee::Unlimited, MaxFee::AtMost);
    let mut request = Request::new(target, amount, max_fee, retry);
    request.payee = payee;
    request.expiry = expiry;
    Ok(request.instructions(order.encode()).metadata(&terms.metadata))
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
    let amount = one_amount(invoice.amount_milli_satoshis().map(Msat), amount)?;
    let payment_hash = PaymentHash::from_bytes(*invoice.payment_hash().as_byte_array());
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
    let amount = amount.ok_or(OrderRefusal::NoAmount)?;
    let target = Target::Spontaneous { preimage: order.preimage };
    let payee = Some(node_id(&order.payee));
    Ok(Asked { target, amount, payee, expiry: None })
}

/// The refund itself exists only after the hand-over: its terms stand for it.
fn refund(
    refund: &RefundOrder,
    order: &Order,
    amount: Option<Msat>,
) -> Result<Asked, OrderRefusal> {
    let amount = amount.ok_or(OrderRefusal::NoAmount)?;
    let (offer_hash, deadline) = (hash_of(&order.encode()), Deadline::At(refund.expiry));
    let target = Target::Offer { offer_hash, deadline };
    Ok(Asked { target, amount, payee: None, expiry: Some(refund.expiry) })
}

fn one_amount(stated: Option<Msat>, given: Option<Msat>) -> Result<Msat, OrderRefusal> {
    match (stated, given) {
        (Some(stated), Some(given)) => Err(OrderRefusal::AmountGivenTwice { stated, given }),
        (Some(amount), None) | (None, Some(amount)) => Ok(amount),
        (None, None) => Err(OrderRefusal::NoAmount),
    }
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
