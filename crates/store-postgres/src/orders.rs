//! Payments ordered in the user's own transaction, beside their balance, and what became of them.

use std::sync::Arc;

use payonce_core::{
    EventStore, ExecuteError, HashHolder, Ledger, LedgerError, MaxFee, Msat, NodeId, Notification,
    NotificationKind, Pay, PayRefusal, PaymentHash, PaymentId, Preimage, Remember, Request,
    RetryPolicy, UnixMillis,
};
use tokio_postgres::Row;

use crate::{
    config::Config,
    error::PostgresError,
    ledgers::{self, hash, to_column},
    session::Params,
    shared::{Shared, connected},
    thread::Thread,
};

/// How many orders [`Orders::serve`] takes at once.
const AT_ONCE: i64 = 100;

/// Writes an outcome of an ordered payment, unless it is there.
const TELL: &str = "with ordered as (select ledger, payment_id from payonce.orders \
       where ledger = $1 and payment_id = $2), \
     told as (insert into payonce.outcomes (ledger, seq, log_hash_prefix, payment_id, outcome, \
         reason, amount_msat, fee_msat, preimage) \
       select ledger, $3, $4, payment_id, $5, $6, $7, $8, $9 from ordered \
       on conflict (ledger, seq) do nothing) \
     select 1 from ordered";

/// The orders of a ledger: rows of `payonce.orders`, which a user's transaction inserts together with
/// what it books, and rows of `payonce.outcomes`, which a user's transaction books once.
///
/// - An order that is committed is taken into the ledger, whatever crashes; one that is rolled back never
///   was. It is taken once: its payment id is the ledger's idempotency key, and the ledger remembers
///   for ever.
/// - An outcome is written at least once and kept once, under the id of its notification; only then is
///   the notification acknowledged.
/// - Whoever books an outcome sets `booked_at` where it is null, in the transaction that changes the
///   balance: so each is booked once.
///
/// A failure can be followed by *sent* (a correction): book each outcome by itself, in the order of seq.
///
/// Withdrawing and ordering are one transaction:
///
/// ```sql
/// begin;
/// update balances set msat = msat - 50500 where customer = 7; -- the amount and the highest fee
/// insert into payonce.orders
///   (ledger, payment_id, payment_hash, amount_msat, max_fee_msat, attempts, instructions)
///   select number, $1, $2, 50000, 500, 5, $3 from payonce.ledgers where name = 'node-7';
/// commit;
/// ```
///
/// and so are booking what came of it and noting that it is booked:
///
/// ```sql
/// begin;
/// update payonce.outcomes set booked_at = now()
///   where ledger = $1 and seq = $2 and booked_at is null
///   returning payment_id, outcome, amount_msat, fee_msat;
/// -- Only if that gave a row: after 'failed' the whole comes back, after 'sent' what was not spent.
/// update balances set msat = msat + $3 where customer = 7;
/// commit;
/// ```
///
/// A sum that is null is not known: look at the payment before anything comes back.
///
/// An order that the ledger refuses has no notification; it is booked once by its own row:
///
/// ```sql
/// update payonce.orders set booked_at = now()
///   where ledger = $1 and payment_id = $2 and status = 'refused' and booked_at is null
///   returning amount_msat + max_fee_msat; -- all of it comes back, if that gave a row
/// ```
///
/// Refused is what will never be paid under this order. Where that is not certain (the log is restored and
/// its gap is open; something unknown is out or was paid under the order's hash; its id is that of a
/// payment with another request) the order stays *ordered*, with the reason in `refusal`: it may be the
/// very payment that went out, and a refund would pay twice.
#[derive(Debug)]
pub struct Orders {
    shared: Arc<Shared>,
}

/// An order that nobody has answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Order {
    /// The payment's id, which the order's row has had from the beginning.
    pub payment: PaymentId,
    /// What is to be paid.
    pub request: Request,
}

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Orders that the ledger took, or had taken before.
    pub accepted: usize,
    /// Orders that it refused.
    pub refused: usize,
    /// Orders that stay, since they may have been paid: a human looks at those that stay for long.
    pub postponed: usize,
    /// Outcomes that were written.
    pub told: usize,
}

