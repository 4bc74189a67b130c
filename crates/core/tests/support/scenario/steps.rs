//! The steps of a script: commands and facts by name.

use payonce_core::{
    Abandon, Acknowledge, AdoptPart, Assertion, ClaimPart, CloseGap, DisownPart, Dispatch,
    FailPart, Failure, FailureReason, FinalizePart, MarkPaid, Msat, NewPart, NotificationId,
    PartKind, Pay, ReceiveInvoice, Reply, Request, Settlement, Tick, TickReply, UnixMillis,
    WithdrawPart,
};

use super::Scenario;
use crate::support::{Outcome, hash, id, part, preimage};

/// Commands and facts.
impl Scenario {
    pub(crate) fn send(&mut self, payment: &str, request: Request) -> Outcome {
        self.run(Pay { id: id(payment), request, again_after: None })
    }

    pub(crate) fn send_again(
        &mut self,
        payment: &str,
        request: Request,
        after: NotificationId,
    ) -> Outcome {
        self.run(Pay { id: id(payment), request, again_after: Some(after) })
    }

    /// An invoice without expiry.
    pub(crate) fn invoice(&mut self, payment: &str, hash_name: &str, amount: u64) -> Outcome {
        let (payment_hash, amount) = (hash(hash_name), Msat(amount));
        self.run(ReceiveInvoice { id: id(payment), payment_hash, amount, expiry: None })
    }

    pub(crate) fn dispatch<const N: usize>(
        &mut self,
        payment: &str,
        attempt: u32,
        parts: [NewPart; N],
    ) -> Outcome {
        self.run(Dispatch { id: id(payment), attempt, parts: parts.into() })
    }

    pub(crate) fn withdraw(&mut self, payment: &str, name: &str) -> Outcome {
        self.run(WithdrawPart { id: id(payment), part: part(name) })
    }

    pub(crate) fn claim(&mut self, payment: &str, name: &str, proof: &str) -> Outcome {
        let (part, preimage) = (part(name), preimage(proof));
        self.run(ClaimPart::new(id(payment), part, preimage))
    }

    /// A claim with what an engine reports.
    pub(crate) fn claim_of(
        &mut self,
        payment: &str,
        name: &str,
        proof: &str,
        (amount, fee): (u64, u64),
    ) -> Outcome {
        let (part, preimage) = (part(name), preimage(proof));
        let settlement = Settlement { amount: Some(Msat(amount)), fee: Some(Msat(fee)) };
        self.run(ClaimPart::new(id(payment), part, preimage).settlement(settlement))
    }

    pub(crate) fn finalize(&mut self, payment: &str, name: &str) -> Outcome {
        self.run(FinalizePart { id: id(payment), part: part(name) })
    }

    pub(crate) fn fail(&mut self, payment: &str, name: &str) -> Outcome {
        self.fail_with(payment, name, Failure::default())
    }

    pub(crate) fn fail_with(&mut self, payment: &str, name: &str, failure: Failure) -> Outcome {
        self.run(FailPart { id: id(payment), part: part(name), failure })
    }

    /// An HTLC that the node has, with amount and fee.
    pub(crate) fn adopt(
        &mut self,
        payment: &str,
        name: &str,
        hash_name: &str,
        (amount, fee): (u64, u64),
    ) -> Outcome {
        self.run(AdoptPart {
            id: id(payment),
            part: part(name),
            payment_hash: hash(hash_name),
            amount: Some(Msat(amount)),
            fee: Some(Msat(fee)),
            kind: PartKind::Htlc { cltv_expiry: Some(800_000), first_channel: None },
        })
    }

    /// The node knows that it was paid, and no more.
    pub(crate) fn mark_paid(&mut self, payment: &str, name: Option<&str>) -> Outcome {
        self.run(MarkPaid { part: name.map(part), ..MarkPaid::new(id(payment)) })
    }

    /// An operator says that this part is not of the payment under which it was told.
    pub(crate) fn disown(&mut self, name: &str) -> Outcome {
        self.run(DisownPart { part: part(name), assertion: Assertion::new("ops", "another's") })
    }

    pub(crate) fn abandon(&mut self, payment: &str) -> Outcome {
        self.run(Abandon { id: id(payment), reason: FailureReason::UserAbandoned })
    }

    pub(crate) fn close_gap(&mut self) -> Outcome {
        self.run(CloseGap)
    }

    /// Acknowledges everything in the outbox.
    pub(crate) fn acknowledge_all(&mut self) {
        let ids: Vec<_> = self.state().outbox().map(|unread| unread.id).collect();
        self.acknowledge_ids(ids);
    }

    /// Acknowledges the notification with this text.
    #[track_caller]
    pub(crate) fn acknowledge(&mut self, text: &str) {
        let id = self.notification(text);
        self.acknowledge_ids(vec![id]);
    }

    fn acknowledge_ids(&mut self, ids: Vec<NotificationId>) {
        let outcome = self.run(Acknowledge { ids: ids.clone() });
        assert!(outcome.result.is_ok(), "{outcome:?}");
        self.acknowledged.extend(ids);
        self.check_deliveries();
    }

    /// A tick a minute later, worked off.
    pub(crate) fn tick(&mut self) {
        self.pass(60_000);
        self.tick_now();
    }

    pub(crate) fn ticks(&mut self, count: usize) {
        (0..count).for_each(|_| self.tick());
    }

    /// A tick at this moment, worked off.
    pub(crate) fn tick_now(&mut self) {
        loop {
            let outcome = self.run(Tick::new());
            match outcome.result {
                Ok(Reply::Tick(TickReply { more: false, .. })) => return,
                Ok(Reply::Tick(TickReply { more: true, .. })) => {}
                other => panic!("a tick: {other:?}"),
            }
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now.plus(millis);
    }

    /// The clock shows this.
    pub(crate) fn set_clock(&mut self, now: UnixMillis) {
        self.now = now;
    }

    pub(crate) const fn now(&self) -> UnixMillis {
        self.now
    }
}
