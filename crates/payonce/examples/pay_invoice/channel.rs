//! A small simulated channel: the life of an HTLC as BOLT 2 has it, a balance, and a file of its
//! own. It is the node's channel state, which payonce neither has nor needs.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use payonce::{Head, Msat, PartId, PaymentHash, PaymentId};
use serde::{Deserialize, Serialize};

use crate::invoice::Payee;

/// What the channel holds at first.
pub(crate) const FUNDED: Msat = Msat(5_000_000_000);

/// The life of an HTLC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HtlcState {
    /// `update_add_htlc` is signed for; the peer may have it.
    Offered,
    /// In both sides' commitments.
    Committed,
    /// The peer fulfilled it: the preimage is known.
    Fulfilled([u8; 32]),
    /// The peer failed it; it could still be in a commitment that is not revoked.
    Failed,
    /// Irrevocably off the channel, with the preimage if it was fulfilled.
    Removed(Option<[u8; 32]>),
}

/// An HTLC, with the ids of its payment and its part: kept with it from the first moment on, so
/// that the channel can always say whose it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Htlc {
    pub(crate) payment: [u8; 32],
    pub(crate) part: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) amount_msat: u64,
    pub(crate) fee_msat: u64,
    pub(crate) cltv_expiry: u32,
    pub(crate) state: HtlcState,
}

impl Htlc {
    pub(crate) fn payment_id(&self) -> PaymentId {
        PaymentId::from_bytes(self.payment)
    }

    pub(crate) fn part_id(&self) -> PartId {
        PartId::from_bytes(self.part)
    }
}

/// What is on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Persisted {
    balance_msat: u64,
    height: u32,
    /// The last head of the log that the channel relied on: an HTLC was offered, or its record
    /// dropped, because the log had it. A log without this head is older than the channel.
    known_head: Option<String>,
    htlcs: Vec<Htlc>,
}

pub(crate) struct Channel {
    file: PathBuf,
    state: Persisted,
    payee: Payee,
    /// Held for life: who is shut out of the channel can act on nothing that it dispatched.
    _lock: File,
}

impl Channel {
    pub(crate) fn open(directory: &Path, payee: Payee) -> io::Result<Self> {
        let lock = File::create(directory.join("channel.lock"))?;
        lock.try_lock()?;
        let file = directory.join("channel.json");
        let state = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Persisted {
                balance_msat: FUNDED.0,
                height: 900_000,
                known_head: None,
                htlcs: vec![],
            },
            Err(error) => return Err(error),
        };
        Ok(Self { file, state, payee, _lock: lock })
    }

    pub(crate) fn balance(&self) -> Msat {
        Msat(self.state.balance_msat)
    }

    pub(crate) fn height(&self) -> u32 {
        self.state.height
    }

    pub(crate) fn known_head(&self) -> Option<Head> {
        let text = self.state.known_head.as_deref()?;
        Some(text.parse().expect("it was written by `offer`"))
    }

    pub(crate) fn htlcs(&self) -> &[Htlc] {
        &self.state.htlcs
    }

    pub(crate) fn htlc(&self, part: &PartId) -> Option<&Htlc> {
        self.state.htlcs.iter().find(|htlc| &htlc.part_id() == part)
    }

    /// Offers an HTLC whose dispatch is recorded at or before `head`.
    pub(crate) fn offer(&mut self, htlc: Htlc, head: Head) -> io::Result<()> {
        self.state.known_head = Some(head.to_string());
        self.state.balance_msat -= htlc.amount_msat + htlc.fee_msat;
        self.state.htlcs.push(htlc);
        self.save()
    }

    /// Takes the first HTLC that can move one step further; `None` once all are off the channel.
    pub(crate) fn advance(&mut self) -> io::Result<Option<Htlc>> {
        let on_channel = |htlc: &&mut Htlc| !matches!(htlc.state, HtlcState::Removed(_));
        let Some(htlc) = self.state.htlcs.iter_mut().find(on_channel) else { return Ok(None) };
        htlc.state = match htlc.state {
            HtlcState::Offered => HtlcState::Committed,
            HtlcState::Committed => match self.payee.take(PaymentHash::from_bytes(htlc.hash)) {
                Some(preimage) => HtlcState::Fulfilled(*preimage.as_bytes()),
                None => HtlcState::Failed,
            },
            HtlcState::Failed => {
                self.state.balance_msat += htlc.amount_msat + htlc.fee_msat;
                HtlcState::Removed(None)
            }
            HtlcState::Fulfilled(preimage) => HtlcState::Removed(Some(preimage)),
            HtlcState::Removed(_) => unreachable!("it is off the channel"),
        };
        let htlc = htlc.clone();
        self.save()?;
        Ok(Some(htlc))
    }

    /// Drops the record of an HTLC whose end is recorded at or before `head`.
    pub(crate) fn forget(&mut self, part: &PartId, head: Head) -> io::Result<()> {
        self.state.known_head = Some(head.to_string());
        self.state.htlcs.retain(|htlc| &htlc.part_id() != part);
        self.save()
    }

    /// Replaces the file as a whole: a crash leaves the old one or the new one.
    fn save(&self) -> io::Result<()> {
        let unfinished = self.file.with_extension("tmp");
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(&self.state)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.file)?;
        File::open(self.file.parent().expect("a file has a directory"))?.sync_all()
    }
}
