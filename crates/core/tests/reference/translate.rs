//! Between the core's words and the reference's.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use payonce_core::*;

use crate::reference::{Answer, Bytes, Kind, Op, Outcome, Request as Asked, Retry, answer};
use crate::reference::{Settlement as Told, Target as Aim};

/// The core's command. `ids` gives a notification's id by the order of its posting.
pub fn command(op: &Op, ids: &dyn Fn(u64, bool) -> NotificationId) -> Command {
    let payment = |id: &Bytes| PaymentId::from_bytes(*id);
    let part = |id: &Bytes| PartId::from_bytes(*id);
    let hash = |hash: &Bytes| PaymentHash::from_bytes(*hash);
    match op {
        Op::Send { id, request: asked, again_after } => Command::Send(Send {
            id: payment(id),
            request: request(asked),
            again_after: again_after.map(|number| ids(number, true)),
        }),
        Op::ReceiveInvoice { id, hash: invoice, amount, expiry } => {
            Command::ReceiveInvoice(ReceiveInvoice {
                id: payment(id),
                payment_hash: hash(invoice),
                amount: Msat(*amount),
                expiry: expiry.map(UnixMillis),
            })
        }
        Op::Dispatch { id, attempt, parts } => Command::Dispatch(Dispatch {
            id: payment(id),
            attempt: small(*attempt),
            parts: parts.iter().map(new_part).collect(),
        }),
        Op::Withdraw { id, part: of } => {
            Command::WithdrawPart(WithdrawPart { id: payment(id), part: part(of) })
        }
        Op::Claim { id, part: of, preimage, settlement: told, .. } => {
            Command::ClaimPart(ClaimPart {
                id: payment(id),
                part: part(of),
                preimage: Preimage::from_bytes(*preimage),
                settlement: told.map(settlement),
            })
        }
        Op::Finalize { id, part: of } => {
            Command::FinalizePart(FinalizePart { id: payment(id), part: part(of) })
        }
        Op::Fail { id, part: of, permanent, channel, lost, asserted_at } => {
            let failure = Failure {
                permanent: *permanent,
                channel: channel.map(ShortChannelId),
                code: None,
                lost: lost.map(Msat),
                assertion: asserted_at.map(|height| Assertion {
                    by: "an operator".into(),
                    why: "the channel is gone".into(),
                    height: small(height),
                }),
            };
            Command::FailPart(FailPart { id: payment(id), part: part(of), failure })
        }
        Op::Observe { id, part: of, what } => Command::ObservePart(ObservePart {
            id: payment(id),
            part: part(of),
            kind: ObservationKind::Other(*what),
            bytes: Blob::default(),
        }),
        Op::Adopt { id, part: of, hash: told, amount, fee, kind } => {
            Command::AdoptPart(AdoptPart {
                id: payment(id),
                part: part(of),
                payment_hash: hash(told),
                amount: amount.map(Msat),
                fee: fee.map(Msat),
                kind: match kind {
                    Kind::Delegated => PartKind::Delegated,
                    Kind::Htlc { height, channel } => PartKind::Htlc {
                        cltv_expiry: height.map(small),
                        first_channel: channel.map(ShortChannelId),
                    },
                },
            })
        }
        Op::MarkPaid { id, part: of, hash: told, settlement: paid } => {
            Command::MarkPaid(MarkPaid {
                id: payment(id),
                part: of.as_ref().map(part),
                payment_hash: told.as_ref().map(hash),
                settlement: settlement(*paid),
            })
        }
        Op::Hold { hash: held } => Command::HoldHash(HoldHash { payment_hash: hash(held) }),
        Op::Release { hash: held } => {
            Command::ReleaseHash(ReleaseHash { payment_hash: hash(held) })
        }
        Op::Abandon { id } => {
            Command::Abandon(Abandon { id: payment(id), reason: FailureReason::UserAbandoned })
        }
        Op::Acknowledge { notes } => {
            let ids = notes.iter().map(|(number, own)| ids(*number, *own)).collect();
            Command::Acknowledge(Acknowledge { ids })
        }
        Op::Tick => Command::Tick(Tick),
        Op::FinishRecovery => Command::FinishRecovery(FinishRecovery),
        Op::CloseGap => Command::CloseGap(CloseGap),
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("the histories count and measure in small numbers")
}

fn settlement(told: Told) -> Settlement {
    Settlement { amount: told.amount.map(Msat), fee: told.fee.map(Msat) }
}

fn new_part(part: &crate::reference::NewPart) -> NewPart {
    let id = PartId::from_bytes(part.id);
    match part.htlc {
        None => NewPart::Delegated { id },
        Some((amount, fee, height, channel)) => NewPart::Htlc {
            id,
            amount: Msat(amount),
            fee: Msat(fee),
            cltv_expiry: small(height),
            first_channel: channel.map(ShortChannelId),
        },
    }
}

fn request(asked: &Asked) -> Request {
    let target = match asked.target {
        Aim::Invoice { hash } => Target::Invoice { payment_hash: PaymentHash::from_bytes(hash) },
        Aim::Spontaneous { preimage, .. } => {
            Target::Spontaneous { preimage: Preimage::from_bytes(preimage) }
        }
        Aim::OfferByTicks { offer, ticks } => Target::Offer {
            offer_hash: OfferHash::from_bytes(offer),
            deadline: Deadline::Ticks(small(ticks)),
        },
        Aim::OfferUntil { offer, moment } => Target::Offer {
            offer_hash: OfferHash::from_bytes(offer),
            deadline: Deadline::At(UnixMillis(moment)),
        },
    };
    Request {
        target,
        amount: Msat(asked.amount),
        payee: asked.payee.map(|byte| NodeId::from_bytes([byte; 33])),
        max_fee: asked.max_fee.map(Msat),
        retry: match asked.retry {
            Retry::Manual => RetryPolicy::Manual,
            Retry::Attempts(retries) => RetryPolicy::Attempts(small(retries)),
            Retry::Until(millis) => RetryPolicy::Until(millis),
        },
        expiry: asked.expiry.map(UnixMillis),
        instructions: asked.instructions.clone().into(),
        metadata: asked.metadata.clone().into(),
    }
}

/// The reference's outcome. `number` gives the order of posting of a notification.
pub fn outcome(told: &Result<Reply, Refusal>, number: &dyn Fn(&NotificationId) -> u64) -> Outcome {
    match told {
        Ok(reply) => Ok(said(reply, number)),
        Err(refusal) => Err(refused(refusal)),
    }
}

fn said(reply: &Reply, number: &dyn Fn(&NotificationId) -> u64) -> Answer {
    match reply {
        Reply::Send(SendReply::Accepted) => answer("accepted"),
        Reply::Send(SendReply::Duplicate(stands)) => {
            Answer { word: "duplicate", ..standing(stands, number) }
        }
        Reply::Dispatch(DispatchReply::Recorded { id, status, parts }) => {
            let recorded = with_status(answer("recorded").name(*id.as_bytes()), *status);
            parts.iter().fold(recorded, |recorded, part| recorded.name(*part.as_bytes()))
        }
        Reply::Dispatch(DispatchReply::Duplicate { fates }) => {
            fates.iter().fold(answer("duplicate"), |duplicate, (part, fate)| {
                duplicate.name(*part.as_bytes()).text(fate_word(*fate))
            })
        }
        Reply::Fact(FactReply { changed, payment }) => {
            let told = answer(if *changed { "changed" } else { "unchanged" });
            match payment {
                Some((id, status)) => with_status(told.name(*id.as_bytes()), *status),
                None => told,
            }
        }
        Reply::Abandon(AbandonReply { changed, status }) => {
            with_status(answer(if *changed { "changed" } else { "unchanged" }), *status)
        }
        Reply::Acknowledge(AcknowledgeReply { acknowledged, forgotten }) => {
            answer("acknowledged").number(*acknowledged as u64).number(*forgotten as u64)
        }
        Reply::Tick(TickReply { counted, failed, forgotten, more: false }) => {
            let told = answer(if *counted { "counted" } else { "not counted" });
            told.number(*failed as u64).number(*forgotten as u64)
        }
        Reply::Work(WorkReply { more: false }) => answer("finished"),
        other => panic!("a reply that these histories cannot have: {other:?}"),
    }
}

pub fn standing(stands: &Standing, number: &dyn Fn(&NotificationId) -> u64) -> Answer {
    let told = with_status(answer("stands"), stands.status).number(stands.missing.0);
    let told = told.maybe(stands.failed.as_ref().map(number));
    let told = told.text(if stands.adopted { "adopted" } else { "asked for" });
    let told = told.text(if stands.remembered { "remembered" } else { "live" });
    let Some(paid) = stands.paid else { return told };
    let told = paid.preimage.iter().fold(told, |told, preimage| told.name(*preimage.as_bytes()));
    told.maybe(paid.amount.map(|amount| amount.0)).maybe(paid.fee.map(|fee| fee.0))
}

pub fn reason_word(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::UserAbandoned => "user abandoned",
        FailureReason::RecipientRejected => "recipient rejected",
        FailureReason::RetriesExhausted => "retries exhausted",
        FailureReason::PaymentExpired => "payment expired",
        FailureReason::InvoiceRequestExpired => "invoice request expired",
        FailureReason::Adopted => "adopted",
        other => panic!("a reason that these histories cannot have: {other:?}"),
    }
}

