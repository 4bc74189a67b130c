//! From an order to the ledger's request: what a repeat is compared with.

use lightning::{
    bitcoin::{
        Network,
        constants::ChainHash,
        hashes::{Hash as _, sha256},
    },
    offers::offer::Amount,
    util::ser::Writeable as _,
};
use payonce_core::{
    Deadline, MaxFee, Msat, NodeId, NotificationId, OfferHash, PaymentHash, Request, RetryPolicy,
    Target, UnixMillis,
};

use crate::{
    border,
    order::{Bolt11Order, OfferOrder, Order, RefundOrder, SpontaneousOrder},
};

/// The terms of a payment, beyond what is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// The most that may go to fees, all hand-overs together; without it LDK's default (1 % and 50
    /// sat) holds for each.
    pub max_fee: Option<Msat>,
    /// Whether LDK gets the payment again once it has given up: by default never. LDK retries by
    /// itself inside a hand-over.
    pub retry: RetryPolicy,
    /// How long an offer waits for its invoice over all hand-overs; 10 ticks. LDK gives up on one
    /// after one or two ticks of its own.
    pub wait: Deadline,
    /// The caller's own, at most [`limits::METADATA_BYTES`](payonce_core::limits::METADATA_BYTES).
    pub metadata: Vec<u8>,
    /// The PaymentFailed after which this id is tried anew.
    pub again_after: Option<NotificationId>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_fee: None,
            retry: RetryPolicy::Attempts(0),
            wait: Deadline::Ticks(10),
            metadata: Vec::new(),
            again_after: None,
        }
    }
}

impl Terms {
    /// With the most that may go to fees.
    #[must_use]
    pub const fn max_fee(mut self, fee: Msat) -> Self {
        self.max_fee = Some(fee);
        self
    }

    /// With a policy for further hand-overs.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// With a limit to the wait for an offer's invoice.
    #[must_use]
    pub const fn wait(mut self, deadline: Deadline) -> Self {
        self.wait = deadline;
        self
    }

    /// With the caller's own bytes.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Vec<u8>>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// As a new try of a failed id.
    #[must_use]
    pub const fn again_after(mut self, failed: NotificationId) -> Self {
        self.again_after = Some(failed);
        self
    }
}

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
    let payee = Some(border::node_id(&invoice.recover_payee_pub_key()));
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
    let payee: Option<NodeId> = offer.issuer_signing_pubkey().as_ref().map(border::node_id);
    let expiry = offer.absolute_expiry().map(|expiry| millis(expiry.as_millis()));
    let target = Target::Offer { offer_hash, deadline: terms.wait };
    Ok(Asked { target, amount, payee, expiry })
}

fn spontaneous(order: &SpontaneousOrder, amount: Option<Msat>) -> Result<Asked, OrderRefusal> {
    let amount = amount.ok_or(OrderRefusal::NoAmount)?;
    let target = Target::Spontaneous { preimage: order.preimage };
    let payee = Some(border::node_id(&order.payee));
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

fn hash_of(bytes: &[u8]) -> OfferHash {
    OfferHash::from_bytes(sha256::Hash::hash(bytes).to_byte_array())
}

fn millis(millis: u128) -> UnixMillis {
    UnixMillis(u64::try_from(millis).unwrap_or(u64::MAX))
}
