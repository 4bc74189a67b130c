//! A snapshot or a base: one state in one file (docs/FORMAT.md, "Snapshots").

use std::{io, thread};

use payonce_core::{Head, LedgerId, LogHash, Snapshot};

use crate::{
    disk::{Access, Disk, DiskFile, read_full, write_full},
    error::{Damage, FsError},
    frame::SECTOR_BYTES,
    names::{self, io_error},
    segment::{FORMAT_VERSION, array, damaged, make_room, open_sealed, seal},
};

const MAGIC: [u8; 8] = *b"PayonceS";

/// How much of a file is in memory at a time, if it is not needed as a whole.
const PIECE_BYTES: usize = 256 << 10;

/// From this length on a state is read in two halves at once: most of that time goes into memory that is
/// touched for the first time.
const LONG_BYTES: usize = 8 << 20;

/// Writes a snapshot file; it counts once [`names::publish`] has given it its name.
pub(crate) fn prepare<D: Disk>(
    disk: &D,
    ledger: LedgerId,
    at: Head,
    state: &[u8],
) -> Result<(), FsError> {
    let mut header = [0; SECTOR_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&(state.len() as u64).to_le_bytes());
    header[24..32].copy_from_slice(&at.seq.to_le_bytes());
    header[32..64].copy_from_slice(at.chain.as_bytes());
    header[64..96].copy_from_slice(ledger.as_bytes());
    header[96..100].copy_from_slice(&crc32c::crc32c(state).to_le_bytes());
    seal(&mut header);
    let write = |file: &D::File| {
        write_full(file, &header, 0)?;
        write_full(file, state, SECTOR_BYTES as u64)
    };
    names::prepare(disk, &names::snapshot(at.seq), write).map(drop)
}

/// A snapshot file whose header is sound.
struct Opened<F> {
    file: F,
    at: Head,
    /// The length of the state; the file has it.
    length: usize,
    crc: u32,
}

/// Opens a snapshot file and checks its header.
fn open<D: Disk>(
    disk: &D,
    name: &str,
    ledger: LedgerId,
    seq: u64,
) -> Result<Opened<D::File>, FsError> {
    let place = disk.place(name);
    let file = names::open(disk, name, Access::Read)?;
    let mut header = vec![0; SECTOR_BYTES];
    let read = read_full(&file, &mut header, 0).map_err(io_error("read", disk, name))?;
    let header = open_sealed(&header[..read], MAGIC, &place)?;
    let found = LedgerId::from_bytes(array(header, 64));
    if found != ledger {
        return Err(FsError::OtherLedger { place, found, expected: ledger });
    }
    let at = Head {
        seq: u64::from_le_bytes(array(header, 24)),
        chain: LogHash::from_bytes(array(header, 32)),
    };
    let size = file.size().map_err(io_error("measure", disk, name))?;
    let stated = u64::from_le_bytes(array(header, 16));
    if at.seq != seq || stated.checked_add(SECTOR_BYTES as u64) != Some(size) {
        return Err(damaged(&place, 16, Damage::Snapshot));
    }
    let length = usize::try_from(stated).map_err(|_| damaged(&place, 16, Damage::TooLarge))?;
    Ok(Opened { file, at, length, crc: u32::from_le_bytes(array(header, 96)) })
}

/// Reads where a snapshot says that it was taken.
pub(crate) fn read_head<D: Disk>(
    disk: &D,
    name: &str,
    ledger: LedgerId,
    seq: u64,
) -> Result<Head, FsError> {
    Ok(open(disk, name, ledger, seq)?.at)
}

/// Reads a snapshot file and checks every byte of it.
pub(crate) fn read<D: Disk>(
    disk: &D,
    name: &str,
    ledger: LedgerId,
    seq: u64,
) -> Result<Snapshot, FsError> {
    let Opened { file, at, length, crc } = open(disk, name, ledger, seq)?;
    let mut bytes = Vec::new();
    make_room(length, &mut bytes).map_err(|_| damaged(&disk.place(name), 16, Damage::TooLarge))?;
    let (read, found) = read_checked(&file, &mut bytes, SECTOR_BYTES as u64)
        .map_err(io_error("read", disk, name))?;
    if read != bytes.len() || found != crc {
        return Err(damaged(&disk.place(name), SECTOR_BYTES as u64, Damage::Snapshot));
    }
    Ok(Snapshot { at, bytes })
}

