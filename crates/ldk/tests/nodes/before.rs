//! A small node on LDK alone, with a table of its own for what it pays: what LDK's documentation asks for.
//! `after.rs` is the same node on payonce.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use lightning::{
    bitcoin::hashes::Hash as _,
    bolt11_invoice::Bolt11Invoice,
    events::{Event, ReplayEvent},
    ln::channelmanager::{PaymentId, RecentPaymentDetails, Retry},
    routing::router::RouteParametersConfig,
};

use crate::net::Manager;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Paid { preimage: [u8; 32], fee_msat: u64 },
    Failed,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) invoice: Bolt11Invoice,
    pub(crate) seconds: u64,
    pub(crate) status: Status,
}

pub(crate) struct Before {
    manager: &'static Manager,
    file: PathBuf,
    /// By payment hash, which is the id too.
    pub(crate) rows: BTreeMap<[u8; 32], Row>,
}

impl Before {
    /// Reads the table, and guesses at what was pending when the process died.
    pub(crate) fn start(file: PathBuf, manager: &'static Manager) -> io::Result<Self> {
        let text = if file.exists() { fs::read_to_string(&file)? } else { String::new() };
        let rows =
            text.lines().map(read).collect::<Option<_>>().ok_or(io::ErrorKind::InvalidData)?;
        let mut node = Self { manager, file, rows };
        let recent = node.manager.list_recent_payments();
        let known = |hash: &[u8; 32]| {
            recent.iter().any(|recent| match recent {
                RecentPaymentDetails::Pending { payment_id, .. }
                | RecentPaymentDetails::Fulfilled { payment_id, .. }
                | RecentPaymentDetails::Abandoned { payment_id, .. }
                | RecentPaymentDetails::AwaitingInvoice { payment_id } => payment_id.0 == *hash,
            })
        };
        for (_, row) in node.rows.iter_mut().filter(|(hash, _)| !known(hash)) {
            if row.status == Status::Pending {
                // Never sent, or an end that was lost. Who knows?
                row.status = Status::Failed;
            }
        }
        node.write()?;
        Ok(node)
    }

    pub(crate) fn pay(&mut self, invoice: &Bolt11Invoice, seconds: u64) -> io::Result<Status> {
        let hash = invoice.payment_hash().to_byte_array();
        if let Some(row) = self.rows.get(&hash).filter(|row| row.status != Status::Failed) {
            return Ok(row.status.clone());
        }
        let row = Row { invoice: invoice.clone(), seconds, status: Status::Pending };
        self.rows.insert(hash, row);
        self.write()?;
        let (route, retry) = (RouteParametersConfig::default(), Retry::Attempts(0));
        let paid =
            self.manager.pay_for_bolt11_invoice(invoice, PaymentId(hash), None, route, retry);
        if paid.is_err() {
            self.end(hash, Status::Failed)?;
        }
        Ok(self.rows[&hash].status.clone())
    }

    pub(crate) fn on_event(&mut self, event: &Event) -> Result<(), ReplayEvent> {
        let ended = match event {
            Event::PaymentSent {
                payment_id: Some(id), payment_preimage, fee_paid_msat, ..
            } => {
                let (preimage, fee_msat) = (payment_preimage.0, fee_paid_msat.unwrap_or(0));
                self.end(id.0, Status::Paid { preimage, fee_msat })
            }
            Event::PaymentFailed { payment_id, .. } => self.end(payment_id.0, Status::Failed),
            _ => Ok(()),
        };
        ended.map_err(|_| ReplayEvent())
    }

    fn end(&mut self, hash: [u8; 32], status: Status) -> io::Result<()> {
        let Some(row) = self.rows.get_mut(&hash) else { return Ok(()) };
        // A failure may come after the success.
        if !matches!(row.status, Status::Paid { .. }) {
            row.status = status;
            self.write()?;
        }
        Ok(())
    }

    fn write(&self) -> io::Result<()> {
        let lines: String = self.rows.values().map(line).collect();
        let new = self.file.with_extension("new");
        fs::write(&new, lines)?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, &self.file)
    }
}

fn line(row: &Row) -> String {
    let status = match &row.status {
        Status::Pending => String::from("pending"),
        Status::Failed => String::from("failed"),
        Status::Paid { preimage, fee_msat } => {
            let preimage =
                preimage.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            format!("{fee_msat}:{preimage}")
        }
    };
    format!("{} {} {status}\n", row.invoice, row.seconds)
}

fn read(line: &str) -> Option<([u8; 32], Row)> {
    let [invoice, seconds, status] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let (invoice, seconds) = (invoice.parse::<Bolt11Invoice>().ok()?, seconds.parse().ok()?);
    let status = match status.split_once(':') {
        None if status == "pending" => Status::Pending,
        None => Status::Failed,
        Some((fee, hex)) => {
            let mut preimage = [0; 32];
            for (nth, byte) in preimage.iter_mut().enumerate() {
                *byte = u8::from_str_radix(hex.get(2 * nth..2 * nth + 2)?, 16).ok()?;
            }
            Status::Paid { preimage, fee_msat: fee.parse().ok()? }
        }
    };
    Some((invoice.payment_hash().to_byte_array(), Row { invoice, seconds, status }))
}