/// Why a round was not finished. It can be done again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The ledger forgets: an order that is taken again after a crash could be paid again.
    #[error("orders need a ledger that remembers forever: open it with `Remember::Forever`")]
    Forgets,
    /// The database failed: what it did not answer for is not done, or unknown, as the error says.
    #[error(transparent)]
    Database(#[from] PostgresError),
    /// The ledger failed: open it again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Orders {
    /// Opens the orders of the ledger of this name.
    ///
    /// # Errors
    /// [`PostgresError`] as [`PostgresStore::open`](crate::PostgresStore::open).
    pub fn open(config: Config, name: &str) -> Result<Self, PostgresError> {
        let (thread, asked, own) = (Thread::start()?, config.clone(), name.to_owned());
        let row = thread.wait(async move { ledgers::open(&asked, &own).await })?;
        Ok(Self { shared: Shared::new(config, name, &row, thread) })
    }

    /// The oldest orders that are not answered, so many at most.
    ///
    /// # Errors
    /// [`PostgresError::Order`] names one that no request can be made of.
    pub fn waiting(&self, most: i64) -> Result<Vec<Order>, PostgresError> {
        self.rows(0, most)?.iter().map(order).collect()
    }

    /// The rows of the oldest orders after this number that are not answered.
    fn rows(&self, after: i64, most: i64) -> Result<Vec<Row>, PostgresError> {
        let text = "select payment_id, payment_hash, amount_msat, max_fee_msat, attempts, payee, \
                    expires_at_ms, instructions, metadata, number from payonce.orders \
                    where ledger = $1 and status = 'ordered' and number > $3 \
                    order by number limit $2";
        let shared = Arc::clone(&self.shared);
        self.shared.wait(async move {
            let mut slot = shared.upkeep.lock().await;
            let session = connected(&shared.config, &mut slot).await?;
            let params: Params<'_> = &[&shared.number, &most, &after];
            session.query(&shared.config, "looking for orders", text, params).await
        })
    }

    /// Notes that the ledger has taken an order.
    ///
    /// # Errors
    /// [`PostgresError`]; it can be noted again.
    pub fn accept(&self, payment: PaymentId) -> Result<(), PostgresError> {
        self.answer(payment, "accepted", None)
    }

    /// Notes that the ledger has refused an order, and why: nothing is paid for it.
    ///
    /// # Errors
    /// [`PostgresError`]; it can be noted again.
    pub fn refuse(&self, payment: PaymentId, why: String) -> Result<(), PostgresError> {
        self.answer(payment, "refused", Some(why))
    }

    fn answer(
        &self,
        payment: PaymentId,
        status: &'static str,
        refusal: Option<String>,
    ) -> Result<(), PostgresError> {
        let text = "update payonce.orders set status = $3, refusal = $4, \
                    answered_at = clock_timestamp() \
                    where ledger = $1 and payment_id = $2 and status = 'ordered'";
        let shared = Arc::clone(&self.shared);
        self.shared.wait(async move {
            let mut slot = shared.upkeep.lock().await;
            let session = connected(&shared.config, &mut slot).await?;
            let id = payment.as_bytes().as_slice();
            let params: Params<'_> = &[&shared.number, &id, &status, &refusal];
            let asked = session.client.execute(text, params);
            session.ask_durably(&shared.config, "answering an order", asked).await.map(drop)
        })
    }

    /// Notes why an order stays, for whoever looks.
    fn postpone(&self, payment: PaymentId, why: String) -> Result<(), PostgresError> {
        let text = "update payonce.orders set refusal = $3 where ledger = $1 and payment_id = $2 \
                    and status = 'ordered' and refusal is distinct from $3";
        let shared = Arc::clone(&self.shared);
        self.shared.wait(async move {
            let mut slot = shared.upkeep.lock().await;
            let session = connected(&shared.config, &mut slot).await?;
            let id = payment.as_bytes().as_slice();
            let params: Params<'_> = &[&shared.number, &id, &why];
            session.execute(&shared.config, "postponing an order", text, params).await.map(drop)
        })
    }

    /// Writes what a notification says of an order, once, durably: an outcome, or, of a part of its
    /// payment, nothing. Tells whether it may be acknowledged now: not if nobody ordered its payment here,
    /// and not an anomaly, which is for a human.
    ///
    /// # Errors
    /// [`PostgresError`]; it can be told again.
    pub fn tell(&self, notification: &Notification) -> Result<bool, PostgresError> {
        if matches!(notification.kind, NotificationKind::Anomaly { .. }) {
            return Ok(false);
        }
        let (shared, id) = (Arc::clone(&self.shared), notification.id);
        let payment = *notification.kind.payment();
        let outcome = Outcome::of(&notification.kind);
        self.shared.wait(async move {
            let mut slot = shared.upkeep.lock().await;
            let session = connected(&shared.config, &mut slot).await?;
            let (payment, doing) = (payment.as_bytes().as_slice(), "telling an outcome");
            let Some(outcome) = outcome else {
                let text = "select 1 from payonce.orders where ledger = $1 and payment_id = $2";
                let params: Params<'_> = &[&shared.number, &payment];
                let rows = session.query(&shared.config, doing, text, params).await?;
                return Ok(!rows.is_empty());
            };
            let (seq, chain) = (to_column(id.seq)?, id.chain.as_slice());
            let Outcome { name, reason, amount, fee, preimage } = &outcome;
            let params: Params<'_> =
                &[&shared.number, &payment, &seq, &chain, name, reason, amount, fee, preimage];
            let asked = session.client.query(TELL, params);
            let rows = session.ask_durably(&shared.config, doing, asked).await?;
            Ok(!rows.is_empty())
        })
    }

    /// One round: takes the orders that wait into the ledger, writes what became of earlier ones, and
    /// acknowledges that. To be called again and again, by the ledger's writer; interrupted anywhere, the
    /// next round does the rest.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn serve<S: EventStore>(
        &self,
        ledger: &mut Ledger<S>,
        now: UnixMillis,
    ) -> Result<Served, ServeError> {
        if ledger.machine().config().remember != Remember::Forever {
            return Err(ServeError::Forgets);
        }
        let (mut served, mut after) = (Served::default(), 0);
        // Those that are postponed hold nobody up.
        while served.accepted + served.refused == 0 {
            let rows = self.rows(after, AT_ONCE)?;
            let Some(last) = rows.last() else { break };
            after = last.get(9);
            for row in &rows {
                self.take(ledger, row, now, &mut served)?;
            }
        }
        served.told = self.tell_all(ledger, now)?;
        Ok(served)
    }

    /// Takes one order into the ledger, and notes what that answers.
    fn take<S: EventStore>(
        &self,
        ledger: &mut Ledger<S>,
        row: &Row,
        now: UnixMillis,
        served: &mut Served,
    ) -> Result<(), ServeError> {
        let Order { payment, request } = order(row)?;
        match ledger.execute(Pay::new(payment, request), now) {
            // Accepted, or as accepted before a crash.
            Ok(_) => {
                self.accept(payment)?;
                served.accepted += 1;
            }
            Err(ExecuteError::Refused(refusal)) if is_final(&refusal) => {
                self.refuse(payment, refusal.to_string())?;
                served.refused += 1;
            }
            // Perhaps paid: a refund would pay it twice.
            Err(ExecuteError::Refused(refusal)) => {
                self.postpone(payment, refusal.to_string())?;
                served.postponed += 1;
            }
            Err(ExecuteError::Unavailable(error)) => return Err(error.into()),
        }
        Ok(())
    }

    fn tell_all<S: EventStore>(
        &self,
        ledger: &mut Ledger<S>,
        now: UnixMillis,
    ) -> Result<usize, ServeError> {
        let outbox: Vec<_> = ledger.query(|state| state.outbox().collect())?;
        let mut ids = Vec::new();
        for notification in outbox {
            if self.tell(&notification)? {
                ids.push(notification.id);
            }
        }
        let told = ids.len();
        if told > 0 {
            let acknowledge = payonce_core::Acknowledge { ids };
            match ledger.execute(acknowledge, now) {
                // Refused only if they are of another log, which the next round finds.
                Ok(_) | Err(ExecuteError::Refused(_)) => {}
                Err(ExecuteError::Unavailable(error)) => return Err(error.into()),
            }
        }
        Ok(told)
    }
}

