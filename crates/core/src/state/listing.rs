//! Listing payments a page at a time: the filters, and what the state alone can answer. What only the
//! log still has (the request of a remembered payment, the instructions of one that is over) is added
//! from the log by [`Selection::complete`].

use alloc::vec::Vec;
use core::{fmt, str::FromStr};

use crate::{
    base::amount::UnixMillis,
    base::ids::{LedgerId, ParseIdError, PaymentHash},
    base::text_form,
    event::request::{Request, TargetKind},
    event::status::{Status, StatusKind},
    payment::payment::Payment,
    payment::tombstone::{Outcome, Tombstone},
    state::place::Place,
    state::state::State,
    state::views::PaymentView,
};

/// In which order payments are listed: by when each was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListingOrder {
    /// The one accepted last comes first.
    #[default]
    NewestFirst,
    /// The one accepted first comes first.
    OldestFirst,
}

/// Which payments to list, and how many on a page. Filters add up: a payment is listed if it passes all.
///
/// ```
/// use payonce_core::{Listing, StatusKind};
///
/// let stuck = Listing::new(50).statuses([StatusKind::Pending, StatusKind::Abandoned]).oldest_first();
/// # let _ = stuck;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a listing is asked of a ledger"]
pub struct Listing {
    pub(crate) limit: usize,
    pub(crate) order: ListingOrder,
    pub(crate) after: Option<ListingCursor>,
    pub(crate) statuses: Vec<StatusKind>,
    pub(crate) remembered: Option<bool>,
    pub(crate) payment_hash: Option<PaymentHash>,
    pub(crate) from: Option<UnixMillis>,
    pub(crate) until: Option<UnixMillis>,
    pub(crate) kind: Option<TargetKind>,
    pub(crate) metadata_prefix: Vec<u8>,
}

impl Listing {
    /// The most payments on a page.
    pub const MAX_LIMIT: usize = 1_000;

    /// Everything, newest first, with at most `limit` payments on a page: 1 to
    /// [`MAX_LIMIT`](Self::MAX_LIMIT).
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            order: ListingOrder::NewestFirst,
            after: None,
            statuses: Vec::new(),
            remembered: None,
            payment_hash: None,
            from: None,
            until: None,
            kind: None,
            metadata_prefix: Vec::new(),
        }
    }

    /// Lists the payment that was accepted first at the top.
    pub const fn oldest_first(mut self) -> Self {
        self.order = ListingOrder::OldestFirst;
        self
    }

    /// Continues after a page: `cursor` is that page's [`next`](Page::next).
    pub const fn after(mut self, cursor: ListingCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Only payments in one of these statuses; without any, every status passes.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusKind>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Only live payments, not those that are merely remembered.
    pub const fn live(mut self) -> Self {
        self.remembered = Some(false);
        self
    }

    /// Only payments of which no more than the outcome is remembered
    /// ([`Remember::Forever`](crate::Remember::Forever)).
    pub const fn remembered(mut self) -> Self {
        self.remembered = Some(true);
        self
    }

    /// Only payments that have, or in an earlier try had, this hash.
    pub const fn payment_hash(mut self, payment_hash: PaymentHash) -> Self {
        self.payment_hash = Some(payment_hash);
        self
    }

    /// Only payments accepted at this moment or later.
    pub const fn accepted_from(mut self, moment: UnixMillis) -> Self {
        self.from = Some(moment);
        self
    }

    /// Only payments accepted before this moment.
    pub const fn accepted_before(mut self, moment: UnixMillis) -> Self {
        self.until = Some(moment);
        self
    }

    /// Only invoices, spontaneous payments, or offers. A payment without a known request (adopted, or
    /// remembered and its history dropped) does not pass.
    pub const fn kind(mut self, kind: TargetKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only payments whose metadata begins with these bytes. A payment without a known request does not
    /// pass.
    pub fn metadata_prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.metadata_prefix = prefix.as_ref().to_vec();
        self
    }

    /// Whether a filter needs the request.
    pub(crate) const fn asks_the_request(&self) -> bool {
        self.kind.is_some() || !self.metadata_prefix.is_empty()
    }

    /// Whether a request passes; an unknown one fails every filter that needs it.
    pub(crate) fn admits(&self, request: Option<&Request>) -> bool {
        let Some(request) = request else {
            return !self.asks_the_request();
        };
        self.kind.is_none_or(|kind| request.target.kind() == kind)
            && request.metadata.as_bytes().starts_with(&self.metadata_prefix)
    }

    fn check(&self, state: &State) -> Result<(), ListingRefusal> {
        if self.limit == 0 || self.limit > Self::MAX_LIMIT {
            return Err(ListingRefusal::Limit { limit: self.limit, max: Self::MAX_LIMIT });
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && from > until
        {
            return Err(ListingRefusal::ReversedBounds { from, until });
        }
        match self.after {
            Some(cursor) if cursor.ledger != first_bytes(state.ledger) => {
                Err(ListingRefusal::OtherLedger { cursor })
            }
            Some(cursor) if cursor.seq > state.head.seq => {
                Err(ListingRefusal::BeyondHead { cursor, head: state.head.seq })
            }
            _ => Ok(()),
        }
    }

    /// Whether a payment accepted at this seq comes after the cursor.
    fn is_behind_cursor(&self, seq: u64) -> bool {
        self.after.is_none_or(|cursor| match self.order {
            ListingOrder::NewestFirst => seq < cursor.seq,
            ListingOrder::OldestFirst => seq > cursor.seq,
        })
    }

    fn fits(&self, key: &Key) -> bool {
        self.is_behind_cursor(key.seq)
            && (self.statuses.is_empty() || self.statuses.contains(&key.status))
            && self.from.is_none_or(|from| key.at >= from)
            && self.until.is_none_or(|until| key.at < until)
    }
}

/// Where a page ended. As text `SEQ-LEDGER`: the seq in decimal, the first 8 bytes of the ledger id in
/// hex. A payment keeps its place, so a page neither repeats nor skips what was there when the first one
/// was read; with the newest first, payments that are accepted meanwhile are on no later page.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListingCursor {
    ledger: [u8; 8],
    pub(crate) seq: u64,
}

