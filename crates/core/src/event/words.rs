//! Events in words: one line each, for people who read a log.

use alloc::string::String;
use core::fmt::{self, Display, Formatter, Write};

use crate::{
    base::amount::Msat,
    base::bounded::Blob,
    base::ids::PartId,
    base::limits,
    event::event::{AdoptionSource, Attribution, Delivery, Event, Invoice},
    event::hash_paid::PaidElsewhere,
    event::notification::Anomaly,
    event::part::{Assertion, Failure, ObservationKind, PartKind, PartTerms},
    event::request::{Request, RetryPolicy, Target},
};

/// A text from outside, shown on one line of a terminal: characters that could move the cursor, or hide
/// or reverse other text (control characters, direction marks), are written as their numbers.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            let turns = matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
            if turns || char.is_control() {
                write!(f, "{}", char.escape_unicode())?;
            } else {
                f.write_char(char)?;
            }
        }
        Ok(())
    }
}

/// What an event says, in words: [`Event::words`].
#[derive(Debug, Clone, Copy)]
pub struct Words<'a>(&'a Event);

impl Event {
    /// What it says, in words on one line: without its payment, and without preimages. Parts are named
    /// by the first 8 digits of their ids. For people; programs read the fields.
    #[must_use]
    pub const fn words(&self) -> Words<'_> {
        Words(self)
    }
}

impl Display for Words<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Opened { .. }
            | Event::Recovered
            | Event::GapFound
            | Event::GapClosed
            | Event::Ticked { .. }
            | Event::HeightTold { .. }
            | Event::HistoryDropped { .. }
            | Event::Acknowledged { .. } => ledger(self.0, f),
            Event::PartsDispatched { .. }
            | Event::PartSaidAgain { .. }
            | Event::PartsListed { .. }
            | Event::PartWithdrawn { .. }
            | Event::PartAdopted { .. }
            | Event::PartMoved { .. }
            | Event::PartDisowned { .. }
            | Event::PartClaimed { .. }
            | Event::PartFinalized { .. }
            | Event::PartFailed { .. }
            | Event::PartObserved { .. }
            | Event::InvoiceRequested { .. } => part(self.0, f),
            other => payment(other, f),
        }
    }
}

/// Events of the whole ledger.
fn ledger(event: &Event, f: &mut Formatter<'_>) -> fmt::Result {
    match event {
        Event::Opened { epoch, restored, program, holder, .. } => {
            write!(f, "opened by {}, run {epoch}", Shown(program.as_str()))?;
            if !holder.is_empty() {
                write!(f, ", {}", Shown(holder.as_str()))?;
            }
            f.write_str(if *restored { ": the log is behind what the node knew" } else { "" })
        }
        Event::Recovered => f.write_str("recovery is finished"),
        Event::GapFound => f.write_str("the log lacks something that the node did: restored"),
        Event::GapClosed => f.write_str("the payments of the gap were told: no longer restored"),
        Event::Ticked { tick, unfinished, doubted, .. } => {
            write!(f, "tick {tick}")?;
            f.write_str(if *unfinished { ", more is due" } else { "" })?;
            match doubted {
                Some(reading) => write!(f, ", a clock at {} ms is not believed yet", reading.0),
                None => Ok(()),
            }
        }
        Event::HeightTold { height } => write!(f, "block height {height}"),
        Event::HistoryDropped { base, .. } => {
            write!(f, "history up to seq {} is dropped; its state stands for it", base.seq)
        }
        Event::Acknowledged { seq } => write!(f, "the user has read the notification of seq {seq}"),
        _ => Ok(()),
    }
}

