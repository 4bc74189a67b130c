//! Bytes on disk: how an entry and its events are laid out (docs/FORMAT.md). The one module that
//! knows bincode.
//!
//! Whatever is decoded is bounded before it is allocated and must be the one encoding of what it
//! says: `encode(decode(bytes)) == bytes`.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::fmt;

use bincode::{
    Decode, Encode, config,
    de::{Decoder, DecoderImpl, read::Reader},
    enc::{Encoder, EncoderImpl, write::Writer},
};

use crate::{
    amount::UnixMillis,
    chain::{Entry, Head},
    event::Event,
    limits,
    machine::LossAlarm,
};

/// The format version that this program writes. It reads this one and every one before.
pub const FORMAT_VERSION: u8 = 1;

const CONFIG: config::Configuration = config::standard();

/// Why bytes are not an entry, an event or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Written by a newer version of the program.
    #[error("format version {found} is newer than {known}: read it with a newer program")]
    NewerVersion {
        /// The version found.
        found: u8,
        /// The newest version that this program reads.
        known: u8,
    },
    /// A format version that never was.
    #[error("there is no format version {found}")]
    NoSuchVersion {
        /// The version found.
        found: u8,
    },
    /// The bytes end too early.
    #[error("the bytes end inside {inside}")]
    Truncated {
        /// What was being read.
        inside: &'static str,
    },
    /// A count or a length is above its limit.
    #[error("a count or length in {inside} is above its limit")]
    OverLimit {
        /// What was being read.
        inside: &'static str,
    },
    /// The bytes mean nothing.
    #[error("the bytes are no {inside}: {what}")]
    Malformed {
        /// What was being read.
        inside: &'static str,
        /// What does not fit.
        what: String,
    },
    /// The bytes are not the one encoding of what they say.
    #[error("the bytes are not the canonical encoding of {inside}")]
    NotCanonical {
        /// What was being read.
        inside: &'static str,
    },
    /// Bytes are left over.
    #[error("{left} bytes are left over after {inside}")]
    LeftOver {
        /// What was read.
        inside: &'static str,
        /// How many bytes are left.
        left: usize,
    },
    /// The entry does not stand where it says.
    #[error("the entry says that it starts at seq {stated}, but it follows seq {after}")]
    OutOfPlace {
        /// The first seq stated in the entry.
        stated: u64,
        /// The last seq before it.
        after: u64,
    },
}

/// Why events cannot be an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// An entry has at least one event.
    #[error("an entry has at least one event")]
    Empty,
    /// The entry would be larger than [`limits::ENTRY_BYTES`].
    #[error("the entry would have {bytes} bytes; the limit is {}", limits::ENTRY_BYTES)]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The entry reads back differently: a field is above its limit.
    #[error("the entry does not read back: {0}")]
    Unreadable(#[from] DecodeError),
}

/// What stands before an entry's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct EntryHeader {
    /// The format version of the entry and its events.
    pub format: u8,
    /// The seq of the first event.
    pub first_seq: u64,
    /// When the command was decided.
    pub now: UnixMillis,
    /// The epoch of the writer.
    pub epoch: u64,
    /// How many events follow; at least one.
    pub events: u32,
}

impl EntryHeader {
    /// Reads the header of an entry and leaves its events alone: what a store needs to know.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes do not start with a header of a known version, in its one
    /// encoding.
    pub fn read(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::take(&mut bytes)
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        const INSIDE: &str = "an entry's header";
        check_version(*rest.first().ok_or(DecodeError::Truncated { inside: INSIDE })?)?;
        let header: Self = take_canonical(rest, INSIDE)?;
        let overflows = header.first_seq.checked_add(u64::from(header.events)).is_none();
        if header.events == 0 || header.first_seq == 0 || overflows {
            return Err(DecodeError::Malformed {
                inside: INSIDE,
                what: format!("{} events from seq {}", header.events, header.first_seq),
            });
        }
        Ok(header)
    }

    /// The seq of the entry's last event.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.first_seq + self.events as u64 - 1
    }
}

impl Entry {
    /// Encodes events as the entry after `before`. A machine makes its own; this is for tests of
    /// stores and for tools.
    ///
    /// # Errors
    /// [`EncodeError`] when there is no event, or a limit is broken.
    pub fn new(
        before: Head,
        epoch: u64,
        now: UnixMillis,
        events: &[Event],
    ) -> Result<Self, EncodeError> {
        Self::encoded(before, epoch, now, events).map(|(_, entry)| entry)
    }

