//! The options of the store.

use crate::{error::FsError, frame::SECTOR_BYTES};

/// The sizes of the files. They may differ from one opening to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// At which size, in bytes, a segment is full and the next one is made. 16 MiB by default, 1
    /// KiB to 1 GiB. An entry that is larger gets a segment of its own. Opening reads the newest
    /// segment whole; reading history holds one segment in memory.
    pub segment_bytes: u64,
    /// How much space, in bytes, is reserved at a time ahead of the entries by writing zeros. 1 MiB
    /// by default, 512 bytes to 1 GiB, rounded up to sectors of 512 bytes. An append into reserved
    /// space is one write and one sync that leaves the file's length alone.
    pub preallocate_bytes: u64,
    /// How much space, in bytes, is kept in reserve for a full disk. 32 MiB by default, up to 1 GiB;
    /// 0 for none. Of it [`segment_bytes`](Self::segment_bytes) and twice
    /// [`preallocate_bytes`](Self::preallocate_bytes) are for openings alone: a full disk is no reason
    /// that the log does not open, whatever filled it. The rest is for appends, to record what became
    /// of payments. Both are taken when the log is made, given back when the disk is full, and taken
    /// again at the next opening, or once history was dropped, that finds the space.
    pub reserve_bytes: u64,
}

impl Options {
    /// 16 MiB segments, 1 MiB reserved ahead, 32 MiB kept for a full disk.
    pub const DEFAULT: Self =
        Self { segment_bytes: 16 << 20, preallocate_bytes: 1 << 20, reserve_bytes: 32 << 20 };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), FsError> {
        let most = 1 << 30;
        let sector = SECTOR_BYTES as u64;
        for (option, value, least) in [
            ("segment_bytes", self.segment_bytes, 2 * sector),
            ("preallocate_bytes", self.preallocate_bytes, sector),
            ("reserve_bytes", self.reserve_bytes, 0),
        ] {
            if !(least..=most).contains(&value) {
                return Err(FsError::Option { option, value, least, most });
            }
        }
        Ok(())
    }

    /// The size at which a segment is full, in bytes, checked to fit.
    pub(crate) fn segment(&self) -> usize {
        usize::try_from(self.segment_bytes).expect("at most 1 GiB")
    }

    /// How much of the reserve is for openings, and how much for appends.
    pub(crate) fn reserves(&self) -> [u64; 2] {
        let opening = self.segment_bytes + 2 * self.preallocated() as u64;
        let opening = opening.min(self.reserve_bytes);
        [opening, self.reserve_bytes - opening]
    }

    /// How much is reserved ahead at a time, in bytes: whole sectors, checked to fit.
    pub(crate) fn preallocated(&self) -> usize {
        let bytes = usize::try_from(self.preallocate_bytes).expect("at most 1 GiB");
        bytes.next_multiple_of(SECTOR_BYTES)
    }
}
