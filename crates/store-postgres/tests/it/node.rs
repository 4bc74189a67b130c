//! A node whose own ledger counts the money, and a machine that pays through it from a ledger in
//! PostgreSQL. The node shares no code with what it judges: what it keeps is how often money left for
//! a hash.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use payonce_core::{
    Answer, ClaimPart, Dispatch, DispatchReply, ExecuteError, FailPart, Failure, FinalizePart,
    Head, Ledger, MaxFee, Msat, NewPart, Opening, PartId, Pay, PaymentHash, PaymentId, Preimage,
    Remember, Request, RetryPolicy, UnixMillis, WithdrawPart,
};
use payonce_store_postgres::PostgresStore;

use crate::afar::Afar;

/// What was ordered as the nth payment.
pub(crate) struct Order {
    pub(crate) id: PaymentId,
    preimage: Preimage,
    pub(crate) amount: Msat,
}

impl Order {
    pub(crate) fn nth(nth: u64) -> Self {
        let mut bytes = [0x77; 32];
        bytes[..8].copy_from_slice(&nth.to_le_bytes());
        let id = PaymentId::from_bytes(bytes);
        Self { id, preimage: Preimage::from_bytes(bytes), amount: Msat(1_000 + nth) }
    }

    pub(crate) fn number(&self) -> u64 {
        u64::from_le_bytes(self.id.as_bytes()[..8].try_into().expect("8 bytes"))
    }

    pub(crate) fn hash(&self) -> PaymentHash {
        self.preimage.payment_hash()
    }

    pub(crate) fn request(&self) -> Request {
        let fee = MaxFee::AtMost(Msat(10));
        Request::invoice(self.hash(), self.amount, fee, RetryPolicy::Attempts(5))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Htlc {
    Settled,
    Failed,
}

/// The books of the node.
#[derive(Default)]
pub(crate) struct Books {
    /// Who may act on the channels: the last who attached.
    attached: u64,
    htlcs: BTreeMap<[u8; 32], Htlc>,
    /// How much left for each hash, one amount a settled HTLC.
    left: BTreeMap<[u8; 32], Vec<u64>>,
    /// The last head that the node relied on, kept with its channels.
    head: Option<Head>,
}

/// The node, in this process or in another one.
#[derive(Clone)]
pub(crate) enum Node {
    Here(Arc<Mutex<Books>>),
    Afar(Afar),
}

impl Default for Node {
    fn default() -> Self {
        Self::Here(Arc::default())
    }
}

/// Another machine has attached.
#[derive(Debug)]
pub(crate) struct ShutOut;

impl Node {
    fn books(&self) -> MutexGuard<'_, Books> {
        match self {
            Self::Here(books) => books.lock().expect("nobody panics"),
            Self::Afar(_) => panic!("the books are where the node is"),
        }
    }

    /// Gives the channels to this machine and shuts every other one out.
    pub(crate) fn attach(&self) -> u64 {
        if let Self::Afar(afar) = self {
            return afar.attach();
        }
        let mut books = self.books();
        books.attached += 1;
        books.attached
    }

    /// Offers an HTLC that rests on a log that ends there. Every third is failed by the network.
    pub(crate) fn offer(
        &self,
        token: u64,
        part: PartId,
        order: &Order,
        head: Head,
    ) -> Result<(), ShutOut> {
        if let Self::Afar(afar) = self {
            return afar.offer(token, part, order, head);
        }
        let mut books = self.books();
        if books.attached != token {
            return Err(ShutOut);
        }
        let fails = books.htlcs.len() % 3 == 2;
        let htlc = if fails { Htlc::Failed } else { Htlc::Settled };
        let former = books.htlcs.insert(*part.as_bytes(), htlc);
        assert!(former.is_none(), "a part is offered once");
        if !fails {
            books.left.entry(*order.hash().as_bytes()).or_default().push(order.amount.0);
        }
        books.head = Some(head);
        Ok(())
    }

    pub(crate) fn htlc(&self, part: &PartId) -> Option<Htlc> {
        if let Self::Afar(afar) = self {
            return afar.htlc(part);
        }
        self.books().htlcs.get(part.as_bytes()).copied()
    }

    pub(crate) fn head(&self) -> Option<Head> {
        if let Self::Afar(afar) = self {
            return afar.head();
        }
        self.books().head
    }

    /// How many payments it has made: hashes for which money left.
    pub(crate) fn paid(&self) -> usize {
        self.books().left.len()
    }

    /// What left for a hash; nothing, or once what was ordered.
    pub(crate) fn left_for(&self, order: &Order) -> Vec<u64> {
        self.books().left.get(order.hash().as_bytes()).cloned().unwrap_or_default()
    }
}

/// Why a machine stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It has paid everything.
    Done,
    /// The node is another machine's.
    ShutOut,
    /// Its ledger answers nothing any more.
    Ledger(String),
}

