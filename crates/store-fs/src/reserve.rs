//! Space that is taken while there is some and given back when the disk is full: enough to open the
//! log, to record what became of what is out, and to drop history.

use crate::{
    disk::{Access, Disk, DiskFile, write_full},
    error::FsError,
    frame::SECTOR_BYTES,
    names::{self, RESERVE, io_error},
    options::Options,
    segment::{FORMAT_VERSION, open_sealed, seal},
};

const MAGIC: [u8; 8] = *b"payonceR";

/// Takes the reserve if it is not there; whether it is there now. A disk without room for it is no
/// error.
pub(crate) fn take<D: Disk>(disk: &D, options: &Options) -> Result<bool, FsError> {
    if options.reserve_bytes == 0 {
        return Ok(false);
    }
    match size(disk)? {
        Some(size) if size >= options.reserve_bytes => return Ok(true),
        _ => {}
    }
    let mut header = [0; SECTOR_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    seal(&mut header);
    let made = names::prepare(disk, RESERVE, |file| {
        file.allocate(options.reserve_bytes)?;
        write_full(file, &header, 0)
    });
    match made.and_then(|_| names::publish(disk, RESERVE)) {
        Ok(()) => Ok(true),
        Err(error) if error.is_full() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does what may need the reserve: if the disk is full, gives it back and does it once more.
pub(crate) fn with<D: Disk, T>(
    disk: &D,
    mut act: impl FnMut() -> Result<T, FsError>,
) -> Result<T, FsError> {
    match act() {
        Err(error) if error.is_full() => {
            // The reserve cannot help if it is not there, or cannot be removed.
            if matches!(give_back(disk), Ok(true)) { act() } else { Err(error) }
        }
        outcome => outcome,
    }
}

/// Removes the reserve; whether there was one.
fn give_back<D: Disk>(disk: &D) -> Result<bool, FsError> {
    if size(disk)?.is_none() {
        return Ok(false);
    }
    disk.remove(RESERVE).map_err(io_error("remove", disk, RESERVE))?;
    Ok(true)
}

/// The size of the reserve, if it is there; an error if it is a file of somebody else.
fn size<D: Disk>(disk: &D) -> Result<Option<u64>, FsError> {
    let file = match names::open(disk, RESERVE, Access::Read) {
        Err(error) if error.is_not_found() => return Ok(None),
        file => file?,
    };
    let mut header = [0; SECTOR_BYTES];
    let read =
        crate::disk::read_full(&file, &mut header, 0).map_err(io_error("read", disk, RESERVE))?;
    open_sealed(&header[..read], MAGIC, &disk.place(RESERVE))?;
    file.size().map(Some).map_err(io_error("measure", disk, RESERVE))
}