/// What happened to a part, whichever payment it is of.
fn part(event: &Event, f: &mut Formatter<'_>) -> fmt::Result {
    match event {
        Event::PartsDispatched { attempt, parts, .. } => {
            write!(f, "attempt {attempt}: ")?;
            each(f, parts.iter(), terms)
        }
        Event::PartSaidAgain { part, .. } => {
            write!(f, "{} is handed over again, under the same id", Short(part))
        }
        Event::PartsListed { parts } => {
            f.write_str("the node lists as out: ")?;
            each(f, parts.iter(), |part, f| write!(f, "{}", Short(part)))
        }
        Event::PartWithdrawn { part, .. } => write!(f, "{} was never sent", Short(part)),
        Event::PartAdopted { part, attribution, source, earlier_try, .. } => {
            let on = if *source == AdoptionSource::Listed {
                "the node has it out"
            } else {
                "it was claimed"
            };
            write!(f, "{}, which the log lacked or had as over: {on}", Short(&part.part))?;
            write!(f, "; {} + {} fee", Known(part.amount), Known(part.fee))?;
            f.write_str(if *earlier_try { "; of an earlier try" } else { "" })?;
            match attribution {
                Attribution::Payment => Ok(()),
                Attribution::HashHolder { named_id } => {
                    write!(f, "; the node named payment {named_id}")
                }
                Attribution::ForeignPart => f.write_str("; under another hash: a foreign part"),
            }
        }
        Event::PartMoved { part, .. } => {
            write!(f, "{} turned out to be of this payment", Short(part))
        }
        Event::PartDisowned { part, assertion, .. } => {
            write!(f, "{} is not of this payment: {}", Short(part), Says(assertion))
        }
        Event::PartClaimed { part, preimage, settlement, .. } => {
            write!(f, "{}: the payee took it", Short(part))?;
            if let Some(told) = settlement {
                write!(f, "; the engine reports {} + {} fee", Known(told.amount), Known(told.fee))?;
            }
            f.write_str(if preimage.is_none() { "; the proof is not known" } else { "" })
        }
        Event::PartFinalized { part, .. } => {
            write!(f, "{} is paid, and nothing of it is out", Short(part))
        }
        Event::PartFailed { part, failure, .. } => failed(part, failure, f),
        Event::PartObserved { observation, .. } => {
            let what = match observation.kind {
                ObservationKind::PathSucceeded => "a path succeeded",
                ObservationKind::PathFailed => "a path failed",
                ObservationKind::Other(_) => "a report of the engine",
            };
            write!(f, "{}: {what}", Short(&observation.part))
        }
        Event::InvoiceRequested { part, invoice_request, .. } => {
            let bytes = invoice_request.len();
            write!(f, "{}: an invoice is requested, in {bytes} bytes", Short(part))
        }
        _ => Ok(()),
    }
}

/// Events of one payment or one hash.
fn payment(event: &Event, f: &mut Formatter<'_>) -> fmt::Result {
    match event {
        Event::PaymentAccepted { request, again_after, .. } => {
            accepted(request, f)?;
            match again_after {
                Some(failure) => write!(f, "; a new try after the failure of seq {}", failure.seq),
                None => Ok(()),
            }
        }
        Event::PaymentAdopted { .. } => {
            f.write_str("learnt of a payment that this ledger did not hold")
        }
        Event::PaymentRecalled { .. } => f.write_str("a remembered payment came back"),
        Event::InvoiceReceived { invoice: Invoice { amount, .. }, .. } => {
            write!(f, "the invoice came: {amount}")
        }
        Event::InvoiceDropped { .. } => f.write_str("it awaits another invoice"),
        Event::PreimageLearned { .. } => f.write_str("the proof of payment became known"),
        Event::PaymentSent { amount, fee, correction, assertion, .. } => {
            write!(f, "PAID: {} + {} fee", Known(*amount), Known(*fee))?;
            f.write_str(if *correction { "; this corrects what was told before" } else { "" })?;
            match assertion {
                Some(assertion) => write!(f, "; {}", Says(assertion)),
                None => Ok(()),
            }
        }
        Event::PaymentSettled { amount, fee, .. } => {
            write!(f, "the final sums: {} + {} fee", Known(*amount), Known(*fee))
        }
        Event::PaidElsewhere { by, .. } => elsewhere(by, f),
        Event::PaymentAbandoned { reason, .. } => write!(f, "no new attempts: {reason}"),
        Event::PaymentFailed { reason, .. } => write!(f, "FAILED: {reason}"),
        Event::PaymentForgotten { remembered, .. } => f.write_str(if *remembered {
            "over; its outcome is remembered"
        } else {
            "over and forgotten: the id is free again"
        }),
        Event::HashBlocked { payment_hash, engine } => {
            write!(f, "hash {payment_hash} is blocked: something is out{}", With(engine))
        }
        Event::HashUnblocked { payment_hash, engine } => {
            write!(f, "hash {payment_hash}: what was out{} has ended", With(engine))
        }
        Event::HashPaid { payment_hash, payer, .. } => {
            write!(f, "hash {payment_hash} is known as paid")?;
            payer.map_or(Ok(()), |payer| write!(f, ", by payment {payer}"))
        }
        Event::HashForgotten { payment_hash } => {
            write!(f, "hash {payment_hash} is needed no more")
        }
        Event::AnomalyNoted { anomaly, delivery } => {
            write!(f, "ANOMALY: {anomaly}")?;
            match delivery {
                Delivery::Notify => Ok(()),
                Delivery::Repeat(seq) => write!(f, "; again, as told at seq {seq}"),
                Delivery::Folded => f.write_str("; only counted, too many are unread"),
            }
        }
        _ => Ok(()),
    }
}

