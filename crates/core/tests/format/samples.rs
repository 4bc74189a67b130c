//! Every event with every variant of every field, and states with everything that a state can hold.
//! Golden files are made of them: a sample never changes, new ones are added under new names.

use payonce_core::{
    AdoptedPart, AdoptionSource, Anomaly, Assertion, Attribution, Backoff, CustomRecord, Deadline,
    Delivery, Event, Failure, FailureReason, Head, Invoice, Label, LogHash, MaxFee, Msat, NodeId,
    NotificationId, Observation, ObservationKind, OfferHash, PaidElsewhere, PartId, PartKind,
    PartTerms, PaymentHash, PaymentId, Preimage, Request, RetryPolicy, Settlement, ShortChannelId,
    StateDigest, Target, UnixMillis, UnknownFields,
};

/// Numbers of each width that a varint has.
pub(crate) const ONE_BYTE: u64 = 250;
pub(crate) const THREE_BYTES: u64 = 251;
pub(crate) const FIVE_BYTES: u64 = 65_536;
pub(crate) const NINE_BYTES: u64 = 1 << 32;

const A: PaymentId = PaymentId::from_bytes([0xa0; 32]);
const B: PaymentId = PaymentId::from_bytes([0xb0; 32]);
const PART: PartId = PartId::from_bytes([0x01; 32]);
const OTHER_PART: PartId = PartId::from_bytes([0x02; 32]);
const HASH: PaymentHash = PaymentHash::from_bytes([0x4a; 32]);
const PREIMAGE: Preimage = Preimage::from_bytes([0x5e; 32]);
const CHANNEL: ShortChannelId = ShortChannelId(0x000c_3500_0001_0000);
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const NOTICE: NotificationId = NotificationId { seq: FIVE_BYTES, chain: [0xcc; 8] };
const HTLC: PartKind = PartKind::Htlc { cltv_expiry: Some(900_000), first_channel: Some(CHANNEL) };
const UNKNOWN_HTLC: PartKind = PartKind::Htlc { cltv_expiry: None, first_channel: None };

/// The entries: their names and events.
pub(crate) fn entries() -> Vec<(&'static str, Vec<Event>)> {
    [ledger_wide(), admission(), parts(), resolution(), outcomes(), apart(), anomalies()].concat()
}

fn one(name: &'static str, event: Event) -> (&'static str, Vec<Event>) {
    (name, vec![event])
}

fn ledger_wide() -> Vec<(&'static str, Vec<Event>)> {
    let ticked =
        |tick, unfinished, doubted| Event::Ticked { tick, reference: NOW, unfinished, doubted };
    let opened = |epoch, program: &str, holder: &str, fence| Event::Opened {
        epoch,
        restored: false,
        program: program.into(),
        format: 1,
        holder: holder.into(),
        fence,
    };
    let restored = Event::Opened {
        epoch: THREE_BYTES,
        restored: true,
        program: "żółw".into(),
        format: 7,
        holder: "".into(),
        fence: None,
    };
    let dropped = |replaces| {
        let base = Head { seq: FIVE_BYTES, chain: LogHash::from_bytes([0xc4; 32]) };
        let digest = StateDigest { format: 1, sha256: [0xd1; 32] };
        Event::HistoryDropped { base, digest, replaces }
    };
    vec![
        one("opened", opened(1, "payonce 0.1", "", None)),
        one("opened-restored", restored),
        one("opened-unnamed", opened(2, "", "", None)),
        one("opened-fenced", opened(3, "payonce 0.1", "node-a, process 7", Some(FIVE_BYTES))),
        one("recovered", Event::Recovered),
        one("gap-found", Event::GapFound),
        one("gap-closed", Event::GapClosed),
        one("ticked", ticked(ONE_BYTE, false, None)),
        one("ticked-unfinished", ticked(NINE_BYTES, true, None)),
        one("ticked-doubted", ticked(THREE_BYTES, false, Some(NOW.plus(3_600_001)))),
        one("height-told", Event::HeightTold { height: 900_000 }),
        one("history-dropped", dropped(None)),
        one("history-dropped-again", dropped(Some(ONE_BYTE))),
        one("acknowledged", Event::Acknowledged { seq: FIVE_BYTES }),
    ]
}

