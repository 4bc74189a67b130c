//! The judge's book: where the money is, by part, by id and by hash, as far as it was told.
//!
//! Facts that say that money may be out or has left are taken as told, whatever the ledger answers. Facts
//! that say that it is not out are taken only if the ledger took them and nothing stronger was said: in one
//! recovery a part that is listed as out stays out, one that is claimed stays claimed.

use std::fmt::Write as _;

use super::{
    Act, Done, Engine, Failed, Hash, Id, Note, Offered, Outcome, Part, PaymentView, Rules, Says,
    Sums, Target, Terms, Word, ticks_of,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing was told of it.
    Nowhere,
    /// It may be out.
    Out,
    /// Settled, and still on its channel.
    Claimed,
    /// Settled, and off its channel.
    Over,
    Failed,
    NeverSent,
}

impl Place {
    pub const fn is_unresolved(self) -> bool {
        matches!(self, Self::Out | Self::Claimed)
    }

    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Claimed | Self::Over)
    }
}

/// What is said of a part, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    NeverSent,
    Failed,
    Listed,
    Paid,
}

#[derive(Debug, Clone)]
struct Piece {
    place: Place,
    owner: Option<Id>,
    hash: Option<Hash>,
    /// Its hash was known when it was dispatched.
    whole: bool,
    /// A second hash under which it was listed.
    other: Option<Hash>,
    amount: Option<u64>,
    fee: Option<u64>,
    /// The try of its owner in which it became known.
    of_try: u32,
    /// The batch with which it was dispatched; 0 if it was not.
    batch: u32,
    delegated: bool,
    /// The height at which it expires is known.
    expires: bool,
    /// The last mark that its engine had shown, and how often it was said.
    mark: Option<u64>,
    sayings: u32,
    /// The invoice request that its hand-over made.
    request: Option<u8>,
    /// The opening in which it became known.
    epoch: u32,
    since: u64,
    /// The strongest that was said of it in the recovery of this opening.
    said: (u32, Said),
    listed: Option<u32>,
    withdrawn: Option<u32>,
    /// Whose it is cannot be told for sure: no verdict about an id follows from it.
    loose: bool,
    /// When, among the requests, it became known.
    age: u32,
    /// It is of an earlier try, or of before its payment was remembered.
    former: bool,
    /// It is its payment's, whatever its hash: that was an offer without an invoice when it took it in, or
    /// a word said so.
    own: bool,
    /// It was not its payment's own when it became known.
    stray: bool,
    /// An anomaly names it.
    noted: bool,
}

const NO_PIECE: Piece = Piece {
    place: Place::Nowhere,
    owner: None,
    hash: None,
    whole: false,
    other: None,
    amount: None,
    fee: None,
    of_try: 0,
    batch: 0,
    delegated: false,
    expires: false,
    mark: None,
    sayings: 1,
    request: None,
    epoch: 0,
    since: 0,
    said: (0, Said::Nothing),
    listed: None,
    withdrawn: None,
    loose: false,
    age: 0,
    former: false,
    own: false,
    stray: false,
    noted: false,
};

/// A failure that was told.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    pub seq: u64,
    pub superseded: bool,
    pub read: bool,
    /// Something was out afterwards.
    pub untrue: bool,
    /// Something was, or may have been.
    pub doubted: bool,
}

/// An obligation.
#[derive(Debug, Clone, Default)]
pub struct Payment {
    /// The ledger holds or remembers it.
    pub known: bool,
    pub terms: Option<Terms>,
    /// What a repeat is compared with.
    pub compared: Option<Terms>,
    /// The hash of the invoice that an offer has now.
    invoice: Option<Hash>,
    /// When, among the requests, it was accepted.
    age: u32,
    /// When it was accepted, and at which tick.
    pub accepted: (u64, u64),
    pub invoice_expiry: Option<u64>,
    /// Until when it rests, and until which tick.
    rests: Option<(u64, u64)>,
    /// The last tick at which something of it was out or unread.
    pub busy: u64,
    unread: Vec<u64>,
    /// What was last told to be paid, and by which proof.
    pub told: Option<(Sums, Option<Hash>)>,
    /// What must arrive: the request's amount, or the invoice's.
    amount: u64,
    /// The hashes of its own requests and invoices, in all its tries.
    asked: Vec<(Hash, u32)>,
    of_try: u32,
    batches: u32,
    /// It was told paid by its name, and under which hashes.
    word: bool,
    words: Vec<Hash>,
    pub sent: Option<u64>,
    pub failure: Option<Failure>,
    pub standing: Option<PaymentView>,
    /// It was remembered, and came back.
    pub recalled: bool,
    /// The hash that it held when it was last seen.
    pub last_hash: Option<Hash>,
    /// A new try was accepted in this step.
    pub anew: bool,
}

impl Payment {
    /// Whether a failure of this try was told and still stands.
    pub fn failed(&self) -> bool {
        self.failure.is_some_and(|failure| !failure.superseded)
    }

    pub fn most(&self, percent: u64) -> u64 {
        self.amount.saturating_add(self.amount.saturating_mul(percent) / 100)
    }

    pub fn is_offer(&self) -> bool {
        let terms = self.terms.or(self.compared);
        terms.is_some_and(|terms| matches!(terms.target, Target::Offer { .. }))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Sheet {
    /// Whose engines have something out under it, a bit for each: it is free once none has.
    blocks: u8,
    paid: bool,
    /// Its preimage was told.
    proven: bool,
    /// It was told before it was forgotten.
    was_proven: bool,
    /// It was paid, and no payment of the ledger is paid by that.
    apart: bool,
    noted: Option<u64>,
    /// The tick at which its anomaly was read.
    read: Option<u64>,
}

/// What is out and settled under an id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds {
    /// Something may be out, or is claimed and still on its channel.
    pub out: bool,
    /// Something is out that is of an earlier try, or under a hash that is not its own.
    pub foreign: bool,
    pub settled: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    pub amount: u64,
    pub fee: u64,
}

pub struct Twice {
    pub what: String,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub struct Book {
    pub rules: Rules,
    /// Something was told that contradicts what was told before.
    pub disputed: bool,
    pub recovering: bool,
    pub restored: bool,
    /// The fact of this step was a preimage that fits a hash that was known.
    pub heard_true: bool,
    /// The same preimage had been told and was a proof already.
    pub heard_before: bool,
    /// A preimage was told that no hash fits, of a part without one: the ledger may take it for this
    /// payment's, or not.
    pub may_prove: Option<Id>,
    /// An engine spent more than it was allowed to in this step; that was told.
    pub overspent: bool,
    pub overspent_told: bool,
    payments: Vec<Payment>,
    parts: Vec<Piece>,
    hashes: Vec<Sheet>,
    epoch: u32,
    tick: u64,
    /// When it was the last tick that counted.
    ticked: u64,
    age: u32,
    height: Option<u32>,
    settled: u32,
}

impl Book {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            disputed: false,
            recovering: false,
            restored: false,
            heard_true: false,
            heard_before: false,
            may_prove: None,
            overspent: false,
            overspent_told: false,
            payments: Vec::new(),
            parts: Vec::new(),
            hashes: Vec::new(),
            epoch: 0,
            tick: 0,
            ticked: 0,
            age: 0,
            height: None,
            settled: 0,
        }
    }

    pub fn payments(&self) -> Id {
        Id::try_from(self.payments.len()).unwrap_or(Id::MAX)
    }

    pub fn hashes(&self) -> Hash {
        Hash::try_from(self.hashes.len()).unwrap_or(Hash::MAX)
    }

    pub fn payment(&self, id: Id) -> Option<&Payment> {
        self.payments.get(usize::from(id))
    }