/// The engine of a block.
struct With<'a>(&'a Blob<{ limits::LABEL_BYTES }>);

impl Display for With<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(self.0.as_bytes());
        if name.is_empty() { Ok(()) } else { write!(f, " with engine {}", Shown(&name)) }
    }
}

fn accepted(request: &Request, f: &mut Formatter<'_>) -> fmt::Result {
    let target = match request.target {
        Target::Invoice { .. } => "an invoice",
        Target::Spontaneous { .. } => "a spontaneous payment",
        Target::Offer { .. } => "an offer",
    };
    write!(f, "accepted: {target} of {}, ", request.amount)?;
    match request.max_fee.limit() {
        Some(fee) => write!(f, "at most {fee} in fees, ")?,
        None => f.write_str("no limit of fees, ")?,
    }
    match request.retry {
        RetryPolicy::Manual => f.write_str("retries by hand"),
        RetryPolicy::Attempts(0) => f.write_str("no retries"),
        RetryPolicy::Attempts(1) => f.write_str("one retry"),
        RetryPolicy::Attempts(retries) => write!(f, "{retries} retries"),
        RetryPolicy::Until(millis) => write!(f, "retries for {} s", millis / 1_000),
    }
}

fn terms(part: &PartTerms, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{}", Short(&part.id))?;
    let (amount, fee) = (part.amount, part.fee);
    match part.kind {
        PartKind::Htlc { first_channel, cltv_expiry } => {
            write!(f, ", {amount} + {fee} fee")?;
            if let Some(channel) = first_channel {
                write!(f, " through {channel}")?;
            }
            cltv_expiry.map_or(Ok(()), |height| write!(f, ", expires at block {height}"))
        }
        PartKind::Delegated => {
            write!(f, ", {amount}, handed over to an engine with at most {fee} in fees")
        }
        #[cfg(payonce_format_2)]
        PartKind::Hosted => write!(f, ", {amount}, {fee}"),
    }
}

fn failed(part: &PartId, failure: &Failure, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{} failed", Short(part))?;
    f.write_str(if failure.permanent { ": the payee refused it" } else { "" })?;
    if let Some(channel) = failure.channel {
        write!(f, " at channel {channel}")?;
    }
    if let Some(code) = failure.code {
        write!(f, ", code {code}")?;
    }
    if let Some(lost) = failure.lost {
        write!(f, ", {lost} lost to fees")?;
    }
    failure.assertion.as_ref().map_or(Ok(()), |assertion| write!(f, "; {}", Says(assertion)))
}

fn elsewhere(by: &PaidElsewhere, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("its hash was paid elsewhere")?;
    if let Some(payer) = by.payer {
        write!(f, ", by payment {payer}")?;
    }
    f.write_str(if by.proven { ", with proof" } else { ", on somebody's word" })
}