/// A machine: a ledger, and the right to act on the node's channels.
pub(crate) struct Machine {
    pub(crate) ledger: Ledger<PostgresStore>,
    node: Node,
    token: u64,
    next_part: u64,
}

pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

impl Machine {
    /// Takes over: first the node, so that nobody else acts on its channels, then the ledger. Only so
    /// may a part that the node does not know be answered as never sent.
    pub(crate) fn take_over(node: &Node, store: PostgresStore, name: &str) -> Result<Self, String> {
        let token = node.attach();
        let mut opening = Opening::new(Remember::Forever, 7);
        opening.known_head = node.head();
        opening.holder = name.into();
        let mut recovery = Ledger::open(store, &opening, NOW).map_err(|error| error.to_string())?;
        assert!(!recovery.lacks_known_head(), "nothing that the node relied on is missing");
        let mut answers = Vec::new();
        for open in recovery.unresolved().map_err(|error| error.to_string())? {
            let (id, part) = (open.payment, open.part.id);
            match node.htlc(&part) {
                None => answers.push(Answer::NeverSent(WithdrawPart { id, part })),
                Some(Htlc::Failed) => answers.push(Answer::Failed(failed(id, part))),
                Some(Htlc::Settled) => {
                    let preimage = Preimage::from_bytes(*id.as_bytes());
                    answers.push(Answer::Claimed(ClaimPart::new(id, part, preimage)));
                    answers.push(Answer::Gone(FinalizePart { id, part }));
                }
            }
        }
        let replies = recovery.answer(answers, NOW).map_err(|error| error.to_string())?;
        for reply in replies {
            reply.expect("a fact of the node's");
        }
        let ledger = recovery.finish(NOW).map_err(|error| error.to_string())?;
        Ok(Self { ledger, node: node.clone(), token, next_part: 0 })
    }

    /// Pays orders in their turn, each asked for again although an earlier machine may have paid it.
    pub(crate) fn pay(&mut self, orders: std::ops::Range<u64>) -> Stopped {
        for nth in orders {
            let order = Order::nth(nth);
            match self.pay_one(&order) {
                Ok(true) => {}
                Ok(false) => return Stopped::ShutOut,
                Err(error) => return Stopped::Ledger(error),
            }
        }
        Stopped::Done
    }

    /// Pays what was taken into the ledger and is not paid.
    pub(crate) fn pay_what_is_due(&mut self) -> Stopped {
        let due = self.ledger.query(|state| state.due(NOW)).expect("it answers");
        for due in due {
            let bytes = due.id.as_bytes()[..8].try_into().expect("8 bytes");
            match self.drive(&Order::nth(u64::from_le_bytes(bytes))) {
                Ok(true) => {}
                Ok(false) => return Stopped::ShutOut,
                Err(error) => return Stopped::Ledger(error),
            }
        }
        Stopped::Done
    }

    /// Whether it may go on.
    fn pay_one(&mut self, order: &Order) -> Result<bool, String> {
        answer(self.ledger.execute(Pay::new(order.id, order.request()), NOW))?;
        self.drive(order)
    }

    fn drive(&mut self, order: &Order) -> Result<bool, String> {
        let id = order.id;
        loop {
            let due = self.ledger.query(|state| state.remaining(&id));
            let due = due.map_err(|error| error.to_string())?;
            let Some(due) = due.filter(|due| due.amount > Msat(0)) else { return Ok(true) };
            let part = self.part();
            let new = NewPart::htlc(part, due.amount, Msat(1), 800_000);
            let dispatch = Dispatch { id, attempt: due.attempt, parts: vec![new] };
            let reply = answer(self.ledger.execute(dispatch, NOW))?;
            let DispatchReply::Recorded { .. } = reply else { panic!("one worker: {reply:?}") };
            if self.node.offer(self.token, part, order, self.ledger.head()).is_err() {
                return Ok(false);
            }
            match self.node.htlc(&part).expect("just offered") {
                Htlc::Settled => {
                    let claim = ClaimPart::new(id, part, order.preimage);
                    answer(self.ledger.execute(claim, NOW))?;
                    answer(self.ledger.execute(FinalizePart { id, part }, NOW))?;
                }
                Htlc::Failed => {
                    answer(self.ledger.execute(failed(id, part), NOW))?;
                }
            }
        }
    }

    /// A name that no other part has, of any machine.
    fn part(&mut self) -> PartId {
        self.next_part += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.token.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.next_part.to_le_bytes());
        PartId::from_bytes(bytes)
    }
}

fn failed(id: PaymentId, part: PartId) -> FailPart {
    FailPart { id, part, failure: Failure::default() }
}

/// What the ledger answers; a refusal would be a fault of the test's.
fn answer<T, R: std::error::Error>(outcome: Result<T, ExecuteError<R>>) -> Result<T, String> {
    outcome.map_err(|error| match error {
        ExecuteError::Refused(refusal) => panic!("refused: {refusal}"),
        ExecuteError::Unavailable(error) => error.to_string(),
    })
}
