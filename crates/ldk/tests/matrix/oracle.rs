//! The judge of a crash: plain numbers, and nothing of what it judges.

/// What is left when everything has come to rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest {
    /// What the payment was for, in msat.
    pub(crate) amount: u64,
    /// What the payer owns less than before, in msat: in channels and on chain.
    pub(crate) gone: i64,
    /// The most that routing and the chain may have taken, in msat.
    pub(crate) fees: u64,
    /// How often the payee said that it was paid.
    pub(crate) received: usize,
    /// What the ledger says.
    pub(crate) ledger: Says,
    /// What a repeat was answered.
    pub(crate) repeat: Says,
    /// Whether anything left the payer because of the repeat.
    pub(crate) repeat_moved: bool,
}

/// How a payment stands, in anybody's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Paid,
    Failed,
    /// Not decided.
    Open,
    /// Never heard of it.
    Unknown,
    /// Refused to look: something of the past is missing.
    Refused,
}

impl Rest {
    /// How often the payer has paid, by what it owns.
    pub(crate) fn times_paid(&self) -> Result<u64, String> {
        let gone = u64::try_from(self.gone)
            .map_err(|_| format!("the payer has more than before: {}", -self.gone))?;
        let (times, rest) = (gone / self.amount, gone % self.amount);
        if rest > self.fees {
            return Err(format!("{rest} msat are gone beyond {times} payments"));
        }
        Ok(times)
    }

    /// Whether this is right for a payer that kept its promise.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let paid = self.times_paid()?;
        if paid > 1 {
            return Err(format!("paid {paid} times"));
        }
        if self.received > 1 {
            return Err(format!("received {} times", self.received));
        }
        if u64::try_from(self.received) != Ok(paid) {
            return Err(format!("paid {paid} times, received {} times", self.received));
        }
        let wrong = match (paid, self.ledger) {
            (1, Says::Failed | Says::Unknown) => Some("the ledger does not know that it is paid"),
            (0, Says::Paid) => Some("the ledger takes it for paid"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(wrong.to_owned());
        }
        if self.repeat_moved {
            return Err("the repeat paid".to_owned());
        }
        match (paid, self.repeat) {
            (1, Says::Failed | Says::Unknown) => {
                Err("the repeat was told that it is not paid".to_owned())
            }
            (0, Says::Paid) => Err("the repeat was told that it is paid".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether the payment is decided, as it must be where nothing of the past is missing.
    pub(crate) fn judge_decided(&self) -> Result<(), String> {
        match (self.ledger, self.repeat) {
            (Says::Paid, Says::Paid) | (Says::Failed, Says::Failed) => Ok(()),
            (ledger, repeat) => {
                Err(format!("at rest, and the ledger says {ledger:?}, the repeat {repeat:?}"))
            }
        }
    }
}
