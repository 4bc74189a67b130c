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
pub(crate) enum Completion {
    /// Durable when the call returns.
    #[default]
    Completed,
    /// Still being written: LDK sends nothing that hangs on it until told. A node is told at the end
    /// of a step, unless writes are held. LDK wants either this or the other from load to load.
    InProgress,
}

/// A persister of monitors that forgets no version.
#[derive(Debug, Default)]
pub(crate) struct Archive(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    /// All writes, in order.
    writes: Vec<(ChannelId, Vec<u8>)>,
    completion: Completion,
    /// The answer from the next load on.
    next: Completion,
    /// Since which write LDK is not told that one is durable.
    held: Option<usize>,
    /// Whether since then one was answered that it is.
    told: bool,
    /// Updates that were answered with *in progress*.
    open: Vec<(ChannelId, u64)>,
}

impl Archive {
    /// The monitors as they were `back` writes ago.
    pub(crate) fn monitors(&self, back: usize) -> BTreeMap<ChannelId, Vec<u8>> {
        let shelves = self.lock();
        let kept = shelves.writes.len().saturating_sub(back);
        shelves.writes[..kept].iter().cloned().collect()
    }

    /// How many writes there were.
    pub(crate) fn writes(&self) -> usize {
        self.lock().writes.len()
    }

    /// Goes on from monitors that were put back: later versions never were.
    pub(crate) fn put_back(&self, monitors: &BTreeMap<ChannelId, Vec<u8>>) {
        let mut shelves = self.lock();
        shelves.writes = monitors.clone().into_iter().collect();
        shelves.open.clear();
        shelves.completion = shelves.next;
        shelves.held = None;
    }

    pub(crate) fn answer(&self, completion: Completion) {
        self.lock().completion = completion;
    }

    /// How writes are answered from the next load on.
    pub(crate) fn answer_from_load(&self, completion: Completion) {
        self.lock().next = completion;
    }

    /// From here on LDK is not told of a finished write.
    pub(crate) fn hold(&self) {
        let mut shelves = self.lock();
        let writes = shelves.writes.len();
        if shelves.held.is_none() {
            (shelves.held, shelves.told) = (Some(writes), false);
        }
    }

    /// What is held is durable, and LDK is told at the end of the step.
    pub(crate) fn release(&self) {
        self.lock().held = None;
    }

    /// How many writes may be lost if the process dies now: LDK was not told that they are durable.
    pub(crate) fn undurable(&self) -> usize {
        let shelves = self.lock();
        let held = shelves.held.filter(|_| !shelves.told);
        held.map_or(0, |held| shelves.writes.len() - held)
    }

    /// Whether LDK is told of writes only later.
    pub(crate) fn is_slow(&self) -> bool {
        self.lock().completion == Completion::InProgress
    }

    /// The updates that LDK is to be told of.
    pub(crate) fn take_open(&self) -> Vec<(ChannelId, u64)> {
        let mut shelves = self.lock();
        if shelves.held.is_some() { Vec::new() } else { std::mem::take(&mut shelves.open) }
    }

    fn write(
        &self,
        monitor: &ChannelMonitor<TestChannelSigner>,
        update: Option<u64>,
    ) -> ChannelMonitorUpdateStatus {
        let mut shelves = self.lock();
        let id = monitor.channel_id();
        shelves.writes.push((id, monitor.encode()));
        match (shelves.completion, update) {
            (Completion::InProgress, Some(update)) => {
                shelves.open.push((id, update));
                ChannelMonitorUpdateStatus::InProgress
            }
            _ => {
                shelves.told = true;
                ChannelMonitorUpdateStatus::Completed
            }
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