pub fn status_words(status: Status) -> [&'static str; 2] {
    match status {
        Status::AwaitingInvoice => ["awaiting invoice", ""],
        Status::Pending => ["pending", ""],
        Status::Fulfilled => ["fulfilled", ""],
        Status::Abandoned { reason } => ["abandoned", reason_word(reason)],
        Status::Failed { reason } => ["failed", reason_word(reason)],
    }
}

fn with_status(told: Answer, status: Status) -> Answer {
    let [kind, reason] = status_words(status);
    told.text(kind).text(reason)
}

pub fn fate_word(fate: Fate) -> &'static str {
    match fate {
        Fate::InFlight => "in flight",
        Fate::Claimed => "claimed",
        Fate::Finalized => "finalized",
        Fate::Failed => "failed",
        Fate::Withdrawn => "withdrawn",
    }
}

fn field_word(field: RequestField) -> &'static str {
    match field {
        RequestField::Target => "target",
        RequestField::Amount => "amount",
        RequestField::Payee => "payee",
        RequestField::MaxFee => "maximum fee",
        RequestField::Retry => "retry policy",
        RequestField::Expiry => "expiry",
        RequestField::Instructions => "instructions",
        RequestField::Metadata => "metadata",
        other => panic!("an unknown field: {other:?}"),
    }
}