    pub fn payment_mut(&mut self, id: Id) -> &mut Payment {
        let at = usize::from(id);
        if self.payments.len() <= at {
            self.payments.resize_with(at + 1, Payment::default);
        }
        &mut self.payments[at]
    }

    fn piece(&self, part: Part) -> &Piece {
        self.parts.get(usize::from(part)).unwrap_or(&NO_PIECE)
    }

    fn piece_mut(&mut self, part: Part) -> &mut Piece {
        let at = usize::from(part);
        if self.parts.len() <= at {
            self.parts.resize_with(at + 1, || NO_PIECE);
        }
        &mut self.parts[at]
    }

    fn sheet(&self, hash: Hash) -> Sheet {
        self.hashes.get(usize::from(hash)).copied().unwrap_or_default()
    }

    fn sheet_mut(&mut self, hash: Hash) -> &mut Sheet {
        let at = usize::from(hash);
        if self.hashes.len() <= at {
            self.hashes.resize_with(at + 1, Sheet::default);
        }
        &mut self.hashes[at]
    }

    /// How many times something was settled so far.
    pub const fn settled_parts(&self) -> u32 {
        self.settled
    }

    pub fn place(&self, part: Part) -> Place {
        self.piece(part).place
    }

    pub fn owner(&self, part: Part) -> Option<Id> {
        let piece = self.piece(part);
        piece.owner.filter(|_| !piece.loose)
    }

    /// The invoice request that was recorded for a part that may be out.
    pub fn request_of(&self, part: Part) -> Option<u8> {
        let piece = self.piece(part);
        piece.request.filter(|_| piece.place == Place::Out)
    }

    /// The invoice requests of the parts that may be out. Those of others are over.
    pub fn requests(&mut self) -> Vec<(Part, u8)> {
        let mut kept = Vec::new();
        for (part, piece) in (0..).zip(&mut self.parts) {
            piece.request = piece.request.filter(|_| piece.place == Place::Out);
            kept.extend(piece.request.map(|request| (part, request)));
        }
        kept
    }

    pub fn is_known(&self, part: Part) -> bool {
        self.place(part) != Place::Nowhere
    }

    /// The hash that a payment holds: its invoice's; of an offer the one that it has now.
    pub fn hash_of(&self, id: Id) -> Option<Hash> {
        let payment = self.payment(id)?;
        let remembered = payment.standing.is_some_and(|at| at.remembered);
        match payment.terms {
            Some(terms) if !payment.is_offer() => terms.hash(),
            _ if payment.is_offer() && !remembered => payment.invoice.or_else(|| {
                let counts =
                    |piece: &&Piece| piece.place.is_unresolved() || piece.place.is_settled();
                let own = |piece: &&Piece| piece.owner == Some(id) && !piece.loose && !piece.stray;
                self.parts.iter().filter(own).filter(counts).find_map(|piece| piece.hash)
            }),
            _ => payment.last_hash,
        }
    }

    fn is_foreign(&self, piece: &Piece, id: Id) -> bool {
        let Some(payment) = self.payment(id) else { return true };
        if piece.of_try < payment.of_try {
            return true;
        }
        let own = if payment.is_offer() { payment.invoice } else { self.hash_of(id) };
        if piece.own || (payment.is_offer() && piece.batch > 0) {
            return false;
        }
        if piece.stray {
            return true;
        }
        match (piece.hash, own) {
            (Some(hash), Some(own)) => hash != own,
            _ => false,
        }
    }

    pub fn holds(&self, id: Id) -> Holds {
        let mut holds = Holds::default();
        for piece in &self.parts {
            if piece.owner != Some(id) || piece.loose {
                continue;
            }
            holds.out |= piece.place.is_unresolved();
            holds.settled |= piece.place.is_settled();
            holds.foreign |= piece.place == Place::Out && self.is_foreign(piece, id);
        }
        holds.settled |= self.payment(id).is_some_and(|payment| payment.word);
        holds
    }

