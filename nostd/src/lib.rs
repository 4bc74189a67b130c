//! Links payonce-core as a program without std: with a panic handler and an allocator of its own.
//! If anything in its tree linked std, there would be two panic handlers and this would not compile.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use core::panic::PanicInfo;

use payonce_core::{
    Config, Machine, MaxFee, Msat, Pay, PaymentHash, PaymentId, Remember, Request, RetryPolicy,
    State, Step, UnixMillis,
};

#[global_allocator]
static MEMORY: emballoc::Allocator<{ 64 << 10 }> = emballoc::Allocator::new();

#[panic_handler]
fn halt(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Takes the machine through one command, which no clock, thread, file or random number serves.
#[must_use]
pub fn accept(state: State, now: UnixMillis) -> Option<usize> {
    let (mut machine, opened) =
        Machine::open(state, Config::new(Remember::Forever), "", false, now);
    machine.confirmed([opened]).ok()?;
    let hash = PaymentHash::from_bytes([7; 32]);
    let (max_fee, retry) = (MaxFee::Unlimited, RetryPolicy::Manual);
    let request = Request::invoice(hash, Msat(1_000), max_fee, retry);
    let id = PaymentId::from_payment_hash(hash);
    let Step { entry, .. } = machine.submit(Pay::new(id, request), now);
    let entry = entry?;
    let bytes = entry.bytes().len();
    machine.confirmed([entry]).ok()?;
    Some(bytes)
}
