//! Tails: the optional fields at a record's end, as in BOLT 1. Each is a tag, a length and bytes; tags
//! rise strictly. A field with an unknown odd tag is kept as it is; with an unknown even tag the record
//! is refused.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use hex_conservative::DisplayHex;

use super::{DecodeError, Sink, Source, TailFault, Wire};
use crate::base::{limits, text_form};

/// A field that a newer program wrote and that this one may ignore.
#[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct UnknownField {
    /// Its tag: always odd, so that a program may keep the field without knowing it.
    pub tag: u64,
    /// Its bytes, as they were read.
    #[serde(serialize_with = "as_hex", deserialize_with = "from_hex")]
    pub bytes: Box<[u8]>,
}

fn from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
    let bytes: text_form::Bytes = text_form::take("bytes, as hex", deserializer)?;
    Ok(bytes.0.into())
}

fn as_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    text_form::put(&bytes.as_hex(), bytes, serializer)
}

impl core::fmt::Debug for UnknownField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "field {}: {}", self.tag, self.bytes.as_hex())
    }
}

/// The fields of a record that this program does not know and keeps, by rising tag. Nearly always
/// none.
// One pointer wide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UnknownFields(Option<Arc<Box<[UnknownField]>>>);

impl UnknownFields {
    /// The fields by rising tag; empty if the program knew all of them.
    #[must_use]
    pub fn as_slice(&self) -> &[UnknownField] {
        self.0.as_ref().map_or(&[], |fields| fields)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// No unknown fields; allocates nothing.
    pub(crate) const NONE: Self = Self(None);
}

impl From<Vec<UnknownField>> for UnknownFields {
    fn from(fields: Vec<UnknownField>) -> Self {
        Self((!fields.is_empty()).then(|| Arc::new(fields.into_boxed_slice())))
    }
}

impl serde::Serialize for UnknownFields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_slice())
    }
}

impl<'de> serde::Deserialize<'de> for UnknownFields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

/// What may be a field of a tail: it has a default, which is expressed by leaving the field out.
pub(crate) trait Optional: Sized + Default {
    /// Whether it is the default.
    fn is_default(&self) -> bool;

    /// Appends the contents of the field, which are never the default.
    fn put_field(&self, sink: &mut Sink);

    /// Reads all of the field.
    fn take_field(source: &mut Source<'_>) -> Result<Self, DecodeError>;
}

impl<T: Wire> Optional for Option<T> {
    #[inline]
    fn is_default(&self) -> bool {
        self.is_none()
    }

    #[inline]
    fn put_field(&self, sink: &mut Sink) {
        if let Some(value) = self {
            value.put(sink);
        }
    }

    #[inline]
    fn take_field(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        T::take(source).map(Some)
    }
}

/// The presence of the field means `true`.
impl Optional for bool {
    fn is_default(&self) -> bool {
        !*self
    }

    fn put_field(&self, _: &mut Sink) {}