    /// As [`new`](Self::new), with the header that was encoded.
    pub(crate) fn encoded(
        before: Head,
        epoch: u64,
        now: UnixMillis,
        events: &[Event],
    ) -> Result<(EntryHeader, Self), EncodeError> {
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(EncodeError::Empty);
        }
        let header = EntryHeader {
            format: FORMAT_VERSION,
            first_seq: before.seq + 1,
            now,
            epoch,
            events: count,
        };
        let mut bytes = Vec::with_capacity(64 + 128 * events.len());
        encode_into(&header, &mut bytes);
        for event in events {
            try_encode_into(event, &mut bytes, "an event")?;
        }
        if bytes.len() > limits::ENTRY_BYTES {
            return Err(EncodeError::TooLarge { bytes: bytes.len() });
        }
        check_readable(&header, events, &bytes)?;
        Ok((header, Self::sealed(before, &header, bytes)))
    }

    /// Takes a stored entry for another store: a copy, a migration.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no entry, or not the one after `before`.
    pub fn from_stored(before: Head, bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let header = decode_events(&bytes, |_, _| ())?;
        if before.seq.checked_add(1) != Some(header.first_seq) {
            return Err(DecodeError::OutOfPlace { stated: header.first_seq, after: before.seq });
        }
        Ok(Self::sealed(before, &header, bytes))
    }

    fn sealed(before: Head, header: &EntryHeader, bytes: Vec<u8>) -> Self {
        let after = Head { seq: header.last_seq(), chain: before.chain.extend(&bytes) };
        Self { before, after, bytes, loss: LossAlarm::default() }
    }
}

/// What could not be read back must never reach a store: an entry is decoded again before it is given
/// away. The bytes are the encoding of what is compared, so they are the one encoding of what reads
/// back the same.
fn check_readable(header: &EntryHeader, events: &[Event], bytes: &[u8]) -> Result<(), DecodeError> {
    let mut rest = bytes;
    let mut same = EntryHeader::take(&mut rest)? == *header;
    for written in events {
        let (event, used) = decode_prefix::<Event>(rest, "an event")?;
        same &= event == *written;
        rest = &rest[used..];
    }
    if same && rest.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::NotCanonical { inside: "an entry" })
    }
}

/// Decodes an entry event by event: never as one container, whose claimed size nothing bounds.
///
/// # Errors
/// [`DecodeError`]; `each` may have been called for the events before the damage.
pub fn decode_events(
    bytes: &[u8],
    each: impl FnMut(u64, Event),
) -> Result<EntryHeader, DecodeError> {
    let (header, events) = split_entry(bytes)?;
    decode_each(&header, events, each)?;
    Ok(header)
}

/// The header of an entry, and the bytes of its events.
pub(crate) fn split_entry(bytes: &[u8]) -> Result<(EntryHeader, &[u8]), DecodeError> {
    if bytes.len() > limits::ENTRY_BYTES {
        return Err(DecodeError::OverLimit { inside: "an entry" });
    }
    let mut rest = bytes;
    let header = EntryHeader::take(&mut rest)?;
    Ok((header, rest))
}

/// Decodes the events of an entry from their bytes.
fn decode_each(
    header: &EntryHeader,
    mut rest: &[u8],
    mut each: impl FnMut(u64, Event),
) -> Result<(), DecodeError> {
    for seq in header.first_seq..=header.last_seq() {
        each(seq, take_canonical(&mut rest, "an event")?);
    }
    check_empty(rest)
}

/// As [`decode_each`], behind the events that are there; those before a damage are added too.
pub(crate) fn decode_into(
    header: &EntryHeader,
    mut rest: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    for _ in 0..header.events {
        take_canonical_to(|event| pushed(events, event), &mut rest, "an event")?;
    }
    check_empty(rest)
}

fn pushed<T>(values: &mut Vec<T>, value: T) -> &mut T {
    values.push(value);
    values.last_mut().expect("it was pushed")
}

/// That nothing is left over after an entry.
const fn check_empty(rest: &[u8]) -> Result<(), DecodeError> {
    match rest.len() {
        0 => Ok(()),
        left => Err(DecodeError::LeftOver { inside: "an entry", left }),
    }
}

pub(crate) fn check_version(found: u8) -> Result<(), DecodeError> {
    match found {
        0 => Err(DecodeError::NoSuchVersion { found }),
        FORMAT_VERSION => Ok(()),
        _ => Err(DecodeError::NewerVersion { found, known: FORMAT_VERSION }),
    }
}

/// Appends the encoding of a value whose lists and texts keep their limits.
pub(crate) fn encode_into<T: Encode>(value: &T, bytes: &mut Vec<u8>) {
    try_encode_into(value, bytes, "a value").expect("appending to memory does not fail");
}

/// Appends the encoding of a value; refuses one that would not decode.
fn try_encode_into<T: Encode>(
    value: &T,
    bytes: &mut Vec<u8>,
    inside: &'static str,
) -> Result<(), DecodeError> {
    let mut encoder = EncoderImpl::new(Append(bytes), CONFIG);
    value.encode(&mut encoder).map_err(|_| DecodeError::OverLimit { inside })
}

