//! Bytes, texts and lists with a limit, which is checked before memory is allocated for them.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::fmt;

use crate::base::{
    text_form,
    wire::{DecodeError, Optional, Sink, Source, Wire},
};

/// Opaque bytes, at most `MAX`, cheap to clone. A longer value can be made, so that it can be refused
/// with its size; it is never decoded.
// One pointer wide: most are empty, and every payment has two.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob<const MAX: usize>(Option<Arc<Box<[u8]>>>);

impl<const MAX: usize> Blob<MAX> {
    /// No bytes; allocates nothing.
    pub const EMPTY: Self = Self(None);

    /// All of them, in the order in which they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bytes| bytes)
    }

    /// How many bytes there are; it may be above `MAX` before the value was checked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl<const MAX: usize> From<&[u8]> for Blob<MAX> {
    fn from(bytes: &[u8]) -> Self {
        Vec::from(bytes).into()
    }
}

impl<const MAX: usize> From<Vec<u8>> for Blob<MAX> {
    fn from(bytes: Vec<u8>) -> Self {
        Self((!bytes.is_empty()).then(|| Arc::new(bytes.into_boxed_slice())))
    }
}

impl<const MAX: usize> From<&str> for Blob<MAX> {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl<const MAX: usize, const N: usize> From<&[u8; N]> for Blob<MAX> {
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl<const MAX: usize> serde::Serialize for Blob<MAX> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use hex_conservative::DisplayHex;
        text_form::put(&self.as_bytes().as_hex(), self.as_bytes(), serializer)
    }
}

impl<'de, const MAX: usize> serde::Deserialize<'de> for Blob<MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: text_form::Bytes = text_form::take("bytes, as hex", deserializer)?;
        Ok(bytes.0.into())
    }
}

impl<const MAX: usize> Wire for Blob<MAX> {
    fn put(&self, sink: &mut Sink) {
        sink.count(self.len(), MAX, "bytes");
        sink.bytes.extend_from_slice(self.as_bytes());
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        let count = source.count(MAX)?;
        source.bytes(count).map(Self::from)
    }
}

/// In a tail the length of the field is the length of the bytes.
impl<const MAX: usize> Optional for Blob<MAX> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn put_field(&self, sink: &mut Sink) {
        sink.limit(self.len(), MAX, "bytes");
        sink.bytes.extend_from_slice(self.as_bytes());
    }

    fn take_field(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        source.rest_of_at_most(MAX).map(Self::from)
    }
}

/// UTF-8 text of at most `MAX` bytes. A longer value can be made, so that it can be refused with its
/// size; it is never decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The empty text: also the value of a text that was not given.
    pub const EMPTY: Self = Self(String::new());

    /// The whole text, also beyond `MAX`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in bytes of UTF-8.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `MAX` bytes, cut at a character.
    #[must_use]
    pub fn cut(mut self) -> Self {
        while self.0.len() > MAX {
            self.0.pop();
        }
        self
    }
}

impl<const MAX: usize> From<&str> for Text<MAX> {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl<const MAX: usize> Text<MAX> {
    fn checked(bytes: &[u8], source: &Source<'_>) -> Result<Self, DecodeError> {
        core::str::from_utf8(bytes).map(Self::from).map_err(|_| source.malformed("not UTF-8"))
    }
}

impl<const MAX: usize> Wire for Text<MAX> {
    fn put(&self, sink: &mut Sink) {
        sink.count(self.len(), MAX, "a text");
        sink.bytes.extend_from_slice(self.0.as_bytes());
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        let count = source.count(MAX)?;
        let bytes = source.bytes(count)?;
        Self::checked(bytes, source)
    }
}

/// In a tail the length of the field is the length of the text.
impl<const MAX: usize> Optional for Text<MAX> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn put_field(&self, sink: &mut Sink) {
        sink.limit(self.len(), MAX, "a text");
        sink.bytes.extend_from_slice(self.0.as_bytes());
    }

    fn take_field(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        let bytes = source.rest_of_at_most(MAX)?;
        Self::checked(bytes, source)
    }
}

/// A list that facts may make as long as they like.
pub(crate) type Many<T> = List<T, { u32::MAX as usize }>;

/// A list of at most `MAX` items. A longer list can be made; it is never decoded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// A list without items; allocates nothing.
    pub const EMPTY: Self = Self(Vec::new());

    /// The items, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The items, in order, by value.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> core::ops::Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> Many<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, item: T) {
        self.0.push(item);
    }

    pub(crate) const fn items_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> From<Vec<T>> for List<T, MAX> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<T, const MAX: usize> FromIterator<T> for List<T, MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Wire, const MAX: usize> Wire for List<T, MAX> {
    fn put(&self, sink: &mut Sink) {
        sink.count(self.0.len(), MAX, "a list");
        self.0.iter().for_each(|item| item.put(sink));
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        // Grown as items arrive: a count costs nothing until its items are there.
        let mut items = Vec::new();
        for _ in 0..source.count(MAX)? {
            if items.is_empty() {
                // Most lists hold one.
                items.reserve_exact(1);
            }
            items.push(T::take(source)?);
        }
        Ok(Self(items))
    }
}

impl<T: Wire, const MAX: usize> Optional for List<T, MAX> {
    fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    fn put_field(&self, sink: &mut Sink) {
        self.put(sink);
    }

    fn take_field(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        Self::take(source)
    }
}
