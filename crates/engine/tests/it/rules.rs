//! The table of docs/INTEGRATING-API.md, row by row.

use payonce_core::{Msat, Preimage, UnixMillis};
use payonce_engine::{
    Key, Memory, Payout, Promises, Refusal, Shown, Why, Wire,
    rules::{Before, Conclusion, Known, before},
};

const LND: Promises = Promises { key: Key::PaymentHash, memory: Memory::Kept, wire: Wire::Direct };

/// Said once, an hour before anything is closed, after a try with mark 5.
fn known() -> Known {
    Known {
        promises: LND,
        seen: Some(5),
        sayings: 1,
        read: 0,
        gone: 0,
        was_shown: false,
        recorded_at: UnixMillis(1_000),
        closed_at: Some(UnixMillis(3_600_000)),
        now: UnixMillis(2_000),
    }
}

fn promising(key: Key, memory: Memory, wire: Wire) -> Known {
    Known { promises: Promises { key, memory, wire }, ..known() }
}

fn closed(known: Known) -> Known {
    Known { now: UnixMillis(3_600_000), ..known }
}

fn failed(mark: u64) -> Shown {
    Shown::Failed { mark: Some(mark), permanent: false, reason: "no route".into() }
}

const fn over(mark: u64) -> Conclusion {
    Conclusion::Failed { mark: Some(mark), permanent: false }
}

#[test]
fn a_success_counts_whoever_made_it() {
    let payout =
        Payout { preimage: Preimage::from_bytes([1; 32]), amount: Some(Msat(1)), fee: None };
    for known in
        [known(), closed(known()), promising(Key::Nothing, Memory::Unsure, Wire::MayRepeat)]
    {
        assert_eq!(known.conclusion(&Shown::Paid(payout)), Conclusion::Paid(payout));
    }
}

#[test]
fn an_end_that_was_there_before_ends_nothing() {
    for mark in [1, 5] {
        assert_eq!(known().conclusion(&failed(mark)), Conclusion::SayAgain);
    }
    let unmarked = Shown::Failed { mark: None, permanent: true, reason: String::new() };
    assert_eq!(known().conclusion(&unmarked), Conclusion::SayAgain);
    assert_eq!(known().conclusion(&failed(6)), over(6));
    let first = Known { seen: None, ..known() };
    assert_eq!(first.conclusion(&failed(1)), over(1));
}

#[test]
fn another_saying_may_still_come() {
    let twice = Known { sayings: 2, read: 1, ..known() };
    assert_eq!(twice.conclusion(&failed(6)), Conclusion::Out);
    assert_eq!(closed(twice).conclusion(&failed(6)), over(6));
    assert_eq!(Known { read: 2, ..twice }.conclusion(&failed(6)), over(6));
    assert_eq!(Known { gone: 1, ..twice }.conclusion(&failed(6)), over(6));
    let never = Known { closed_at: None, ..twice };
    assert_eq!(never.conclusion(&failed(6)), Conclusion::Operator(Why::Late));
    let proxy = promising(Key::PaymentHash, Memory::Kept, Wire::MayRepeat);
    assert_eq!(Known { read: 1, ..proxy }.conclusion(&failed(6)), Conclusion::Out);
    assert_eq!(closed(proxy).conclusion(&failed(6)), over(6));
}

#[test]
fn not_known_is_not_never_sent() {
    assert_eq!(known().conclusion(&Shown::NotKnown), Conclusion::SayAgain);
    assert_eq!(closed(known()).conclusion(&Shown::NotKnown), over(6));
    let gone = Known { gone: 1, ..known() };
    assert_eq!(gone.conclusion(&Shown::NotKnown), over(6), "nothing can wait any more");
    let forgotten = Conclusion::Operator(Why::Forgotten);
    assert_eq!(
        closed(Known { was_shown: true, ..known() }).conclusion(&Shown::NotKnown),
        forgotten
    );
    // Read and refused, there never was an entry.
    let refused = Known { read: 1, sayings: 2, ..known() };
    assert_eq!(refused.conclusion(&Shown::NotKnown), Conclusion::SayAgain);
    assert_eq!(closed(refused).conclusion(&Shown::NotKnown), over(6));
}

