//! After the crash: node 0 is loaded, payonce started, and everything driven until it rests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use payonce_core::{Head, PaymentView, Status};
use payonce_ldk::{PayError, Paying};
use payonce_store_memory::{Image as LogImage, MemoryDisk};

use crate::{
    film::{AMOUNT, Film, ID, RETRIES},
    net::{Image, Loaded, Net, Refused, Till, panic_message},
    oracle::{Rest, Says},
};

/// What the chain may take of a channel that closes, in msat.
const CHAIN_FEES: u64 = 10_000_000;

/// Far fewer than anything that is claimed on chain leaves time for.
const BLOCKS_AT_ONCE: u32 = 4;

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// LDK does not load this.
    Refused(Refused),
    /// LDK stopped the process once it heard from its peer.
    Stopped(String),
    /// Everything came to rest.
    AtRest {
        loaded: Loaded,
        restored: bool,
        /// How many facts of the start the ledger refused.
        refused: usize,
        rest: Rest,
    },
}

/// Loads what survived, and drives it to its end.
pub(crate) fn go_on(mut film: Film, channels: &Image, head: Head, log: LogImage) -> Ended {
    film.net.crash(0);
    let loaded = match film.net.load(0, channels) {
        Ok(loaded) => loaded,
        Err(refused) => return Ended::Refused(refused),
    };
    let driven = catch_unwind(AssertUnwindSafe(|| {
        let disk = MemoryDisk::from_image(log);
        let started = Till::start(disk, Some(head), &film.net, film.till.now);
        let (mut till, report) = started.expect("the log is whole");
        film.net.connect_all();
        rest(&mut film.net, &mut till);
        let rest = look(&mut film, &mut till);
        Ended::AtRest { loaded, restored: report.restored, refused: report.refused.len(), rest }
    }));
    driven.unwrap_or_else(|panic| Ended::Stopped(panic_message(panic.as_ref())))
}

/// Lets everything happen that is going to: messages, events, retries, blocks, minutes.
pub(crate) fn rest(net: &mut Net, till: &mut Till) {
    let mut minutes = 0;
    for _ in 0..2_000 {
        net.pump();
        let heard = till.handle_events(net);
        till.drive();
        net.pump();
        if heard > 0 || net.has_mail() {
            continue;
        }
        if net.awaits_blocks() {
            net.mine_blocks(BLOCKS_AT_ONCE);
        } else if minutes < 12 {
            minutes += 1;
            till.tick(net);
        } else {
            return;
        }
    }
    panic!("no rest is found");
}

fn look(film: &mut Film, till: &mut Till) -> Rest {
    let ledger = says(till.payment_view(&ID));
    let gone = difference(film.before, film.net.balance_msat(0));
    let received = film.net.claimed.len();
    let repeat = match till.pay(ID, &film.order, film.given_amount, RETRIES) {
        Ok(Paying::Repeat { view, .. }) => says(Some(view)),
        Ok(_) => Says::Unknown,
        Err(PayError::Refused(_) | PayError::UnknownInEngine { .. }) => Says::Refused,
        Err(error) => panic!("a repeat is answered: {error}"),
    };
    rest(&mut film.net, till);
    let repeat_moved = difference(film.before, film.net.balance_msat(0)) != gone;
    let fees = if film.net.has_closed_channels(0) { CHAIN_FEES } else { 0 };
    Rest { amount: AMOUNT, gone, fees, received, ledger, repeat, repeat_moved }
}

fn difference(before: u64, now: u64) -> i64 {
    i64::try_from(before).expect("small") - i64::try_from(now).expect("small")
}

fn says(view: Option<PaymentView>) -> Says {
    match view.map(|view| view.status) {
        None => Says::Unknown,
        Some(Status::Fulfilled) => Says::Paid,
        Some(Status::Failed { .. }) => Says::Failed,
        Some(_) => Says::Open,
    }
}