/// Reads from `offset` until `into` is full or the file ends; returns how much, and its CRC-32C.
fn read_checked<F: DiskFile + Sync>(
    file: &F,
    into: &mut [u8],
    offset: u64,
) -> io::Result<(usize, u32)> {
    if into.len() < LONG_BYTES {
        return read_in_pieces(file, into, offset);
    }
    let half = into.len() / 2;
    let (one, other) = into.split_at_mut(half);
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| read_in_pieces(file, other, offset + half as u64));
        (read_in_pieces(file, one, offset), other.join())
    });
    let ((read, crc), (more, more_crc)) = (one?, other.expect("reading does not panic")?);
    // A file that ends in the first half has nothing in the second.
    Ok((read + more, crc32c::crc32c_combine(crc, more_crc, more)))
}

/// The checksum of each piece is computed while it is in the cache.
fn read_in_pieces(file: &impl DiskFile, into: &mut [u8], offset: u64) -> io::Result<(usize, u32)> {
    let (mut done, mut crc) = (0, 0);
    for piece in into.chunks_mut(PIECE_BYTES) {
        let read = read_full(file, piece, offset + done as u64)?;
        crc = crc32c::crc32c_append(crc, &piece[..read]);
        done += read;
        if read < piece.len() {
            break;
        }
    }
    Ok((done, crc))
}

/// Copies a sound snapshot file to a fresh one that takes its place. The sync of the old file's name may
/// have failed; this one did not, so the history that it stands for may be removed.
pub(crate) fn write_anew<D: Disk>(disk: &D, name: &str) -> Result<(), FsError> {
    let found = names::open(disk, name, Access::Read)?;
    let mut piece = vec![0; PIECE_BYTES];
    names::prepare(disk, name, |fresh| {
        for at in (0..).step_by(PIECE_BYTES) {
            let read = read_full(&found, &mut piece, at)?;
            write_full(fresh, &piece[..read], at)?;
            if read < piece.len() {
                break;
            }
        }
        Ok(())
    })?;
    names::publish(disk, name)
}

/// Checks every byte of a snapshot file, a piece at a time, and returns the head at which it was taken.
pub(crate) fn check<D: Disk>(
    disk: &D,
    name: &str,
    ledger: LedgerId,
    seq: u64,
) -> Result<Head, FsError> {
    let Opened { file, at, length, crc } = open(disk, name, ledger, seq)?;
    let mut piece = vec![0; PIECE_BYTES.min(length)];
    let (mut done, mut found) = (0, 0);
    while done < length {
        let some = PIECE_BYTES.min(length - done);
        let offset = (SECTOR_BYTES + done) as u64;
        let read = read_full(&file, &mut piece[..some], offset);
        let read = read.map_err(io_error("read", disk, name))?;
        found = crc32c::crc32c_append(found, &piece[..read]);
        if read < some {
            break;
        }
        done += some;
    }
    if done == length && found == crc {
        Ok(at)
    } else {
        Err(damaged(&disk.place(name), SECTOR_BYTES as u64, Damage::Snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real;

    const LEDGER: LedgerId = LedgerId::from_bytes([7; 32]);

    #[test]
    fn short_and_long_ones_are_read_as_they_were_written() {
        let own = tempfile::tempdir().expect("a directory");
        let disk = real::open(own.path()).expect("it is there");
        let at = Head { seq: 9, chain: LogHash::from_bytes([1; 32]) };
        let name = names::snapshot(at.seq);
        for length in [0, 1, PIECE_BYTES, LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + PIECE_BYTES + 3]
        {
            let state: Vec<_> = (0..=250_u8).cycle().take(length).collect();
            prepare(&disk, LEDGER, at, &state).expect("room");
            names::publish(&disk, &name).expect("room");
            let snapshot = read(&disk, &name, LEDGER, at.seq).expect("as it was written");
            assert!(snapshot.at == at && snapshot.bytes == state, "{length} bytes");
            // A changed byte in either half is found, and so is a file that ends early.
            let path = own.path().join(&name);
            let whole = std::fs::read(&path).expect("readable");
            for place in [0, length / 2, length.saturating_sub(1)] {
                let mut changed = whole.clone();
                let Some(byte) = changed.get_mut(SECTOR_BYTES + place) else { continue };
                *byte ^= 0x40;
                std::fs::write(&path, &changed).expect("writable");
                assert!(read(&disk, &name, LEDGER, at.seq).is_err(), "byte {place} of {length}");
            }
            std::fs::write(&path, &whole[..whole.len() - 1]).expect("writable");
            assert!(read(&disk, &name, LEDGER, at.seq).is_err(), "{length} bytes, cut");
        }
    }
}
