//! The disk of the operating system.

#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod unsupported;

#[cfg(unix)]
pub use unix::RealDisk;
#[cfg(not(unix))]
pub use unsupported::RealDisk;

use std::path::Path;

use crate::error::FsError;

/// The directory of a log that is to be there.
pub(crate) fn open(directory: &Path) -> Result<RealDisk, FsError> {
    RealDisk::open(directory).map_err(|reason| refused("open", directory, reason))
}

/// The directory of a log that is to be made.
pub(crate) fn create(directory: &Path) -> Result<RealDisk, FsError> {
    RealDisk::create(directory).map_err(|reason| refused("create", directory, reason))
}

fn refused(action: &'static str, directory: &Path, reason: std::io::Error) -> FsError {
    let place = crate::names::shown(directory.as_os_str());
    match reason.kind() {
        std::io::ErrorKind::NotADirectory => FsError::NotADirectory { place },
        std::io::ErrorKind::NotFound if action == "open" => FsError::NotALedger { place },
        _ => FsError::Io { action, place, reason },
    }
}
