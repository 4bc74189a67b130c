//! The state as it was: at every seq, and at every moment.

use payonce_core::{
    Abandon, FailureReason, Ledger, LedgerId, MaxFee, Msat, Opening, Pay, PaymentHash, PaymentId,
    Remember, Replay, Request, RetryPolicy, StoreError, UnixMillis, Until, state_at,
};
use payonce_store_memory::MemoryDisk;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

#[test]
fn every_seq_and_every_moment_has_the_state_of_its_entry() {
    let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
    let recovery = Ledger::open(disk.open(), &Opening::new(Remember::Forever, 7), NOW);
    let mut ledger = recovery.expect("new").finish(NOW).expect("new");
    for byte in 1..=9 {
        let (id, hash) = (PaymentId::from_bytes([byte; 32]), PaymentHash::from_bytes([byte; 32]));
        let request = Request::invoice(hash, Msat(5), MaxFee::Unlimited, RetryPolicy::Manual);
        let now = NOW.plus(u64::from(byte) * 1_000);
        ledger.execute(Pay::new(id, request), now).expect("new");
        let reason = FailureReason::UserAbandoned;
        // Two events in one entry: there is no state between them.
        ledger.execute(Abandon { id, reason }, now.plus(500)).expect("known");
        if byte == 5 {
            ledger.save_snapshot().expect("room");
        }
    }
    let log = ledger.into_store();
    let mut replay = Replay::from_beginning(&log, 7).expect("sound");
    let digest = |until| state_at(&log, until, 7).map(|state| state.digest());
    assert_eq!(digest(Until::Seq(0)).expect("empty"), replay.state().digest());
    payonce_core::EventSource::replay(&log, 1, &mut |entry| {
        let first = entry.first_seq;
        let now = payonce_core::EntryHeader::read(entry.bytes).expect("sound").now;
        replay.entry(entry).expect("sound");
        let state = replay.state();
        for seq in first..=state.head().seq {
            assert_eq!(digest(Until::Seq(seq)).expect("there"), state.digest(), "seq {seq}");
        }
        if now > NOW {
            assert_eq!(digest(Until::Time(now)).expect("there"), state.digest());
            assert_eq!(digest(Until::Time(now.plus(499))).expect("there"), state.digest());
        }
        std::ops::ControlFlow::Continue(())
    })
    .expect("sound");
    let beyond = state_at(&log, Until::Seq(replay.state().head().seq + 1), 7);
    let missing = |error: &payonce_core::ReplayError| {
        matches!(error, payonce_core::ReplayError::Store(StoreError::Missing { .. }))
    };
    assert!(beyond.as_ref().err().is_some_and(missing), "{beyond:?}");
}