    /// Whether the node blocks a hash, or a part is out under it that is not its payment's.
    pub fn blocks(&self, hash: Hash) -> Option<&'static str> {
        if self.sheet(hash).blocks != 0 {
            return Some("it is blocked");
        }
        let stray = |piece: &&Piece| {
            let out = piece.place == Place::Out && piece.hash == Some(hash);
            // An offer takes in whatever part of an earlier try turns up.
            let offers = |owner: Id| self.payment(owner).is_some_and(Payment::is_offer);
            let own = |owner: Id| piece.batch > 0 && offers(owner);
            let strange = |owner: Id| {
                self.hash_of(owner) != Some(hash) && self.is_foreign(piece, owner) && !own(owner)
            };
            // One that may be somebody's own is no stray for sure.
            out && piece.owner.is_none_or(|owner| !piece.loose && strange(owner))
        };
        self.parts.iter().find(stray).map(|_| "a stray is out under it")
    }

    /// Why nothing may go out for `id` under this hash.
    pub fn hash_out(&self, hash: Hash, id: Id) -> Option<&'static str> {
        if let Some(why) = self.blocks(hash) {
            return Some(why);
        }
        if self.sheet(hash).paid {
            return Some("it is paid");
        }
        let elsewhere = |piece: &&Piece| {
            let under = piece.hash == Some(hash);
            let out = piece.place == Place::Out;
            let claimed = piece.place == Place::Claimed && piece.owner.is_some();
            under && piece.owner != Some(id) && (out || claimed)
        };
        self.parts.iter().find(elsewhere).map(|_| "another has it out")
    }

    /// Why a request with this hash must not be accepted under `id`.
    pub fn hash_taken(&self, hash: Hash, id: Id, alone: bool) -> Option<&'static str> {
        if let Some(why) = self.blocks(hash) {
            return Some(why);
        }
        if self.sheet(hash).paid {
            return Some("it is paid");
        }
        if !alone {
            return None;
        }
        if let Some(why) = self.hash_out(hash, id) {
            return Some(why);
        }
        let other = (0..self.payments()).find(|other| *other != id && self.has(*other, hash));
        other.map(|_| "another has it")
    }

    /// Whether this payment, live or remembered, has the hash.
    fn has(&self, id: Id, hash: Hash) -> bool {
        self.payment(id).is_some_and(|payment| payment.known) && self.hash_of(id) == Some(hash)
    }

    /// Whether a word told this payment paid under this hash.
    fn has_word(&self, id: Id, hash: Hash) -> bool {
        let payment = &self.payments[usize::from(id)];
        payment.known && payment.words.contains(&hash)
    }

    /// The payments that asked for this hash, in any try.
    pub fn askers(&self, hash: Hash) -> Vec<Id> {
        self.askers_before(hash, u32::MAX)
    }

    /// The one that has asked for a hash longest, of those that are not only remembered.
    fn oldest_asker(&self, hash: Hash, before: u32) -> Option<Id> {
        let asked = |id: &Id| {
            let payment = &self.payments[usize::from(*id)];
            let remembered = payment.standing.is_some_and(|at| at.remembered);
            let mut asked = payment.asked.iter().filter(|(own, _)| *own == hash);
            asked.next().map(|(_, age)| (remembered, *age, *id))
        };
        let askers = self.askers_before(hash, before);
        askers.iter().filter_map(asked).min().map(|(.., id)| id)
    }

    fn askers_before(&self, hash: Hash, age: u32) -> Vec<Id> {
        let asked = |id: &Id| {
            let payment = &self.payments[usize::from(*id)];
            payment.known && payment.asked.iter().any(|(own, when)| *own == hash && *when < age)
        };
        (0..self.payments()).filter(asked).collect()
    }

    /// What is counted against the limits of this try.
    pub fn counted(&self, id: Id) -> Counted {
        let try_now = self.payment(id).map_or(0, |payment| payment.of_try);
        let mut counted = Counted::default();
        for piece in &self.parts {
            let counts = piece.place.is_unresolved() || piece.place.is_settled();
            let counts = counts && !piece.loose;
            if piece.owner == Some(id) && piece.of_try == try_now && counts {
                counted.amount = counted.amount.saturating_add(piece.amount.unwrap_or(u64::MAX));
                counted.fee = counted.fee.saturating_add(piece.fee.unwrap_or(u64::MAX));
            }
        }
        counted
    }

    /// How many of its batches were not wholly withdrawn, in this try.
    pub fn tries(&self, id: Id) -> u32 {
        let Some(payment) = self.payment(id) else { return 0 };
        let went = |batch: &u32| {
            self.parts.iter().any(|piece| {
                let of = piece.owner == Some(id) && piece.of_try == payment.of_try;
                of && piece.batch == *batch && piece.place != Place::NeverSent
            })
        };
        (1..=payment.batches).filter(went).count().try_into().unwrap_or(u32::MAX)
    }

    /// Whether an operator's word that a part is dead counts by now.
    pub fn word_counts(&self, part: Part, word: Word, now: u64) -> bool {
        let piece = self.piece(part);
        if piece.listed == Some(self.epoch) && !word.contradicts {
            return false;
        }
        if piece.expires {
            let from = DISPATCHED_EXPIRY.saturating_add(self.rules.assertion_blocks);
            return self.height.is_some_and(|height| height >= from);
        }
        piece.since.saturating_add(self.rules.assertion_age_ms) <= now
    }

    /// The end that ends a part that is out.
    pub fn ends(&self, part: Part) -> Failed {
        let piece = self.piece(part);
        let sayings = if piece.sayings > 1 { piece.sayings } else { 0 };
        Failed { mark: piece.mark.map(|mark| mark + 1), sayings, ..Failed::default() }
    }

    /// Whether an end is this part's, and all of it.
    pub fn is_end(&self, part: Part, how: &Failed) -> bool {
        let piece = self.piece(part);
        let later = piece.mark.is_none_or(|seen| how.mark.is_some_and(|mark| mark > seen));
        later && how.sayings.max(1) >= piece.sayings
    }

    pub const fn tick(&self) -> u64 {
        self.tick
    }

    pub fn ticks_since(&self, id: Id) -> u64 {
        self.payment(id).map_or(0, |payment| self.tick.saturating_sub(payment.accepted.1))
    }

    /// Whether a payment waits before it is tried again.
    pub fn rests(&self, id: Id, now: u64) -> bool {
        let rests = self.payment(id).and_then(|payment| payment.rests);
        rests.is_some_and(|(until, tick)| now < until && self.tick < tick)
    }

    /// Whether something may be out that may be its own.
    pub fn may_hold(&self, id: Id) -> bool {
        let out = |piece: &Piece| piece.place.is_unresolved() && piece.owner == Some(id);
        let blocked = self.hash_of(id).is_some_and(|hash| {
            let under = |piece: &Piece| piece.hash == Some(hash) && piece.place.is_unresolved();
            self.blocks(hash).is_some() || self.parts.iter().any(under)
        });
        blocked || self.parts.iter().any(out)
    }

    /// Whether something may be its own, or not.
    pub fn is_loose(&self, id: Id) -> bool {
        self.parts.iter().any(|piece| piece.loose && piece.owner == Some(id))
    }

    /// The ledger holds a payment; `back`: it did not before this step.
    pub fn appears(&mut self, id: Id, back: bool) {
        let anew = self.payments[usize::from(id)].anew;
        if back && !anew {
            self.payment_mut(id).age = self.next_age();
        }
        self.payment_mut(id).known = true;
    }

    /// A payment is remembered: of its parts only whose they are.
    pub fn remembered(&mut self, id: Id) {
        for at in 0..self.parts.len() {
            let piece = &self.parts[at];
            let stray = piece.owner == Some(id) && piece.batch == 0 && self.is_foreign(piece, id);
            self.parts[at].loose |= stray;
        }
        for piece in self.parts.iter_mut().filter(|piece| piece.owner == Some(id)) {
            (piece.withdrawn, piece.mark, piece.sayings, piece.former) = (None, None, 1, true);
        }
        self.payment_mut(id).recalled = true;
    }

    /// An offer has no invoice any more.
    pub fn drop_invoice(&mut self, id: Id) {
        self.payment_mut(id).invoice = None;
    }

    pub fn is_paid(&self, hash: Hash) -> bool {
        self.sheet(hash).paid
    }

    /// Whether a part of it may be out.
    pub fn is_out(&self, id: Id) -> bool {
        self.parts.iter().any(|piece| piece.owner == Some(id) && piece.place == Place::Out)
    }

    /// What it paid, where each part is one that it dispatched, in this try, for an invoice.
    pub fn sums_of(&self, id: Id) -> Option<Sums> {
        let payment = self.payment(id)?;
        let mut parts = self.parts.iter().filter(|piece| piece.owner == Some(id)).peekable();
        let recalled = payment.standing.is_some_and(|at| at.remembered) || payment.recalled;
        if payment.is_offer() || payment.terms.is_none() || payment.word || recalled {
            return None;
        }
        parts.peek()?;
        // Something of which nobody knows whose it is may be its own.
        if self.parts.iter().any(|piece| piece.loose) {
            return None;
        }
        let (mut settled, mut sums) = (false, (Some(0_u64), Some(0_u64)));
        for piece in parts {
            let own = piece.batch > 0 && piece.of_try == payment.of_try;
            if piece.loose || !own || piece.other.is_some() {
                return None;
            }
            if !piece.place.is_settled() {
                continue;
            }
            settled = true;
            let add = |sum: Option<u64>, more: Option<u64>| sum?.checked_add(more?);
            sums = (add(sums.0, piece.amount), add(sums.1, piece.fee));
        }
        settled.then_some(sums)
    }

    pub fn unread(&mut self, note: &Note) {
        let (Says::Sent { id, .. } | Says::Settled { id, .. } | Says::PartSucceeded { id, .. }) =
            note.says
        else {
            return;
        };
        self.payment_mut(id).unread.push(note.seq);
    }

    /// Whether something that was told says that it is paid.
    pub fn is_proven(&self, id: Id) -> bool {
        let Some(payment) = self.payment(id) else { return false };
        let own = |hash: &Hash| self.sheet(*hash).paid;
        let asked = payment.asked.iter().map(|(hash, _)| *hash).chain(self.hash_of(id));
        let paid =
            |piece: &Piece| piece.place != Place::Nowhere && piece.hash.as_ref().is_some_and(own);
        let told =
            |piece: &Piece| piece.owner == Some(id) && (piece.place.is_settled() || paid(piece));
        self.holds(id).settled
            || self.parts.iter().any(told)
            || asked.into_iter().any(|hash| own(&hash))
    }

    /// Whose payment a claim of this part with this preimage must prove: one of these.
    pub fn proves(&self, part: Part, hash: Hash) -> Vec<Id> {
        let piece = self.piece(part);
        let foreign = piece.owner.is_some_and(|owner| self.is_foreign(piece, owner));
        let stray = foreign && piece.batch == 0 && piece.hash == Some(hash);
        // Who asked for the hash of what was out already is not who was paid by it.
        let mut ids = self.askers_before(hash, if stray { piece.age } else { u32::MAX });
        if let Some(owner) = piece.owner.filter(|_| piece.place.is_settled() && !piece.loose)
            && piece.hash == Some(hash)
            && (self.rules.forever || piece.batch > 0 || !self.is_foreign(piece, owner))
            && !ids.contains(&owner)
        {
            ids.push(owner);
        }
        ids
    }

    /// Whether somebody was told paid under this hash.
    pub fn is_told_paid(&self, hash: Hash) -> bool {
        self.payments.iter().any(|payment| payment.words.contains(&hash))
    }

    pub fn is_loose_part(&self, part: Part) -> bool {
        self.piece(part).loose
    }

    /// Whether a payment that is paid awaits this proof: of a part of it, or of what a word told.
    pub fn awaits_proof(&self, id: Id, part: Part, hash: Hash) -> bool {
        let word = |payment: &Payment| {
            let told = payment.words.contains(&hash);
            let unknown = |piece: &Piece| {
                piece.owner == Some(id) && piece.place.is_settled() && piece.hash.is_none()
            };
            let own = payment.words.is_empty() && self.hash_of(id) == Some(hash);
            let own = own && !self.parts.iter().any(unknown);
            payment.word && (own || told)
        };
        self.piece(part).owner == Some(id) || self.payment(id).is_some_and(word)
    }

    /// An anomaly names the part or the hash.
    pub fn is_noted(&self, part: Part, hash: Hash) -> bool {
        self.piece(part).noted || self.sheet(hash).noted.is_some()
    }

    pub fn is_named(&self, part: Part) -> bool {
        let piece = self.piece(part);
        piece.noted || piece.hash.is_some_and(|hash| self.sheet(hash).noted.is_some())
    }

    pub fn noted(&mut self, seq: u64, parts: &[Part], hashes: &[Hash]) {
        for part in parts {
            self.piece_mut(*part).noted = true;
        }
        for hash in hashes {
            let sheet = self.sheet_mut(*hash);
            // What was read is not unread again by whatever else names the hash.
            if sheet.noted.is_none() || sheet.read.is_none() {
                (sheet.noted, sheet.read) = (Some(seq), None);
            }
        }
    }

    /// Ids and hashes for which more was settled than was asked for.
    pub fn paid_twice(&self) -> Vec<Twice> {
        let mut twice = Vec::new();
        for id in 0..self.payments() {
            let parts = self.settled_of(|piece| piece.owner == Some(id) && !piece.loose);
            if parts.len() > 1 && self.is_more_than_asked(id, &parts) {
                twice.push(Twice { what: format!("id {id}"), parts });
            }
        }
        for hash in 0..self.hashes() {
            let parts = self.settled_of(|piece| piece.hash == Some(hash) && !piece.loose);
            let owners = |part: &Part| self.piece(*part).owner;
            if parts.iter().any(|part| owners(part) != owners(&parts[0])) {
                twice.push(Twice { what: format!("hash {hash}"), parts });
            }
        }
        twice
    }

    fn settled_of(&self, fits: impl Fn(&Piece) -> bool) -> Vec<Part> {
        let all = (0..).zip(&self.parts);
        all.filter(|(_, piece)| piece.place.is_settled() && fits(piece)).map(|(at, _)| at).collect()
    }

    fn is_more_than_asked(&self, id: Id, parts: &[Part]) -> bool {
        let payment = &self.payments[usize::from(id)];
        let first = self.piece(parts[0]);
        let differs = |part: &Part| {
            first.hash.zip(self.piece(*part).hash).is_some_and(|(one, other)| one != other)
        };
        if parts.iter().any(differs) {
            return true;
        }
        // What is unknown may be all of it, unless the node listed it as one of several.
        let amount = |part: &Part| {
            let piece = self.piece(*part);
            piece.amount.or_else(|| piece.listed.is_none().then_some(payment.amount))
        };
        let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(amount(part)?));
        let most = payment.most(self.rules.overpay_percent);
        payment.terms.is_some() && sum.is_some_and(|sum| sum > most)
    }

    pub fn unresolved(&self) -> Vec<(Id, Part, Place)> {
        let all = (0..).zip(&self.parts);
        let out = all.filter(|(_, piece)| piece.place.is_unresolved());
        out.map(|(part, piece)| (piece.owner.unwrap_or_default(), part, piece.place)).collect()
    }

    pub fn undecided(&self) -> Vec<(Id, Part)> {
        let all = (0..).zip(&self.parts);
        let waits = |piece: &Piece| {
            let owner = piece.owner?;
            let paid = self.payment(owner)?.sent.is_some();
            (piece.place.is_settled() && !paid).then_some(owner)
        };
        all.filter_map(|(part, piece)| Some((waits(piece)?, part))).collect()
    }

    /// All that a later verdict can hang on, without what only counts: two books with the same have the
    /// same future.
    pub fn fingerprint(&self) -> String {
        let mut text = format!("{}{}{:?}", self.recovering, self.restored, self.height);
        for payment in self.payments.iter().filter(|at| at.known || at.sent.is_some()) {
            let asked: Vec<Hash> = payment.asked.iter().map(|(hash, _)| *hash).collect();
            let failure = payment.failure;
            let failure = failure.map(|failure| (failure.superseded, failure.read, failure.untrue));
            let rests = payment.rests.map(|(until, tick)| (until, tick.saturating_sub(self.tick)));
            let quiet = payment.sent.map(|_| (payment.unread.len(), self.tick - payment.busy));
            _ = write!(text, "{:?}{rests:?}{quiet:?}{:?}", payment.compared, payment.told);
            _ = write!(
                text,
                "|{:?}{}{asked:?}{}{}{}{}{failure:?}{:?}",
                payment.terms,
                payment.amount,
                payment.of_try.min(3),
                payment.batches,
                payment.word,
                payment.sent.is_some(),
                payment.last_hash
            );
        }
        for piece in &self.parts {
            text += &self.piece_text(piece);
        }
        for sheet in &self.hashes {
            _ = write!(
                text,
                "|{}{}{}{}{}{:?}",
                sheet.blocks,
                sheet.paid,
                sheet.proven,
                sheet.apart,
                sheet.noted.is_some(),
                sheet.read.map(|read| self.tick - read)
            );
        }
        text
    }

    fn piece_text(&self, piece: &Piece) -> String {
        let now = |epoch: u32| epoch == self.epoch;
        let owner = piece.owner.and_then(|owner| self.payment(owner));
        format!(
            "|{:?}{:?}{:?}{:?}{:?}{:?}{}{}{}{}{:?}{:?}{:?}{}{:?}{:?}",
            piece.place,
            piece.owner,
            piece.hash,
            piece.other,
            piece.amount,
            piece.fee,
            owner.is_some_and(|owner| owner.of_try > piece.of_try),
            piece.batch,
            piece.delegated,
            now(piece.epoch),
            (now(piece.said.0), piece.said.1),
            piece.listed.map(now),
            piece.withdrawn.map(now),
            piece.loose,
            (piece.former, piece.noted),
            (piece.mark, piece.sayings)
        )
    }

    pub fn tell(&self) -> String {
        let mut text = String::new();
        for (id, payment) in self.payments.iter().enumerate().filter(|(_, at)| at.known) {
            _ = writeln!(text, "    id {id}: {:?}", payment.standing);
        }
        for (part, piece) in
            self.parts.iter().enumerate().filter(|(_, piece)| piece.place != Place::Nowhere)
        {
            _ = writeln!(
                text,
                "    part {part}: {:?} of {:?} hash {:?} try {}",
                piece.place, piece.owner, piece.hash, piece.of_try
            );
        }
        text
    }

    /// What is blocked: on the node's word, or as the second hash of a part that it listed under two.
    pub fn blocked(&self) -> Vec<(Hash, Engine)> {
        let each = |hash| (0..8).map(move |engine| (hash, engine));
        let has = |(hash, engine): &(Hash, Engine)| self.sheet(*hash).blocks & (1 << engine) != 0;
        (0..self.hashes()).flat_map(each).filter(has).collect()
    }
}

