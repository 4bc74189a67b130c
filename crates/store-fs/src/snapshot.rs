//! A snapshot or a base: one state in one file (docs/FORMAT.md, "Snapshots").

use payonce_core::{ChainHash, Head, LedgerId, Snapshot};

use crate::{
    disk::{Access, Disk, DiskFile, read_full},
    error::{Damage, FsError},
    frame::SECTOR_BYTES,
    names::{self, io_error},
    segment::{FORMAT_VERSION, array, damaged, make_room, open_sealed, seal},
};

const MAGIC: [u8; 8] = *b"payonceS";

/// Writes a snapshot file; it is one once [`names::publish`] has given it its name.
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
    names::prepare(disk, &names::snapshot(at.seq), &[&header, state]).map(drop)
}

/// Reads a snapshot file and checks every byte of it.
pub(crate) fn read<D: Disk>(
    disk: &D,
    name: &str,
    ledger: LedgerId,
    seq: u64,
) -> Result<Snapshot, FsError> {
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
        chain: ChainHash::from_bytes(array(header, 32)),
    };
    let size = file.size().map_err(io_error("measure", disk, name))?;
    let stated = u64::from_le_bytes(array(header, 16));
    if at.seq != seq || stated.checked_add(SECTOR_BYTES as u64) != Some(size) {
        return Err(damaged(&place, 16, Damage::Snapshot));
    }
    let too_large = || damaged(&place, 16, Damage::TooLarge);
    let length = usize::try_from(stated).map_err(|_| too_large())?;
    let mut bytes = Vec::new();
    make_room(length, &mut bytes).map_err(|_| too_large())?;
    let read =
        read_full(&file, &mut bytes, SECTOR_BYTES as u64).map_err(io_error("read", disk, name))?;
    let crc = u32::from_le_bytes(array(header, 96));
    if read != bytes.len() || crc32c::crc32c(&bytes) != crc {
        return Err(damaged(&place, SECTOR_BYTES as u64, Damage::Snapshot));
    }
    Ok(Snapshot { at, bytes })
}
