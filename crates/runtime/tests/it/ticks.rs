//! Ticks through the handle: all that is due, in entries of bounded size.

use payonce_core::{Acknowledge, ClaimPart, FinalizePart, NotificationId, UnixMillis};

use crate::support::{NOW, Shared, disk, dispatch, id, open, part, preimage, send};

const PAYMENTS: u32 = 3_000;
const MINUTE: u64 = 60_000;

fn pay_and_acknowledge(ledger: &Shared) {
    ledger.execute_all((0..PAYMENTS).map(send), NOW).expect("accepted");
    ledger.execute_all((0..PAYMENTS).map(dispatch), NOW).expect("recorded");
    let claims = (0..PAYMENTS).map(|nth| ClaimPart::new(id(nth), part(nth), preimage(nth)));
    ledger.execute_all(claims, NOW).expect("the proofs");
    let gone = (0..PAYMENTS).map(|nth| FinalizePart { id: id(nth), part: part(nth) });
    ledger.execute_all(gone, NOW).expect("claimed");
    let unread: Vec<NotificationId> =
        ledger.query(|state| state.outbox().map(|at| at.id).collect()).expect("open");
    let acknowledged = unread.chunks(4_096).map(|ids| Acknowledge { ids: ids.to_vec() });
    ledger.execute_all(acknowledged, NOW).expect("seen");
}

#[test]
fn one_call_forgets_all_that_is_due() {
    for tasks in [false, true] {
        let disk = disk();
        let ledger = open(&disk);
        pay_and_acknowledge(&ledger);
        let mut forgotten = 0;
        for tick in 1..=8 {
            let now = UnixMillis(NOW.0 + tick * MINUTE);
            let told = if tasks {
                futures_executor::block_on(ledger.tick_async(now)).expect("open")
            } else {
                ledger.tick(now).expect("open")
            };
            assert!(told.counted && !told.more);
            forgotten += told.forgotten;
            assert_eq!(forgotten, if tick < 8 { 0 } else { PAYMENTS as usize }, "tick {tick}");
        }
        assert_eq!(ledger.query(|state| state.counts().fulfilled).expect("open"), 0);
    }
}
