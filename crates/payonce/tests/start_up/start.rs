use std::collections::HashMap;

use payonce::*;

/// One HTLC as the channel keeps it.
struct HtlcRecord {
    payment: PaymentId,
    payment_hash: PaymentHash,
    amount: Msat,
    cltv_expiry: u32,
    /// The preimage, from the moment at which the peer showed it.
    claimed: Option<Preimage>,
    /// Irrevocably off the channel; the record stays until the ledger has been told.
    gone: bool,
}

fn start<S: EventStore>(
    store: S,
    opening: &Opening,
    records: &HashMap<PartId, HtlcRecord>,
    channels_are_latest: bool,
    now: UnixMillis,
) -> Result<Ledger<S>, Box<dyn std::error::Error>> {
    let mut recovery = Ledger::open(store, opening, now)?;
    let mut answers = Vec::new();
    for (&part, htlc) in records {
        let id = htlc.payment;
        let known = recovery.query(|state| state.owner_of(&part))?.is_some();
        let failed = htlc.gone && htlc.claimed.is_none();
        // Every part that is out or paid, whatever the ledger holds of it: unknown, in flight, over.
        if !failed {
            let kind =
                PartKind::Htlc { cltv_expiry: Some(htlc.cltv_expiry), first_channel: None };
            let (amount, payment_hash) = (Some(htlc.amount), htlc.payment_hash);
            let adopted = AdoptPart { id, part, payment_hash, amount, fee: None, kind };
            answers.push(Answer::Adopted(adopted));
        }
        match htlc.claimed {
            Some(preimage) => {
                answers.push(Answer::Claimed(ClaimPart::new(id, part, preimage)));
                if htlc.gone {
                    answers.push(Answer::Gone(FinalizePart { id, part }));
                }
            }
            // What failed and is in no log was in nobody's books.
            None if failed && known => {
                let failure = Failure::default();
                answers.push(Answer::Failed(FailPart { id, part, failure }));
            }
            None => {}
        }
    }
    // A refused answer is a bug or a mix-up of nodes: look at it before anything is paid.
    for answer in recovery.answer(answers, now)? {
        answer?;
    }
    // Only after everything that was resolved has been told; refused while the log is restored.
    if channels_are_latest && !recovery.is_restored()? {
        let unresolved = recovery.unresolved()?;
        let unheard =
            unresolved.iter().filter(|at| at.another_writer && !records.contains_key(&at.part.id));
        let never_sent = unheard
            .map(|at| Answer::NeverSent(WithdrawPart { id: at.payment, part: at.part.id }));
        for answer in recovery.answer(never_sent.collect::<Vec<_>>(), now)? {
            answer?;
        }
    }
    Ok(recovery.finish(now)?)
}
