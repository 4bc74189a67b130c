//! Where the benchmark runs: a directory on a real disk, and what is known of the machine.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rustix::fs::{Dev, major, minor};

use crate::flushes::DeviceCounters;

/// `f_type` of file systems that keep nothing through a power cut: nothing measured there says what
/// durability costs.
const VOLATILE: [(u64, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// `f_type` of what is common, for the report.
const KNOWN: [(u64, &str); 7] = [
    (0xef53, "ext2/3/4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0x794c_7630, "overlayfs"),
    (0x6969, "nfs"),
];

/// A directory that the benchmark may use, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    directory: tempfile::TempDir,
    file_system: String,
    /// What counts the device's flushes, if it reports them.
    pub(crate) device: Option<DeviceCounters>,
}

impl Place {
    /// Makes a fresh directory below `parent`.
    ///
    /// # Errors
    /// If `parent` is on a file system that keeps nothing, or cannot be written.
    pub(crate) fn below(parent: &Path) -> crate::Result<Self> {
        let file_system = check_file_system(parent)?;
        let directory = tempfile::Builder::new().prefix("payonce-bench-").tempdir_in(parent)?;
        let device = DeviceCounters::of(rustix::fs::stat(directory.path())?.st_dev);
        Ok(Self { directory, file_system, device })
    }

    /// A fresh directory for one subject of one workload.
    pub(crate) fn fresh(&self, name: &str) -> crate::Result<PathBuf> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(self.directory.path())?;
        Ok(directory.keep())
    }
}

/// The name of the file system at `path`, unless it is one that keeps nothing.
fn check_file_system(path: &Path) -> crate::Result<String> {
    let kind = rustix::fs::statfs(path)
        .map_err(|error| format!("{}: {error}", path.display()))?
        .f_type
        .cast_unsigned()
        & 0xffff_ffff;
    let name = |table: &[(u64, &'static str)]| {
        table.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name)
    };
    if let Some(volatile) = name(&VOLATILE) {
        let path = path.display();
        return Err(format!(
            "{path} is on {volatile}, where a sync costs nothing and keeps nothing: choose a \
             directory on a disk with --dir"
        )
        .into());
    }
    Ok(name(&KNOWN).map_or_else(|| format!("unknown ({kind:#x})"), String::from))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uname = rustix::system::uname();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(
            f,
            "machine: {cores} cores ({}), {} {} {}",
            processor(),
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy(),
        )?;
        let device = match &self.device {
            Some(device) => device.to_string(),
            None => "a device that does not report its flushes".into(),
        };
        write!(f, "disk:    {} on {device}", self.file_system)?;
        match busy() {
            Some(load) if load > 0.5 => write!(
                f,
                "\nload:    {load} processes want to run: on a busy machine a sync of the floor waits \
                 for them too, and the ratios mean nothing"
            ),
            _ => Ok(()),
        }
    }
}

/// How many processes wanted to run in the last minute, on average.
fn busy() -> Option<f64> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    load.split_whitespace().next()?.parse().ok()
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown processor".into(), |(_, name)| name.trim().into())
}

/// A device number as `/sys/dev/block` and `/proc/diskstats` name it.
pub(crate) fn device_name(device: Dev) -> String {
    format!("{}:{}", major(device), minor(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_file_system_that_keeps_nothing() {
        let volatile = Path::new("/dev/shm");
        let is_volatile = rustix::fs::statfs(volatile).is_ok_and(|found| {
            VOLATILE.iter().any(|(kind, _)| found.f_type.cast_unsigned() == *kind)
        });
        // Containers may leave it out; then there is nothing to refuse.
        if is_volatile {
            let refused = Place::below(volatile).expect_err("tmpfs").to_string();
            assert!(refused.contains("tmpfs") && refused.contains("--dir"), "{refused}");
        } else {
            assert!(std::env::var_os("PAYONCE_REQUIRE").is_none(), "there is no tmpfs to refuse");
        }
    }

    #[test]
    fn names_a_directory_that_is_not_there() {
        let error = Place::below(Path::new("/nowhere/at/all")).expect_err("not there");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
