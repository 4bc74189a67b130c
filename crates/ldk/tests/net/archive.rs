//! Every version of every monitor that LDK asked to have persisted.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lightning::{
    chain::{
        ChannelMonitorUpdateStatus,
        chainmonitor::Persist,
        channelmonitor::{ChannelMonitor, ChannelMonitorUpdate},
    },
    ln::types::ChannelId,
    util::{persist::MonitorName, ser::Writeable, test_channel_signer::TestChannelSigner},
};

/// What the persister answers to LDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Completion {
    /// Durable when the call returns.
    #[default]
    Completed,
    /// Still being written: LDK sends nothing that hangs on it until told.
    InProgress,
}

/// A persister of monitors that forgets no version.
#[derive(Debug, Default)]
pub struct Archive(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    versions: BTreeMap<ChannelId, Vec<Vec<u8>>>,
    completion: Completion,
    /// Updates that were answered with *in progress*.
    open: Vec<(ChannelId, u64)>,
}

impl Archive {
    /// The monitors as persisted `back` writes ago; the first version where there were fewer.
    pub fn monitors(&self, back: usize) -> BTreeMap<ChannelId, Vec<u8>> {
        let shelves = self.lock();
        let version = |versions: &Vec<Vec<u8>>| versions[versions.len().saturating_sub(1 + back)].clone();
        shelves.versions.iter().map(|(id, versions)| (*id, version(versions))).collect()
    }

    /// How many versions of each monitor there are.
    pub fn counts(&self) -> BTreeMap<ChannelId, usize> {
        self.lock().versions.iter().map(|(id, versions)| (*id, versions.len())).collect()
    }

    /// Goes on from monitors that were put back: later versions never were.
    pub fn put_back(&self, monitors: &BTreeMap<ChannelId, Vec<u8>>) {
        let mut shelves = self.lock();
        for (id, bytes) in monitors {
            shelves.versions.insert(*id, vec![bytes.clone()]);
        }
        shelves.open.clear();
        shelves.completion = Completion::Completed;
    }

    pub fn answer(&self, completion: Completion) {
        self.lock().completion = completion;
    }

    /// The updates that LDK still waits for.
    pub fn take_open(&self) -> Vec<(ChannelId, u64)> {
        std::mem::take(&mut self.lock().open)
    }

    fn write(&self, monitor: &ChannelMonitor<TestChannelSigner>, update: Option<u64>) -> ChannelMonitorUpdateStatus {
        let mut shelves = self.lock();
        let id = monitor.channel_id();
        shelves.versions.entry(id).or_default().push(monitor.encode());
        match (shelves.completion, update) {
            (Completion::InProgress, Some(update)) => {
                shelves.open.push((id, update));
                ChannelMonitorUpdateStatus::InProgress
            }
            _ => ChannelMonitorUpdateStatus::Completed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Persist<TestChannelSigner> for Archive {
    fn persist_new_channel(
        &self,
        _: MonitorName,
        monitor: &ChannelMonitor<TestChannelSigner>,
    ) -> ChannelMonitorUpdateStatus {
        self.write(monitor, None)
    }

    fn update_persisted_channel(
        &self,
        _: MonitorName,
        update: Option<&ChannelMonitorUpdate>,
        monitor: &ChannelMonitor<TestChannelSigner>,
    ) -> ChannelMonitorUpdateStatus {
        self.write(monitor, update.map(|update| update.update_id))
    }

    fn archive_persisted_channel(&self, _: MonitorName) {}
}