fn full_request() -> Request {
    let record = |tag, value: &str| CustomRecord { tag, value: value.into() };
    Request::new(
        Target::Invoice { payment_hash: HASH },
        Msat::MAX,
        MaxFee::AtMost(Msat(50_000)),
        RetryPolicy::Attempts(3),
    )
    .payee(NodeId::from_bytes([0x03; 33]))
    .backoff(Backoff { first_ms: ONE_BYTE, max_ms: NINE_BYTES })
    .expiry(NOW.plus(3_600_000))
    .instructions(vec![0x11; 300])
    .metadata("order 66")
    .payee_name("alice@example.com")
    .quantity(THREE_BYTES)
    .payer_note("for the żółw")
    .custom_records([record(5_482_373_484, ""), record(65_537, "hello")])
    .tenant("shop 7")
}

fn admission() -> Vec<(&'static str, Vec<Event>)> {
    let accepted = |name, target, retry| {
        let request = Request::new(target, Msat(1), MaxFee::Unlimited, retry);
        one(name, Event::PaymentAccepted { id: A, request, again_after: None })
    };
    let offer =
        |deadline| Target::Offer { offer_hash: OfferHash::from_bytes([0x0f; 32]), deadline };
    let adopted = |name, payment_hash, request: Option<Request>| {
        one(name, Event::PaymentAdopted { id: A, payment_hash, request: request.map(Box::new) })
    };
    let invoice = Invoice { payment_hash: HASH, amount: Msat(NINE_BYTES), expiry: None };
    vec![
        accepted(
            "payment-accepted-invoice",
            Target::Invoice { payment_hash: HASH },
            RetryPolicy::Manual,
        ),
        accepted(
            "payment-accepted-spontaneous",
            Target::Spontaneous { preimage: PREIMAGE },
            RetryPolicy::Attempts(u32::MAX),
        ),
        accepted(
            "payment-accepted-offer-ticks",
            offer(Deadline::Ticks(7)),
            RetryPolicy::Until(60_000),
        ),
        accepted("payment-accepted-offer-at", offer(Deadline::At(NOW)), RetryPolicy::Manual),
        one(
            "payment-accepted-full",
            Event::PaymentAccepted { id: A, request: full_request(), again_after: Some(NOTICE) },
        ),
        adopted("payment-adopted", Some(HASH), None),
        adopted("payment-adopted-unknown", None, None),
        adopted("payment-adopted-asserted", Some(HASH), Some(full_request())),
        one("payment-recalled", Event::PaymentRecalled { id: A }),
        one("invoice-received", Event::InvoiceReceived { id: A, invoice }),
        one(
            "invoice-received-expiring",
            Event::InvoiceReceived { id: A, invoice: Invoice { expiry: Some(NOW), ..invoice } },
        ),
        one("invoice-dropped", Event::InvoiceDropped { id: A }),
    ]
}

fn parts() -> Vec<(&'static str, Vec<Event>)> {
    let (amount, fee) = (Msat(1_000_000), Msat(1_000));
    let terms = |id, kind| PartTerms {
        id,
        amount,
        fee,
        kind,
        label: None,
        unknown: UnknownFields::default(),
    };
    let labelled = |engine: &str, mark| {
        let label = Some(Label { engine: engine.into(), mark });
        PartTerms { label, ..terms(PART, PartKind::Delegated) }
    };
    let dispatched = |name, attempt, parts: Vec<PartTerms>| {
        one(name, Event::PartsDispatched { id: A, attempt, parts: parts.into() })
    };
    let adopted = |name, amount, kind, attribution, source| {
        let part = AdoptedPart { part: PART, payment_hash: HASH, amount, fee: amount, kind };
        let earlier_try = source == AdoptionSource::Claimed;
        one(name, Event::PartAdopted { id: A, part, attribution, source, earlier_try })
    };
    let told = Attribution::HashHolder { named_id: B };
    vec![
        dispatched("parts-dispatched", 1, vec![terms(PART, HTLC), terms(OTHER_PART, UNKNOWN_HTLC)]),
        dispatched("parts-dispatched-delegated", 300, vec![terms(PART, PartKind::Delegated)]),
        dispatched("parts-dispatched-labelled", 2, vec![labelled("lnd 2", Some(NINE_BYTES))]),
        dispatched("parts-dispatched-label-alone", 2, vec![labelled("", None)]),
        one("part-said-again", Event::PartSaidAgain { id: A, part: PART }),
        one("parts-listed", Event::PartsListed { parts: vec![PART, OTHER_PART].into() }),
        adopted("part-adopted", Some(Msat(5)), HTLC, Attribution::Payment, AdoptionSource::Listed),
        adopted(
            "part-adopted-hash-holder",
            None,
            PartKind::Delegated,
            told,
            AdoptionSource::Listed,
        ),
        adopted(
            "part-adopted-stray",
            None,
            UNKNOWN_HTLC,
            Attribution::ForeignPart,
            AdoptionSource::Claimed,
        ),
        one("part-moved", Event::PartMoved { id: A, part: PART }),
        one(
            "part-disowned",
            Event::PartDisowned { id: A, part: PART, assertion: Assertion::new("me", "theirs") },
        ),
    ]
}