/// Decodes a value at the start of `bytes`, and says how many bytes it took.
pub(crate) fn decode_prefix<T: Decode<()>>(
    bytes: &[u8],
    inside: &'static str,
) -> Result<(T, usize), DecodeError> {
    bincode::decode_from_slice(bytes, CONFIG).map_err(|error| wire_error(error, inside))
}

#[cold]
fn wire_error(error: bincode::error::DecodeError, inside: &'static str) -> DecodeError {
    use bincode::error::DecodeError as Wire;
    match error {
        Wire::UnexpectedEnd { .. } => DecodeError::Truncated { inside },
        Wire::LimitExceeded => DecodeError::OverLimit { inside },
        other => DecodeError::Malformed { inside, what: format!("{other}") },
    }
}

/// Decodes a value at the start of `rest`, which must be its one encoding, and takes it off. For
/// types whose decoding itself refuses what would be encoded otherwise, numbers aside.
pub(crate) fn take_canonical<T: Decode<()> + Encode>(
    rest: &mut &[u8],
    inside: &'static str,
) -> Result<T, DecodeError> {
    let mut value = None;
    take_canonical_to(|taken| value.insert(taken), rest, inside)?;
    Ok(value.expect("it was decoded"))
}

/// As [`take_canonical`], to the place in which `keep` puts it: a large value is not moved about.
/// It is there even if it is refused for its encoding.
pub(crate) fn take_canonical_to<'a, T: Decode<()> + Encode + 'a>(
    keep: impl FnOnce(T) -> &'a mut T,
    rest: &mut &[u8],
    inside: &'static str,
) -> Result<(), DecodeError> {
    let reader = Shortest { rest, are_shortest: true, is_sure: true, single: None };
    let mut decoder = DecoderImpl::new(reader, CONFIG, ());
    let value = match T::decode(&mut decoder) {
        Ok(value) => keep(value),
        Err(error) => return Err(wire_error(error, inside)),
    };
    let Shortest { rest: after, are_shortest, is_sure, .. } = *decoder.reader();
    let bytes = &rest[..rest.len() - after.len()];
    if !are_shortest {
        return Err(DecodeError::NotCanonical { inside });
    }
    if !is_sure {
        check_canonical(value, bytes, inside)?;
    }
    *rest = after;
    Ok(())
}

/// Reads from memory and notices a number that is not written as shortly as it can be: the one way
/// in which this layout could say the same in two ways.
#[derive(Clone, Copy)]
struct Shortest<'a> {
    rest: &'a [u8],
    are_shortest: bool,
    /// False once something that may be a number was read, and was not written shortly if it is.
    is_sure: bool,
    /// The byte before, if it was read by itself: near the end of the bytes, where nothing can be
    /// peeked, a number is read so, behind the byte that tells its width.
    single: Option<u8>,
}

/// Whether a number behind the byte that tells its width needs that width. True of what is none.
fn needs_width(width: u8, number: &[u8]) -> bool {
    match (width, number) {
        (251, &[a, b]) => u16::from_le_bytes([a, b]) > 250,
        (252, &[_, _, c, d]) => [c, d] != [0; 2],
        (253, &[_, _, _, _, e, f, g, h]) => [e, f, g, h] != [0; 4],
        _ => true,
    }
}

impl Reader for Shortest<'_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> Result<(), bincode::error::DecodeError> {
        let Some((read, rest)) = self.rest.split_at_checked(into.len()) else {
            let additional = into.len() - self.rest.len();
            return Err(bincode::error::DecodeError::UnexpectedEnd { additional });
        };
        into.copy_from_slice(read);
        self.rest = rest;
        self.is_sure &= self.single.is_none_or(|width| needs_width(width, read));
        self.single = if let [single] = *read { Some(single) } else { None };
        Ok(())
    }

    #[inline]
    fn peek_read(&mut self, len: usize) -> Option<&[u8]> {
        self.rest.get(..len)
    }

    /// Takes what was peeked: a byte, or a number behind the byte that tells its width.
    #[inline]
    fn consume(&mut self, len: usize) {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.single = None;
        if let [width, number @ ..] = taken {
            self.are_shortest &= needs_width(*width, number);
        }
    }
}

/// Checks that `bytes` are the one encoding of `value`, without allocating.
pub(crate) fn check_canonical<T: Encode>(
    value: &T,
    bytes: &[u8],
    inside: &'static str,
) -> Result<(), DecodeError> {
    let mut encoder = EncoderImpl::new(Compare(bytes), CONFIG);
    let same = value.encode(&mut encoder).is_ok() && encoder.into_writer().0.is_empty();
    if same { Ok(()) } else { Err(DecodeError::NotCanonical { inside }) }
}

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Takes what is written off the front of what is expected.
struct Compare<'a>(&'a [u8]);