impl fmt::Display for ListingCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.seq)?;
        self.ledger.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ListingCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListingCursor({self})")
    }
}

impl FromStr for ListingCursor {
    type Err = ParseIdError;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused =
            || ParseIdError { what: "ListingCursor", expected_bytes: 16, refused: text.into() };
        let (seq, ledger) = text.split_once('-').ok_or_else(refused)?;
        let ledger = hex_conservative::decode_to_array(ledger).map_err(|_| refused())?;
        Ok(Self { seq: seq.parse().map_err(|_| refused())?, ledger })
    }
}

impl serde::Serialize for ListingCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ListingCursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_form::take_text(deserializer)
    }
}

/// Why a listing was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingRefusal {
    /// The limit is 0, or so large that other callers would have to wait.
    #[error("a page of {limit} payments: ask for 1 to {max}")]
    Limit {
        /// What was asked for.
        limit: usize,
        /// The most that a page may hold.
        max: usize,
    },
    /// The range in time ends before it begins.
    #[error("accepted from {} ms and before {} ms: exchange the two", from.0, until.0)]
    ReversedBounds {
        /// The first moment asked for.
        from: UnixMillis,
        /// The moment before which payments were asked for.
        until: UnixMillis,
    },
    /// The cursor is of another ledger.
    #[error("cursor {cursor} is of another ledger: begin without one")]
    OtherLedger {
        /// The cursor that was given.
        cursor: ListingCursor,
    },
    /// The log ends before the cursor: it was restored from a backup since, or the cursor is wrong.
    #[error("cursor {cursor} lies beyond seq {head}, the log's end: begin without one")]
    BeyondHead {
        /// The cursor that was given.
        cursor: ListingCursor,
        /// The last seq of the log.
        head: u64,
    },
}

/// A payment in a page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ListedPayment {
    /// Its status, and what is paid or missing.
    pub view: PaymentView,
    /// Its payment hash; `None` for an offer without its invoice.
    pub payment_hash: Option<PaymentHash>,
    /// The seq of the event that made it known: its place in the listing.
    pub accepted_seq: u64,
    /// The `now` of the command that made it known.
    pub accepted_at: UnixMillis,
    /// The `now` of the command that gave it its status.
    pub status_at: UnixMillis,
    /// How many batches were dispatched in its latest try; `None` for a payment that is only remembered.
    pub attempts: Option<u32>,
    /// How many parts its latest try has; `None` for a payment that is only remembered.
    pub parts: Option<usize>,
    /// The request. `None` if there is none (the payment was adopted), if a remembered payment came
    /// back, and if the log no longer reaches back to it. Its instructions are empty if the payment is
    /// over and the log no longer has them.
    pub request: Option<Request>,
}

/// One payment of a selection, as far as the state knows it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) listed: ListedPayment,
    /// Whether the log has more of its request than the state.
    pub(crate) more_in_log: bool,
}

/// What a state alone gives for a listing: payments whose requests must still be completed from the log.
#[derive(Debug, Clone)]
#[must_use = "the log completes it"]
pub struct Selection {
    pub(crate) found: Vec<Found>,
    /// Whether the state has more payments after these.
    pub(crate) more: bool,
    pub(crate) ledger: LedgerId,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Page {
    /// The payments, in the order asked for.
    pub payments: Vec<ListedPayment>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<ListingCursor>,
}

/// The values by which a payment is filtered and ordered.
struct Key {
    seq: u64,
    at: UnixMillis,
    status: StatusKind,
}

impl Key {
    const fn of(payment: &Payment) -> Self {
        let (seq, at) = (payment.created_seq, payment.created_at);
        Self { seq, at, status: payment.status.kind() }
    }

