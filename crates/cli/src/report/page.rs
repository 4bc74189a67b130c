//! The page around the data.

use base64::{Engine, engine::general_purpose::STANDARD};
use bitcoin_hashes::sha256;
use payonce::Msat;

use crate::{
    commands::status::oldest,
    io::Failure,
    report::Data,
    units::{Clock, sat_number, short},
};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("app.js");

/// The page. Nothing in it comes from elsewhere, and nothing but our own script and style runs: the
/// policy names them by their hashes, so that no text of a user's can become either.
pub(crate) fn render(data: &Data, verified: &str, clock: &Clock) -> Result<String, Failure> {
    let json = serde_json::to_vec(data).map_err(Failure::refused)?;
    let packed = STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(&json, 8));
    let hash = |text: &str| STANDARD.encode(sha256::hash(text.as_bytes()).to_byte_array());
    let (totals, head) = (&data.totals, data.state.head());
    let finished = totals.paid + totals.failed;
    let success = match finished {
        0 => "-".to_owned(),
        finished => {
            let tenths = totals.paid * 1_000 / finished;
            format!("{}.{} %", tenths / 10, tenths % 10)
        }
    };
    let oldest = oldest(&data.state).map_or("none".to_owned(), |payment| {
        format!("{}, {}", short(payment.id()), clock.moment(payment.created_at()))
    });
    let values = [
        ("@SCRIPT_HASH@", hash(SCRIPT)),
        ("@STYLE_HASH@", hash(STYLE)),
        ("@HEAD_SEQ@", head.seq.to_string()),
        ("@LEDGER@", data.state.ledger_id().to_string()),
        ("@MADE@", clock.moment(clock.now)),
        ("@HEAD@", head.to_string()),
        ("@LAST@", totals.last_at.map_or("none".into(), |at| clock.moment(at))),
        ("@VERIFIED@", escape(verified)),
        ("@TOTAL@", totals.payments.to_string()),
        ("@SENT@", sat_number(Msat(totals.sent))),
        ("@FEES@", sat_number(Msat(totals.fees))),
        ("@SUCCESS@", success),
        ("@OLDEST@", escape(&oldest)),
        ("@STYLE@", STYLE.to_owned()),
        ("@DATA@", packed),
        ("@SCRIPT@", SCRIPT.to_owned()),
    ];
    Ok(fill(PAGE, &values))
}

/// Puts each value in its place, once: what a value holds is never looked at again.
fn fill(page: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(at) = rest.find('@') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                filled.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                filled.push('@');
                rest = &rest[1..];
            }
        }
    }
    filled + rest
}

/// A text inside an element.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
