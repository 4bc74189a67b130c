//! Names, amounts and records as bytes, as text and as data: nothing is lost on the way, and what is wrong
//! is refused by name.

use payonce_core::{
    Anomaly, CustomRecord, Deadline, Failure, FailureReason, Head, LedgerId, LogHash, MaxFee, Msat,
    NodeId, Notification, NotificationId, NotificationKind, OfferHash, Page, PaidElsewhere, PartId,
    PaymentHash, PaymentId, PaymentView, Preimage, Request, RetryPolicy, ShortChannelId, Status,
    Target, UnixMillis, WrongLength,
};
use serde::{
    Deserialize, Serialize,
    de::{
        DeserializeOwned,
        value::{self, BytesDeserializer},
    },
};

use crate::support::T0;

fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("it can be written");
    let back: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(back, *value, "{text}");
}

#[test]
fn names_are_bytes_and_hex_and_back() {
    let bytes: [u8; 32] = core::array::from_fn(|at| u8::try_from(at).expect("small"));
    let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let id = PaymentId::from(bytes);
    assert_eq!(<[u8; 32]>::from(id), bytes);
    assert_eq!(id.to_byte_array(), bytes);
    assert_eq!(id.as_ref(), bytes);
    assert_eq!((id.to_string(), format!("{id:x}")), (hex.to_owned(), hex.to_owned()));
    assert_eq!(hex.parse(), Ok(id));
    assert_eq!(hex.to_uppercase().parse(), Ok(id), "hex of either case");
    assert_eq!(PaymentId::try_from(bytes.as_slice()), Ok(id));
    let wrong = PaymentId::try_from(&bytes[..31]).expect_err("a byte is missing");
    assert!(matches!(wrong, WrongLength { expected_bytes: 32, found_bytes: 31, .. }));
    assert_eq!(wrong.to_string(), "PaymentId has 32 bytes: refused 31");
    assert!(NodeId::try_from(&bytes[..]).is_err(), "a key has 33");
    for text in ["", "00", &hex[..62], &format!("{hex}00"), &hex.replace('a', "g")] {
        let refused = text.parse::<PaymentHash>().expect_err("no hash");
        assert!(refused.to_string().contains("32 bytes"), "{refused}");
    }
}

/// Hex for people, read back only from what is as long.
#[test]
fn names_are_data_for_people() {
    there_and_back(&PaymentId::from([1; 32]));
    there_and_back(&LedgerId::from([2; 32]));
    there_and_back(&LogHash::from_bytes([3; 32]));
    there_and_back(&NodeId::from([2; 33]));
    there_and_back(&Head { seq: 7, chain: LogHash::from_bytes([3; 32]) });
    there_and_back(&NotificationId { seq: 9, chain: [4; 8] });
    // Machines' bytes are read back too, and only as many as there must be.
    let bytes = |bytes| PartId::deserialize(BytesDeserializer::<value::Error>::new(bytes));
    assert_eq!(bytes(&[5; 32]).expect("as many"), PartId::from([5; 32]));
    assert!(bytes(&[5; 31]).expect_err("one less").to_string().contains("32 bytes"));
    for wrong in ["\"00\"", "7", "null", "[1,2]"] {
        let refused = serde_json::from_str::<PartId>(wrong).expect_err("no part id").to_string();
        assert!(refused.contains("PartId") && refused.contains("32 bytes"), "{refused}");
    }
}

