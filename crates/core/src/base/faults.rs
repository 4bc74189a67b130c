//! Faults that can be planted, to show that the judge of the tests finds them. A build without `--cfg
//! payonce_faults` contains none: [`is`] is `false` there, and the compiler removes what depends on it.

macro_rules! faults {
    ($($fault:ident: $what:literal,)*) => {
        /// A fault: one rule about money that is broken on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(payonce_faults), allow(dead_code, reason = "its number is asked for"))]
        pub(crate) enum Fault {
            $(#[doc = $what] $fault,)*
        }

        /// What each fault breaks, from number 1.
        #[cfg(payonce_faults)]
        const NAMES: &[&str] = &[$($what,)*];
    };
}

faults! {
    FormerPartsUnknown: "a part of an earlier try is nobody's",
    ForeignPartsBlockNothing: "a foreign part does not block the payment under which it was told",
    ForeignPartsPayNobody: "a claimed foreign part pays nobody",
    WordIgnoresPart: "paid on a word is not told to the owner of the part",
    WordIgnoresHash: "paid on a word is not told to the owner of the hash",
    WordIgnoresId: "paid on a word is not told to an id that the ledger does not hold",
    TruePreimageLost: "a preimage that does not fit its part proves nothing",
    AnyBytesProve: "a part of an earlier try is paid by any bytes",
    ListedNeverSent: "what was listed as out can be never sent",
    ListedFailsAtStart: "what is listed at a start fails at that start",
    NeverSentStandsInGap: "a gap takes no never sent back",
    PaidHashGoesOn: "who holds a paid hash is not given up",
    PaidHashAccepted: "a paid hash is accepted under another id",
    FailureStands: "a failure is not superseded when its part is out again",
    FailureNotRetold: "a superseded failure that is true again is not told",
    RememberedSecondPayment: "another part of a remembered payment pays in silence",
    AssertedWhileListed: "an operator's word beats what the node lists",
    AssertedAtAnyHeight: "an operator's word counts at any height",
    SumsStayAsTold: "what was told is not corrected",
    LessIsBelieved: "an engine that reports less is believed",
    MoreIsNotTold: "an engine that spends more is not told",
    EveryClockBelieved: "every reading of the clock is believed",
    NoTicksForDurations: "ticks bound no duration",
    NoRest: "a failed payment does not rest",
    OtherEpochFolds: "an entry of another writer folds",
    OfferKeepsHash: "an offer keeps the hash of a failed hand-over",
    StaleEnds: "an end that the engine had shown before ends a hand-over",
    SayingsForgotten: "one answer ends a hand-over that was said twice",
    EarlierTriesDispatch: "a part of an earlier try that is out forbids no dispatch",
    FailsWhileBlocked: "a payment fails while something blocks it",
    TwiceInSilence: "a second payment is told to nobody",
    OverpaysUnchecked: "batches may exceed the amount",
    FeesUnchecked: "batches may exceed the maximum fee",
    AttemptsUnchecked: "attempts are not counted",
    StaleAttempts: "two workers may fill the same gap",
    HashOutTwice: "two payments may be out under one hash",
    ForgetsAtOnce: "a paid payment is forgotten at the next tick",
    TwoPaymentsSent: "a second PaymentSent is told",
    PaidHashDies: "a paid hash is forgotten with its payer, whoever else has named it",
    WordTellsNoHash: "a word about a paid payment does not tell it a hash",
    NamerBeatsId: "who named a hash first has a part that is told under another id which named it",
    ListedStaysOver: "a listing of a part that is over changes nothing",
    RestCutShort: "a failure read on a low clock ends a rest",
    AnyEngineUnblocks: "what an engine shows ends another's block of a hash",
    FirstEndUnblocks: "of two engines that block a hash the first end frees it",
    InvoiceRequestReplaced: "a second invoice request takes the place of the first",
}

/// Plants the fault with this number, or none with 0.
#[cfg(payonce_faults)]
pub fn plant(number: u32) {
    PLANTED.store(number, core::sync::atomic::Ordering::Relaxed);
}

/// How many faults there are.
#[cfg(payonce_faults)]
pub const COUNT: u32 = NAMES.len() as u32;

/// What the fault with this number breaks.
///
/// # Panics
/// If there is none.
#[cfg(payonce_faults)]
#[must_use]
pub fn name(number: u32) -> &'static str {
    NAMES[number as usize - 1]
}

#[cfg(payonce_faults)]
static PLANTED: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// Whether this fault is planted.
#[cfg(payonce_faults)]
pub(crate) fn is(fault: Fault) -> bool {
    PLANTED.load(core::sync::atomic::Ordering::Relaxed) == fault as u32 + 1
}

/// Whether this fault is planted: none is.
#[cfg(not(payonce_faults))]
pub(crate) const fn is(_fault: Fault) -> bool {
    false
}