impl Writer for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0 = self.0.strip_prefix(bytes).ok_or(bincode::error::EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}

/// Writes a count, unless it is above what [`decode_len`] takes.
fn encode_len<E: Encoder>(
    len: usize,
    limit: usize,
    encoder: &mut E,
) -> Result<(), bincode::error::EncodeError> {
    if len > limit {
        return Err(bincode::error::EncodeError::Other("a count or length above its limit"));
    }
    (len as u64).encode(encoder)
}

/// Reads so many bytes where they lie: by way of a buffer each is moved twice.
#[inline]
pub(crate) fn decode_bytes<const N: usize, D: Decoder>(
    decoder: &mut D,
) -> Result<[u8; N], bincode::error::DecodeError> {
    // A reader takes no more than a number's nine bytes for a number.
    const { assert!(N > 9) };
    decoder.claim_bytes_read(N)?;
    let reader = decoder.reader();
    if let Some(bytes) = reader.peek_read(N).and_then(<[u8]>::first_chunk::<N>) {
        let bytes = *bytes;
        reader.consume(N);
        return Ok(bytes);
    }
    let mut bytes = [0; N];
    reader.read(&mut bytes)?;
    Ok(bytes)
}

/// Reads a count and checks it before anything is made of it.
fn decode_len<D: Decoder>(
    decoder: &mut D,
    limit: usize,
) -> Result<usize, bincode::error::DecodeError> {
    match usize::try_from(u64::decode(decoder)?) {
        Ok(len) if len <= limit => Ok(len),
        _ => Err(bincode::error::DecodeError::LimitExceeded),
    }
}

/// Opaque bytes of at most `MAX`, cheap to clone. More can be made, so that it can be refused with
/// its size, but not be decoded.
// One pointer wide: most are empty, and every payment has two.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob<const MAX: usize>(Option<Arc<Box<[u8]>>>);

impl<const MAX: usize> Blob<MAX> {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bytes| bytes)
    }

    /// How many bytes.
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
        serializer.collect_str(&self.as_bytes().as_hex())
    }
}

impl<const MAX: usize> Encode for Blob<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        encode_len(self.len(), MAX, encoder)?;
        encoder.writer().write(self.as_bytes())
    }
}

impl<const MAX: usize, C> Decode<C> for Blob<MAX> {
    fn decode<D: Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let len = decode_len(decoder, MAX)?;
        let mut bytes = alloc::vec![0; len];
        decoder.reader().read(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// UTF-8 of at most `MAX` bytes. Longer ones can be made, so that they can be refused with their
/// size, but not be decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
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

impl<const MAX: usize> Encode for Text<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        encode_len(self.0.len(), MAX, encoder)?;
        encoder.writer().write(self.0.as_bytes())
    }
}

impl<const MAX: usize, C> Decode<C> for Text<MAX> {
    fn decode<D: Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let bytes = Blob::<MAX>::decode(decoder)?;
        core::str::from_utf8(bytes.as_bytes())
            .map(Self::from)
            .map_err(|inner| bincode::error::DecodeError::Utf8 { inner })
    }
}

/// A list that facts may make as long as they like.
pub(crate) type Many<T> = List<T, { u32::MAX as usize }>;

/// A list of at most `MAX` items. Longer ones can be made, but not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
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

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        encode_len(self.0.len(), MAX, encoder)?;
        self.0.iter().try_for_each(|item| item.encode(encoder))
    }
}

impl<T: Decode<C>, const MAX: usize, C> Decode<C> for List<T, MAX> {
    fn decode<D: Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        // Grown as items arrive: a count costs nothing until its items are there.
        let mut items = Vec::new();
        for _ in 0..Self::decode_count(decoder)? {
            if items.is_empty() {
                // Most lists hold one.
                items.reserve_exact(1);
            }
            items.push(T::decode(decoder)?);
        }
        Ok(Self(items))
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// Decodes how many items follow.
    pub(crate) fn decode_count<D: Decoder>(
        decoder: &mut D,
    ) -> Result<usize, bincode::error::DecodeError> {
        decode_len(decoder, MAX)
    }
}

/// The derive asks for both ways of decoding; nothing here borrows.
macro_rules! borrow_decode {
    ($([$($generics:tt)*] $name:ty;)*) => {
        $(impl<'de, C, $($generics)*> bincode::BorrowDecode<'de, C> for $name {
            fn borrow_decode<D: bincode::de::BorrowDecoder<'de, Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Self::decode(decoder)
            }
        })*
    };
}

borrow_decode! {
    [const MAX: usize] Blob<MAX>;
    [const MAX: usize] Text<MAX>;
    [T: Decode<C>, const MAX: usize] List<T, MAX>;
}