#[test]
fn who_forgets_cannot_say_that_nothing_was() {
    let forgets = Conclusion::Operator(Why::Forgets);
    for key in [Key::Part, Key::PaymentHash, Key::Nothing] {
        let unsure = promising(key, Memory::Unsure, Wire::Direct);
        assert_eq!(unsure.conclusion(&Shown::NotKnown), forgets);
        assert_eq!(closed(unsure).conclusion(&Shown::NotKnown), forgets);
        let a_while = promising(key, Memory::For(500), Wire::Direct);
        assert_eq!(a_while.conclusion(&Shown::NotKnown), forgets);
        let longer = promising(key, Memory::For(5_000_000), Wire::Direct);
        assert_ne!(longer.conclusion(&Shown::NotKnown), forgets);
        // A saying that comes when the engine has forgotten the other would be paid too: none is said.
        let shorter = promising(key, Memory::For(3_000_000), Wire::Direct);
        assert_eq!(shorter.conclusion(&Shown::NotKnown), Conclusion::Out);
        let never = Known { closed_at: None, ..longer };
        assert_eq!(never.conclusion(&Shown::NotKnown), Conclusion::Operator(Why::Late));
    }
}

#[test]
fn by_what_it_tells_a_repeat() {
    let ours = promising(Key::Part, Memory::Kept, Wire::MayRepeat);
    assert_eq!(
        ours.conclusion(&failed(1)),
        over(1),
        "an id whose try has ended is never tried again"
    );
    assert_eq!(ours.conclusion(&Shown::NotKnown), Conclusion::SayAgain);
    let nothing = promising(Key::Nothing, Memory::Kept, Wire::Direct);
    assert_eq!(nothing.conclusion(&Shown::NotKnown), Conclusion::Out, "never said twice");
    let never = Known { closed_at: None, ..nothing };
    assert_eq!(never.conclusion(&Shown::NotKnown), Conclusion::Operator(Why::Late));
}

#[test]
fn an_end_from_before_the_beginning_is_forgetting() {
    // The engine had shown this try, and shows the one before it again: its database was put back.
    let shown = Known { was_shown: true, ..known() };
    for known in [shown, closed(shown), Known { gone: 1, ..shown }] {
        assert_eq!(known.conclusion(&failed(5)), Conclusion::Operator(Why::Forgotten));
        assert_eq!(known.conclusion(&failed(6)), over(6));
    }
}

#[test]
fn what_is_shown_before_a_hand_over() {
    let paid = Payout { preimage: Preimage::from_bytes([1; 32]), amount: None, fee: None };
    let unmarked = Shown::Failed { mark: None, permanent: false, reason: String::new() };
    for key in [Key::Part, Key::PaymentHash, Key::Nothing] {
        let promises = Promises { key, ..LND };
        assert_eq!(before(&promises, &Shown::Paid(paid)), Before::Paid(paid));
        assert_eq!(before(&promises, &Shown::Out { mark: None }), Before::Out);
        assert_eq!(before(&promises, &Shown::NotKnown), Before::Free { seen: None });
        let ours = key == Key::Part;
        let seen = Before::Free { seen: (!ours).then_some(4) };
        assert_eq!(before(&promises, &failed(4)), seen);
        let free = Before::Free { seen: None };
        assert_eq!(before(&promises, &unmarked), if ours { free } else { Before::Unmarked });
    }
}

#[test]
fn what_was_not_read_is_withdrawn_if_no_copy_can_come() {
    assert!(known().was_never_read());
    assert!(!Known { sayings: 2, ..known() }.was_never_read());
    assert!(!promising(Key::PaymentHash, Memory::Kept, Wire::MayRepeat).was_never_read());
}

#[test]
fn a_refusal_ends_what_it_answers() {
    let refusal = Refusal { why: "expired".into(), permanent: true };
    let failure = known().refused(&refusal).expect("the only saying");
    assert_eq!((failure.permanent, failure.mark), (true, Some(6)));
    assert_eq!(Known { sayings: 2, read: 1, ..known() }.refused(&refusal), None);
    let proxy = promising(Key::PaymentHash, Memory::Kept, Wire::MayRepeat);
    assert_eq!(proxy.refused(&refusal), None);
}