fn in_use(other: &HashHolder) -> Answer {
    let told = answer("hash in use");
    match other {
        HashHolder::Payment(id) => told.text("payment").name(*id.as_bytes()),
        HashHolder::Stray(part) => told.text("stray").name(*part.as_bytes()),
        HashHolder::Held => told.text("held"),
        other => panic!("an unknown holder: {other:?}"),
    }
}

fn refused(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Send(refusal) => send_refused(refusal),
        Refusal::ReceiveInvoice(refusal) => invoice_refused(refusal),
        Refusal::Dispatch(refusal) => dispatch_refused(refusal),
        Refusal::Fact(refusal) => fact_refused(refusal),
        Refusal::Abandon(AbandonRefusal::UnknownPayment { id }) => {
            answer("unknown payment").name(*id.as_bytes())
        }
        Refusal::Acknowledge(AcknowledgeRefusal::OtherLog { .. }) => answer("other log"),
        Refusal::Acknowledge(AcknowledgeRefusal::Future { .. }) => answer("future"),
        Refusal::Tick(TickRefusal::Recovering) => answer("recovering"),
        Refusal::Finish(FinishRefusal::NotRecovering) => answer("not recovering"),
        Refusal::CloseGap(CloseGapRefusal::NotRestored) => answer("not restored"),
        other => panic!("a refusal that these histories cannot have: {other:?}"),
    }
}

