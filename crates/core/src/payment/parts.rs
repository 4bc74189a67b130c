//! The parts of one payment: nearly always one, which is then kept in the payment itself.

use alloc::{vec, vec::Vec};
use core::{ops::Deref, slice};

use crate::{
    base::wire::{DecodeError, Sink, Source, Wire, optional},
    payment::part::Part,
};

/// Parts in the order in which they became known.
#[derive(Debug, Clone, Default)]
pub(crate) enum Parts {
    #[default]
    None,
    One(Part),
    Several(Vec<Part>),
}

impl Parts {
    pub(crate) fn push(&mut self, part: Part) {
        *self = match core::mem::take(self) {
            Self::None => Self::One(part),
            Self::One(first) => Self::Several(vec![first, part]),
            Self::Several(mut parts) => {
                parts.push(part);
                Self::Several(parts)
            }
        };
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Part> {
        match self {
            Self::None => None,
            Self::One(part) => (index == 0).then_some(part),
            Self::Several(parts) => parts.get_mut(index),
        }
    }
}

impl Deref for Parts {
    type Target = [Part];

    fn deref(&self) -> &[Part] {
        match self {
            Self::None => &[],
            Self::One(part) => slice::from_ref(part),
            Self::Several(parts) => parts,
        }
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Parts {}

/// Encoded as a list of parts, however they lie in memory.
impl Wire for Parts {
    fn put(&self, sink: &mut Sink) {
        sink.number(self.len() as u64);
        self.iter().for_each(|part| part.put(sink));
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        match source.count(u32::MAX as usize)? {
            0 => Ok(Self::None),
            1 => Part::take(source).map(Self::One),
            count => {
                let mut parts = Self::None;
                for _ in 0..count {
                    parts.push(Part::take(source)?);
                }
                Ok(parts)
            }
        }
    }
}

optional! { [] Parts; }
