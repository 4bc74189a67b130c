//! Bytes on the wire (docs/FORMAT.md): numbers, records and their tails, and the lowest version that can
//! express them. The only module that uses bincode, and nothing of bincode is public.
//!
//! Every value has one encoding: whatever is read would be written as the same bytes, and is checked
//! against its limit before memory is allocated for it.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::mem;

use bincode::{config, enc::write::Writer};

use crate::base::limits;

mod error;
mod layout;
mod tail;

pub use error::{DecodeError, TailFault};
pub(crate) use layout::layout;
pub(crate) use tail::{Optional, known_fields, optional, put_field, put_unknown, take_field};
pub use tail::{UnknownField, UnknownFields};

/// The newest format version that this program writes and reads. It reads this one and every one
/// before, and writes the oldest one that can say what is written.
pub const FORMAT_VERSION: u8 = if cfg!(payonce_format_2) { 2 } else { 1 };

/// The first byte of entries and snapshots is the version and this. Those of the unreleased program
/// began with a plain 1, so that none of them is ever taken for one of these.
const VERSION_MARK: u8 = 0x80;

const CONFIG: config::Configuration = config::standard();

/// What has a layout.
pub(crate) trait Wire: Sized {
    /// Appends the value's one encoding to the sink.
    fn put(&self, sink: &mut Sink);

    /// Reads a value back.
    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError>;
}

/// Where values are encoded to.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) bytes: Vec<u8>,
    /// The lowest version that can say what was put so far.
    version: u8,
    /// Why what was put could not be read back: the first value beyond its limit.
    fault: Option<DecodeError>,
    /// The unknown fields of the event that is put next, which has no place for them itself.
    pub(crate) left_over: UnknownFields,
}

impl Sink {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let left_over = UnknownFields::NONE;
        Self { bytes: Vec::with_capacity(bytes), version: 1, fault: None, left_over }
    }

    /// Appends a number: its shortest form, whatever the width of its type.
    #[inline]
    pub(crate) fn number(&mut self, number: u64) {
        // bincode's own form of most numbers, without its detour.
        if let Ok(short @ 0..=250) = u8::try_from(number) {
            return self.bytes.push(short);
        }
        bincode::encode_into_writer(number, Append(&mut self.bytes), CONFIG)
            .expect("appending to memory does not fail");
    }

    /// Appends a count or a length, which must not be above what is read back.
    pub(crate) fn count(&mut self, count: usize, limit: usize, inside: &'static str) {
        self.limit(count, limit, inside);
        self.number(count as u64);
    }

    /// Notes that what is put could not be read back, if it is above the limit.
    pub(crate) fn limit(&mut self, count: usize, limit: usize, inside: &'static str) {
        if count > limit {
            self.unreadable(DecodeError::OverLimit { inside });
        }
    }

    /// Notes that what is put could not be read back. An entry that nobody can read would close its
    /// ledger for good, so each `put` checks what its `take` will check.
    #[cold]
    pub(crate) fn unreadable(&mut self, fault: DecodeError) {
        self.fault.get_or_insert(fault);
    }

    /// Notes that this version brought what is being put.
    pub(crate) const fn since(&mut self, version: u8) {
        if self.version < version {
            self.version = version;
        }
    }

    /// The lowest version that can say what was put so far.
    pub(crate) const fn version(&self) -> u8 {
        self.version
    }

    /// Reserves the byte of the version, which is known only at the end.
    pub(crate) fn version_first(&mut self) {
        self.bytes.push(0);
    }

    /// The bytes with the version in the place that was left for it.
    ///
    /// # Errors
    /// What reading them back would answer.
    pub(crate) fn with_version(mut self) -> Result<Vec<u8>, DecodeError> {
        if let Some(first) = self.bytes.first_mut() {
            *first = VERSION_MARK | self.version;
        }
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.bytes),
        }
    }
}

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Where values are decoded from.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) rest: &'a [u8],
    /// The record that is being read, for errors.
    pub(crate) inside: &'static str,
    /// The version that the bytes state.
    pub(crate) stated: u8,
    /// The lowest version that can say what was taken so far.
    version: u8,
    /// Unknown fields of records that have no place for them: those of events, which no state keeps.
    pub(crate) left_over: Vec<UnknownField>,
}

