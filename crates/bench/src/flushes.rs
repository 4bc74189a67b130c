//! What the device was asked to do: flushes and sectors written, as the kernel counts them for the
//! whole device. Other processes that write to it are counted too: measure on a quiet machine.

use std::{fmt, path::PathBuf};

use rustix::fs::Dev;

use crate::place::device_name;

/// The kernel's counters of the block device that holds a directory.
#[derive(Debug, Clone)]
pub(crate) struct DeviceCounters {
    name: String,
    stat: PathBuf,
}

/// What the device did between two readings of its counters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    /// Flush requests that the device completed.
    pub(crate) flushes: u64,
    /// Bytes written to it.
    pub(crate) bytes: u64,
}

impl DeviceCounters {
    /// The counters of this device, if it is a block device whose kernel counts flushes (Linux 5.5)
    /// and whose write cache makes the kernel send them.
    pub(crate) fn of(device: Dev) -> Option<Self> {
        let link = PathBuf::from("/sys/dev/block").join(device_name(device));
        let directory = link.canonicalize().ok()?;
        // A partition has no queue of its own; the disk's is one level up.
        let queue = [directory.join("queue"), directory.parent()?.join("queue")];
        let queue = queue.iter().find(|queue| queue.is_dir())?;
        let cache = std::fs::read_to_string(queue.join("write_cache")).ok()?;
        // Flushes are counted where they are sent: on the disk, not on its partition.
        let disk = queue.parent()?;
        let counters = Self {
            name: disk.file_name()?.to_string_lossy().into_owned(),
            stat: disk.join("stat"),
        };
        (cache.trim() == "write back" && counters.read().is_some()).then_some(counters)
    }

    /// What was counted since the machine started; `None` if the kernel is too old.
    pub(crate) fn read(&self) -> Option<Work> {
        parse(&std::fs::read_to_string(&self.stat).ok()?)
    }
}

impl fmt::Display for DeviceCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (volatile write cache, flushes counted by the kernel)", self.name)
    }
}

/// The fields of `/sys/block/*/stat`: the 7th counts sectors of 512 bytes written, the 16th flush
/// requests completed.
fn parse(stat: &str) -> Option<Work> {
    let fields: Vec<u64> = stat.split_whitespace().map_while(|word| word.parse().ok()).collect();
    Some(Work { flushes: *fields.get(15)?, bytes: fields.get(6)? * 512 })
}

impl std::ops::Sub for Work {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { flushes: self.flushes - earlier.flushes, bytes: self.bytes - earlier.bytes }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.flushes += other.flushes;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "   11962     5200  3701722    55336     7891    43313  6515976    37070 \
                        0    18228    94094     4889       96   390696     1606      931       80";

    #[test]
    fn reads_the_kernels_counters() {
        let work = parse(STAT).expect("17 fields");
        assert_eq!(work, Work { flushes: 931, bytes: 6_515_976 * 512 });
    }

    #[test]
    fn a_kernel_without_flush_counts_reports_none() {
        let old = STAT.split_whitespace().take(15).collect::<Vec<_>>().join(" ");
        assert_eq!(parse(&old), None);
    }
}