/// Whether nothing was or will be paid for an order that is refused with this. Anything else may be a
/// payment that went out: one of the gap of a restored log, what is out or paid under its hash and of
/// which nobody knows whose it is, or one that was made under its id by another request.
const fn is_final(refusal: &PayRefusal) -> bool {
    matches!(
        refusal,
        PayRefusal::HashInUse { other: HashHolder::Payment(_), .. }
            | PayRefusal::ZeroAmount
            | PayRefusal::AmountTooLarge { .. }
            | PayRefusal::TooLong { .. }
            | PayRefusal::UnreadableFields
            | PayRefusal::Expired { .. }
    )
}

/// A row of `payonce.outcomes`.
struct Outcome {
    name: &'static str,
    reason: Option<String>,
    amount: Option<i64>,
    fee: Option<i64>,
    preimage: Option<Vec<u8>>,
}

impl Outcome {
    fn of(kind: &NotificationKind) -> Option<Self> {
        let sums = |name, amount: Option<Msat>, fee: Option<Msat>, preimage: Option<Preimage>| {
            let column = |msat: Option<Msat>| msat.and_then(|msat| i64::try_from(msat.0).ok());
            let preimage = preimage.map(|preimage| preimage.as_bytes().to_vec());
            Self { name, reason: None, amount: column(amount), fee: column(fee), preimage }
        };
        match kind {
            NotificationKind::PaymentSent { amount, fee, preimage, .. } => {
                Some(sums("sent", *amount, *fee, *preimage))
            }
            NotificationKind::PaymentSettled { amount, fee, preimage, .. } => {
                Some(sums("settled", *amount, *fee, *preimage))
            }
            NotificationKind::PaymentFailed { reason, superseded: false, .. } => {
                let reason = Some(format!("{reason:?}"));
                Some(Self { reason, ..sums("failed", None, None, None) })
            }
            _ => None,
        }
    }
}