impl<'a> Source<'a> {
    /// Begins with the version that every entry and snapshot states first.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none, or none that this program reads.
    pub(crate) fn versioned(bytes: &'a [u8], inside: &'static str) -> Result<Self, DecodeError> {
        let (&first, rest) = bytes.split_first().ok_or(DecodeError::Truncated { inside })?;
        let stated = stated_version(first)?;
        Ok(Self { rest, inside, stated, version: 1, left_over: Vec::new() })
    }

    /// Continues with bytes whose version was stated elsewhere.
    pub(crate) const fn of_version(rest: &'a [u8], inside: &'static str, stated: u8) -> Self {
        Self { rest, inside, stated, version: 1, left_over: Vec::new() }
    }

    /// A number of variable length; an error if it is above `most`, or not in its shortest form.
    #[inline]
    pub(crate) fn number(&mut self, most: u64) -> Result<u64, DecodeError> {
        let number = match self.rest {
            [short @ 0..=250, rest @ ..] => {
                let number = u64::from(*short);
                self.rest = rest;
                number
            }
            _ => self.long_number()?,
        };
        if number > most {
            return Err(self.malformed("a number that is too large"));
        }
        Ok(number)
    }

    fn long_number(&mut self) -> Result<u64, DecodeError> {
        use bincode::error::DecodeError as Error;
        let inside = self.inside;
        let (number, used): (u64, usize) =
            bincode::decode_from_slice(self.rest, CONFIG).map_err(|error| match error {
                Error::UnexpectedEnd { .. } => DecodeError::Truncated { inside },
                other => DecodeError::Malformed { inside, what: format!("{other}") },
            })?;
        // Without this check a number would have several encodings.
        let shortest = match number {
            0..=250 => 1,
            251..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if used != shortest {
            return Err(DecodeError::NotCanonical { inside });
        }
        self.rest = &self.rest[used..];
        Ok(number)
    }

    /// A count, compared with its limit before anything is made of it.
    pub(crate) fn count(&mut self, limit: usize) -> Result<usize, DecodeError> {
        match usize::try_from(self.number(u64::MAX)?) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(DecodeError::OverLimit { inside: self.inside }),
        }
    }

    /// Takes the next `count` bytes; an error if fewer are left.
    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let inside = self.inside;
        let split = self.rest.split_at_checked(count);
        let (bytes, rest) = split.ok_or(DecodeError::Truncated { inside })?;
        self.rest = rest;
        Ok(bytes)
    }

    /// All that is left, if that is at most `limit` bytes.
    pub(crate) fn rest_of_at_most(&mut self, limit: usize) -> Result<&'a [u8], DecodeError> {
        if self.rest.len() > limit {
            return Err(DecodeError::OverLimit { inside: self.inside });
        }
        Ok(mem::take(&mut self.rest))
    }

    /// Takes the next `N` bytes; an error if fewer are left.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let inside = self.inside;
        let split = self.rest.split_first_chunk::<N>();
        let (bytes, rest) = split.ok_or(DecodeError::Truncated { inside })?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Reads all of `bytes` as one value.
    pub(crate) fn whole<T>(
        &mut self,
        bytes: &'a [u8],
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let after = mem::replace(&mut self.rest, bytes);
        let value = read(self)?;
        let left = mem::replace(&mut self.rest, after).len();
        if left > 0 {
            return Err(DecodeError::LeftOver { inside: self.inside, left });
        }
        Ok(value)
    }

    /// Reads a record, which errors name.
    #[inline]
    pub(crate) fn record<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let outside = mem::replace(&mut self.inside, name);
        let value = read(self)?;
        self.inside = outside;
        Ok(value)
    }

    /// Notes that this version brought what was taken.
    pub(crate) const fn since(&mut self, version: u8) {
        if self.version < version {
            self.version = version;
        }
    }

    /// Checks that nothing is left over, and that no lower version could express all of it.
    pub(crate) fn check_end(&self) -> Result<(), DecodeError> {
        let inside = self.inside;
        match self.rest.len() {
            0 if self.version == self.stated => Ok(()),
            0 => Err(DecodeError::NotLowestVersion {
                inside,
                stated: self.stated,
                lowest: self.version,
            }),
            left => Err(DecodeError::LeftOver { inside, left }),
        }
    }

    /// The error for bytes that no value is encoded as.
    #[cold]
    pub(crate) fn malformed(&self, what: &str) -> DecodeError {
        DecodeError::Malformed { inside: self.inside, what: what.into() }
    }

    /// The error for a variant that does not exist.
    #[cold]
    pub(crate) fn no_variant(&self, number: u64) -> DecodeError {
        DecodeError::UnknownVariant { inside: self.inside, number }
    }

    #[cold]
    pub(crate) const fn not_canonical(&self) -> DecodeError {
        DecodeError::NotCanonical { inside: self.inside }
    }
}

