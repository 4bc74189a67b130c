//! Listings on the shared handle, for threads and tasks.

use futures_executor::block_on;
use payonce_core::{
    Abandon, Acknowledge, FailureReason, ListError, Listing, ListingRefusal, Opening, Remember,
    StatusKind,
};
use payonce_runtime::{ExecuteError, SharedLedger, Unavailable};

use crate::support::{NOW, Shared, disk, id, options, send};

/// Ten payments, of which every other one failed and is only remembered.
fn shop() -> Shared {
    let opening = Opening::new(Remember::Forever, 42);
    let recovery = SharedLedger::open(disk().open(), &opening, options(), NOW).expect("sound");
    let ledger = recovery.finish(NOW).expect("nothing fails");
    for nth in 0..10 {
        let mut pay = send(nth);
        pay.request = pay.request.instructions(format!("lnbc{nth}")).metadata(format!("m{nth}"));
        ledger.execute(pay, NOW).expect("accepted");
        if nth % 2 == 0 {
            let reason = FailureReason::UserAbandoned;
            ledger.execute(Abandon { id: id(nth), reason }, NOW).expect("abandoned");
        }
    }
    let ids = ledger.query(|state| state.outbox().map(|told| told.id).collect()).expect("up");
    ledger.execute(Acknowledge { ids }, NOW).expect("read");
    ledger
}

#[test]
fn threads_and_tasks_see_the_same_pages_with_what_only_the_log_has() {
    let ledger = shop();
    let mut listing = Listing::new(3);
    let mut seen = Vec::new();
    loop {
        let page = ledger.list(&listing).expect("a page");
        assert_eq!(block_on(ledger.list_async(listing.clone())).expect("a page"), page);
        for listed in &page.payments {
            let request = listed.request.as_ref().expect("the log has it");
            let nth = 9 - seen.len();
            assert_eq!(request.instructions.as_bytes(), format!("lnbc{nth}").as_bytes());
            assert_eq!(listed.view.remembered, nth % 2 == 0);
            seen.push(listed.view.id);
        }
        match page.next {
            Some(next) => listing = listing.after(next),
            None => break,
        }
    }
    let all: Vec<_> = (0..10).rev().map(id).collect();
    assert_eq!(seen, all);
    let one = Listing::new(5).metadata_prefix("m4").statuses([StatusKind::Failed]);
    let page = ledger.list(&one).expect("a page");
    assert_eq!(page.payments.len(), 1);
    assert_eq!(page.payments[0].view.id, id(4));
}

#[test]
fn a_listing_is_refused_by_name_and_a_closed_ledger_lists_nothing() {
    let ledger = shop();
    let refused =
        ExecuteError::<_, Unavailable>::Refused(ListError::Refused(ListingRefusal::Limit {
            limit: 0,
            max: 1_000,
        }));
    for answer in [ledger.list(&Listing::new(0)), block_on(ledger.list_async(Listing::new(0)))] {
        assert_eq!(answer.expect_err("refused").to_string(), refused.to_string());
    }
    let clone = ledger.clone();
    drop(ledger.close().expect("the store"));
    for answer in [clone.list(&Listing::new(1)), block_on(clone.list_async(Listing::new(1)))] {
        assert!(
            matches!(answer, Err(ExecuteError::Unavailable(Unavailable::Closed))),
            "{answer:?}"
        );
    }
}