/// A preimage is hidden from people, and delivered where that is what a notification is for.
#[test]
fn a_preimage_is_shown_where_it_is_delivered_and_never_read_back_as_another() {
    let preimage = Preimage::from([7; 32]);
    let hidden = serde_json::to_string(&preimage).expect("written");
    assert_eq!(
        (hidden.as_str(), format!("{preimage:?}")),
        ("\"hidden\"", "Preimage(hidden)".into())
    );
    assert!(serde_json::from_str::<Preimage>(&hidden).is_err(), "hidden is no preimage");
    let kind = NotificationKind::PaymentSent {
        payment: PaymentId::from([1; 32]),
        payment_hash: Some(preimage.payment_hash()),
        preimage: Some(preimage),
        amount: Some(Msat(5)),
        fee: None,
        correction: false,
    };
    let told = Notification { id: NotificationId { seq: 1, chain: [2; 8] }, kind };
    assert!(serde_json::to_string(&told).expect("written").contains(&preimage.to_string()));
    assert!(!format!("{told:?}").contains(&preimage.to_string()), "a log line tells nothing");
    there_and_back(&told);
}

#[test]
fn records_read_back_as_they_were_written() {
    let hash = PaymentHash::from([5; 32]);
    let full =
        Request::invoice(hash, Msat(5_000), MaxFee::AtMost(Msat(50)), RetryPolicy::Until(60_000))
            .payee(NodeId::from([3; 33]))
            .expiry(T0.plus(9))
            .instructions("lnbc1")
            .metadata([0xff, 0])
            .payee_name("user@example.com")
            .quantity(3)
            .payer_note("thanks")
            .custom_records([CustomRecord { tag: 65_537, value: (&[1, 2]).into() }])
            .tenant("shop");
    let target = Target::Offer { offer_hash: OfferHash::from([8; 32]), deadline: Deadline::At(T0) };
    let plain = Request::new(target, Msat(1), MaxFee::Unlimited, RetryPolicy::Attempts(2));
    for request in [&full, &plain] {
        there_and_back(request);
    }
    let payment = PaymentId::from([1; 32]);
    let view = PaymentView {
        id: payment,
        status: Status::Failed { reason: FailureReason::PaidElsewhere },
        remaining: Msat::ZERO,
        unresolved: 2,
        blocked: true,
        paid: None,
        paid_elsewhere: Some(PaidElsewhere { payer: Some(payment), proven: true }),
        failed: Some(NotificationId { seq: 3, chain: [1; 8] }),
        adopted: false,
        remembered: true,
    };
    there_and_back(&view);
    let failure =
        Failure { code: Some(15), lost: Some(Msat(1)), ..Failure::on_channel(ShortChannelId(7)) };
    let part = PartId::from([4; 32]);
    let anomaly = Anomaly::Correction { payment, part, in_flight: vec![part].into() };
    for kind in [
        NotificationKind::PartFailed { payment, part, failure },
        NotificationKind::Anomaly { anomaly, repeats: 2 },
    ] {
        there_and_back(&Notification { id: NotificationId { seq: 1, chain: [2; 8] }, kind });
    }
    there_and_back(&Page::default());
}

#[test]
fn amounts_are_checked_where_they_are_made() {
    assert_eq!(Msat::from_sat(21), Some(Msat(21_000)));
    assert_eq!(Msat::from_sat(u64::MAX), None);
    assert_eq!(Msat::from_sat(Msat::MAX.to_sat_floor()), Some(Msat::MAX));
    assert_eq!(Msat::from_sat(Msat::MAX.to_sat_floor() + 1), None);
    assert_eq!(Msat(1_999).to_sat_floor(), 1);
    assert_eq!(Msat(1).checked_add(Msat(u64::MAX)), None);
    assert_eq!(Msat(1).checked_sub(Msat(2)), None);
    assert_eq!([Msat(1), Msat(2)].into_iter().sum::<Msat>(), Msat(3));
    assert_eq!([Msat(u64::MAX), Msat(2)].into_iter().sum::<Msat>(), Msat(u64::MAX));
    assert_eq!(Msat::try_from(7), Ok(Msat(7)));
    let refused = Msat::try_from(Msat::MAX.0 + 1).expect_err("more than there is");
    assert_eq!(refused.msat, Msat::MAX.0 + 1);
    assert_eq!(UnixMillis(5).plus(u64::MAX), UnixMillis::NEVER);
}
