//! The tick number and bounded work (scenarios 33, 34).

use payonce_core::UnixMillis;

use crate::support::{Scenario, T0, htlc, pay, play, seconds, window};

const YEAR_2099: UnixMillis = UnixMillis(4_070_908_800_000);

fn quiet_payment(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.claim("A", "p", "a").recorded();
    s.finalize("A", "p").recorded();
    s.acknowledge_all();
}

#[test]
fn s33_the_clock_was_wrong_once() {
    play(window(), |s| {
        quiet_payment(s);
        s.set_clock(YEAR_2099);
        s.tick_now();
        assert_eq!(s.state().tick(), 1);
        s.set_clock(T0.plus(seconds(60)));
        s.tick_now();
        assert_eq!(
            s.state().tick(),
            1,
            "the first tick at the right time only moves the reference"
        );
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
        quiet_payment(s);
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
