//! The record of the newest segment (docs/FORMAT-store-fs.md, "The newest segment"): which one it is, so
//! that its loss is noticed, and whether the writer closed it, so that it can be trusted.
//!
//! A segment is trusted only if every sync of it succeeded and nobody wrote to it since. So the
//! record is written when a log is closed after no failure, and taken back, durably, before the next
//! writer changes anything. It identifies the file: a copy, or a file that was changed since, does not
//! match.

use payonce_core::{Head, LedgerId, LogHash};

use crate::{
    disk::{Disk, Stamp},
    error::{Damage, FsError},
    frame::SECTOR_BYTES,
    names::{self, NEWEST},
    segment::{FORMAT_VERSION, array, damaged, open_sealed, seal},
};

const MAGIC: [u8; 8] = *b"PayonceN";

/// The contents of the file `newest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) ledger: LedgerId,
    /// The first seq of the newest segment.
    pub(crate) first_seq: u64,
    /// Set when a writer closes the log; `None` while one has it open.
    pub(crate) closed: Option<Closed>,
}

/// How the newest segment was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) head: Head,
    /// Where its entries end.
    pub(crate) end: u64,
    pub(crate) stamp: Stamp,
}

impl Newest {
    fn encode(&self) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0; SECTOR_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[64..96].copy_from_slice(self.ledger.as_bytes());
        if let Some(Closed { head, end, stamp }) = self.closed {
            bytes[24..32].copy_from_slice(&head.seq.to_le_bytes());
            bytes[32..64].copy_from_slice(head.chain.as_bytes());
            bytes[96..104].copy_from_slice(&end.to_le_bytes());
            bytes[104..112].copy_from_slice(&stamp.inode.to_le_bytes());
            bytes[112..120].copy_from_slice(&stamp.changed_nanos.to_le_bytes());
        }
        seal(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8], place: &str) -> Result<Self, FsError> {
        let bytes = open_sealed(bytes, MAGIC, place)?;
        let number = |at| u64::from_le_bytes(array(bytes, at));
        let closed = Closed {
            head: Head { seq: number(24), chain: LogHash::from_bytes(array(bytes, 32)) },
            end: number(96),
            stamp: Stamp { inode: number(104), changed_nanos: number(112) },
        };
        let first_seq = number(16);
        if first_seq == 0 {
            return Err(damaged(place, 16, Damage::FileHeader));
        }
        let ledger = LedgerId::from_bytes(array(bytes, 64));
        Ok(Self { ledger, first_seq, closed: (closed.end != 0).then_some(closed) })
    }

    /// Reads it; `None` if there is none, as in a log of an earlier program.
    pub(crate) fn find<D: Disk>(disk: &D) -> Result<Option<Self>, FsError> {
        let mut bytes = Vec::new();
        match names::read_start(disk, NEWEST, SECTOR_BYTES, &mut bytes) {
            Err(error) if error.is_not_found() => Ok(None),
            read => read.and_then(|()| Self::decode(&bytes, &disk.place(NEWEST))).map(Some),
        }
    }

    /// Writes it, whole or not at all, in place of the last one.
    pub(crate) fn write<D: Disk>(&self, disk: &D) -> Result<(), FsError> {
        names::create(disk, NEWEST, &[&self.encode()]).map(drop)
    }
}