/// An order out of its row. The table's checks hold sizes and signs.
fn order(row: &Row) -> Result<Order, PostgresError> {
    let place = "payonce.orders";
    let payment = PaymentId::from_bytes(hash(place, row.get(0))?);
    let wrong =
        |what: &str| PostgresError::Order { payment: payment.to_string(), what: what.into() };
    let payment_hash = PaymentHash::from_bytes(hash(place, row.get(1))?);
    let msat = |column| {
        let value = u64::try_from(row.get::<_, i64>(column));
        value.map(Msat).map_err(|_| wrong("an amount is below zero"))
    };
    let attempts: i32 = row.get(4);
    let attempts = u32::try_from(attempts).map_err(|_| wrong("attempts are below zero"))?;
    let retry = RetryPolicy::Attempts(attempts - attempts.min(1));
    let max_fee = MaxFee::AtMost(msat(3)?);
    let mut request = Request::invoice(payment_hash, msat(2)?, max_fee, retry);
    if let Some(payee) = row.get::<_, Option<&[u8]>>(5) {
        let payee = payee.try_into().map_err(|_| wrong("the payee has not 33 bytes"))?;
        request = request.payee(NodeId::from_bytes(payee));
    }
    if let Some(expiry) = row.get::<_, Option<i64>>(6) {
        request = request.expiry(UnixMillis(expiry.unsigned_abs()));
    }
    if let Some(instructions) = row.get::<_, Option<&[u8]>>(7) {
        request = request.instructions(instructions);
    }
    if let Some(metadata) = row.get::<_, Option<&[u8]>>(8) {
        request = request.metadata(metadata);
    }
    Ok(Order { payment, request })
}
