//! A first program against the published packages: one payment, told twice, paid once.

use payonce::{ClaimPart, NewPart, PartId, PayReply, Status};
use payonce::{
    Dispatch, Ledger, LedgerId, MaxFee, Msat, Opening, Pay, PaymentId, Preimage, Remember, Request,
    RetryPolicy, UnixMillis,
    store_fs::{FsStore, Options},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (dir, now) = (tempfile::tempdir()?, UnixMillis(1_790_000_000_000));
    let (store, _) = FsStore::create(&dir, LedgerId::from_bytes([7; 32]), Options::default())?;
    let opening = Opening::new(Remember::Forever, 42);
    let mut ledger = Ledger::open(store, &opening, now)?.finish(now)?;

    let preimage = Preimage::from_bytes([1; 32]);
    let hash = preimage.payment_hash();
    let id = PaymentId::from_payment_hash(hash);
    let request =
        Request::invoice(hash, Msat(50_000), MaxFee::AtMost(Msat(500)), RetryPolicy::Manual);
    assert_eq!(ledger.execute(Pay::new(id, request.clone()), now)?, PayReply::Accepted);

    let part = PartId::from_bytes([2; 32]);
    let parts = vec![NewPart::htlc(part, Msat(50_000), Msat(10), 900_000)];
    ledger.execute(Dispatch { id, attempt: 1, parts }, now)?;
    ledger.execute(ClaimPart::new(id, part, preimage), now)?;

    match ledger.execute(Pay::new(id, request), now)? {
        PayReply::Duplicate(view) if view.status == Status::Fulfilled => println!("paid once"),
        other => return Err(format!("not answered as paid: {other:?}").into()),
    }
    Ok(())
}
