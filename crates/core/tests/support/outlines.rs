//! An outline tells of live payments what the whole state tells, and how many are remembered.

use payonce_core::{
    Outline, Payment, PaymentView, State, StatusKind, StoredEntry, UnixMillis, decode_events,
};

const KINDS: [StatusKind; 5] = [
    StatusKind::AwaitingInvoice,
    StatusKind::Pending,
    StatusKind::Fulfilled,
    StatusKind::Abandoned,
    StatusKind::Failed,
];

/// That the outline of a snapshot, with the entries after it, is that of `whole`; or that it says which
/// remembered payment it would need.
pub(super) fn check(
    snapshot: &[u8],
    at: &State,
    entries: &[StoredEntry<'_>],
    whole: &State,
    now: UnixMillis,
) {
    keeps_what_is_asked_for(snapshot, at);
    let mut outline = Outline::decode(snapshot, 79, |_| false).expect("it was encoded");
    assert_same(&outline, at, now);
    for entry in entries {
        let before = outline.counts();
        if outline.entry(*entry).expect("the rest fits the snapshot") {
            continue;
        }
        assert_eq!(outline.counts(), before, "nothing is half folded");
        assert!(is_about_a_remembered_one(entry, at), "nothing is passed over without a need");
        return;
    }
    assert_same(&outline, whole, now);
}

fn assert_same(outline: &Outline, whole: &State, now: UnixMillis) {
    let live = outline.state();
    assert_eq!(outline.counts(), whole.counts());
    assert_eq!(of(live), of(whole));
    assert!(live.outbox().eq(whole.outbox()));
    assert!(live.foreign_parts().eq(whole.foreign_parts()));
    assert!(live.blocked_hashes().eq(whole.blocked_hashes()));
    assert_eq!(live.due(now), whole.due(now));
    assert_eq!(live.overdue(u32::MAX), whole.overdue(u32::MAX));
    let log = |state: &State| {
        (state.head(), state.epoch(), state.tick(), state.is_recovering(), state.is_restored())
    };
    assert_eq!(log(live), log(whole));
}

fn of(state: &State) -> Vec<(&Payment, Option<PaymentView>)> {
    let payments = KINDS.into_iter().flat_map(|kind| state.payments(kind));
    payments.map(|payment| (payment, state.payment_view(payment.id()))).collect()
}

fn is_about_a_remembered_one(entry: &StoredEntry<'_>, at: &State) -> bool {
    let mut is = false;
    decode_events(entry.bytes, |_, event| {
        let view = event.payment().and_then(|id| at.payment_view(id));
        is |= view.is_some_and(|view| view.remembered);
    })
    .expect("the log is sound");
    is
}

/// One that is kept is as it was, and the rest is counted.
fn keeps_what_is_asked_for(snapshot: &[u8], at: &State) {
    let mut nth = 0;
    let every_other = |_: &[u8]| {
        nth += 1;
        nth % 2 == 0
    };
    let outline = Outline::decode(snapshot, 80, every_other).expect("it was encoded");
    assert_eq!(outline.counts(), at.counts());
    assert_eq!(outline.state().counts().remembered, at.counts().remembered / 2);
    let all = Outline::decode(snapshot, 80, |_| true).expect("it was encoded").into_state();
    assert_eq!(all.digest(), at.digest());
}
