//! Amounts, times and names as people read them.

use std::fmt::Display;

use jiff::{Timestamp, tz::TimeZone};
use payonce::{Msat, UnixMillis};

/// How times are shown.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The operator's zone, where they ask for it; else UTC.
    pub zone: Option<TimeZone>,
    /// What time it is.
    pub now: UnixMillis,
}

impl Clock {
    /// A moment, to the second. UTC ends in `Z`, the operator's zone in its offset.
    #[must_use]
    pub fn moment(&self, at: UnixMillis) -> String {
        let stamp = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        match (stamp, &self.zone) {
            (None, _) => format!("{} ms", at.0),
            (Some(stamp), None) => stamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            (Some(stamp), Some(zone)) => {
                stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
            }
        }
    }

    /// How long ago something was, in its two largest units.
    #[must_use]
    pub fn age(&self, at: UnixMillis) -> String {
        match self.now.0.checked_sub(at.0) {
            Some(millis) => span(millis),
            None => "in the future".into(),
        }
    }
}

/// A moment as JSON, CSV and the report have it: RFC 3339, UTC, with milliseconds.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> Option<String> {
    let stamp = Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    Some(stamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// A length of time in its two largest units.
#[must_use]
pub fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{millis} ms"),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Satoshi with the three decimals of millisatoshi, the unit told: `25.010 sat`.
#[must_use]
pub fn sat(amount: Msat) -> String {
    format!("{} sat", sat_number(amount))
}

/// As [`sat`], for columns whose head tells the unit.
#[must_use]
pub fn sat_number(amount: Msat) -> String {
    let whole = (amount.0 / 1_000).to_string();
    let mut grouped = String::new();
    for (nth, digit) in whole.chars().enumerate() {
        if nth > 0 && (whole.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{:03}", amount.0 % 1_000)
}

/// An amount in both units, or that it is not known.
#[must_use]
pub fn both(amount: Option<Msat>) -> String {
    amount.map_or_else(|| "unknown".into(), |amount| format!("{} ({amount})", sat(amount)))
}

/// The first 8 digits of an id.
#[must_use]
pub fn short(id: impl Display) -> String {
    id.to_string().chars().take(8).collect()
}

/// A size in the largest unit that fits, each 1,024 of the one before: `1.2 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", count / unit, count % unit * 10 / unit);
    match count {
        0..=1023 => format!("{count} bytes"),
        1024..=1_048_575 => format!("{} KiB", tenths(1 << 10)),
        1_048_576..=1_073_741_823 => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
    }
}

/// Reads a length of time: a number and `s`, `min` or `m`, `h` or `d`; a number alone is seconds.
///
/// # Errors
/// What would be understood.
pub fn parse_span(text: &str) -> Result<u64, String> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = match unit.trim() {
        "" | "s" => 1_000,
        "ms" => 1,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{text:?} is no length of time: write 90s, 10m, 24h or 7d")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no length of time"))?;
    number.checked_mul(scale).ok_or_else(|| format!("{text:?} is too long"))
}

/// Reads a moment: RFC 3339, a date, a date and a time (UTC), or milliseconds since 1970.
///
/// # Errors
/// What would be understood.
pub fn parse_moment(text: &str) -> Result<UnixMillis, String> {
    if let Ok(millis) = text.parse() {
        return Ok(UnixMillis(millis));
    }
    let spaced = text.replacen(' ', "T", 1);
    let zoned = format!("{spaced}Z");
    let whole_day = format!("{spaced}T00:00:00Z");
    let minutes = format!("{spaced}:00Z");
    let texts = [&spaced, &zoned, &minutes, &whole_day];
    let stamp = texts.iter().find_map(|text| text.parse::<Timestamp>().ok());
    stamp.and_then(|stamp| u64::try_from(stamp.as_millisecond()).ok()).map(UnixMillis).ok_or_else(
        || {
            format!(
                "{text:?} is no moment: write 2026-09-21T14:00:00Z, 2026-09-21, or milliseconds"
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_tell_their_unit() {
        assert_eq!(sat(Msat(1_234_567_890)), "1,234,567.890 sat");
        assert_eq!(both(Some(Msat(5))), "0.005 sat (5 msat)");
        assert_eq!(both(None), "unknown");
    }

    #[test]
    fn moments_and_spans_read_back() {
        let noon = UnixMillis(1_790_000_000_000);
        let clock = Clock { zone: None, now: noon.plus(90_061_000) };
        assert_eq!(clock.moment(noon), "2026-09-21 14:13:20Z");
        assert_eq!(clock.age(noon), "1 d 1 h");
        assert_eq!(clock.moment(UnixMillis::NEVER), "18446744073709551615 ms");
        for text in ["2026-09-21 14:13:20Z", "2026-09-21 14:13:20", "1790000000000"] {
            assert_eq!(parse_moment(text), Ok(noon), "{text}");
        }
        assert_eq!(parse_moment("2026-09-21 14:13"), Ok(UnixMillis(1_789_999_980_000)));
        assert!(parse_moment("2026-09-21").is_ok() && parse_moment("noon").is_err());
        assert_eq!(parse_span("10m"), Ok(600_000));
        assert!(parse_span("10 parsecs").is_err() && parse_span("99999999999999999999d").is_err());
    }
}
