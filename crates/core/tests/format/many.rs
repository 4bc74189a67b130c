//! Snapshots of many payments, more than are decoded at a time: they read back as they were, and
//! what two payments must not share is found however far apart they are.

use payonce_core::{
    Config, Dispatch, FinishRecovery, Machine, MaxFee, Msat, NewPart, Operation, PartId, Pay,
    PaymentHash, PaymentId, Remember, Request, RetryPolicy, State,
};

use crate::{LEDGER, NOW};

const PAYMENTS: u32 = 3_000;

/// Names of their own for every payment and purpose, found nowhere else in an encoding.
fn name(nth: u32, purpose: u8) -> [u8; 32] {
    let mut bytes = [purpose; 32];
    bytes[..4].copy_from_slice(&nth.to_be_bytes());
    bytes
}

fn request(hash: PaymentHash) -> Request {
    Request::invoice(hash, Msat(2_000), MaxFee::Unlimited, RetryPolicy::Manual)
}

fn run<O: Operation<Reply: std::fmt::Debug>>(machine: &mut Machine, operation: O) {
    let step = machine.submit(operation, NOW);
    machine.confirmed(step.entry).expect("in order");
    machine.release(step.ticket).expect("durable").expect("sound");
}

/// So many pending payments, every third with two parts.
fn pending(payments: u32) -> State {
    let config = Config::new(Remember::Forever);
    let (mut machine, opened) = Machine::open(State::new(LEDGER, 0), config, "many", false, NOW);
    machine.confirmed([opened]).expect("in order");
    run(&mut machine, FinishRecovery);
    for nth in 0..payments {
        let id = PaymentId::from_bytes(name(nth, 0xa1));
        let hash = PaymentHash::from_bytes(name(nth, 0xa2));
        run(&mut machine, Pay::new(id, request(hash).expiry(NOW.plus(9))));
        let part = |purpose| PartId::from_bytes(name(nth, purpose));
        let new = |purpose| NewPart::htlc(part(purpose), Msat(1_000), Msat(1), 900_000 + nth);
        let mut parts = vec![new(0xa3)];
        parts.extend((nth % 3 == 0).then(|| new(0xa4)));
        run(&mut machine, Dispatch { id, attempt: 1, parts });
    }
    machine.durable_state().expect("nothing in flight").clone()
}

fn replaced(bytes: &[u8], old: [u8; 32], new: [u8; 32]) -> Vec<u8> {
    let at: Vec<_> = (0..bytes.len() - 32).filter(|at| bytes[*at..].starts_with(&old)).collect();
    let [at] = at[..] else { panic!("{} places", at.len()) };
    [&bytes[..at], &new, &bytes[at + 32..]].concat()
}

#[test]
fn many_payments_read_back_as_they_were() {
    for payments in [0, 1, 31, 32, 33, 511, 512, 513, PAYMENTS] {
        let state = pending(payments);
        let bytes = state.encode();
        let read = State::decode(&bytes, 7).expect("its own bytes");
        assert_eq!(read.encode(), bytes);
        assert_eq!(read.counts(), state.counts());
        assert_eq!(read.unresolved(), state.unresolved());
        for nth in 0..payments {
            let id = PaymentId::from_bytes(name(nth, 0xa1));
            assert_eq!(read.payment(&id), state.payment(&id), "payment {nth}");
        }
    }
}

#[test]
fn a_restored_state_goes_on() {
    let bytes = pending(33).encode();
    let state = State::decode(&bytes, 7).expect("its own bytes");
    let config = Config::new(Remember::Forever);
    let (mut machine, opened) = Machine::open(state, config, "many", false, NOW);
    machine.confirmed([opened]).expect("in order");
    run(&mut machine, FinishRecovery);
    for nth in 100..200 {
        let hash = PaymentHash::from_bytes(name(nth, 0xa2));
        let id = PaymentId::from_bytes(name(nth, 0xa1));
        run(&mut machine, Pay::new(id, request(hash)));
    }
    assert_eq!(machine.durable_state().expect("nothing in flight").counts().pending, 133);
}

#[test]
fn doubles_far_apart_are_refused() {
    let bytes = pending(PAYMENTS).encode();
    let last = PAYMENTS - 1;
    let doubles = [(0xa1, 0xa1, "payments"), (0xa3, 0xa3, "parts"), (0xa3, 0xa4, "parts")];
    for (of_last, of_first, what) in doubles {
        let double = replaced(&bytes, name(last, of_last), name(0, of_first));
        let error = State::decode(&double, 7).expect_err("a double").to_string();
        assert!(error.contains(&format!("two {what} with one id")), "{error}");
    }
    // In one payment.
    let double = replaced(&bytes, name(0, 0xa4), name(0, 0xa3));
    let error = State::decode(&double, 7).expect_err("a double").to_string();
    assert!(error.contains("two parts with one id"), "{error}");
}

/// What comes first in the bytes is told first.
#[test]
fn of_several_damages_the_first_is_told() {
    let bytes = pending(PAYMENTS).encode();
    let double = replaced(&bytes, name(600, 0xa1), name(0, 0xa1));
    let cut = &double[..double.len() / 2];
    let error = State::decode(cut, 7).expect_err("cut").to_string();
    assert!(error.contains("two payments with one id"), "{error}");
}