/// The version that a first byte states.
pub(crate) fn stated_version(first: u8) -> Result<u8, DecodeError> {
    match (first & VERSION_MARK, first & !VERSION_MARK) {
        (0, 1) => Err(DecodeError::Unreleased),
        (0, _) | (_, 0) => Err(DecodeError::NoSuchVersion { found: first }),
        (_, found) if found > FORMAT_VERSION => {
            Err(DecodeError::NewerVersion { found, known: FORMAT_VERSION })
        }
        (_, found) => Ok(found),
    }
}

/// Whether the encoding of a value would be read back.
pub(crate) fn is_readable<T: Wire>(value: &T) -> bool {
    let mut sink = Sink::with_capacity(64);
    value.put(&mut sink);
    sink.fault.is_none()
}

/// The encoding of a value by itself, for digests.
pub(crate) fn encoded<T: Wire>(value: &T) -> Vec<u8> {
    let mut sink = Sink::with_capacity(64);
    value.put(&mut sink);
    sink.bytes
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Wire for $number {
            #[inline]
            fn put(&self, sink: &mut Sink) {
                sink.number(u64::from(*self));
            }

            #[inline]
            fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
                source.number(u64::from(Self::MAX)).map(|number| number as Self)
            }
        })*
    };
}

#[expect(clippy::cast_possible_truncation, reason = "the number is at most the type's largest")]
mod numbers {
    use super::{DecodeError, Sink, Source, Wire};

    numbers!(u16, u32, u64);
}

/// One byte as it is: the only number that is not of variable length.
impl Wire for u8 {
    fn put(&self, sink: &mut Sink) {
        sink.bytes.push(*self);
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        source.array::<1>().map(|[byte]| byte)
    }
}

impl Wire for bool {
    fn put(&self, sink: &mut Sink) {
        sink.bytes.push(u8::from(*self));
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        match source.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(source.malformed("neither yes nor no")),
        }
    }
}

impl<const N: usize> Wire for [u8; N] {
    #[inline]
    fn put(&self, sink: &mut Sink) {
        sink.bytes.extend_from_slice(self);
    }

    #[inline]
    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        source.array()
    }
}

impl<T: Wire> Wire for Option<T> {
    #[inline]
    fn put(&self, sink: &mut Sink) {
        sink.bytes.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(sink);
        }
    }

    #[inline]
    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        if bool::take(source)? { T::take(source).map(Some) } else { Ok(None) }
    }
}

macro_rules! behind_pointers {
    ($($pointer:ident),*) => {
        $(impl<T: Wire> Wire for $pointer<T> {
            fn put(&self, sink: &mut Sink) {
                (**self).put(sink);
            }

            fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
                T::take(source).map(Self::new)
            }
        })*
    };
}

behind_pointers!(Box, Arc);

impl<T: Wire, U: Wire> Wire for (T, U) {
    fn put(&self, sink: &mut Sink) {
        self.0.put(sink);
        self.1.put(sink);
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        Ok((T::take(source)?, U::take(source)?))
    }
}

/// Checks the size of what would be an entry.
pub(crate) const fn check_entry_size(bytes: usize) -> Result<(), DecodeError> {
    if bytes > limits::ENTRY_BYTES {
        return Err(DecodeError::OverLimit { inside: "an entry" });
    }
    Ok(())
}
