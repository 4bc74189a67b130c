//! Completes a listing from the log: requests of remembered payments, instructions of payments that are
//! over.

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::ControlFlow;

use crate::{
    event::event::Event,
    event::request::Request,
    ledger::replay_error::ReplayError,
    log::entry::decode_events,
    log::store::{EventSource, StoreError, StoredEntry},
    state::listing::{Listing, ListingCursor, ListingRefusal, Page, Selection},
};

/// How many seqs two requests may be apart to be read in one replay: a new replay reads about as much to
/// find its place.
const FAR: u64 = 10_000;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The listing was refused.
    #[error(transparent)]
    Refused(#[from] ListingRefusal),
    /// The log cannot be read where a request stands.
    #[error(transparent)]
    Log(#[from] ReplayError),
}

/// Fills a page: asks again after what was found, until the page is full or nothing is left. `ask`
/// selects from a state, and completes the selection from that state's log.
///
/// # Errors
/// The error of `ask`.
pub fn list<E>(
    listing: &Listing,
    mut ask: impl FnMut(&Listing) -> Result<Page, E>,
) -> Result<Page, E> {
    let (mut page, mut rest) = (Page::default(), listing.clone());
    loop {
        let more = ask(&rest)?;
        page.payments.extend(more.payments);
        page.next = more.next;
        rest.limit = listing.limit - page.payments.len();
        rest.after = more.next;
        if page.next.is_none() || rest.limit == 0 {
            return Ok(page);
        }
    }
}

impl Selection {
    /// Reads from the log what the state no longer had, removes payments that do not pass the filters,
    /// and makes a page of the rest. If few pass, the page is shorter than asked for and has a cursor to
    /// continue from. What is missing from the log because its history was dropped stays unknown.
    ///
    /// # Errors
    /// [`ReplayError`] if the log is damaged where it is read.
    pub fn complete(
        mut self,
        source: &(impl EventSource + ?Sized),
        listing: &Listing,
    ) -> Result<Page, ReplayError> {
        let mut wanted: Vec<_> = (self.found.iter().filter(|found| found.more_in_log))
            .map(|found| found.listed.accepted_seq)
            .collect();
        wanted.sort_unstable();
        let mut requests = read_requests(source, &wanted)?;
        for found in self.found.iter_mut().filter(|found| found.more_in_log) {
            if let Some(request) = requests.remove(&found.listed.accepted_seq) {
                found.listed.request = Some(request);
            }
        }
        let last = self.found.last().map(|found| found.listed.accepted_seq);
        let fitting = self.found.into_iter().map(|found| found.listed);
        let mut payments: Vec<_> =
            fitting.filter(|listed| listing.admits(listed.request.as_ref())).collect();
        let (mut more, mut ended) = (self.more, last);
        if payments.len() > listing.limit {
            payments.truncate(listing.limit);
            (more, ended) = (true, payments.last().map(|listed| listed.accepted_seq));
        }
        let next = ended.filter(|_| more).map(|seq| ListingCursor::at(self.ledger, seq));
        Ok(Page { payments, next })
    }
}

/// The requests that were recorded at these seqs, which rise.
fn read_requests(
    source: &(impl EventSource + ?Sized),
    wanted: &[u64],
) -> Result<BTreeMap<u64, Request>, ReplayError> {
    let (mut requests, mut wanted) = (BTreeMap::new(), wanted.iter().copied().peekable());
    while let Some(begin) = wanted.peek().copied() {
        let mut damage = None;
        let read = source.replay(begin, &mut |entry| {
            while wanted.next_if(|seq| *seq < entry.first_seq).is_some() {}
            match wanted.peek() {
                None => return ControlFlow::Break(()),
                Some(seq) if *seq > entry.first_seq + FAR => return ControlFlow::Break(()),
                Some(seq) if *seq > entry.first_seq => return ControlFlow::Continue(()),
                Some(_) => {}
            }
            match request_in(entry) {
                Ok(request) => requests.extend(request.map(|request| (entry.first_seq, request))),
                Err(error) => damage = Some(error),
            }
            wanted.next();
            if damage.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match read {
            // It is before the base, which may have moved since the state was asked: the log no longer
            // has it.
            Err(StoreError::Missing { .. }) => {}
            other => other?,
        }
        if let Some(error) = damage {
            return Err(error);
        }
        // No entry begins there: the seq is inside an entry, or gone.
        wanted.next_if_eq(&begin);
    }
    Ok(requests)
}

/// The request that an entry begins with, if it accepts or adopts a payment.
fn request_in(entry: StoredEntry<'_>) -> Result<Option<Request>, ReplayError> {
    let mut request = None;
    decode_events(entry.bytes, |seq, event| {
        if seq == entry.first_seq {
            request = match event {
                Event::PaymentAccepted { request, .. } => Some(request),
                Event::PaymentAdopted { request, .. } => request.map(|request| *request),
                _ => None,
            };
        }
    })
    .map_err(|error| ReplayError::Entry { seq: entry.first_seq, error })?;
    Ok(request)
}