/// The height at which every dispatched part expires.
pub const DISPATCHED_EXPIRY: u32 = 500;

/// How a step changes the book.
impl Book {
    pub fn apply(&mut self, done: &Done<'_>) {
        self.disputed |= self.contradicts(done.act);
        (self.heard_true, self.heard_before, self.may_prove) = (false, false, None);
        match done.act {
            Act::Pay { id, terms, .. } if *done.outcome == Outcome::Accepted => {
                // A wrong reading counts from the last that was right.
                let right = done.read == done.now;
                self.accepted(*id, terms, if right { done.now } else { self.ticked });
            }
            Act::Invoice { id, hash, amount, expiry } if *done.outcome == Outcome::Changed => {
                self.next_age();
                let payment = self.payment_mut(*id);
                let age = payment.age;
                (payment.amount, payment.invoice_expiry) = (*amount, *expiry);
                payment.invoice = Some(*hash);
                payment.asked.push((*hash, age));
                self.sheet_mut(*hash);
            }
            Act::Dispatch { id, parts, delegated, mark, .. }
                if *done.outcome == Outcome::Recorded =>
            {
                self.dispatched(*id, parts, (*delegated, *mark), done.read);
            }
            Act::SayAgain { part, .. } if *done.outcome == Outcome::Changed => {
                self.piece_mut(*part).sayings += 1;
            }
            Act::Request { part, request, .. } if *done.outcome == Outcome::Changed => {
                self.piece_mut(*part).request = Some(*request);
            }
            Act::Claim { id, part, hash, brings, amount, fee } => {
                self.claimed(*id, *part, *hash, *brings, (*amount, *fee), done);
            }
            Act::Paid { asserted: true, .. } if *done.outcome == Outcome::Refused => {}
            Act::Paid { id, part, hash, terms, .. } => self.word(*id, *part, (*hash, *terms), done),
            Act::List { parts } if *done.outcome != Outcome::Refused => {
                for part in parts {
                    self.list(*part);
                }
            }
            Act::Adopt { id, part, hash, amount, delegated } => {
                self.listed(*id, *part, *hash, (*amount, *delegated), done);
            }
            Act::Finalize { id, part } if *done.outcome == Outcome::Changed => {
                let nobody = !self.is_known(*part);
                if self.recovering && (nobody || !self.place(*part).is_settled()) {
                    // Gone, and the log lacks its claim: paid. What is not its payment's own pays whom its
                    // claim would pay.
                    let piece = self.piece(*part);
                    let foreign = piece.owner.is_some_and(|owner| self.is_foreign(piece, owner));
                    if (foreign && piece.batch == 0) || piece.loose {
                        let hash = piece.hash;
                        self.settle(*part, true);
                        if let Some(hash) = hash {
                            self.paid(hash);
                        }
                    } else {
                        let id = piece.owner.unwrap_or(*id);
                        self.word(id, Some(*part), (None, None), done);
                    }
                }
                let piece = self.piece_mut(*part);
                if piece.place == Place::Claimed {
                    piece.place = Place::Over;
                }
            }
            Act::Fail { part, .. } if *done.outcome == Outcome::Changed => {
                self.rest_after(*part, done);
                self.weakened(*part, Said::Failed);
            }
            Act::Withdraw { part, .. } if *done.outcome == Outcome::Changed => {
                self.weakened(*part, Said::NeverSent);
            }
            Act::Disown { part, .. } if *done.outcome == Outcome::Changed => {
                let piece = self.piece_mut(*part);
                piece.owner = None;
                if let Some(hash) = piece.hash {
                    let tick = self.tick;
                    let sheet = self.sheet_mut(hash);
                    sheet.apart = true;
                    sheet.read = sheet.read.map(|_| tick);
                }
            }
            Act::Block { hash, engine } => self.sheet_mut(*hash).blocks |= 1 << engine,
            Act::Unblock { hash, engine } => self.sheet_mut(*hash).blocks &= !(1 << engine),
            Act::Tick { height } if *done.outcome != Outcome::Refused => {
                self.height = self.height.max(*height);
            }
            Act::Open { .. } | Act::PutBack { .. } => self.epoch += 1,
            _ => {}
        }
        if let Outcome::Acknowledged(seqs) = done.outcome {
            self.read(seqs);
        }
    }