fn resolution() -> Vec<(&'static str, Vec<Event>)> {
    let claimed = |name, preimage, payment_hash, settlement: Option<Settlement>| {
        let invoice = settlement.map_or(&[][..], |_| &[0x1c; 300]).into();
        let (id, part) = (A, PART);
        one(name, Event::PartClaimed { id, part, preimage, payment_hash, settlement, invoice })
    };
    let failed = |name, failure, notify, rest_ms| {
        one(name, Event::PartFailed { id: A, part: PART, failure, notify, rest_ms })
    };
    let observed = |name, kind, bytes: &[u8]| {
        let observation = Observation { part: PART, kind, bytes: bytes.into() };
        one(name, Event::PartObserved { id: A, observation })
    };
    let requested = |name, bytes: &[u8]| {
        one(name, Event::InvoiceRequested { id: A, part: PART, invoice_request: bytes.into() })
    };
    let settled = |amount, fee| Some(Settlement { amount, fee });
    let assertion = Assertion {
        by: "operator".into(),
        why: "the channel is lost".into(),
        although_listed: true,
    };
    let full = Failure {
        permanent: true,
        channel: Some(CHANNEL),
        code: Some(0x4015),
        lost: Some(Msat(354_000)),
        mark: Some(FIVE_BYTES),
        sayings: 2,
        retry_after_ms: Some(60_000),
        assertion: Some(assertion),
        unknown: UnknownFields::default(),
    };
    vec![
        one("part-withdrawn", Event::PartWithdrawn { id: A, part: PART }),
        claimed("part-claimed", Some(PREIMAGE), None, None),
        claimed(
            "part-claimed-settled",
            Some(PREIMAGE),
            Some(HASH),
            settled(Some(Msat(9)), Some(Msat(0))),
        ),
        claimed("part-claimed-without-proof", None, None, settled(None, None)),
        one("part-finalized", Event::PartFinalized { id: A, part: PART, notify: true }),
        one("part-finalized-silent", Event::PartFinalized { id: A, part: PART, notify: false }),
        failed("part-failed", Failure::default(), true, 0),
        failed("part-failed-full", full, false, 60_000),
        observed("part-observed-path-succeeded", ObservationKind::PathSucceeded, b""),
        observed("part-observed-path-failed", ObservationKind::PathFailed, &[0xee; 260]),
        observed("part-observed-other", ObservationKind::Other(255), b"hold time"),
        requested("invoice-requested", &[0x1d; 300]),
    ]
}

fn outcomes() -> Vec<(&'static str, Vec<Event>)> {
    let sent = |name, payment_hash, amount, fee, correction: bool| {
        let assertion = correction.then(|| Assertion::new("me", "the shop has shipped"));
        one(name, Event::PaymentSent { id: A, payment_hash, amount, fee, correction, assertion })
    };
    let settled = |name, amount, fee| one(name, Event::PaymentSettled { id: A, amount, fee });
    let elsewhere = |name, payer, proven| {
        one(name, Event::PaidElsewhere { id: A, by: PaidElsewhere { payer, proven } })
    };
    let given_up = |name, reason| {
        let abandoned = Event::PaymentAbandoned { id: A, reason };
        (name, vec![abandoned, Event::PaymentFailed { id: A, reason }])
    };
    vec![
        sent("payment-sent", None, Some(Msat(1_000_000)), Some(Msat(1_000)), false),
        sent("payment-sent-correction", Some(HASH), None, None, true),
        settled("payment-settled", Some(Msat(1_000_000)), Some(Msat(0))),
        settled("payment-settled-unknown", None, None),
        one(
            "preimage-learned",
            Event::PreimageLearned { id: A, payment_hash: HASH, preimage: PREIMAGE },
        ),
        elsewhere("paid-elsewhere", Some(B), true),
        elsewhere("paid-elsewhere-by-nobody", None, false),
        given_up("failed-user-abandoned", FailureReason::UserAbandoned),
        given_up("failed-recipient-rejected", FailureReason::RecipientRejected),
        given_up("failed-retries-exhausted", FailureReason::RetriesExhausted),
        given_up("failed-payment-expired", FailureReason::PaymentExpired),
        given_up("failed-invoice-request-expired", FailureReason::InvoiceRequestExpired),
        given_up("failed-route-not-found", FailureReason::RouteNotFound),
        given_up("failed-unexpected-error", FailureReason::UnexpectedError),
        given_up("failed-adopted", FailureReason::Adopted),
        given_up("failed-paid-elsewhere", FailureReason::PaidElsewhere),
        one("payment-forgotten", Event::PaymentForgotten { id: A, remembered: false }),
        one("payment-forgotten-remembered", Event::PaymentForgotten { id: A, remembered: true }),
    ]
}

