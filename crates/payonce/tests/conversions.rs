//! From the types of the rust-bitcoin family, and back.

use bitcoin::hashes::{Hash as _, sha256};
use lightning_invoice::{Bolt11Invoice, Currency};
use lightning_types::payment as ldk;
use payonce::{
    Bolt11Refusal, MaxFee, Msat, PaymentHash, Preimage, Request, RetryPolicy, UnixMillis,
    machine::Target,
};

#[test]
fn hashes_and_preimages_keep_their_bytes() {
    let preimage = Preimage::from_bytes([7; 32]);
    let hash = preimage.payment_hash();
    // Hashed by the other crate, so a conversion that turned the bytes round would differ.
    let other = sha256::Hash::hash(preimage.as_bytes());
    assert_eq!(PaymentHash::from(other), hash);
    assert_eq!(sha256::Hash::from(hash), other);
    assert_eq!(PaymentHash::from(ldk::PaymentHash(other.to_byte_array())), hash);
    assert_eq!(ldk::PaymentHash::from(hash).0, other.to_byte_array());
    assert_eq!(Preimage::from(ldk::PaymentPreimage([7; 32])), preimage);
    assert_eq!(ldk::PaymentPreimage::from(preimage).0, [7; 32]);
}

/// BOLT 11's example of a cup of coffee: 2,500 µBTC, a minute to pay it in.
const COFFEE: &str = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5\
     qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj\
     30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgp\
     fna3rh";
/// BOLT 11's first example: a donation of any amount.
const DONATION: &str = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqs\
     yqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8\
     g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt\
     52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql";
/// When both were made.
const MADE_SECONDS: u64 = 1_496_314_658;
const FEE: MaxFee = MaxFee::AtMost(Msat(500));

fn read(text: &str, own: &Currency, amount: Option<Msat>) -> Result<Request, Bolt11Refusal> {
    let invoice: Bolt11Invoice = text.parse().expect("an example of BOLT 11");
    Request::bolt11(&invoice, own, amount, FEE, RetryPolicy::Attempts(3))
}

#[test]
fn an_invoice_becomes_the_request_that_its_text_says() {
    let request = read(COFFEE, &Currency::Bitcoin, None).expect("of this network");
    let hash = "0001020304050607080900010203040506070809000102030405060708090102";
    let payment_hash = hash.parse().expect("hex");
    assert_eq!(request.target, Target::Invoice { payment_hash });
    assert_eq!(request.amount, Msat(250_000_000));
    let payee = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad";
    assert_eq!(request.payee.expect("recovered").to_string(), payee);
    assert_eq!(request.expiry, Some(UnixMillis((MADE_SECONDS + 60) * 1_000)));
    assert_eq!((request.max_fee, request.retry), (FEE, RetryPolicy::Attempts(3)));
    assert_eq!(request.instructions.as_bytes(), COFFEE.as_bytes());
    // A repeat is the same, whenever it is made.
    assert_eq!(read(COFFEE, &Currency::Bitcoin, None), Ok(request));
}

#[test]
fn a_wrong_network_and_a_second_amount_are_refused() {
    let given = Some(Msat(1));
    let (found, own) = (Currency::Bitcoin, Currency::Regtest);
    let refused = Bolt11Refusal::OtherNetwork { found, own: own.clone() };
    assert_eq!(read(COFFEE, &own, None), Err(refused));
    let refused = Bolt11Refusal::AmountGiven { asked: Msat(250_000_000), given: Msat(1) };
    assert_eq!(read(COFFEE, &Currency::Bitcoin, given), Err(refused));
    assert_eq!(read(DONATION, &Currency::Bitcoin, None), Err(Bolt11Refusal::NoAmount));
    let request = read(DONATION, &Currency::Bitcoin, given).expect("completed");
    // Without an expiry of its own an invoice has an hour.
    let expiry = UnixMillis((MADE_SECONDS + 3_600) * 1_000);
    assert_eq!((request.amount, request.expiry), (Msat(1), Some(expiry)));
}