    /// Whether a fact cannot be true beside those that were told before: a part has one hash and belongs to
    /// one payment, and a payment that is paid was paid for one of its own hashes.
    fn contradicts(&self, act: &Act) -> bool {
        let (id, part, hash) = match *act {
            Act::Claim { id, part, hash, .. } | Act::Adopt { id, part, hash, .. } => {
                (id, Some(part), Some(hash))
            }
            Act::Fail { id, part, .. } | Act::Finalize { id, part } => (id, Some(part), None),
            Act::Paid { id, part, hash, .. } => (id, part, hash),
            _ => return false,
        };
        let piece = part.map(|part| self.piece(part)).filter(|piece| piece.place != Place::Nowhere);
        let another = |own: Option<Hash>, told: Option<Hash>| {
            own.zip(told).is_some_and(|(own, told)| own != told)
        };
        if piece.is_some_and(|piece| another(piece.hash, hash) || piece.loose) {
            return true;
        }
        let Act::Paid { terms, .. } = act else { return false };
        let brought = terms.and_then(|terms| terms.hash());
        let hash = hash.or(piece.and_then(|piece| piece.hash));
        let named = self.payment(id).filter(|payment| payment.known);
        let owner = piece.and_then(|piece| piece.owner);
        owner.is_some_and(|owner| owner != id)
            || another(brought, hash)
            || named.is_some_and(|named| {
                let differs =
                    terms.is_some() && named.compared.is_some() && named.compared != *terms;
                let asked = named.asked.iter().any(|(asked, _)| Some(*asked) == hash);
                differs || (another(self.hash_of(id), hash.or(brought)) && !asked)
            })
    }

    fn next_age(&mut self) -> u32 {
        self.age += 1;
        self.age
    }

    /// A part of this try failed: the next attempt waits.
    fn rest_after(&mut self, part: Part, done: &Done<'_>) {
        let piece = self.piece(part);
        let ended = matches!(piece.place, Place::Out | Place::NeverSent) && piece.batch > 0;
        let (Some(owner), of_try, tick) = (piece.owner.filter(|_| ended), piece.of_try, self.tick)
        else {
            return;
        };
        let payment = self.payment_mut(owner);
        let rest = payment.terms.map_or(0, |terms| terms.rest);
        let right = done.now == done.read && payment.of_try == of_try && rest > 0;
        let until = (done.now.saturating_add(rest), tick + ticks_of(rest));
        payment.rests = right.then_some(until);
    }

    fn accepted(&mut self, id: Id, terms: &Terms, now: u64) {
        for piece in self.parts.iter_mut().filter(|piece| piece.owner == Some(id)) {
            (piece.withdrawn, piece.mark, piece.sayings) = (None, None, 1);
            piece.former |= !piece.stray;
        }
        let (age, tick) = (self.next_age(), self.tick);
        let payment = self.payment_mut(id);
        (payment.compared, payment.accepted) = (Some(*terms), (now, tick));
        (payment.invoice, payment.invoice_expiry, payment.rests) = (None, None, None);
        payment.of_try += 1;
        (payment.terms, payment.amount) = (Some(*terms), terms.amount);
        (payment.batches, payment.failure, payment.anew) = (0, None, true);
        payment.recalled = false;
        (payment.known, payment.age) = (true, age);
        if let Some(hash) = terms.hash() {
            payment.asked.push((hash, age));
            self.sheet_mut(hash);
        }
    }

