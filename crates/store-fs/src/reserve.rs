//! Space that is taken while the disk has some, and given back when the disk is full. One part is for
//! openings: enough to open the log and to drop history. The other is for appends: to record what became
//! of parts that are out. Appends never use the first part, or the log could not be opened on a disk
//! that they have filled.

use crate::{
    disk::{Access, Disk, DiskFile, read_full, write_full},
    error::FsError,
    frame::SECTOR_BYTES,
    names::{self, RESERVE, SPARE, io_error},
    options::Options,
    segment::{FORMAT_VERSION, open_sealed, seal},
};

const MAGIC: [u8; 8] = *b"PayonceR";

/// Takes what is missing of the reserve; returns whether all of it is there now. A disk without room for
/// it is not an error.
pub(crate) fn take<D: Disk>(disk: &D, options: &Options) -> Result<bool, FsError> {
    let [opening, appending] = options.reserves();
    if opening == 0 {
        return Ok(false);
    }
    if !take_part(disk, RESERVE, opening)? {
        // An opening may have used a little of it permanently, for a tail that was cut: taking most of
        // it back is better than leaving all of it to the appends.
        let least = opening.div_ceil(2);
        let mut bytes = opening;
        while size(disk, RESERVE)?.is_none() && bytes > least {
            bytes -= (opening / 16).max(1);
            take_part(disk, RESERVE, bytes)?;
        }
        return Ok(false);
    }
    Ok(appending == 0 || take_part(disk, SPARE, appending)?)
}

fn take_part<D: Disk>(disk: &D, name: &str, bytes: u64) -> Result<bool, FsError> {
    match size(disk, name)? {
        Some(size) if size >= bytes => return Ok(true),
        _ => {}
    }
    let mut header = [0; SECTOR_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    seal(&mut header);
    let made = names::prepare(disk, name, |file| {
        file.allocate(bytes)?;
        write_full(file, &header, 0)
    });
    match made.and_then(|_| names::publish(disk, name)) {
        Ok(()) => Ok(true),
        Err(error) if error.is_full() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does something that an append needs: if the disk is full, gives back the part for appends and tries
/// once more.
pub(crate) fn for_append<D: Disk, T>(
    disk: &D,
    act: impl FnMut() -> Result<T, FsError>,
) -> Result<T, FsError> {
    with(disk, &[SPARE], act)
}

/// Does something that an opening needs: if the disk is full, gives back the part for openings, then the
/// rest, and tries once more after each.
pub(crate) fn for_opening<D: Disk, T>(
    disk: &D,
    act: impl FnMut() -> Result<T, FsError>,
) -> Result<T, FsError> {
    with(disk, &[RESERVE, SPARE], act)
}

fn with<D: Disk, T>(
    disk: &D,
    parts: &[&str],
    mut act: impl FnMut() -> Result<T, FsError>,
) -> Result<T, FsError> {
    let mut outcome = act();
    for part in parts {
        // It cannot help if it is not there, or cannot be removed.
        if matches!(&outcome, Err(error) if error.is_full())
            && matches!(give_back(disk, part), Ok(true))
        {
            outcome = act();
        }
    }
    outcome
}

/// Removes a part of the reserve; returns whether it was there.
fn give_back<D: Disk>(disk: &D, name: &str) -> Result<bool, FsError> {
    if size(disk, name)?.is_none() {
        return Ok(false);
    }
    disk.remove(name).map_err(io_error("remove", disk, name))?;
    Ok(true)
}

/// The size of a part of the reserve in bytes, `None` if it is not there; an error if the file is not
/// payonce's.
fn size<D: Disk>(disk: &D, name: &str) -> Result<Option<u64>, FsError> {
    let file = match names::open(disk, name, Access::Read) {
        Err(error) if error.is_not_found() => return Ok(None),
        file => file?,
    };
    let mut header = [0; SECTOR_BYTES];
    let read = read_full(&file, &mut header, 0).map_err(io_error("read", disk, name))?;
    open_sealed(&header[..read], MAGIC, &disk.place(name))?;
    file.size().map(Some).map_err(io_error("measure", disk, name))
}
