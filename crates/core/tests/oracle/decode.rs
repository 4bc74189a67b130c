//! Reads what docs/FORMAT.md describes, by the tables that stand there: bytes to JSON. What reads them
//! knows nothing of payments, and nothing of the library.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::{Map, Value, json};

/// The bytes are not what the document allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad(pub(crate) &'static str);

/// The tables of chapters 4 to 6: the fields and the tail of records, the variants of enums.
struct Tables {
    records: HashMap<&'static str, Record>,
    enums: HashMap<&'static str, Vec<Variant>>,
    events: Vec<(&'static str, Record)>,
}

struct Record {
    fields: Vec<Field>,
    tail: Option<Vec<(u64, Field)>>,
}

struct Field {
    name: &'static str,
    kind: &'static str,
    /// What leaving it out of a tail says, where the document says so itself.
    otherwise: Option<&'static str>,
}

struct Variant {
    name: &'static str,
    held: Held,
}

enum Held {
    Nothing,
    Value(&'static str),
    Fields(Record),
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let document = include_str!("../../../../docs/FORMAT.md");
    let from = document.find("## 4.").expect("chapter 4");
    let to = document.find("## 7.").expect("chapter 7");
    let mut tables = Tables { records: HashMap::new(), enums: HashMap::new(), events: Vec::new() };
    for line in document[from..to].lines().filter(|line| line.starts_with('|')) {
        tables.row(line);
    }
    tables
});

impl Tables {
    fn row(&mut self, line: &'static str) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].strip_prefix('`').and_then(|name| name.strip_suffix('`'));
        match (name, &cells[..]) {
            (None, [number, event, fields, tail]) if number.parse() == Ok(self.events.len()) => {
                self.events.push((event.trim_matches('`'), Record::of(fields, tail)));
            }
            (Some(name), [_, fields, tail]) => {
                self.records.insert(name, Record::of(fields, tail));
            }
            (Some(name), [_, variants]) if variants.starts_with("0 `") => {
                self.enums.insert(name, variants.split(" · ").map(Variant::of).collect());
            }
            _ => {}
        }
    }
}

impl Record {
    fn of(fields: &'static str, tail: &'static str) -> Self {
        let numbered = |(number, field): (Option<u64>, Field)| (number.expect("a tag"), field);
        Self {
            fields: fields_of(fields).map(|(_, field)| field).collect(),
            tail: (tail != "none").then(|| fields_of(tail).map(numbered).collect()),
        }
    }
}

/// `2 name `kind` else x, 4 name `kind`` or the same without numbers.
fn fields_of(text: &'static str) -> impl Iterator<Item = (Option<u64>, Field)> {
    let mut parts = text.split('`');
    let mut before = parts.next().unwrap_or_default();
    std::iter::from_fn(move || {
        let kind = parts.next()?;
        let after = parts.next().unwrap_or_default();
        let words: Vec<_> = before.rsplit(',').next()?.split_whitespace().collect();
        before = after;
        let name = *words.last()?;
        let otherwise = after.split(',').next()?.trim().strip_prefix("else ");
        Some((words[0].parse().ok(), Field { name, kind, otherwise }))
    })
}

impl Variant {
    /// `3 `name` (field `kind`)`, `3 `name` (`kind`)` or `3 `name``.
    fn of(text: &'static str) -> Self {
        let (_, rest) = text.split_once('`').expect("a name");
        let (name, rest) = rest.split_once('`').expect("its end");
        let Some(inside) = rest.trim().strip_prefix('(').and_then(|all| all.strip_suffix(')'))
        else {
            return Self { name, held: Held::Nothing };
        };
        let (before, kind) = inside.split_once('`').expect("a kind");
        let held = if before.is_empty() || before.ends_with(", ") {
            Held::Value(kind.trim_end_matches('`'))
        } else {
            Held::Fields(Record::of(inside, "none"))
        };
        Self { name, held }
    }
}

/// One snapshot.
pub(crate) fn snapshot(bytes: &[u8]) -> Result<Value, Bad> {
    const LISTS: [(&str, &str, Option<&str>); 6] = [
        ("payments", "list of payment", Some("created_seq")),
        ("tombstones", "list of tombstone", Some("id")),
        ("foreign_parts", "list of foreign part", Some("created_seq")),
        ("hashes_paid", "list of hash paid", Some("payment_hash")),
        ("blocked", "list of hash", None),
        ("outbox", "list of unread", Some("seq")),
    ];
    let mut rest = versioned(bytes)?;
    let mut state = read("prelude", &mut rest)?;
    state["format"] = 1.into();
    for (name, kind, key) in LISTS {
        let items = read(kind, &mut rest)?;
        let key_of = |item: &Value| order_of(key.map_or(item, |key| &item[key]));
        let items_of = items.as_array().map(Vec::as_slice).unwrap_or_default();
        if !items_of.is_sorted_by(|one, next| key_of(one) < key_of(next)) {
            return Err(Bad("a list out of order"));
        }
        state[name] = items;
    }
    for tombstone in state["tombstones"].as_array().into_iter().flatten() {
        let digests = tombstone["request"]["digests"].as_array().map(Vec::as_slice);
        let number = |digest: &Value| digest["field"].as_u64();
        if !digests.unwrap_or_default().is_sorted_by(|one, next| number(one) < number(next)) {
            return Err(Bad("digests out of order"));
        }
    }
    let by_engines = state["blocked_by_engines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |block: &Value, field: &str| block[field].as_str().map(str::to_owned);
    let key = |block: &Value| (text(block, "payment_hash"), text(block, "engine"));
    if !by_engines.is_sorted_by(|one, next| key(one) < key(next))
        || by_engines.iter().any(|block| block["engine"] == "")
    {
        return Err(Bad("blocks out of order, or of no engine"));
    }
    if rest.is_empty() { Ok(state) } else { Err(Bad("bytes left over")) }
}

/// Numbers by size, ids by their bytes.
fn order_of(key: &Value) -> (u64, String) {
    (key.as_u64().unwrap_or(0), key.as_str().unwrap_or_default().to_owned())
}

fn versioned(bytes: &[u8]) -> Result<&[u8], Bad> {
    match bytes {
        [0x81, rest @ ..] => Ok(rest),
        _ => Err(Bad("not version 1")),
    }
}

// Chapter 2.

/// One entry: its header and its events.
pub(crate) fn entry(bytes: &[u8]) -> Result<Value, Bad> {
    let mut rest = versioned(bytes)?;
    if bytes.len() > 1 << 20 {
        return Err(Bad("larger than 1 MiB"));
    }
    let [first_seq, now, epoch] =
        [number(&mut rest, 64)?, number(&mut rest, 64)?, number(&mut rest, 64)?];
    let count = number(&mut rest, 32)?;
    if first_seq == 0 || count == 0 {
        return Err(Bad("without events, or from seq 0"));
    }
    first_seq.checked_add(count).ok_or(Bad("seqs beyond 64 bits"))?;
    let header = json!({
        "format": 1, "first_seq": first_seq, "now": now, "epoch": epoch, "events": count
    });
    let events: Result<Vec<_>, _> = (0..count).map(|_| event(&mut rest)).collect();
    let value = json!({ "header": header, "events": events? });
    if rest.is_empty() { Ok(value) } else { Err(Bad("bytes left over")) }
}

fn event(rest: &mut &[u8]) -> Result<Value, Bad> {
    let number = usize::try_from(number(rest, 32)?).map_err(|_| Bad("no such event"))?;
    let (name, fields) = TABLES.events.get(number).ok_or(Bad("no such event"))?;
    let mut event = record(fields, rest)?;
    event.insert("event".into(), (*name).into());
    Ok(event.into())
}

fn record(of: &Record, rest: &mut &[u8]) -> Result<Map<String, Value>, Bad> {
    let read = |field: &Field| Ok((field.name.to_owned(), read(field.kind, rest)?));
    let mut all: Map<_, _> = of.fields.iter().map(read).collect::<Result<_, _>>()?;
    if let Some(late) = &of.tail {
        tail(late, rest, &mut all)?;
    }
    Ok(all)
}

/// Chapter 1, tails.
fn tail(late: &[(u64, Field)], rest: &mut &[u8], all: &mut Map<String, Value>) -> Result<(), Bad> {
    for (_, field) in late {
        all.insert(field.name.into(), left_out(field));
    }
    let (mut unknown, mut last) = (Vec::new(), None);
    for _ in 0..count(rest, 64)? {
        let tag = number(rest, 64)?;
        let length = number(rest, 64)?;
        let bytes = take(rest, usize::try_from(length).unwrap_or(usize::MAX))?;
        if last.is_some_and(|last| tag <= last) {
            return Err(Bad("tags that do not rise"));
        }
        last = Some(tag);
        match late.iter().find(|(own, _)| *own == tag) {
            Some((_, field)) => {
                all.insert(field.name.into(), held(field, bytes)?);
            }
            None if tag % 2 == 1 && bytes.len() <= 4_096 => {
                unknown.push(json!({ "tag": tag, "bytes": hex(bytes) }));
            }
            None => return Err(Bad("a tag that is not known")),
        }
    }
    if !unknown.is_empty() {
        all.insert("unknown".into(), unknown.into());
    }
    Ok(())
}

/// What leaving a field out of a tail says.
fn left_out(field: &Field) -> Value {
    let number_or_name =
        |text: &str| text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from);
    if let Some(otherwise) = field.otherwise {
        let values: Vec<_> = otherwise.split(" and ").map(number_or_name).collect();
        return match TABLES.records.get(field.kind) {
            Some(of) => {
                let names = of.fields.iter().map(|field| field.name.to_owned());
                Value::Object(names.zip(values).collect())
            }
            None => values.into_iter().next().unwrap_or_default(),
        };
    }
    match field.kind.split(' ').next().unwrap_or_default() {
        "bool" => false.into(),
        "u8" | "u16" | "u32" | "u64" | "millis" | "height" | "msat" => 0.into(),
        "blob" | "text" => "".into(),
        "list" => json!([]),
        _ => Value::Null,
    }
}

/// What stands in a field of a tail: all of its bytes, and not what leaving it out says.
fn held(field: &Field, bytes: &[u8]) -> Result<Value, Bad> {
    let mut rest = bytes;
    let mut words = field.kind.split(' ');
    let value = match (words.next(), words.next_back()) {
        (Some("bool"), _) => true.into(),
        (Some("option"), _) => return whole(&field.kind["option ".len()..], bytes),
        (Some(kind @ ("blob" | "text")), Some(limit)) => {
            let limit: usize = limit.parse().expect("a limit");
            let shown = if rest.len() > limit { Err(Bad("too long")) } else { show(kind, rest) };
            rest = &[];
            shown?
        }
        _ => return whole(field.kind, bytes).and_then(|value| said(field, value)),
    };
    if rest.is_empty() { said(field, value) } else { Err(Bad("bytes left over in a field")) }
}

fn said(field: &Field, value: Value) -> Result<Value, Bad> {
    if value == left_out(field) { Err(Bad("a field that says nothing")) } else { Ok(value) }
}

fn whole(kind: &'static str, mut bytes: &[u8]) -> Result<Value, Bad> {
    let value = read(kind, &mut bytes)?;
    if bytes.is_empty() { Ok(value) } else { Err(Bad("bytes left over in a field")) }
}

fn show(kind: &str, bytes: &[u8]) -> Result<Value, Bad> {
    if kind == "blob" {
        return Ok(hex(bytes).into());
    }
    std::str::from_utf8(bytes).map(Value::from).map_err(|_| Bad("text that is not UTF-8"))
}

/// A value of a type as the document names it.
fn read(kind: &'static str, rest: &mut &[u8]) -> Result<Value, Bad> {
    Ok(match kind {
        "u8" => take(rest, 1)?[0].into(),
        "u16" => number(rest, 16)?.into(),
        "u32" | "height" => number(rest, 32)?.into(),
        "u64" | "msat" | "millis" | "scid" => number(rest, 64)?.into(),
        "bool" => flag(rest)?.into(),
        "payment id" | "part id" | "hash" | "offer hash" | "ledger id" | "log hash" => {
            hex(take(rest, 32)?).into()
        }
        "preimage" => take(rest, 32).map(|_| "hidden".into())?,
        "node id" => hex(take(rest, 33)?).into(),
        "digest" => hex(take(rest, 8)?).into(),
        "notification id" => {
            let seq = number(rest, 64)?;
            format!("{seq}-{}", hex(take(rest, 8)?)).into()
        }
        "state digest" => {
            let version = take(rest, 1)?[0];
            format!("{version}:{}", hex(take(rest, 32)?)).into()
        }
        "head" => {
            let seq = number(rest, 64)?;
            json!({ "seq": seq, "chain": hex(take(rest, 32)?) })
        }
        _ => return compound(kind, rest),
    })
}

fn compound(kind: &'static str, rest: &mut &[u8]) -> Result<Value, Bad> {
    if let Some(inner) = kind.strip_prefix("option ") {
        return if flag(rest)? { read(inner, rest) } else { Ok(Value::Null) };
    }
    if let Some(list) = kind.strip_prefix("list ") {
        let (limit, inner) = list.split_once("of ").expect("a list of something");
        let limit = limit.trim().trim_start_matches("≤ ").parse().unwrap_or((1 << 32) - 1);
        let items = (0..count(rest, limit)?).map(|_| read(inner, rest));
        return items.collect::<Result<Vec<_>, _>>().map(Value::from);
    }
    if let Some((kind @ ("blob" | "text"), limit)) = kind.split_once(" ≤ ") {
        let bytes = count(rest, limit.parse().expect("a limit"))?;
        return show(kind, take(rest, usize::try_from(bytes).unwrap_or(usize::MAX))?);
    }
    if let Some(of) = TABLES.records.get(kind) {
        return record(of, rest).map(Value::from);
    }
    let variants = TABLES.enums.get(kind).unwrap_or_else(|| panic!("no type {kind}"));
    let number = usize::try_from(number(rest, 32)?).map_err(|_| Bad("no such variant"))?;
    let Variant { name, held } = variants.get(number).ok_or(Bad("no such variant"))?;
    let inner = match held {
        Held::Nothing => None,
        Held::Value(kind) => Some(read(kind, rest)?),
        Held::Fields(fields) => Some(Value::Object(record(fields, rest)?)),
    };
    // The name stands beside the fields.
    if matches!(kind, "anomaly" | "status") {
        let mut fields = inner.unwrap_or_else(|| json!({}));
        fields[kind] = (*name).into();
        return Ok(fields);
    }
    Ok(inner.map_or_else(|| (*name).into(), |inner| json!({ *name: inner })))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Bad> {
    let (taken, left) = rest.split_at_checked(count).ok_or(Bad("the bytes end too early"))?;
    *rest = left;
    Ok(taken)
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Chapter 1: a number in as few bytes as possible.
fn number(rest: &mut &[u8], bits: u32) -> Result<u64, Bad> {
    let (width, least) = match take(rest, 1)?[0] {
        small @ ..=250 => return Ok(small.into()),
        251 => (2, 251),
        252 => (4, 1 << 16),
        253 => (8, 1 << 32),
        _ => return Err(Bad("no number begins so")),
    };
    let bytes = take(rest, width)?;
    let value = bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte));
    if value < least {
        return Err(Bad("a number in a longer form than needed"));
    }
    if bits < 64 && value >> bits > 0 { Err(Bad("a number too large")) } else { Ok(value) }
}

fn flag(rest: &mut &[u8]) -> Result<bool, Bad> {
    match take(rest, 1)?[0] {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Bad("neither no nor yes")),
    }
}

fn count(rest: &mut &[u8], limit: u64) -> Result<u64, Bad> {
    let count = number(rest, 64)?;
    if count > limit { Err(Bad("a count above its limit")) } else { Ok(count) }
}