    fn take_field(_: &mut Source<'_>) -> Result<Self, DecodeError> {
        Ok(true)
    }
}

/// Values whose encoding is the contents of the field.
macro_rules! optional {
    ($([$($generics:tt)*] $value:ty;)*) => {
        $(impl<$($generics)*> $crate::base::wire::Optional for $value {
            #[inline]
            fn is_default(&self) -> bool {
                *self == Self::default()
            }

            #[inline]
            fn put_field(&self, sink: &mut $crate::base::wire::Sink) {
                $crate::base::wire::Wire::put(self, sink);
            }

            #[inline]
            fn take_field(
                source: &mut $crate::base::wire::Source<'_>,
            ) -> Result<Self, $crate::base::wire::DecodeError> {
                $crate::base::wire::Wire::take(source)
            }
        })*
    };
}

pub(crate) use optional;

optional! {
    [] u8;
    [] u32;
    [] u64;
}

/// Appends a field, unless it is the default.
#[inline]
pub(crate) fn put_field<T: Optional>(value: &T, tag: u64, since: u8, sink: &mut Sink) {
    if value.is_default() {
        return;
    }
    if tag.is_multiple_of(2) {
        sink.since(since);
    }
    sink.number(tag);
    let start = sink.bytes.len();
    // Nearly all lengths take one byte; a longer one moves what stands behind it.
    sink.bytes.push(0);
    value.put_field(sink);
    let length = sink.bytes.len() - start - 1;
    if length <= 250 {
        sink.bytes[start] = u8::try_from(length).unwrap_or_default();
    } else {
        let mut form = Sink::with_capacity(9);
        form.number(length as u64);
        sink.bytes.splice(start..=start, form.bytes);
    }
}

/// Appends the unknown fields whose tags are below `below`, the tag of a known field or the largest
/// there is, and removes them from the list.
#[inline]
pub(crate) fn put_unknown(
    unknown: &mut &[UnknownField],
    below: u64,
    inside: &'static str,
    sink: &mut Sink,
) {
    if !unknown.is_empty() {
        put_some_unknown(unknown, below, inside, sink);
    }
}

#[cold]
fn put_some_unknown(
    unknown: &mut &[UnknownField],
    below: u64,
    inside: &'static str,
    sink: &mut Sink,
) {
    while let [field, rest @ ..] = unknown {
        if field.tag > below {
            return;
        }
        let next = rest.first().map_or(u64::MAX, |next| next.tag);
        let fault = if field.tag == below || field.tag >= next {
            Some(TailFault::NotRising)
        } else if field.tag.is_multiple_of(2) {
            Some(TailFault::Unknown)
        } else if field.bytes.len() > limits::UNKNOWN_FIELD_BYTES {
            Some(TailFault::TooLong)
        } else {
            None
        };
        if let Some(fault) = fault {
            sink.unreadable(DecodeError::Tail { inside, tag: field.tag, fault });
        }
        sink.number(field.tag);
        sink.number(field.bytes.len() as u64);
        sink.bytes.extend_from_slice(&field.bytes);
        *unknown = rest;
    }
}

/// Reads a tail: `known` reads the fields that it knows and says whether it did. Returns the others.
pub(crate) fn known_fields<'a>(
    source: &mut Source<'a>,
    mut known: impl FnMut(&mut Source<'a>, u64, &'a [u8]) -> Result<bool, DecodeError>,
) -> Result<Vec<UnknownField>, DecodeError> {
    let mut unknown = Vec::new();
    let mut last = None;
    for _ in 0..source.count(limits::TAIL_FIELDS)? {
        let tag = source.number(u64::MAX)?;
        let fault = |source: &Source<'_>, fault| {
            Err(DecodeError::Tail { inside: source.inside, tag, fault })
        };
        if last.is_some_and(|last| tag <= last) {
            return fault(source, TailFault::NotRising);
        }
        last = Some(tag);
        let length = usize::try_from(source.number(u64::MAX)?).unwrap_or(usize::MAX);
        if length > source.rest.len() {
            return fault(source, TailFault::TooLong);
        }
        let bytes = source.bytes(length)?;
        if known(source, tag, bytes)? {
            continue;
        }
        if tag.is_multiple_of(2) {
            return fault(source, TailFault::Unknown);
        }
        if length > limits::UNKNOWN_FIELD_BYTES {
            return fault(source, TailFault::TooLong);
        }
        unknown.push(UnknownField { tag, bytes: bytes.into() });
    }
    Ok(unknown)
}

/// Reads one known field, which must not be the default.
#[inline]
pub(crate) fn take_field<'a, T: Optional>(
    source: &mut Source<'a>,
    tag: u64,
    since: u8,
    bytes: &'a [u8],
) -> Result<T, DecodeError> {
    let value = source.whole(bytes, T::take_field)?;
    if value.is_default() {
        let inside = source.inside;
        return Err(DecodeError::Tail { inside, tag, fault: TailFault::Default });
    }
    if tag.is_multiple_of(2) {
        source.since(since);
    }
    Ok(value)
}
