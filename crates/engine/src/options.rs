//! What can be chosen.

use std::time::Duration;

/// How a payer drives its engines. May differ from one start to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long one call to an engine, or one delivery to the sink, may take; 30 s.
    pub call_timeout: Duration,
    /// How long one wait for an engine's news may take before it is asked anew; 5 minutes.
    pub wait_limit: Duration,
    /// How long until an engine is asked again what became of a hand-over, at first and at most; twice
    /// as long each time. 250 ms and 30 s. An engine that does not answer is left alone for the same time.
    pub poll: (Duration, Duration),
    /// How long until a hand-over of which the engine knows nothing is said again, at first and at
    /// most; twice as long each time. 2 s and 5 minutes.
    pub say_again: (Duration, Duration),
    /// How long after the engine's own deadline a request is considered lost for good: for clocks that
    /// differ, and for a request that passed the check and stands still; 10 minutes.
    pub lateness_margin: Duration,
    /// How often the ledger's timer ticks; a minute.
    pub tick_every: Duration,
    /// How many hand-overs one engine is given at the same time; 64.
    pub hand_overs: usize,
    /// How long a shutdown waits for calls under way; 10 s.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(30),
            wait_limit: Duration::from_secs(300),
            poll: (Duration::from_millis(250), Duration::from_secs(30)),
            say_again: (Duration::from_secs(2), Duration::from_secs(300)),
            lateness_margin: Duration::from_secs(600),
            tick_every: Duration::from_secs(60),
            hand_overs: 64,
            patience: Duration::from_secs(10),
        }
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        impl Options {
            $(
                #[doc = concat!("With another [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                #[must_use]
                pub const fn $name(mut self, $name: $kind) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

with! {
    call_timeout: Duration,
    wait_limit: Duration,
    poll: (Duration, Duration),
    say_again: (Duration, Duration),
    lateness_margin: Duration,
    tick_every: Duration,
    hand_overs: usize,
    patience: Duration,
}

/// A pause that doubles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    next: Duration,
    most: Duration,
}

impl Pause {
    pub(crate) const fn new((first, most): (Duration, Duration)) -> Self {
        Self { next: first, most }
    }

    pub(crate) fn take(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.most);
        now
    }
}
