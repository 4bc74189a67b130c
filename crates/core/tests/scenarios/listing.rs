//! Listings against the list that the test itself kept.

use payonce_core::{
    Abandon, Acknowledge, ClaimPart, Deadline, Dispatch, ExecuteError, FailureReason, FinalizePart,
    Ledger, LedgerId, ListError, ListedPayment, Listing, ListingCursor, ListingRefusal, MaxFee,
    Msat, NewPart, OfferHash, Opening, Page, PartId, Pay, PaymentId, Preimage, Remember, Request,
    RetryPolicy, StatusKind, Target, TargetKind, Tick, UnixMillis,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

use crate::support::T0;

/// What the test knows of a payment that it made.
#[derive(Debug, Clone)]
struct Made {
    id: PaymentId,
    kind: TargetKind,
    status: StatusKind,
    remembered: bool,
    at: UnixMillis,
    metadata: String,
}

struct Shop {
    disk: MemoryDisk,
    ledger: Ledger<MemoryStore>,
    made: Vec<Made>,
}

fn open(disk: &MemoryDisk, at: UnixMillis) -> Ledger<MemoryStore> {
    let recovery = Ledger::open(disk.open(), &Opening::new(Remember::Forever, 1), at);
    recovery.expect("it opens").finish(at).expect("nothing fails")
}

fn id(number: u8) -> PaymentId {
    PaymentId::from_bytes([number; 32])
}

fn request(number: u8, kind: TargetKind, metadata: &str) -> Request {
    let preimage = Preimage::from_bytes([number; 32]);
    let target = match kind {
        TargetKind::Invoice => Target::Invoice { payment_hash: preimage.payment_hash() },
        TargetKind::Spontaneous => Target::Spontaneous { preimage },
        TargetKind::Offer => Target::Offer {
            offer_hash: OfferHash::from_bytes([number; 32]),
            deadline: Deadline::Ticks(1_000),
        },
    };
    Request::new(target, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual)
        .metadata(metadata)
        .instructions(format!("lnbc{number}"))
}

impl Shop {
    /// Thirty payments of every kind: open, paid, failed; the first twenty are forgotten where they can be.
    fn new() -> Self {
        let disk = MemoryDisk::new(LedgerId::from_bytes([9; 32]));
        let ledger = open(&disk, T0);
        let mut shop = Self { disk, ledger, made: Vec::new() };
        (0..20).for_each(|number| shop.make(number));
        for tick in 1..=12 {
            let at = T0.plus(1_000_000 + tick * 60_000);
            shop.ledger.execute(Tick::new(), at).expect("ticked");
        }
        for made in &mut shop.made {
            made.remembered = matches!(made.status, StatusKind::Fulfilled | StatusKind::Failed);
        }
        (20..30).for_each(|number| shop.make(number));
        shop
    }

    fn make(&mut self, number: u8) {
        let kinds = [TargetKind::Invoice, TargetKind::Spontaneous, TargetKind::Offer];
        let (kind, at) = (kinds[usize::from(number) % 3], T0.plus(u64::from(number) * 10));
        let metadata = format!("shop-{}/order-{number}", number % 2);
        let pay = Pay::new(id(number), request(number, kind, &metadata));
        self.ledger.execute(pay, at).expect("accepted");
        let mut status = match kind {
            TargetKind::Offer => StatusKind::AwaitingInvoice,
            _ => StatusKind::Pending,
        };
        match number % 4 {
            1 if kind != TargetKind::Offer => {
                let part = PartId::from_bytes([number; 32]);
                let parts = vec![NewPart::htlc(part, Msat(1_000), Msat(1), 800_000)];
                let dispatch = Dispatch { id: id(number), attempt: 1, parts };
                self.ledger.execute(dispatch, at).expect("dispatched");
                let claim = ClaimPart::new(id(number), part, Preimage::from_bytes([number; 32]));
                self.ledger.execute(claim, at).expect("claimed");
                let done = FinalizePart { id: id(number), part };
                self.ledger.execute(done, at).expect("finalized");
                status = StatusKind::Fulfilled;
            }
            2 => {
                self.ledger
                    .execute(Abandon { id: id(number), reason: FailureReason::UserAbandoned }, at)
                    .expect("abandoned");
                status = StatusKind::Failed;
            }
            _ => {}
        }
        let unread = self.ledger.query(|state| state.outbox().map(|told| told.id).collect());
        self.ledger.execute(Acknowledge { ids: unread.expect("up") }, at).expect("read");
        // Once it is read, a failure is only remembered.
        let remembered = status == StatusKind::Failed;
        self.made.push(Made { id: id(number), kind, status, remembered, at, metadata });
    }

    fn page(&mut self, listing: &Listing) -> Page {
        self.ledger.list(listing).expect("a page")
    }

    /// All pages of a listing, one after the other.
    fn all(&mut self, listing: &Listing) -> Vec<ListedPayment> {
        let (mut all, mut listing) = (Vec::new(), listing.clone());
        loop {
            let page = self.page(&listing);
            let next = page.next;
            assert!(!page.payments.is_empty() || next.is_none(), "a page of nothing has no next");
            all.extend(page.payments);
            match next {
                Some(cursor) => listing = listing.after(cursor),
                None => return all,
            }
        }
    }

    fn expect(&mut self, what: &str, listing: Listing, passes: impl Fn(&Made) -> bool) {
        let mut wanted: Vec<_> =
            self.made.iter().filter(|made| passes(made)).map(|made| made.id).collect();
        let oldest = self.all(&listing.clone().oldest_first());
        assert_eq!(ids(&oldest), wanted, "{what}, oldest first");
        wanted.reverse();
        assert_eq!(ids(&self.all(&listing)), wanted, "{what}, newest first");
    }

    fn refused(&mut self, listing: &Listing) -> ListingRefusal {
        match self.ledger.list(listing) {
            Err(ExecuteError::Refused(ListError::Refused(refusal))) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }
}

fn ids(listed: &[ListedPayment]) -> Vec<PaymentId> {
    listed.iter().map(|listed| listed.view.id).collect()
}

#[test]
fn a_listing_is_what_passes_its_filters_in_order_on_pages_of_any_size() {
    let mut shop = Shop::new();
    assert!(shop.made.iter().any(|made| made.remembered), "some are only remembered");
    let hash = Preimage::from_bytes([13; 32]).payment_hash();
    let until = T0.plus(120);
    for limit in [1, 2, 3, 7, 29, 30, 31, 1_000] {
        let all = || Listing::new(limit);
        shop.expect("all", all(), |_| true);
        shop.expect("live", all().live(), |made| !made.remembered);
        shop.expect("remembered", all().remembered(), |made| made.remembered);
        let paid = all().statuses([StatusKind::Fulfilled, StatusKind::Failed]);
        shop.expect("over", paid, |made| {
            matches!(made.status, StatusKind::Fulfilled | StatusKind::Failed)
        });
        for kind in [TargetKind::Invoice, TargetKind::Spontaneous, TargetKind::Offer] {
            shop.expect("a kind", all().kind(kind), |made| made.kind == kind);
        }
        shop.expect("metadata", all().metadata_prefix("shop-1/"), |made| {
            made.metadata.starts_with("shop-1/")
        });
        shop.expect("a rare one", all().metadata_prefix("shop-1/order-9"), |made| {
            made.metadata == "shop-1/order-9"
        });
        shop.expect("from", all().accepted_from(until), |made| made.at >= until);
        shop.expect("before", all().accepted_before(until), |made| made.at < until);
        shop.expect("a hash", all().payment_hash(hash), |made| made.id == id(13));
        let none = all().accepted_from(until).accepted_before(until);
        shop.expect("an empty range", none, |_| false);
    }
}

/// Over or only remembered, live or after a start from a snapshot: the log has what the state has no more.
#[test]
fn what_the_state_has_no_more_is_read_from_the_log() {
    let mut shop = Shop::new();
    let told = |listed: &ListedPayment| {
        let request = listed.request.as_ref().expect("the log has it");
        (listed.view.id, request.instructions.as_bytes().to_vec(), request.metadata.clone())
    };
    let before = shop.all(&Listing::new(7));
    for listed in &before {
        let made = shop.made.iter().find(|made| made.id == listed.view.id).expect("made");
        let (_, instructions, metadata) = told(listed);
        assert_eq!(instructions, format!("lnbc{}", made.id.as_bytes()[0]).into_bytes());
        assert_eq!(metadata.as_bytes(), made.metadata.as_bytes());
        assert_eq!((listed.accepted_at, listed.view.status.kind()), (made.at, made.status));
        assert_eq!(listed.attempts.is_none(), listed.view.remembered);
    }
    shop.ledger.save_snapshot().expect("kept");
    shop.ledger = open(&shop.disk, T0.plus(9_000_000));
    assert_eq!(shop.all(&Listing::new(7)), before);
    // Where history was dropped the outcome is left, and what a filter would ask is not known.
    shop.ledger.save_snapshot().expect("kept");
    let head = shop.ledger.head();
    shop.ledger.drop_history(head, 1).expect("dropped");
    let after = shop.all(&Listing::new(7));
    assert_eq!(ids(&after), ids(&before));
    for (now, was) in after.iter().zip(&before) {
        assert_eq!(now.view, was.view);
        assert_eq!(now.request.is_none(), now.view.remembered, "{:?}", now.view);
    }
    let live = shop.all(&Listing::new(7).metadata_prefix("shop-"));
    assert!(live.iter().all(|listed| !listed.view.remembered));
}

/// What comes while somebody turns pages is on none of the later ones, and nothing is told twice.
#[test]
fn a_page_goes_on_where_the_one_before_ended() {
    let mut shop = Shop::new();
    let first = shop.page(&Listing::new(10));
    shop.make(30);
    let cursor = first.next.expect("there are more");
    let cursor: ListingCursor = cursor.to_string().parse().expect("it reads back");
    let rest = shop.all(&Listing::new(10).after(cursor));
    let mut seen = ids(&first.payments);
    seen.extend(ids(&rest));
    let mut made: Vec<_> = shop.made[..30].iter().map(|made| made.id).collect();
    made.reverse();
    assert_eq!(seen, made);
}

#[test]
fn a_listing_that_makes_no_sense_is_refused() {
    let mut shop = Shop::new();
    for limit in [0, Listing::MAX_LIMIT + 1] {
        let refusal = shop.refused(&Listing::new(limit));
        assert_eq!(refusal, ListingRefusal::Limit { limit, max: Listing::MAX_LIMIT });
    }
    let (from, until) = (T0.plus(2), T0.plus(1));
    let reversed = Listing::new(1).accepted_from(from).accepted_before(until);
    assert_eq!(shop.refused(&reversed), ListingRefusal::ReversedBounds { from, until });
    let other: ListingCursor = "3-0808080808080808".parse().expect("a cursor");
    let refusal = shop.refused(&Listing::new(1).after(other));
    assert_eq!(refusal, ListingRefusal::OtherLedger { cursor: other });
    let beyond: ListingCursor = "99999-0909090909090909".parse().expect("a cursor");
    let head = shop.ledger.head().seq;
    let refusal = shop.refused(&Listing::new(1).after(beyond));
    assert_eq!(refusal, ListingRefusal::BeyondHead { cursor: beyond, head });
    for text in ["", "3", "3-", "-0909090909090909", "x-0909090909090909", "3-09"] {
        assert!(text.parse::<ListingCursor>().is_err(), "{text}");
    }
}

/// Requests that lie far apart in the log are read one by one, those between them are passed over.
#[test]
fn requests_far_apart_in_the_log_are_read() {
    let mut shop = Shop::new();
    for number in 0..10_500_u64 {
        let mut bytes = [0xee; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let hash = Preimage::from_bytes(bytes).payment_hash();
        let (id, retry) = (PaymentId::from_bytes(bytes), RetryPolicy::Manual);
        let request = Request::invoice(hash, Msat(1), MaxFee::Unlimited, retry);
        shop.ledger.execute(Pay::new(id, request), T0).expect("accepted");
    }
    // The thirtieth fails, and is only remembered, as some of the first are.
    shop.make(30);
    let listed = shop.all(&Listing::new(1_000).remembered());
    assert!(listed.len() > 5);
    for payment in &listed {
        let request = payment.request.as_ref().expect("the log has it");
        let number = payment.view.id.as_bytes()[0];
        assert_eq!(request.instructions.as_bytes(), format!("lnbc{number}").as_bytes());
    }
    assert_eq!(listed[0].view.id, id(30));
}
