//! What is written is there whole or not at all: directories made under another name first, files that
//! must not exist and that only their owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::io::Failure;

/// A directory that is being made beside its final name; removed again unless it is finished.
#[derive(Debug)]
pub(crate) struct FreshDirectory {
    partial: PathBuf,
    wanted: PathBuf,
    finished: bool,
}

impl FreshDirectory {
    /// Begins one. There must be nothing at its name but an empty directory.
    pub(crate) fn begin(wanted: &Path) -> Result<Self, Failure> {
        let shown = wanted.display();
        match fs::read_dir(wanted) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(Failure::refused(format!(
                        "{shown} is not empty: name a new directory"
                    )));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::refused(format!("cannot use {shown}: {error}"))),
        }
        let name = wanted.file_name().ok_or_else(|| {
            Failure::refused(format!("{shown} has no name of its own: name a new directory"))
        })?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = wanted.with_file_name(partial);
        if partial.symlink_metadata().is_ok() {
            let left = partial.display();
            return Err(Failure::refused(format!(
                "{left} is there, left by a command that was interrupted: look at it and remove it"
            )));
        }
        Ok(Self { partial, wanted: wanted.into(), finished: false })
    }

    /// Where it is being made. The store creates it.
    pub(crate) fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives it its name, durably.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let (partial, wanted) = (&self.partial, &self.wanted);
        fs::rename(partial, wanted).map_err(|error| {
            let (partial, wanted) = (partial.display(), wanted.display());
            Failure::refused(format!("cannot rename {partial} to {wanted}: {error}"))
        })?;
        self.finished = true;
        let parent = self.wanted.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))
            .and_then(|parent| parent.sync_all())
            .map_err(|error| Failure::refused(format!("cannot sync the directory: {error}")))
    }
}

impl Drop for FreshDirectory {
    fn drop(&mut self) {
        if !self.finished {
            // What stays is told by the next command that meets it.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// Creates a file that must not exist, for its owner alone: it may hold preimages.
pub(crate) fn create_file(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.mode(0o600);
    }
    options.open(path).map_err(|error| {
        let shown = path.display();
        Failure::refused(match error.kind() {
            io::ErrorKind::AlreadyExists => format!("{shown} exists: name a new file"),
            _ => format!("cannot create {shown}: {error}"),
        })
    })
}
