//! The floor: the least that durability costs on this disk. `pwrite` of the same bytes and one
//! `fdatasync`, into a file whose space was written before, so that a sync writes data alone.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    life::Entries,
    stats::{Sample, nanoseconds, total},
};

const FILE_BYTES: u64 = 64 << 20;

/// A preallocated file, written over again and again.
#[derive(Debug)]
pub(crate) struct Floor {
    file: File,
    at: u64,
}

impl Floor {
    /// Makes the file and writes all of it.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        let file = File::create_new(directory.join("floor"))?;
        let zeros = vec![0; 1 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// Writes and syncs until the time is up, so many records with each sync. On a thread of its
    /// own, as the subjects' writers: a new thread takes a while to settle on a processor.
    pub(crate) fn run(
        &mut self,
        entries: &Entries,
        records_a_sync: usize,
        time: Duration,
    ) -> Result<Sample> {
        thread::scope(|scope| {
            let lane = scope.spawn(|| self.lane(entries, records_a_sync, time));
            lane.join().expect("no panic")
        })
    }

    fn lane(&mut self, entries: &Entries, records_a_sync: usize, time: Duration) -> Result<Sample> {
        let mut sample = Sample::default();
        let mut records = entries.cycle();
        let mut write = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < time {
            write.clear();
            records
                .by_ref()
                .take(records_a_sync)
                .for_each(|record| write.extend_from_slice(record));
            if self.at + write.len() as u64 > FILE_BYTES {
                self.at = 0;
            }
            let step = Instant::now();
            self.file.write_all_at(&write, self.at)?;
            self.file.sync_data()?;
            sample.latencies_ns.push(nanoseconds(step.elapsed()));
            self.at += write.len() as u64;
        }
        sample.elapsed = total(&sample.latencies_ns);
        sample.records = (sample.latencies_ns.len() * records_a_sync) as u64;
        Ok(sample)
    }
}