fn apart() -> Vec<(&'static str, Vec<Event>)> {
    let noted = |name, anomaly, delivery| one(name, Event::AnomalyNoted { anomaly, delivery });
    let in_flight = vec![OTHER_PART, PartId::from_bytes([0x03; 32])].into();
    let paid = |payment_hash, preimage, payer| Event::HashPaid { payment_hash, preimage, payer };
    let correction = Anomaly::Correction { payment: A, part: PART, in_flight };
    let alone = Anomaly::Correction { payment: A, part: PART, in_flight: vec![].into() };
    let foreign = Anomaly::ForeignClaim { payment: A, part: PART, payment_hash: HASH };
    let stray = Anomaly::ForeignPart { payment: A, part: PART, payment_hash: HASH };
    vec![
        one("hash-held", Event::HashBlocked { payment_hash: HASH, engine: "".into() }),
        one("hash-released", Event::HashUnblocked { payment_hash: HASH, engine: "".into() }),
        one(
            "hash-blocked-by-engine",
            Event::HashBlocked { payment_hash: HASH, engine: "lnd 2".into() },
        ),
        one(
            "hash-unblocked-by-engine",
            Event::HashUnblocked { payment_hash: HASH, engine: "lnd 2".into() },
        ),
        one("hash-paid", paid(HASH, Some(PREIMAGE), Some(A))),
        one("hash-paid-without-proof", paid(HASH, None, None)),
        one("hash-forgotten", Event::HashForgotten { payment_hash: HASH }),
        noted("anomaly-correction", correction, Delivery::Notify),
        noted("anomaly-correction-alone", alone, Delivery::Notify),
        noted(
            "anomaly-unknown-part",
            Anomaly::UnknownPart { payment: A, part: PART },
            Delivery::Notify,
        ),
        noted("anomaly-foreign-claim", foreign, Delivery::Repeat(THREE_BYTES)),
        noted("anomaly-stray", stray, Delivery::Folded),
    ]
}

fn anomalies() -> Vec<(&'static str, Vec<Event>)> {
    let noted =
        |name, anomaly| one(name, Event::AnomalyNoted { anomaly, delivery: Delivery::Notify });
    let twice = |first_payment, first_part| Anomaly::PaidTwice {
        payment: A,
        part: PART,
        first_payment,
        first_part,
    };
    let more = |amount, fee| Anomaly::SpentMore { payment: A, part: PART, amount, fee };
    let others = vec![OTHER_PART].into();
    vec![
        noted("anomaly-out-again", Anomaly::OutAgain { payment: A, part: PART, others }),
        noted("anomaly-paid-twice", twice(Some(B), Some(OTHER_PART))),
        noted("anomaly-paid-twice-by-a-word", twice(None, None)),
        noted("anomaly-spent-more", more(Some(Msat(NINE_BYTES)), Some(Msat(THREE_BYTES)))),
        noted("anomaly-spent-more-in-fees", more(None, Some(Msat(1)))),
        noted("anomaly-paid-with-another", Anomaly::PaidWithAnother { payment: A, named: B }),
        noted(
            "anomaly-false-preimage",
            Anomaly::FalsePreimage { payment: A, part: PART, payment_hash: HASH },
        ),
    ]
}
