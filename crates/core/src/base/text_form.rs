//! How names and hashes are serialized: as hex in formats for people, as bytes in formats for machines.
//! Both are read from any format.

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserializer, Serializer, de};

/// Writes the text or the bytes, as the format asks.
pub(crate) fn put<S: Serializer>(
    text: &impl fmt::Display,
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(text)
    } else {
        serializer.serialize_bytes(bytes)
    }
}

/// Reads a value from its text or from its bytes.
struct Form<T>(&'static str, PhantomData<T>);

impl<T> de::Visitor<'_> for Form<T>
where
    T: FromStr<Err: fmt::Display> + for<'a> TryFrom<&'a [u8], Error: fmt::Display>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        T::try_from(bytes).map_err(E::custom)
    }
}

/// Reads what [`put`] wrote; `expected` says what that is.
pub(crate) fn take<'de, D, T>(expected: &'static str, deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display> + for<'a> TryFrom<&'a [u8], Error: fmt::Display>,
{
    let form = Form(expected, PhantomData);
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(form)
    } else {
        deserializer.deserialize_bytes(form)
    }
}

/// Reads a value that has only a text.
pub(crate) fn take_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// Bytes of any number.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        hex_conservative::decode_to_vec(text)
            .map(Self)
            .map_err(|error| "bytes are written as hex: ".to_owned() + &alloc::format!("{error}"))
    }
}

impl TryFrom<&[u8]> for Bytes {
    type Error = String;

    fn try_from(bytes: &[u8]) -> Result<Self, String> {
        Ok(Self(bytes.to_vec()))
    }
}