fn send_refused(refusal: &SendRefusal) -> Answer {
    match refusal {
        SendRefusal::Conflict { id, field } => {
            answer("conflict").name(*id.as_bytes()).text(field_word(*field))
        }
        SendRefusal::HashInUse { other } => in_use(other),
        SendRefusal::ZeroAmount => answer("zero amount"),
        SendRefusal::AmountTooLarge { amount, .. } => answer("amount too large").number(amount.0),
        SendRefusal::TooLong { field, .. } => answer("too long").text(field_word(*field)),
        SendRefusal::Expired { expiry, .. } => answer("expired").number(expiry.0),
        SendRefusal::Recovering => answer("recovering"),
        SendRefusal::Restored => answer("restored"),
        other => panic!("an unknown refusal: {other:?}"),
    }
}

fn invoice_refused(refusal: &ReceiveInvoiceRefusal) -> Answer {
    use ReceiveInvoiceRefusal as No;
    match refusal {
        No::UnknownPayment { id } => answer("unknown payment").name(*id.as_bytes()),
        No::NotAwaitingInvoice { id, status } => {
            with_status(answer("not awaiting invoice").name(*id.as_bytes()), *status)
        }
        No::HashInUse { other } => in_use(other),
        No::ZeroAmount => answer("zero amount"),
        No::AmountTooLarge { amount, limit } => {
            answer("amount too large").number(amount.0).number(limit.0)
        }
        No::Expired { expiry, .. } => answer("expired").number(expiry.0),
        No::Recovering => answer("recovering"),
        No::Restored => answer("restored"),
        other => panic!("an unknown refusal: {other:?}"),
    }
}

fn dispatch_refused(refusal: &DispatchRefusal) -> Answer {
    use DispatchRefusal as No;
    match refusal {
        No::UnknownPayment { id } => answer("unknown payment").name(*id.as_bytes()),
        No::EmptyBatch => answer("empty batch"),
        No::PartInUse { part } => answer("part in use").name(*part.as_bytes()),
        No::DelegatedNotAlone { part } => answer("delegated not alone").name(*part.as_bytes()),
        No::ZeroAmount { part } => answer("zero amount").name(*part.as_bytes()),
        No::AmountTooLarge { amount, .. } => answer("amount too large").number(amount.0),
        No::NotOpen { id, status } => with_status(answer("not open").name(*id.as_bytes()), *status),
        No::HashInUse { other } => in_use(other),
        No::Expired { expiry, .. } => answer("expired").number(expiry.0),
        No::AttemptsUsedUp { attempts, retries } => {
            answer("attempts used up").number(u64::from(*attempts)).number(u64::from(*retries))
        }
        No::RetryTimePast { until, .. } => answer("retry time past").number(until.0),
        No::StaleAttempt { stated, expected } => {
            answer("stale attempt").number(u64::from(*stated)).number(u64::from(*expected))
        }
        No::NothingMissing => answer("nothing missing"),
        No::Overpays { in_flight, added, amount, limit } => {
            let told = answer("overpays").number(in_flight.0).number(added.0);
            told.number(amount.0).number(limit.0)
        }
        No::FeesTooHigh { in_flight, added, limit } => {
            answer("fees too high").number(in_flight.0).number(added.0).number(limit.0)
        }
        No::TooManyParts { added, .. } => answer("too many parts").number(*added as u64),
        No::Recovering => answer("recovering"),
        No::Restored => answer("restored"),
        other => panic!("an unknown refusal: {other:?}"),
    }
}

