//! Path reports: what LDK tells of each path, kept as observations on the part.

use lightning::{events::PathFailure, routing::router::Path};
use payonce_core::{Blob, Msat, Observation, ObservationKind, ShortChannelId, limits};

/// The first byte of a report.
const VERSION: u8 = 1;
/// No path that LDK finds has as many hops (BOLT 4's onion ends it before), so nothing is cut.
const HOPS_MAX: usize = 30;

const PERMANENT: u8 = 1;
const NEVER_LEFT: u8 = 2;
const BLINDED: u8 = 4;
const FAILED_CHANNEL: u8 = 8;

/// What LDK tells of one path of a part: `PaymentPathSuccessful` or `PaymentPathFailed`.
///
/// LDK numbers its reports in no way, so two that are equal in every field count as one told twice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathReport {
    /// Whether the path paid.
    pub succeeded: bool,
    /// What the path was to bring to the payee.
    pub amount: Msat,
    /// What it took, or would have taken.
    pub fee: Msat,
    /// The payee refused: no other path can help.
    pub permanent: bool,
    /// It never left this node.
    pub never_left: bool,
    /// It ends in a blinded path.
    pub blinded: bool,
    /// The channel to avoid.
    pub failed_channel: Option<ShortChannelId>,
    /// The channels, the node's own first; those within a blinded path are not known.
    pub channels: Vec<ShortChannelId>,
    /// How long each hop held it, in units of 100 milliseconds, the nearest hop first; empty where
    /// the peer does not tell.
    pub hold_times: Vec<u32>,
}

impl PathReport {
    pub(crate) fn succeeded(path: &Path, hold_times: &[u32]) -> Self {
        Self {
            succeeded: true,
            amount: Msat(path.final_value_msat()),
            fee: Msat(path.fee_msat()),
            permanent: false,
            never_left: false,
            blinded: path.blinded_tail.is_some(),
            failed_channel: None,
            channels: path.hops.iter().map(|hop| ShortChannelId(hop.short_channel_id)).collect(),
            hold_times: hold_times.to_vec(),
        }
    }

    pub(crate) fn failed(
        path: &Path,
        hold_times: &[u32],
        failure: &PathFailure,
        permanent: bool,
        failed_channel: Option<u64>,
    ) -> Self {
        Self {
            succeeded: false,
            permanent,
            never_left: matches!(failure, PathFailure::InitialSend { .. }),
            failed_channel: failed_channel.map(ShortChannelId),
            ..Self::succeeded(path, hold_times)
        }
    }

    /// What the ledger files it under.
    #[must_use]
    pub const fn kind(&self) -> ObservationKind {
        if self.succeeded { ObservationKind::PathSucceeded } else { ObservationKind::PathFailed }
    }

    /// The bytes of the observation: version, flags, amount, fee, the failed channel if the flag
    /// says so, then the channels and the hold times, each with its number in one byte. Numbers
    /// are big-endian.
    pub(crate) fn encode(&self) -> Blob<{ limits::OBSERVATION_BYTES }> {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(self.permanent, PERMANENT)
            | flag(self.never_left, NEVER_LEFT)
            | flag(self.blinded, BLINDED)
            | flag(self.failed_channel.is_some(), FAILED_CHANNEL);
        let mut bytes = vec![VERSION, flags];
        bytes.extend(self.amount.0.to_be_bytes());
        bytes.extend(self.fee.0.to_be_bytes());
        bytes.extend(self.failed_channel.iter().flat_map(|channel| channel.0.to_be_bytes()));
        let channels = &self.channels[..self.channels.len().min(HOPS_MAX)];
        bytes.push(count(channels.len()));
        bytes.extend(channels.iter().flat_map(|channel| channel.0.to_be_bytes()));
        let hold_times = &self.hold_times[..self.hold_times.len().min(HOPS_MAX)];
        bytes.push(count(hold_times.len()));
        bytes.extend(hold_times.iter().flat_map(|time| time.to_be_bytes()));
        bytes.as_slice().into()
    }

    /// Reads an observation that [`handle_event`](crate::Payer::handle_event) kept; `None` for
    /// any other.
    #[must_use]
    pub fn of(observation: &Observation) -> Option<Self> {
        let succeeded = match observation.kind {
            ObservationKind::PathSucceeded => true,
            ObservationKind::PathFailed => false,
            ObservationKind::Other(_) => return None,
        };
        let mut bytes = observation.bytes.as_bytes();
        let [version, flags] = take(&mut bytes)?;
        if version != VERSION {
            return None;
        }
        let is = |flag: u8| flags & flag != 0;
        let amount = Msat(u64::from_be_bytes(take(&mut bytes)?));
        let fee = Msat(u64::from_be_bytes(take(&mut bytes)?));
        let failed_channel = if is(FAILED_CHANNEL) { Some(channel(&mut bytes)?) } else { None };
        let [channels] = take(&mut bytes)?;
        let channels = (0..channels).map(|_| channel(&mut bytes)).collect::<Option<_>>()?;
        let [hold_times] = take(&mut bytes)?;
        let hold_times = (0..hold_times)
            .map(|_| take(&mut bytes).map(u32::from_be_bytes))
            .collect::<Option<_>>()?;
        bytes.is_empty().then_some(Self {
            succeeded,
            amount,
            fee,
            permanent: is(PERMANENT),
            never_left: is(NEVER_LEFT),
            blinded: is(BLINDED),
            failed_channel,
            channels,
            hold_times,
        })
    }
}

fn count(number: usize) -> u8 {
    u8::try_from(number).expect("cut at HOPS_MAX")
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn channel(bytes: &mut &[u8]) -> Option<ShortChannelId> {
    take(bytes).map(|bytes| ShortChannelId(u64::from_be_bytes(bytes)))
}
