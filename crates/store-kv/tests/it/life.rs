//! A whole life of payments through a ledger over LDK's file system store: paid, failed, in flight
//! through a restart, with snapshots and history dropped.

use std::sync::Arc;

use lightning_persister::fs_store::FilesystemStore;
use payonce_core::{
    Acknowledge, ClaimPart, Dispatch, EventSource, FailPart, Failure, FinalizePart, Ledger, MaxFee,
    Msat, NewPart, Opening, PartId, Pay, PayReply, PaymentId, Preimage, Recovery, Remember,
    Request, RetryPolicy, State, Status, UnixMillis,
};
use payonce_store_kv::{KvStore, Namespace};

use crate::support;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

type Disked = KvStore<Arc<FilesystemStore>>;

fn opening() -> Opening {
    let mut opening = Opening::new(Remember::Forever, 7);
    opening.single_writer = true;
    opening
}

/// As a newly started process opens it.
fn open(directory: &tempfile::TempDir) -> Recovery<Disked> {
    let kv = Arc::new(FilesystemStore::new(directory.path().into()));
    let store = KvStore::open(kv, Namespace::default()).expect("sound");
    Ledger::open(store, &opening(), NOW).expect("sound")
}

fn id(name: u16) -> PaymentId {
    let mut bytes = [1; 32];
    bytes[..2].copy_from_slice(&name.to_le_bytes());
    PaymentId::from_bytes(bytes)
}

fn preimage(name: u16) -> Preimage {
    Preimage::from_bytes(*id(name).as_bytes())
}

fn part(name: u16) -> PartId {
    let mut bytes = *id(name).as_bytes();
    bytes[31] = 2;
    PartId::from_bytes(bytes)
}

fn send(name: u16) -> Pay {
    let (hash, retry) = (preimage(name).payment_hash(), RetryPolicy::Attempts(0));
    Pay::new(id(name), Request::invoice(hash, Msat(50_000), MaxFee::Unlimited, retry))
}

fn dispatch(ledger: &mut Ledger<Disked>, name: u16) {
    ledger.execute(send(name), NOW).expect("accepted");
    let htlc = NewPart::htlc(part(name), Msat(50_000), Msat(10), 900_000);
    ledger
        .execute(Dispatch { id: id(name), attempt: 1, parts: vec![htlc] }, NOW)
        .expect("recorded");
}

fn pay(ledger: &mut Ledger<Disked>, name: u16) {
    dispatch(ledger, name);
    ledger.execute(ClaimPart::new(id(name), part(name), preimage(name)), NOW).expect("claimed");
    ledger.execute(FinalizePart { id: id(name), part: part(name) }, NOW).expect("off the channel");
    acknowledge(ledger);
}

fn acknowledge(ledger: &mut Ledger<Disked>) {
    let unread = |state: &State| state.outbox().map(|notification| notification.id).collect();
    let ids = ledger.query(unread).expect("sound");
    ledger.execute(Acknowledge { ids }, NOW).expect("read");
}

fn expect_paid(ledger: &mut Ledger<Disked>, name: u16) {
    let repeat = ledger.execute(send(name), NOW).expect("a repeat");
    let PayReply::Duplicate(known) = repeat else { panic!("{name} would be paid twice") };
    let proof = known.paid.expect("paid").preimage;
    assert_eq!((known.status, proof), (Status::Fulfilled, Some(preimage(name))));
}

#[test]
fn invoices_are_paid_once_through_snapshots_dropped_history_and_restarts() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let kv = Arc::new(FilesystemStore::new(directory.path().into()));
    drop(KvStore::create(kv, Namespace::default(), support::ledger()).expect("an empty one"));

    let mut ledger = open(&directory).finish(NOW).expect("sound");
    for name in 0..10 {
        pay(&mut ledger, name);
    }
    ledger.save_snapshot().expect("saved");
    dispatch(&mut ledger, 10);
    drop(ledger);

    // The process died with a part out; the node says what became of it.
    let mut recovery = open(&directory);
    let out = recovery.unresolved().expect("sound");
    assert_eq!(out.iter().map(|out| out.part.id).collect::<Vec<_>>(), [part(10)]);
    let mut ledger = recovery.finish(NOW).expect("sound");
    assert!(matches!(ledger.execute(send(10), NOW), Ok(PayReply::Duplicate(_))));
    ledger.execute(ClaimPart::new(id(10), part(10), preimage(10)), NOW).expect("claimed");
    ledger.execute(FinalizePart { id: id(10), part: part(10) }, NOW).expect("off the channel");
    dispatch(&mut ledger, 11);
    let failure = Failure::permanent();
    ledger.execute(FailPart { id: id(11), part: part(11), failure }, NOW).expect("failed");
    acknowledge(&mut ledger);

    let stored = ledger.save_snapshot().expect("saved");
    let base = ledger.drop_history(stored, 3).expect("dropped");
    assert_eq!(base, stored);
    pay(&mut ledger, 12);
    ledger.verify(5).expect("nothing was edited");
    let (head, digest) = (ledger.head(), ledger.query(State::digest).expect("sound"));
    let store = ledger.into_store();
    assert_eq!(store.head().expect("sound"), head);
    store.verify().expect("sound");
    drop(store);

    let kv = FilesystemStore::new(directory.path().into());
    let store = KvStore::open(&kv, Namespace::default()).expect("sound");
    let replayed = payonce_core::verify(&store, 9).expect("sound");
    assert_eq!((replayed.head(), replayed.digest()), (head, digest));
    let files = std::fs::read_dir(directory.path().join("payonce")).expect("there").count();
    assert!(files < 12, "{files} files: history was dropped");

    let mut ledger = open(&directory).finish(NOW).expect("sound");
    for name in (0..11).chain([12]) {
        expect_paid(&mut ledger, name);
    }
    let again = ledger.execute(send(11), NOW).expect("a repeat");
    assert!(
        matches!(again, PayReply::Duplicate(known) if matches!(known.status, Status::Failed { .. }))
    );
}