impl Display for Anomaly {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Correction { part, in_flight, .. } => {
                write!(f, "{} was told as over and was claimed after all", Short(part))?;
                beside(f, in_flight)
            }
            Self::UnknownPart { part, .. } => {
                write!(f, "{} was claimed, which the payment did not know", Short(part))
            }
            Self::ForeignClaim { part, payment_hash, .. } => {
                write!(
                    f,
                    "{} was claimed under hash {payment_hash}, which no payment has",
                    Short(part)
                )
            }
            Self::ForeignPart { part, payment_hash, .. } => {
                write!(f, "{} is out under another hash, {payment_hash}", Short(part))
            }
            Self::OutAgain { part, others, .. } => {
                write!(f, "{} was told as over and is out again", Short(part))?;
                beside(f, others)
            }
            Self::PaidTwice { part, first_payment, .. } => {
                write!(
                    f,
                    "money left twice: {} was claimed after the invoice was paid",
                    Short(part)
                )?;
                first_payment.map_or(Ok(()), |first| write!(f, " by payment {first}"))
            }
            Self::SpentMore { part, amount, fee, .. } => write!(
                f,
                "{}: the engine reports more than it was allowed, {} + {} fee",
                Short(part),
                Known(*amount),
                Known(*fee)
            ),
            Self::PaidWithAnother { named, .. } => {
                write!(f, "a word for payment {named} made this one paid as well")
            }
            Self::FalsePreimage { part, .. } => {
                write!(f, "{} was told with a preimage that proves nothing", Short(part))
            }
        }
    }
}

fn beside(f: &mut Formatter<'_>, parts: &[PartId]) -> fmt::Result {
    if parts.is_empty() {
        return Ok(());
    }
    f.write_str("; beside it: ")?;
    each(f, parts.iter(), |part, f| write!(f, "{}", Short(part)))
}

fn each<T>(
    f: &mut Formatter<'_>,
    items: impl Iterator<Item = T>,
    show: impl Fn(T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (nth, item) in items.enumerate() {
        f.write_str(if nth > 0 { "; " } else { "" })?;
        show(item, f)?;
    }
    Ok(())
}

/// A part by the first 8 digits of its id.
struct Short<'a>(&'a PartId);

impl Display for Short<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("part ")?;
        self.0.as_bytes()[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A sum that may be unknown.
struct Known(Option<Msat>);

impl Display for Known {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(sum) => write!(f, "{sum}"),
            None => f.write_str("unknown"),
        }
    }
}

/// The person who asserts something, and why, as the end of a line.
struct Says<'a>(&'a Assertion);

impl Display for Says<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Assertion { by, why, .. } = self.0;
        write!(f, "on the word of {} ({})", Shown(by.as_str()), Shown(why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;
    use crate::base::ids::{PaymentId, Preimage};

    #[test]
    fn a_text_from_outside_stays_on_its_line_and_in_its_direction() {
        let shown = Shown("a\n\u{1b}[31m\u{202e}b\u{200f}é").to_string();
        assert_eq!(shown, "a\\u{a}\\u{1b}[31m\\u{202e}b\\u{200f}é");
    }

    #[test]
    fn words_tell_parts_by_their_first_digits_and_hide_the_proof() {
        let (id, part) = (PaymentId::from_bytes([1; 32]), PartId::from_bytes([0xab; 32]));
        let preimage = Some(Preimage::from_bytes([0xcd; 32]));
        let claimed = Event::PartClaimed {
            id,
            part,
            preimage,
            payment_hash: None,
            settlement: None,
            invoice: crate::base::bounded::Blob::EMPTY,
        };
        assert_eq!(claimed.words().to_string(), "part abababab: the payee took it");
        let requested = Event::InvoiceRequested { id, part, invoice_request: (&[7; 412]).into() };
        let expected = "part abababab: an invoice is requested, in 412 bytes";
        assert_eq!(requested.words().to_string(), expected);
        let kind = PartKind::Htlc { cltv_expiry: Some(900_000), first_channel: None };
        let terms = PartTerms {
            id: part,
            amount: Msat(5),
            fee: Msat(1),
            kind,
            label: None,
            unknown: crate::base::wire::UnknownFields::NONE,
        };
        let sent = Event::PartsDispatched { id, attempt: 2, parts: vec![terms].into() };
        let expected = "attempt 2: part abababab, 5 msat + 1 msat fee, expires at block 900000";
        assert_eq!(sent.words().to_string(), expected);
    }
}
