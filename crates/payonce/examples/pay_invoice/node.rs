//! A node that asks payonce before it sends, and tells it what happened.

use std::{error::Error, path::Path};

use lightning_invoice::Bolt11Invoice;
use payonce::{
    Abandon, Acknowledge, AdoptPart, Answer, ClaimPart, Dispatch, DispatchReply, ExecuteError,
    FailPart, Failure, FailureReason, FinalizePart, Ledger, LedgerId, Msat, NewPart, Opening,
    PartId, PartKind, Pay, PayRefusal, PayReply, PaymentHash, Preimage, Recovery, Remember, State,
    UnixMillis, UnresolvedPart, WithdrawPart,
    machine::Remaining,
    store_fs::{FsError, FsStore, Options},
};

use crate::{
    channel::{Channel, Htlc, HtlcState},
    crash::{Doom, Point},
    invoice::Invoice,
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

pub(crate) struct Node {
    pub(crate) ledger: Ledger<FsStore>,
    pub(crate) channel: Channel,
    now: UnixMillis,
    doom: Doom,
}

impl Node {
    /// Starts the node: opens the log, answers for every part that was out when the last process
    /// died, and goes on with what is due. Gives the answers in words as well.
    pub(crate) fn start(
        directory: &Path,
        mut channel: Channel,
        now: UnixMillis,
        doom: Doom,
    ) -> Result<(Self, Vec<String>)> {
        let mut opening = Opening::new(Remember::Forever, getrandom::u64()?);
        opening.program = "pay_invoice".into();
        opening.known_head = channel.known_head();
        let store = open_store(&directory.join("log"), &channel)?;
        let mut recovery = Ledger::open(store, &opening, now)?;
        let (answers, words) = answers(&mut recovery, &channel)?;
        for reply in recovery.answer(answers, now)? {
            reply?;
        }
        doom.at(Point::AfterAnswers);
        let ledger = recovery.finish(now)?;
        for htlc in channel.htlcs().to_vec() {
            // The log has what the channel kept for it.
            if matches!(htlc.state, HtlcState::Removed(_)) {
                channel.forget(&htlc.part_id(), ledger.head())?;
            }
        }
        let mut node = Self { ledger, channel, now, doom };
        node.drive()?;
        Ok((node, words))
    }

    /// Pays an invoice, or says how it stands if that was asked before.
    pub(crate) fn pay(&mut self, invoice: &Invoice) -> Result<Result<PayReply, PayRefusal>> {
        self.doom.at(Point::BeforeSend);
        let (id, request) = (invoice.payment_id(), invoice.request.clone());
        let pay = Pay::new(id, request);
        match self.ledger.execute(pay, self.now) {
            Ok(reply) => {
                self.doom.at(Point::AfterSend);
                self.drive()?;
                Ok(Ok(reply))
            }
            Err(ExecuteError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error.into()),
        }
    }

    /// Dispatches what is due, follows the channel until nothing moves, and reads the outbox.
    fn drive(&mut self) -> Result<()> {
        let now = self.now;
        for due in self.ledger.query(|state| state.due(now))? {
            self.dispatch(&due)?;
        }
        while let Some(htlc) = self.channel.advance()? {
            self.tell(&htlc)?;
        }
        self.read_outbox()
    }

    /// One HTLC for all that is missing. Recorded first, offered after.
    fn dispatch(&mut self, due: &Remaining) -> Result<()> {
        let (amount, fee) = (due.amount, Msat(1_000 + due.amount.0 / 1_000));
        if self.channel.balance() < amount.saturating_add(fee) {
            let abandon = Abandon { id: due.id, reason: FailureReason::RouteNotFound };
            self.ledger.execute(abandon, self.now)?;
            return Ok(());
        }
        let cltv_expiry = self.channel.height() + self.final_cltv_delta(due)?;
        let part = PartId::from_bytes(random_bytes()?);
        self.doom.at(Point::BeforeAppend);
        let new = NewPart::htlc(part, amount, fee, cltv_expiry);
        let dispatch = Dispatch { id: due.id, attempt: due.attempt, parts: vec![new] };
        let reply = self.ledger.execute(dispatch, self.now)?;
        self.doom.at(Point::AfterDispatch);
        let htlc = Htlc {
            payment: *due.id.as_bytes(),
            part: *part.as_bytes(),
            hash: *due.payment_hash.expect("an invoice states its hash").as_bytes(),
            amount_msat: amount.0,
            fee_msat: fee.0,
            cltv_expiry,
            state: HtlcState::Offered,
        };
        match reply {
            DispatchReply::Recorded { .. } => {
                self.channel.offer(htlc, self.ledger.head())?;
                self.doom.at(Point::AfterOffer);
            }
            // Given up while the dispatch was being recorded: the part is never sent.
            DispatchReply::Overtaken { id, .. } => {
                self.ledger.execute(WithdrawPart { id, part }, self.now)?;
            }
            // Recorded before: the right to offer it was given then.
            DispatchReply::Duplicate { .. } => {}
        }
        Ok(())
    }

    /// What the payee asks for, read from the ledger: the process that was given the invoice may
    /// be long dead.
    fn final_cltv_delta(&mut self, due: &Remaining) -> Result<u32> {
        let request = |state: &State| state.payment(&due.id)?.request().cloned();
        let request = self.ledger.query(request)?.ok_or("a payment that is due has its request")?;
        let invoice: Bolt11Invoice = str::from_utf8(request.instructions.as_bytes())?.parse()?;
        Ok(u32::try_from(invoice.min_final_cltv_expiry_delta())?)
    }

    /// Tells the ledger what became of an HTLC.
    fn tell(&mut self, htlc: &Htlc) -> Result<()> {
        let (before, after) = match htlc.state {
            HtlcState::Offered => (Point::AfterOffer, None),
            HtlcState::Committed => (Point::AfterCommit, None),
            HtlcState::Fulfilled(_) => (Point::BeforeClaim, Some(Point::AfterClaim)),
            HtlcState::Failed => (Point::BeforeFail, None),
            HtlcState::Removed(Some(_)) => (Point::AfterRemoval, Some(Point::AfterFinalize)),
            HtlcState::Removed(None) => (Point::AfterRemoval, Some(Point::AfterFail)),
        };
        self.doom.at(before);
        for fact in facts(htlc) {
            self.ledger.execute(fact, self.now)?;
        }
        if let Some(after) = after {
            self.doom.at(after);
        }
        if matches!(htlc.state, HtlcState::Removed(_)) {
            self.channel.forget(&htlc.part_id(), self.ledger.head())?;
        }
        Ok(())
    }

    /// Shows every notification to the user, who has read it then.
    fn read_outbox(&mut self) -> Result<()> {
        let ids: Vec<_> =
            self.ledger.query(|state| state.outbox().map(|unread| unread.id).collect())?;
        if !ids.is_empty() {
            self.ledger.execute(Acknowledge { ids }, self.now)?;
            self.doom.at(Point::AfterAcknowledge);
        }
        Ok(())
    }
}

/// Opens the log, or creates it at the very first start: while the channel has relied on no log. A log
/// that it has relied on and that is not there is on a volume that is not mounted, or lost.
fn open_store(directory: &Path, channel: &Channel) -> Result<FsStore> {
    let is_first_start = channel.known_head().is_none();
    let (store, _report) = match FsStore::open(directory, Options::default()) {
        Err(FsError::NotALedger { .. }) if is_first_start => {
            let ledger = LedgerId::from_bytes(random_bytes()?);
            FsStore::create(directory, ledger, Options::default())?
        }
        opened => opened?,
    };
    Ok(store)
}

/// The node's answer for every part that the log holds as unresolved, and for every HTLC that the
/// channel has. In words, too.
fn answers(
    recovery: &mut Recovery<FsStore>,
    channel: &Channel,
) -> Result<(Vec<Answer>, Vec<String>)> {
    let (mut answers, mut words) = (Vec::new(), Vec::new());
    let log_is_current = !recovery.is_restored()?;
    for open in recovery.unresolved()? {
        if channel.htlc(&open.part.id).is_none() {
            words.push(if log_is_current { "never sent" } else { "unknown: still in flight" });
            answers.push(without_htlc(&open, log_is_current));
        }
    }
    for htlc in channel.htlcs() {
        let known = recovery.query(|state| state.owner_of(&htlc.part_id()))?.is_some();
        if may_still_pay(htlc) {
            answers.push(listed(htlc));
        }
        // What failed and is in no log was in nobody's books.
        if known || may_still_pay(htlc) {
            answers.extend(facts(htlc));
        }
        words.push(match htlc.state {
            HtlcState::Fulfilled(_) => "fulfilled",
            HtlcState::Removed(Some(_)) => "fulfilled and off the channel",
            HtlcState::Removed(None) => "failed",
            HtlcState::Offered | HtlcState::Committed | HtlcState::Failed => "still in flight",
        });
    }
    Ok((answers, words.into_iter().map(String::from).collect()))
}

/// A recorded part of which the channel has no HTLC. It was never sent, because
/// - this process holds the channel's lock: whoever recorded the dispatch can no longer act on it;
/// - the channel's only file is loaded, and is written before anything is signed;
/// - the log contains the last head that the channel knew;
/// - the channel keeps an HTLC that came off until the log knows what became of it.
///
/// Where one of these does not hold there is no answer, and the part stays in flight.
fn without_htlc(open: &UnresolvedPart, log_is_current: bool) -> Answer {
    if log_is_current {
        Answer::NeverSent(WithdrawPart { id: open.payment, part: open.part.id })
    } else {
        Answer::StillInFlight
    }
}

/// An HTLC that the channel has, whatever the log holds of it: the log may have lost it, or believe
/// that it is over.
fn listed(htlc: &Htlc) -> Answer {
    Answer::Adopted(AdoptPart {
        id: htlc.payment_id(),
        part: htlc.part_id(),
        payment_hash: PaymentHash::from_bytes(htlc.hash),
        amount: Some(Msat(htlc.amount_msat)),
        fee: Some(Msat(htlc.fee_msat)),
        kind: PartKind::Htlc { cltv_expiry: Some(htlc.cltv_expiry), first_channel: None },
    })
}

fn may_still_pay(htlc: &Htlc) -> bool {
    htlc.state != HtlcState::Removed(None)
}

/// What the channel knows of an HTLC. A fact may be told twice; the second time changes nothing.
fn facts(htlc: &Htlc) -> Vec<Answer> {
    let (id, part) = (htlc.payment_id(), htlc.part_id());
    let claimed = |preimage| Answer::Claimed(ClaimPart::new(id, part, preimage));
    match htlc.state {
        // Not irrevocable: "maybe sent" is sent, "maybe failed" is in flight.
        HtlcState::Offered | HtlcState::Committed | HtlcState::Failed => vec![],
        HtlcState::Fulfilled(preimage) => vec![claimed(Preimage::from_bytes(preimage))],
        HtlcState::Removed(Some(preimage)) => {
            let gone = Answer::Gone(FinalizePart { id, part });
            vec![claimed(Preimage::from_bytes(preimage)), gone]
        }
        HtlcState::Removed(None) => {
            vec![Answer::Failed(FailPart { id, part, failure: Failure::permanent() })]
        }
    }
}

fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