    const fn of_tombstone(tombstone: &Tombstone) -> Self {
        let status = match tombstone.outcome {
            Outcome::Paid { .. } => StatusKind::Fulfilled,
            Outcome::Failed { .. } => StatusKind::Failed,
        };
        Self { seq: tombstone.accepted_seq, at: tombstone.accepted_at, status }
    }
}

const fn first_bytes(ledger: LedgerId) -> [u8; 8] {
    match ledger.as_bytes().first_chunk() {
        Some(first) => *first,
        None => unreachable!(),
    }
}

impl ListingCursor {
    /// Behind the payment that was accepted at this seq ([`ListedPayment::accepted_seq`]).
    #[must_use]
    pub const fn at(ledger: LedgerId, seq: u64) -> Self {
        Self { ledger: first_bytes(ledger), seq }
    }

    /// The seq at which the last payment before it was accepted.
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.seq
    }
}

impl State {
    /// Selects from this state; [`Selection::complete`] makes a page of it. Its cost is that of reading
    /// every live and remembered payment, or only those of one hash if that is a filter.
    ///
    /// # Errors
    /// [`ListingRefusal`].
    pub fn select(&self, listing: &Listing) -> Result<Selection, ListingRefusal> {
        listing.check(self)?;
        // If the log is needed to filter, the largest page is looked up at a time: otherwise a rare
        // match would cost a scan of the state for every few payments before it.
        let most = if listing.asks_the_request() { Listing::MAX_LIMIT } else { listing.limit };
        let mut places = self.candidates(listing);
        let more = places.len() > most;
        let by_order = |seq: u64| match listing.order {
            ListingOrder::NewestFirst => u64::MAX - seq,
            ListingOrder::OldestFirst => seq,
        };
        if more {
            places.select_nth_unstable_by_key(most, |(seq, _)| by_order(*seq));
            places.truncate(most);
        }
        places.sort_unstable_by_key(|(seq, _)| by_order(*seq));
        let found = places.into_iter().filter_map(|(_, place)| self.found(place)).collect();
        Ok(Selection { found, more, ledger: self.ledger })
    }

    /// The payments that pass the filters, as far as the state knows.
    fn candidates(&self, listing: &Listing) -> Vec<(u64, Place)> {
        let fits = |place: &Place| {
            let (key, remembered, request) = match place {
                Place::Payment(handle) => {
                    let payment = self.payments.get(*handle);
                    (Key::of(payment), false, payment.request())
                }
                Place::Tombstone(handle) => {
                    (Key::of_tombstone(self.tombstones.get(*handle)), true, None)
                }
                Place::ForeignPart(_) | Place::HashPaid(_) => return None,
            };
            let passes = listing.remembered.is_none_or(|wanted| wanted == remembered)
                && listing.fits(&key)
                && (request.is_none() || listing.admits(request));
            passes.then_some((key.seq, *place))
        };
        match &listing.payment_hash {
            Some(payment_hash) => {
                self.places_of(payment_hash).filter_map(|place| fits(&place)).collect()
            }
            None => {
                let live = self.payments.handles().map(Place::Payment);
                let remembered = self.tombstones.handles().map(Place::Tombstone);
                live.chain(remembered).filter_map(|place| fits(&place)).collect()
            }
        }
    }

    fn found(&self, place: Place) -> Option<Found> {
        let view = self.payment_view(self.id_at(place)?)?;
        let listed = match place {
            Place::Payment(handle) => {
                let payment = self.payments.get(handle);
                ListedPayment {
                    view,
                    payment_hash: payment.payment_hash(),
                    accepted_seq: payment.created_seq,
                    accepted_at: payment.created_at,
                    status_at: payment.status_at,
                    attempts: Some(payment.attempts()),
                    parts: Some(payment.parts().len()),
                    request: payment.request().cloned(),
                }
            }
            Place::Tombstone(handle) => {
                let tombstone = self.tombstones.get(handle);
                ListedPayment {
                    view,
                    payment_hash: tombstone.payment_hash,
                    accepted_seq: tombstone.accepted_seq,
                    accepted_at: tombstone.accepted_at,
                    status_at: tombstone.ended_at,
                    attempts: None,
                    parts: None,
                    request: None,
                }
            }
            Place::ForeignPart(_) | Place::HashPaid(_) => return None,
        };
        // Instructions leave the state with the end of the payment.
        let over = matches!(view.status, Status::Fulfilled | Status::Failed { .. });
        Some(Found { more_in_log: listed.request.is_none() || over, listed })
    }
}
