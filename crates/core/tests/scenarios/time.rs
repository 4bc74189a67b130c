//! The tick number and bounded work (scenarios 33, 34).

use payonce_core::{
    Acknowledge, Deadline, Ledger, LedgerId, MarkPaid, Opening, PaymentId, Remember, State, Tick,
    UnixMillis,
};
use payonce_store_memory::{Failure, MemoryDisk, MemoryStore};

use crate::support::{Scenario, T0, htlc, live, offer, pay, play, seconds, window};

const YEAR_2099: UnixMillis = UnixMillis(4_070_908_800_000);

fn idle_payment(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.claim("A", "p", "a").recorded();
    s.finalize("A", "p").recorded();
    s.acknowledge_all();
}

#[test]
fn s33_the_clock_was_wrong_once() {
    play(window(), |s| {
        idle_payment(s);
        s.set_clock(YEAR_2099);
        s.tick_now();
        assert_eq!(s.state().tick(), 0, "a reading that far away is not believed");
        s.set_clock(T0.plus(seconds(60)));
        s.tick_now();
        assert_eq!(s.state().tick(), 1);
        s.ticks(6);
        s.is("A", "Fulfilled");
        s.tick();
        assert_eq!(s.state().tick(), 8);
        s.is("A", "unknown");
    });
}

#[test]
fn s33_a_restart_loop() {
    play(window(), |s| {
        idle_payment(s);
        s.tick();
        assert_eq!(s.state().tick(), 1);
        for _ in 0..20 {
            s.pass(50);
            s.restart();
            s.tick_now();
        }
        assert_eq!(s.state().tick(), 1, "a second has passed");
        s.is("A", "Fulfilled");
    });
}

#[test]
fn a_tick_counts_from_the_interval_on() {
    play(window(), |s| {
        idle_payment(s);
        s.tick_now();
        s.pass(seconds(30) - 1);
        s.tick_now();
        assert_eq!(s.state().tick(), 1);
        s.pass(1);
        s.tick_now();
        assert_eq!(s.state().tick(), 2);
        s.run(Tick::new()).no_change();
    });
}

#[test]
fn an_interval_of_zero_counts_every_tick() {
    let mut config = window();
    config.min_tick_interval_ms = 0;
    live(config, |s| {
        idle_payment(s);
        for _ in 0..7 {
            s.tick_now();
        }
        s.is("A", "Fulfilled");
        s.tick_now();
        s.is("A", "unknown");
    });
}

#[test]
fn a_tick_that_nobody_waits_for_records_nothing() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        for _ in 0..5 {
            s.pass(seconds(60));
            s.run(Tick::new()).no_change();
        }
        assert_eq!(s.state().tick(), 0);
    });
}

/// An unread notification and a late part both make a payment unquiet; the window begins anew.
#[test]
fn any_unquiet_moment_begins_the_window_anew() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 500, 1)]).recorded();
        s.fail("A", "q").recorded();
        s.claim("A", "p", "a").recorded();
        s.finalize("A", "p").recorded();
        s.acknowledge_all();
        s.ticks(7);
        s.claim("A", "q", "a").recorded();
        s.ticks(7);
        s.acknowledge_all();
        s.ticks(7);
        s.is("A", "Fulfilled");
        s.tick();
        s.is("A", "unknown");
    });
}

#[test]
fn an_absolute_deadline_acts_at_every_tick() {
    play(window(), |s| {
        let deadline = s.now().plus(seconds(10));
        s.send("A", offer("o", 1_000, Deadline::At(deadline))).accepted();
        s.send("B", offer("x", 1_000, Deadline::Ticks(99))).accepted();
        s.tick_now();
        s.pass(seconds(10));
        s.tick_now();
        assert_eq!(s.state().tick(), 1, "too early to count");
        s.unread(&["A failed InvoiceRequestExpired"]);
    });
}

/// Of a hundred thousand, a bounded number an entry, and the reply says whether more is due.
#[test]
fn s34_a_tick_with_a_hundred_thousand_forgets() {
    const PAYMENTS: u32 = 100_000;
    let disk = MemoryDisk::new(LedgerId::from_bytes([9; 32]));
    let mut opening = Opening::new(Remember::Window, 5);
    opening.config.min_tick_interval_ms = 0;
    let open = |disk: &MemoryDisk| {
        let recovery = Ledger::open(disk.open(), &opening, T0).expect("the log is sound");
        recovery.finish(T0).expect("nothing fails")
    };
    let mut ledger = open(&disk);
    let nth = |n: u32| PaymentId::from_bytes(std::array::from_fn(|at| n.to_be_bytes()[at % 4]));
    let paid = (0..PAYMENTS).map(|n| MarkPaid::new(nth(n)));
    ledger.execute_all(paid, T0).expect("nothing fails");
    let unread: Vec<_> =
        ledger.query(|state| state.outbox().map(|at| at.id).collect()).expect("up");
    assert_eq!(unread.len(), PAYMENTS as usize);
    let chunks = unread.chunks(4_096).map(|ids| Acknowledge { ids: ids.to_vec() });
    ledger.execute_all(chunks, T0).expect("nothing fails");
    for _ in 0..7 {
        let reply = ledger.execute(Tick::new(), T0).expect("nothing fails");
        assert_eq!((reply.counted, reply.forgotten, reply.more), (true, 0, false));
    }
    ledger.save_snapshot().expect("nothing fails");
    let before = disk.image();
    let (entries, forgotten) = worked_off(&mut ledger);
    assert_eq!(forgotten, PAYMENTS as usize);
    assert_eq!(entries, 98, "1,024 an entry");
    assert_eq!(ledger.query(State::counts).expect("up").fulfilled, 0);
    for (nth, failure) in [(2, Failure::BeforeEffect), (50, Failure::AfterEffect)] {
        let disk = MemoryDisk::from_image(before.clone());
        let mut ledger = open(&disk);
        disk.fail_nth(nth, failure);
        while ledger.execute(Tick::new(), T0).is_ok() {}
        drop(ledger);
        let mut ledger = open(&disk);
        worked_off(&mut ledger);
        assert_eq!(ledger.query(State::counts).expect("up").fulfilled, 0);
        assert_eq!(ledger.query(State::tick).expect("up"), 8, "unfinished work counts nothing");
    }
}

/// How many entries it took, and how many payments were forgotten.
fn worked_off(ledger: &mut Ledger<MemoryStore>) -> (usize, usize) {
    let (mut entries, mut forgotten) = (0, 0);
    loop {
        let reply = ledger.execute(Tick::new(), T0).expect("nothing fails");
        entries += 1;
        forgotten += reply.forgotten;
        assert!(reply.forgotten <= 1_024);
        if !reply.more {
            return (entries, forgotten);
        }
    }
}