    fn dispatched(
        &mut self,
        id: Id,
        parts: &[Offered],
        (delegated, mark): (bool, Option<u64>),
        now: u64,
    ) {
        let counted = self.counted(id);
        let (epoch, age) = (self.epoch, self.next_age());
        let payment = self.payment_mut(id);
        let hash = if payment.is_offer() {
            payment.invoice
        } else {
            payment.terms.and_then(|terms| terms.hash())
        };
        payment.batches += 1;
        payment.rests = None;
        let (batch, of_try) = (payment.batches, payment.of_try);
        let missing = payment.amount.saturating_sub(counted.amount);
        let budget = payment.terms.and_then(|terms| terms.max_fee).unwrap_or_default();
        let budget = budget.saturating_sub(counted.fee);
        for offered in parts {
            let (amount, fee) =
                if delegated { (missing, budget) } else { (offered.amount, offered.fee) };
            *self.piece_mut(offered.part) = Piece {
                place: Place::Out,
                owner: Some(id),
                hash,
                whole: hash.is_some(),
                amount: Some(amount),
                fee: Some(fee),
                of_try,
                batch,
                delegated,
                expires: !delegated,
                mark: mark.filter(|_| delegated),
                epoch,
                since: now,
                age,
                ..NO_PIECE
            };
        }
    }

    /// Whose an unknown part is.
    fn home(&self, named: Id, hash: Option<Hash>) -> (Option<Id>, bool) {
        let known = self.payment(named).filter(|payment| payment.known);
        let Some(hash) = hash else { return (Some(named), false) };
        if let Some(payment) = known {
            // What is known by its parts alone does not beat a request.
            let adopted = payment.compared.is_none();
            let asks = |id: &Id| *id != named && self.payments[usize::from(*id)].compared.is_some();
            let askers: Vec<Id> = self.askers(hash).into_iter().filter(asks).collect();
            let held = askers.iter().all(|id| self.has(*id, hash));
            return if adopted && !askers.is_empty() {
                (self.oldest_asker(hash, u32::MAX), askers.len() > 1 && !held)
            } else {
                (Some(named), false)
            };
        }
        let mut holders: Vec<Id> = (0..self.payments()).filter(|id| self.has(*id, hash)).collect();
        holders.sort_by_key(|id| {
            let payment = &self.payments[usize::from(*id)];
            (payment.standing.is_some_and(|at| at.remembered), payment.age)
        });
        let askers = self.askers(hash);
        if !askers.is_empty() {
            // Where not all of them hold it now, it may be another's.
            let certain = askers.len() == 1 || askers.iter().all(|id| holders.contains(id));
            return (self.oldest_asker(hash, u32::MAX), !certain);
        }
        // Who has it for a part is an owner as well, and the older one may be it.
        let under = |piece: &Piece| {
            let own = piece.owner.is_some_and(|owner| !self.is_foreign(piece, owner));
            let counts = piece.place.is_unresolved() && own
                || piece.place.is_settled() && (own || self.rules.forever);
            counts && piece.hash == Some(hash) && !piece.loose
        };
        let parts: Vec<Id> = self
            .parts
            .iter()
            .filter(|piece| under(piece))
            .filter_map(|piece| piece.owner)
            .collect();
        match holders[..] {
            [only] => (Some(only), parts.iter().any(|owner| *owner != only)),
            [first, ..] => (Some(first), true),
            [] => {
                let told: Vec<Id> =
                    (0..self.payments()).filter(|id| self.has_word(*id, hash)).collect();
                let paid = self.sheet(hash).paid;
                let only = told.first().or(parts.first().filter(|_| !paid)).copied();
                let all = |only: Id| {
                    let another = |piece: &Piece| piece.owner != Some(only) || piece.loose;
                    let under = |piece: &Piece| {
                        let counts = piece.place.is_unresolved() || piece.place.is_settled();
                        piece.hash == Some(hash) && counts && another(piece)
                    };
                    told.len() < 2 && !self.parts.iter().any(under)
                };
                match only {
                    Some(only) if all(only) => (Some(only), false),
                    _ => {
                        let loose = paid || !told.is_empty() || !parts.is_empty();
                        (parts.first().or(told.first()).copied().or(Some(named)), loose)
                    }
                }
            }
        }
    }

    /// Whether a part is of an earlier try, or of a remembered payment.
    fn is_old(&self, part: Part) -> bool {
        self.piece(part).former
    }

    /// Finds the part, or takes it in: the part decides whose it is.
    fn take_in(&mut self, id: Id, part: Part, hash: Option<Hash>, now: u64) {
        self.payment_mut(id);
        if let Some(hash) = hash {
            self.sheet_mut(hash);
        }
        if self.is_known(part) {
            let old = self.is_old(part);
            let piece = self.piece(part);
            let differs = hash.is_some() && piece.hash.is_some() && piece.hash != hash;
            let owner = if differs && old { self.home(id, hash).0 } else { piece.owner };
            let piece = self.piece_mut(part);
            if piece.hash.is_none() {
                piece.hash = hash;
            } else if differs && old {
                // Of an earlier try under another hash: it may be anybody's, and is one that was not known.
                piece.loose = true;
                piece.place = Place::Out;
                piece.owner = owner;
                piece.other = std::mem::replace(&mut piece.hash, hash);
            } else if differs {
                piece.other = hash;
                if let Some(hash) = hash {
                    // Something is out under that one as well.
                    self.sheet_mut(hash).blocks |= 1;
                }
            }
            return;
        }
        let (owner, loose) = self.home(id, hash);
        let of_try = owner.and_then(|owner| self.payment(owner)).map_or(0, |at| at.of_try);
        let (epoch, age) = (self.epoch, self.next_age());
        let noted = self.piece(part).noted;
        let open = |at: &Payment| at.is_offer() && at.invoice.is_none();
        let own = owner.and_then(|owner| self.payment(owner)).is_some_and(open);
        *self.piece_mut(part) =
            Piece { owner, hash, of_try, epoch, since: now, loose, age, own, noted, ..NO_PIECE };
        let piece = self.piece(part);
        let stray = owner.is_some_and(|owner| !loose && self.is_foreign(piece, owner));
        self.piece_mut(part).stray = stray;
    }

    /// Notes what is said of a part; false if something stronger was said in this recovery.
    fn say(&mut self, part: Part, said: Said) -> bool {
        let (epoch, recovering) = (self.epoch, self.recovering);
        let piece = self.piece_mut(part);
        if !recovering {
            return true;
        }
        let before = if piece.said.0 == epoch { piece.said.1 } else { Said::Nothing };
        piece.said = (epoch, before.max(said));
        said >= before
    }

    fn listed(
        &mut self,
        id: Id,
        part: Part,
        hash: Hash,
        (amount, delegated): (Option<u64>, bool),
        done: &Done<'_>,
    ) {
        let new = !self.is_known(part);
        // That a part which is over and paid is listed says nothing, not even its hash.
        let over = self.is_old(part) && self.place(part).is_settled();
        let learns = !(over && self.piece(part).hash.is_none());
        self.take_in(id, part, Some(hash).filter(|_| learns), done.read);
        self.say(part, Said::Listed);
        let epoch = self.epoch;
        let owner = self.piece(part).owner.and_then(|owner| self.payment(owner));
        let asked = owner.is_some_and(|owner| owner.asked.iter().any(|(asked, _)| *asked == hash));
        let piece = self.piece_mut(part);
        piece.whole |= asked && piece.hash == Some(hash);
        piece.listed = Some(epoch);
        piece.former &= piece.hash != Some(hash);
        if new {
            (piece.delegated, piece.expires) = (delegated, !delegated);
        }
        if piece.amount.is_none() {
            (piece.amount, piece.fee) = (amount, amount.map(|_| 1));
        }
        if !piece.place.is_settled() {
            piece.place = Place::Out;
        }
    }