fn fact_refused(refusal: &FactRefusal) -> Answer {
    use FactRefusal as No;
    match refusal {
        No::UnknownPayment { id } => answer("unknown payment").name(*id.as_bytes()),
        No::UnknownPart { part } => answer("unknown part").name(*part.as_bytes()),
        No::PartOfAnother { part, owner } => {
            answer("part of another").name(*part.as_bytes()).name(*owner.as_bytes())
        }
        No::WrongPreimage { part } => answer("wrong preimage").name(*part.as_bytes()),
        No::NotClaimed { part, fate } => {
            answer("not claimed").name(*part.as_bytes()).text(fate_word(*fate))
        }
        No::NotInFlight { part, fate } => {
            answer("not in flight").name(*part.as_bytes()).text(fate_word(*fate))
        }
        No::AssertedTooEarly { part, from } => {
            let told = answer("asserted too early").name(*part.as_bytes());
            told.number(match from {
                AssertionLimit::Height(height) => u64::from(*height),
                AssertionLimit::Moment(moment) => moment.0,
            })
        }
        No::Restored => answer("restored"),
        other => panic!("a refusal that these histories cannot have: {other:?}"),
    }
}

/// What a notification says, and to which payment it belongs, if to one.
pub fn note(notice: &Notice) -> (Option<Bytes>, Answer) {
    let owner = *notice.payment().as_bytes();
    match notice {
        Notice::PaymentSent { amount, fee, correction, .. } => {
            let says = answer("payment sent").name(owner);
            let says = says.maybe(amount.map(|it| it.0)).maybe(fee.map(|it| it.0));
            (Some(owner), if *correction { says.text("correction") } else { says })
        }
        Notice::PaymentFailed { payment_hash, reason, superseded, .. } => {
            let says = answer("payment failed").name(owner).text(reason_word(*reason));
            let says = payment_hash.iter().fold(says, |says, hash| says.name(*hash.as_bytes()));
            (Some(owner), if *superseded { says.text("superseded") } else { says })
        }
        Notice::PartSucceeded { part, .. } => {
            (Some(owner), answer("part succeeded").name(owner).name(*part.as_bytes()))
        }
        Notice::PartFailed { part, failure, .. } => {
            let says = answer("part failed").name(owner).name(*part.as_bytes());
            let says = if failure.permanent { says.text("permanent") } else { says };
            let says = if failure.assertion.is_some() { says.text("asserted") } else { says };
            let says = says.maybe(failure.channel.map(|channel| channel.0));
            (Some(owner), says.maybe(failure.lost.map(|lost| lost.0)))
        }
        Notice::Anomaly { anomaly, repeats } => match anomaly {
            Anomaly::Correction { part, in_flight, .. } => {
                let says = answer("correction").name(owner).name(*part.as_bytes());
                let others = in_flight.iter();
                (Some(owner), others.fold(says, |says, other| says.name(*other.as_bytes())))
            }
            Anomaly::UnknownPart { part, .. } => {
                (Some(owner), answer("unknown part").name(owner).name(*part.as_bytes()))
            }
            Anomaly::ForeignClaim { part, payment_hash, .. } => {
                let says = answer("foreign claim").name(owner).name(*part.as_bytes());
                (None, says.name(*payment_hash.as_bytes()).number(u64::from(*repeats)))
            }
            Anomaly::Stray { part, payment_hash, .. } => {
                let says = answer("stray").name(owner).name(*part.as_bytes());
                (None, says.name(*payment_hash.as_bytes()).number(u64::from(*repeats)))
            }
            other => panic!("an unknown anomaly: {other:?}"),
        },
        other => panic!("an unknown notice: {other:?}"),
    }
}
