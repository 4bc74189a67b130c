//! What follows from what an engine shows: the table of [The guide](crate::guide), as a function
//! without a clock, a network or a ledger.
//!
//! The two losses that it prevents: the end of an earlier try taken for that of this one, and *not
//! known* taken for *never sent*. In both the payer's customer is refunded, and the engine pays.

use payonce_core::{Failure, UnixMillis};

use crate::engine::{Key, Memory, Payout, Promises, Refusal, Shown, Wire};

/// What is known of a hand-over that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What its engine says of itself.
    pub promises: Promises,
    /// The last mark that the engine showed for the hash before the hand-over.
    pub seen: Option<u64>,
    /// How often it was said.
    pub sayings: u32,
    /// How many sayings the engine is known to have read.
    pub read: u32,
    /// How many can arrive no more, because all that could hold them was started anew since.
    pub gone: u32,
    /// Whether the engine ever had it: showed it, or said that it was there already.
    pub was_shown: bool,
    /// When it was recorded.
    pub recorded_at: UnixMillis,
    /// From when no saying can arrive any more: the engine's own refusal of late ones, with a margin.
    pub closed_at: Option<UnixMillis>,
    /// What time it is.
    pub now: UnixMillis,
}

/// What an engine shows for a hash before anything is recorded leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// A hand-over may be recorded, with this as the last mark that was seen.
    Free {
        /// The last mark that the engine showed before the hand-over.
        seen: Option<u64>,
    },
    /// Somebody's try is out. Who pays the invoice beside it may pay it twice.
    Out,
    /// It is paid, whoever did it: that is told, and nothing goes out.
    Paid(Payout),
    /// A try has ended that has no mark. After a crash its end could not be told from that of the next
    /// try, and the customer would be refunded for what is being paid: so there is no next one.
    Unmarked,
}

/// What follows from what an engine shows before a hand-over to it is recorded.
#[must_use]
pub const fn before(promises: &Promises, shown: &Shown) -> Before {
    match shown {
        Shown::Paid(payout) => Before::Paid(*payout),
        Shown::Out { .. } => Before::Out,
        Shown::NotKnown => Before::Free { seen: None },
        // Told apart by our id: what another id came to says nothing.
        Shown::Failed { .. } if matches!(promises.key, Key::Part) => Before::Free { seen: None },
        Shown::Failed { mark: None, .. } => Before::Unmarked,
        Shown::Failed { mark, .. } => Before::Free { seen: *mark },
    }
}

/// What follows from an engine's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The part is paid, and the ledger is told so.
    Paid(Payout),
    /// It has failed, for good: nothing of it is out, and nothing can come any more.
    Failed {
        /// The mark of the try that ended; above [`Known::seen`].
        mark: Option<u64>,
        /// Whether the payee refused.
        permanent: bool,
    },
    /// It stays out; the engine is asked again.
    Out,
    /// It stays out, and may be said again: the engine pays what it is keyed by once.
    SayAgain,
    /// It stays out until an operator says what became of it: the engine cannot tell.
    Operator(Why),
}

/// Why only an operator can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Nobody vouches that the engine still knows what it paid.
    Forgets,
    /// The engine showed it once, and now knows nothing of it, or shows an earlier try again: somebody
    /// deletes its payments, or put its database back.
    Forgotten,
    /// A request may still arrive, and the engine would never refuse it for being late.
    Late,
}

impl Known {
    /// Whether no saying can still arrive.
    fn is_closed(&self) -> bool {
        self.gone >= self.sayings || self.closed_at.is_some_and(|closed| closed <= self.now)
    }

    /// Whether every saying was read, so that what the engine shows is about all of them.
    fn all_read(&self) -> bool {
        let single = self.sayings <= 1 && self.promises.wire == Wire::Direct;
        let answered = self.read + self.gone >= self.sayings && self.promises.wire == Wire::Direct;
        single || answered || self.is_closed()
    }

    fn remembers(&self) -> bool {
        match self.promises.memory {
            Memory::Kept => true,
            Memory::For(ms) => self.now.0 < self.recorded_at.0.saturating_add(ms),
            Memory::Unsure => false,
        }
    }

    /// Whether it is remembered for longer than a saying can be on its way. Said again otherwise, one saying
    /// could be paid and forgotten before the other arrives, which would then be paid too.
    fn outlasts_sayings(&self) -> bool {
        match self.promises.memory {
            Memory::Kept => true,
            Memory::For(ms) => {
                let until = self.recorded_at.0.saturating_add(ms);
                self.closed_at.is_some_and(|closed| closed.0 <= until)
            }
            Memory::Unsure => false,
        }
    }

    /// Whether nothing was said, although it was recorded: the engine has not read the only saying, and
    /// there is no copy of it on the way that it may read later.
    #[must_use]
    pub fn was_never_read(&self) -> bool {
        self.sayings <= 1 && self.promises.wire == Wire::Direct
    }

    /// What a saying that may still come leaves to do.
    fn until_closed(&self) -> Conclusion {
        if self.closed_at.is_none() { Conclusion::Operator(Why::Late) } else { Conclusion::Out }
    }

    /// An end that no try has: later than whatever was seen.
    fn no_try(&self) -> Conclusion {
        let mark = self.seen.map(|seen| seen.saturating_add(1));
        Conclusion::Failed { mark, permanent: false }
    }

    /// What follows from what the engine shows.
    #[must_use]
    pub fn conclusion(&self, shown: &Shown) -> Conclusion {
        match shown {
            // A success counts, whoever's try it was.
            Shown::Paid(payout) => Conclusion::Paid(*payout),
            Shown::Out { .. } => Conclusion::Out,
            Shown::Failed { mark, permanent, .. } => self.failed(*mark, *permanent),
            Shown::NotKnown => self.not_shown(),
        }
    }

    /// The failure that follows where the engine has read a saying and refuses it; `None` while another
    /// saying may still come.
    #[must_use]
    pub fn refused(&self, refusal: &Refusal) -> Option<Failure> {
        let over = self.all_read() || self.promises.key == Key::Part;
        let Conclusion::Failed { mark, .. } = self.no_try() else { return None };
        over.then(|| Failure { permanent: refusal.permanent, mark, ..Failure::default() })
    }

    fn failed(&self, mark: Option<u64>, permanent: bool) -> Conclusion {
        if self.promises.key == Key::Part {
            return Conclusion::Failed { mark, permanent };
        }
        // The end of an earlier try: this one's request may be on its way. Taken for this one's, the
        // customer would be refunded, and the engine would then pay.
        if self.seen.is_some_and(|seen| mark.is_none_or(|mark| mark <= seen)) {
            return self.not_shown();
        }
        // One saying has ended. Another that still waits would be a new try.
        if self.all_read() { Conclusion::Failed { mark, permanent } } else { self.until_closed() }
    }

    /// The engine shows nothing of this hand-over, or only what was before it.
    fn not_shown(&self) -> Conclusion {
        // Paid, read by nobody and deleted looks like never arrived.
        if self.was_shown {
            return Conclusion::Operator(Why::Forgotten);
        }
        self.not_arrived()
    }

    /// The engine never showed anything of it.
    fn not_arrived(&self) -> Conclusion {
        if !self.remembers() {
            return Conclusion::Operator(Why::Forgets);
        }
        if self.is_closed() {
            return self.no_try();
        }
        match self.promises.key {
            Key::Part | Key::PaymentHash if self.outlasts_sayings() => Conclusion::SayAgain,
            Key::Part | Key::PaymentHash | Key::Nothing => self.until_closed(),
        }
    }
}