    fn list(&mut self, part: Part) {
        self.say(part, Said::Listed);
        let epoch = self.epoch;
        let piece = self.piece_mut(part);
        piece.listed = Some(epoch);
        if !piece.place.is_settled() {
            piece.place = Place::Out;
        }
    }

    fn claimed(
        &mut self,
        id: Id,
        part: Part,
        hash: Hash,
        brings: Option<Hash>,
        reported: Sums,
        done: &Done<'_>,
    ) {
        let known = self.is_known(part);
        let piece = self.piece(part).clone();
        let fits = known && piece.hash.is_none_or(|own| own == hash);
        let held = self.is_held(hash) || brings == Some(hash);
        let asks = |payment: &Payment| payment.known && payment.compared.is_some();
        let nobody = !self.payment(id).is_some_and(asks);
        self.heard_true = (known && piece.hash == Some(hash)) || held || (!known && nobody);
        let told_before = piece.place.is_settled() || (!known && !self.rules.forever);
        let sheet = self.sheet(hash);
        let again = (sheet.proven || sheet.was_proven) && told_before;
        if again && *done.outcome == Outcome::Unchanged {
            self.heard_true = false;
            return;
        }
        self.heard_before = sheet.proven || sheet.was_proven;
        self.sheet_mut(hash).proven |= self.heard_true;
        if !self.heard_true {
            if fits || !known {
                self.may_prove = if known { piece.owner } else { Some(id) };
            }
            if !known && *done.outcome == Outcome::Changed {
                // Nobody knows whose it was: it may hold the id until somebody says.
                self.take_in(id, part, Some(hash), done.read);
                self.report(part, reported);
                self.piece_mut(part).loose = true;
                self.settle(part, false);
                self.paid(hash);
            }
            return;
        }
        if known && !fits {
            // The part stays as it is, and the hash is paid; an engine's word of its own hash may tell
            // of an invoice that nobody knew.
            self.may_prove = piece.owner.filter(|_| brings == Some(hash));
            self.paid(hash);
            let under = |piece: &Piece| piece.hash == Some(hash) && piece.place != Place::Nowhere;
            let known = (0..self.payments())
                .any(|id| self.has(id, hash) || self.has_word(id, hash))
                || !self.askers(hash).is_empty()
                || self.parts.iter().any(under);
            let new_part = self.is_old(part) && brings == Some(hash);
            // A proof that is kept already is kept as long as before.
            let new = *done.outcome == Outcome::Changed;
            self.sheet_mut(hash).apart |= !known && !new_part && new;
            if new_part {
                // It may as well be one of which nothing is known.
                self.may_prove = Some(id);
                let owner = self.home(id, Some(hash)).0;
                let piece = self.piece_mut(part);
                (piece.loose, piece.other, piece.hash) = (true, piece.hash, Some(hash));
                piece.owner = owner;
                self.settle(part, false);
            }
            return;
        }
        self.take_in(id, part, Some(hash), done.read);
        if self.piece(part).loose {
            self.may_prove = Some(id);
        }
        self.report(part, reported);
        let piece = self.piece_mut(part);
        piece.former &= piece.place.is_settled();
        self.settle(part, true);
        self.paid(hash);
    }

    /// What an engine reports is believed where nothing is known better. More than it was allowed must be
    /// told.
    fn report(&mut self, part: Part, (amount, fee): Sums) {
        let percent = self.rules.overpay_percent;
        let piece = self.piece(part).clone();
        if piece.place.is_settled() || !piece.delegated || piece.batch == 0 {
            // Of one that it did not dispatch the ledger may know no better than the engine.
            let less = !piece.place.is_settled() && piece.delegated && amount < piece.amount;
            let amount = amount.filter(|_| less || piece.amount.is_none()).or(piece.amount);
            let piece = self.piece_mut(part);
            (piece.amount, piece.fee) = (amount, piece.fee.or(fee));
            return;
        }
        let payment = piece.owner.and_then(|owner| self.payment(owner));
        let this_try = payment.is_some_and(|at| at.of_try == piece.of_try);
        let known = piece.whole;
        let asked = payment.and_then(|at| at.terms).map_or(0, |terms| terms.amount);
        let most = payment.map(|at| at.most(percent).max(asked + asked * percent / 100));
        let more = amount.is_some_and(|amount| most.is_some_and(|most| amount > most));
        let limit = payment.and_then(|at| at.terms).and_then(|terms| terms.max_fee);
        let dear = fee.is_some_and(|fee| limit.is_some_and(|limit| fee > limit));
        let recalled = payment.is_some_and(|at| {
            at.recalled || at.standing.is_some_and(|standing| standing.remembered)
        });
        self.overspent |= this_try && !recalled && (more || dear);
        let less = known
            && piece.amount.is_some()
            && amount.is_none_or(|amount| Some(amount) < piece.amount);
        let whole = piece.amount;
        let piece = self.piece_mut(part);
        (piece.amount, piece.fee) =
            if less { (whole, fee.filter(|_| amount.is_none())) } else { (amount, fee) };
    }

    /// Whether the ledger can know the hash.
    fn is_held(&self, hash: Hash) -> bool {
        let sheet = self.sheet(hash);
        let under = |piece: &Piece| {
            piece.place != Place::Nowhere && (piece.hash == Some(hash) || piece.other == Some(hash))
        };
        let has = |id: Id| self.has(id, hash);
        sheet.blocks != 0
            || sheet.paid
            || self.parts.iter().any(under)
            || (0..self.payments()).any(has)
            || !self.askers(hash).is_empty()
    }

    fn paid(&mut self, hash: Hash) {
        let sheet = self.sheet_mut(hash);
        sheet.paid = true;
        self.settled += 1;
    }

    fn settle(&mut self, part: Part, by_claim: bool) {
        self.say(part, Said::Paid);
        let piece = self.piece_mut(part);
        let by_claim = by_claim && !piece.place.is_settled();
        piece.place = match piece.place {
            Place::Failed | Place::Over => Place::Over,
            _ => Place::Claimed,
        };
        self.settled += 1;
        if by_claim {
            self.find_payee(part);
        }
    }

    /// A stray pays who asked for its hash before it was known, else the payment of its id.
    fn find_payee(&mut self, part: Part) {
        let piece = self.piece(part);
        let (Some(owner), Some(hash)) = (piece.owner, piece.hash) else { return };
        let own = self.payments[usize::from(owner)].asked.iter().any(|(asked, _)| *asked == hash);
        if !piece.stray || own || piece.loose {
            return;
        }
        if let Some(payee) = self.oldest_asker(hash, piece.age).filter(|id| *id != owner) {
            let of_try = self.payments[usize::from(payee)].of_try;
            let piece = self.piece_mut(part);
            (piece.owner, piece.of_try) = (Some(payee), of_try);
        }
    }

    fn word(
        &mut self,
        id: Id,
        part: Option<Part>,
        (hash, terms): (Option<Hash>, Option<Terms>),
        done: &Done<'_>,
    ) {
        let age = self.next_age();
        let payment = self.payment_mut(id);
        let (new, adopted) = (!payment.known, payment.compared.is_none());
        let asked = terms.filter(|_| new || adopted).and_then(|terms| terms.hash());
        let named = hash;
        let hash = hash.or(asked);
        // The request that it brings was paid as well.
        let also = asked.filter(|asked| Some(*asked) != hash);
        for other in 0..self.payments() {
            let payment = &self.payments[usize::from(other)];
            if let Some(hash) = hash
                && payment.is_offer()
                && payment.sent.is_none()
                && !payment.recalled
                && !payment.standing.is_some_and(|at| at.remembered)
                && other != id
                && part.is_none_or(|part| self.piece(part).owner != Some(other))
                && self.home(self.payments(), Some(hash)).0 == Some(other)
            {
                self.payment_mut(other).invoice.get_or_insert(hash);
            }
        }
        let payment = self.payment_mut(id);
        if new {
            payment.compared = terms;
            payment.asked.extend(asked.map(|hash| (hash, age)));
        }
        payment.word = true;
        payment.words.extend(hash.into_iter().chain(also));
        let payment = &self.payments[usize::from(id)];
        let of_another = |part| self.piece(part).owner.is_some_and(|owner| owner != id);
        let came_back = payment.recalled || payment.standing.is_some_and(|at| at.remembered);
        let waits = payment.is_offer() && payment.sent.is_none() && !came_back;
        let settled = |part| self.piece(part).place.is_settled();
        if waits && (new || part.is_none_or(|part| of_another(part) || settled(part))) {
            let payment = self.payment_mut(id);
            payment.invoice = payment.invoice.or(hash);
        }
        self.settled += 1;
        for hash in hash.into_iter().chain(also) {
            self.sheet_mut(hash);
            self.paid(hash);
        }
        let Some(part) = part else {
            self.take_claimed(id);
            return;
        };
        let known = self.is_known(part);
        let unknown = self.piece(part).hash.is_none();
        let learns = unknown || self.is_old(part);
        let old = self.is_old(part) && unknown;
        let of = self.piece(part).owner.filter(|_| old).unwrap_or(id);
        let payment = &self.payments[usize::from(of)];
        let asked = if payment.is_offer() { payment.invoice } else { self.hash_of(of) };
        let own = if known && !old { hash.filter(|_| learns) } else { hash.or(asked) };
        if let Some(owner) = self.piece(part).owner.filter(|_| old) {
            self.payment_mut(owner).word = true;
        }
        if (!known || old) && own.is_none() {
            // Nothing that the ledger could keep of it.
            return;
        }
        self.take_in(id, part, own, done.read);
        if !known {
            let piece = self.piece_mut(part);
            (piece.owner, piece.loose, piece.stray) = (Some(id), false, false);
        }
        self.report(part, (None, None));
        // It goes to whom the word names; whoever asked for its hash is paid beside.
        self.settle(part, self.piece(part).stray);
        self.piece_mut(part).own |= !self.piece(part).loose;
        if let Some(owner) = self.piece(part).owner.filter(|owner| *owner != id) {
            let payment = self.payment_mut(owner);
            payment.word = true;
            payment.words.extend(named);
        }
        if let Some(hash) = self.piece(part).hash {
            self.paid(hash);
            self.payment_mut(id).words.push(hash);
        }
    }

    /// What of it was settled, and awaited somebody's word, has it.
    fn take_claimed(&mut self, id: Id) {
        for at in 0..self.parts.len() {
            let piece = &self.parts[at];
            let loose = piece.loose && piece.former;
            let waits = piece.place.is_settled() && self.is_foreign(piece, id) && !loose;
            if piece.owner == Some(id) && waits {
                let of_try = self.payments[usize::from(id)].of_try;
                let piece = &mut self.parts[at];
                (piece.own, piece.loose, piece.of_try) = (true, false, of_try);
            }
        }
    }

    /// It is told not to be out, and the ledger took it.
    fn weakened(&mut self, part: Part, said: Said) {
        let stands = self.say(part, said);
        if !self.is_known(part) || !(stands || self.place(part).is_settled()) {
            return;
        }
        let (epoch, gap) = (self.epoch, self.restored);
        let piece = self.piece_mut(part);
        if said == Said::NeverSent {
            if piece.place != Place::Out || (gap && piece.epoch < epoch) {
                return;
            }
            piece.withdrawn = Some(epoch);
            piece.place = Place::NeverSent;
            return;
        }
        piece.place = match piece.place {
            Place::Out | Place::NeverSent | Place::Failed => Place::Failed,
            Place::Claimed | Place::Over => Place::Over,
            Place::Nowhere => Place::Nowhere,
        };
    }

    /// What of a payment was out or unread until now.
    fn note_busy(&mut self) {
        for id in 0..self.payments() {
            let busy = !self.payments[usize::from(id)].unread.is_empty() || self.holds(id).out;
            if busy {
                self.payments[usize::from(id)].busy = self.tick;
            }
        }
    }

    /// How the log stands after the step; a gap takes back what was told never sent.
    pub fn opened(&mut self, recovering: bool, restored: bool, (tick, now): (u64, u64)) {
        self.note_busy();
        if tick != self.tick || self.ticked == 0 {
            self.ticked = now;
        }
        (self.recovering, self.tick) = (recovering, tick);
        if restored && !self.restored {
            let epoch = self.epoch;
            for piece in &mut self.parts {
                let doubted = piece.withdrawn == Some(epoch) && piece.epoch < epoch;
                if doubted && piece.place == Place::NeverSent {
                    piece.place = Place::Out;
                }
            }
        }
        self.restored = restored;
    }

    fn read(&mut self, seqs: &[u64]) {
        let tick = self.tick;
        for sheet in &mut self.hashes {
            if sheet.noted.is_some_and(|noted| seqs.contains(&noted)) {
                sheet.read = Some(tick);
            }
        }
        for payment in &mut self.payments {
            payment.unread.retain(|seq| !seqs.contains(seq));
            if let Some(failure) = &mut payment.failure {
                failure.read |= seqs.contains(&failure.seq);
            }
        }
    }

    /// The ledger forgot a payment: what was told under it is no longer known to it.
    pub fn forget(&mut self, id: Id) {
        for at in 0..self.parts.len() {
            let piece = &self.parts[at];
            if piece.owner != Some(id) {
                continue;
            }
            self.parts[at] = Piece { noted: self.parts[at].noted, ..NO_PIECE };
        }
        *self.payment_mut(id) = Payment::default();
    }

    /// A paid hash is known as long as whatever tells it, and while a payment holds it.
    pub fn forget_hashes(&mut self) {
        if self.rules.forever || self.recovering || self.restored {
            return;
        }
        for hash in 0..self.hashes() {
            let sheet = self.sheet(hash);
            let under = |piece: &Piece| {
                let owner = piece.owner.and_then(|owner| self.payment(owner));
                let owned = owner.is_some_and(|owner| owner.known);
                owned && piece.place.is_settled() && piece.hash == Some(hash)
            };
            let on_channel = |piece: &Piece| {
                let of_nobody = piece.owner.is_none() && piece.hash == Some(hash);
                of_nobody && piece.place.is_unresolved()
            };
            let known = self.parts.iter().any(under)
                || self.parts.iter().any(on_channel)
                || !self.askers(hash).is_empty()
                || (0..self.payments()).any(|id| self.has(id, hash) || self.has_word(id, hash));
            let keeps = self.rules.idempotency_ticks;
            let unread = sheet.read.is_none_or(|read| self.tick <= read + keeps);
            let waits = sheet.apart && (unread || sheet.blocks != 0);
            if sheet.paid && !known && !waits {
                let sheet = self.sheet_mut(hash);
                sheet.was_proven |= sheet.proven;
                (sheet.paid, sheet.proven, sheet.apart) = (false, false, false);
                (sheet.noted, sheet.read) = (None, None);
                for piece in &mut self.parts {
                    if piece.owner.is_none() && piece.hash == Some(hash) {
                        *piece = Piece { noted: piece.noted, ..NO_PIECE };
                    }
                }
            }
        }
    }
}
