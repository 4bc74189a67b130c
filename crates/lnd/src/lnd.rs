//! The engine.

use std::{collections::HashMap, fmt};

use payonce_core::{Msat, PaymentHash, Request, Target, UnixMillis};
use payonce_engine::{
    Engine, EngineError, HandOver, Key, Lookup, PayAnswer, PaymentsPage, Promises, Refusal, Shown,
    async_trait,
};
use tonic::{Code, Streaming, metadata::AsciiMetadataValue, transport::Channel};

use crate::{
    answers::{self, Meaning, meaning, unanswered},
    config::{Config, ConfigError},
    connect::channel,
    request,
    wire::{
        lnrpc::{
            GetStateRequest, ListPaymentsRequest, Payment, WalletState,
            lightning_client::LightningClient, state_client::StateClient,
        },
        routerrpc::{SendPaymentRequest, TrackPaymentRequest, router_client::RouterClient},
    },
};

/// How many payments one page of the list has.
const PAGE: u64 = 500;

/// An LND, as an engine. Clone it and give it away: all share one connection, which is made when it is
/// first needed and whenever it broke.
///
/// **Nobody else pays the same invoices through this node**: LND knows the hash alone, and a try of
/// somebody else looks like ours.
#[derive(Clone)]
pub struct Lnd {
    config: Config,
    channel: Channel,
    macaroon: AsciiMetadataValue,
}

impl fmt::Debug for Lnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lnd").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Lnd {
    /// A node; it is not called yet. Within a tokio runtime.
    ///
    /// # Errors
    /// [`ConfigError`] if the address, the certificate or the macaroon are none.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if config.macaroon.is_empty() {
            return Err(ConfigError::Macaroon);
        }
        let digits = config.macaroon.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let hex: Vec<u8> = digits.map(|digit| b"0123456789abcdef"[usize::from(digit)]).collect();
        let macaroon = AsciiMetadataValue::try_from(&hex[..]);
        let mut macaroon = macaroon.map_err(|_| ConfigError::Macaroon)?;
        macaroon.set_sensitive(true);
        Ok(Self { channel: channel(&config)?, macaroon, config })
    }

    /// Whether the node answers and works: what a health check asks. Needs no right.
    ///
    /// # Errors
    /// [`EngineError`] with what is wrong: the certificate, the connection, a wallet that is locked.
    pub async fn is_active(&self) -> Result<(), EngineError> {
        let state = StateClient::new(self.channel.clone()).get_state(GetStateRequest {}).await;
        let state = state.map_err(|status| unanswered(&status))?.into_inner().state();
        match state {
            WalletState::RpcActive | WalletState::ServerActive => Ok(()),
            other => Err(EngineError::Unreachable { why: other.as_str_name().to_owned() }),
        }
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("macaroon", self.macaroon.clone());
        request
    }

    fn router(&self) -> RouterClient<Channel> {
        RouterClient::new(self.channel.clone())
    }

    /// What LND tells of a hash; `None` if it knows nothing of it.
    async fn track(
        &self,
        payment_hash: PaymentHash,
        no_inflight_updates: bool,
    ) -> Result<Option<Streaming<Payment>>, EngineError> {
        let payment_hash = payment_hash.as_bytes().to_vec();
        let request = self.request(TrackPaymentRequest { payment_hash, no_inflight_updates });
        match self.router().track_payment_v2(request).await {
            Ok(stream) => Ok(Some(stream.into_inner())),
            Err(status) if meaning(&status) == Meaning::NotFound => Ok(None),
            Err(status) => Err(unanswered(&status)),
        }
    }

    /// The next that a stream tells; `None` if it has ended.
    async fn next(
        stream: &mut Streaming<Payment>,
        asked: &PaymentHash,
    ) -> Result<Option<Shown>, EngineError> {
        match stream.message().await {
            Ok(Some(payment)) => answers::shown(&payment, asked).map(Some),
            Ok(None) => Ok(None),
            Err(status) if meaning(&status) == Meaning::NotFound => Ok(Some(Shown::NotKnown)),
            Err(status) => Err(unanswered(&status)),
        }
    }

    fn message(&self, hand_over: &HandOver) -> Result<SendPaymentRequest, Refusal> {
        let HandOver { payment_hash, amount, max_fee, request, .. } = hand_over;
        let bill = request::check(request, self.config.network)?;
        let seconds = self.config.attempt_timeout.as_secs().clamp(1, i32::MAX as u64);
        let limit = max_fee.map_or(i64::MAX, msat);
        let records = request.details.custom_records.iter();
        let mut records: HashMap<_, _> =
            records.map(|record| (record.tag, record.value.as_bytes().to_vec())).collect();
        if let Target::Spontaneous { preimage } = &request.target {
            records.insert(request::KEYSEND, preimage.as_bytes().to_vec());
        }
        let message = SendPaymentRequest {
            dest_custom_records: records,
            timeout_seconds: i32::try_from(seconds).unwrap_or(i32::MAX),
            fee_limit_msat: limit,
            ..SendPaymentRequest::default()
        };
        Ok(match (&request.target, bill) {
            (Target::Spontaneous { .. }, _) => SendPaymentRequest {
                dest: request.payee.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
                payment_hash: payment_hash.as_bytes().to_vec(),
                amt_msat: msat(*amount),
                ..message
            },
            (_, bill) => SendPaymentRequest {
                payment_request: String::from_utf8_lossy(request.instructions.as_bytes())
                    .into_owned(),
                amt_msat: if bill.is_some_and(|bill| bill.any_amount) { msat(*amount) } else { 0 },
                ..message
            },
        })
    }

    /// What LND's error says of the saying that it answers.
    async fn refused(&self, hand_over: &HandOver, status: &tonic::Status) -> PayAnswer {
        match meaning(status) {
            Meaning::Exists => PayAnswer::AlreadyThere,
            Meaning::NotRead(error) => PayAnswer::NotNow(error),
            Meaning::Unknown(error) => PayAnswer::Unknown(error),
            Meaning::NotFound => {
                PayAnswer::Unknown(EngineError::Nonsense { what: status.message().to_owned() })
            }
            // The handler of this very request has ended. Whether it had made an entry by then, LND tells.
            Meaning::Ended(why) => match self.find_hash(hand_over.payment_hash).await {
                Ok(Shown::NotKnown | Shown::Failed { .. }) => {
                    PayAnswer::Refused(Refusal { why, permanent: false })
                }
                Ok(Shown::Out { .. } | Shown::Paid(_)) => PayAnswer::AlreadyThere,
                Err(error) => PayAnswer::Unknown(error),
            },
        }
    }

    async fn find_hash(&self, payment_hash: PaymentHash) -> Result<Shown, EngineError> {
        let Some(mut stream) = self.track(payment_hash, false).await? else {
            return Ok(Shown::NotKnown);
        };
        let shown = Self::next(&mut stream, &payment_hash).await?;
        let what = || format!("a stream about {payment_hash} that says nothing");
        shown.ok_or_else(|| EngineError::Nonsense { what: what() })
    }
}

fn msat(amount: Msat) -> i64 {
    i64::try_from(amount.0).unwrap_or(i64::MAX)
}

#[async_trait]
impl Engine for Lnd {
    fn promises(&self) -> Promises {
        let Config { memory, wire, .. } = self.config;
        Promises { key: Key::PaymentHash, memory, wire }
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        request::check(request, self.config.network).map(|_| ())
    }

    /// LND checks an invoice's expiry before it makes an entry. It has nothing to check in a spontaneous
    /// payment.
    fn refuses_late_from(&self, request: &Request) -> Option<UnixMillis> {
        let bill = request::check(request, self.config.network).ok().flatten();
        bill.map(|bill| bill.expiry)
    }

    async fn pay(&self, hand_over: &HandOver) -> PayAnswer {
        let message = match self.message(hand_over) {
            Ok(message) => message,
            Err(refusal) => return PayAnswer::Refused(refusal),
        };
        let asked = hand_over.payment_hash;
        let mut stream = match self.router().send_payment_v2(self.request(message)).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return self.refused(hand_over, &status).await,
        };
        match stream.message().await {
            Ok(Some(payment)) => match answers::shown(&payment, &asked) {
                Ok(shown) => PayAnswer::Taken(shown),
                Err(error) => PayAnswer::Unknown(error),
            },
            Ok(None) => {
                let what = format!("a stream about {asked} that says nothing");
                PayAnswer::Unknown(EngineError::Nonsense { what })
            }
            Err(status) => self.refused(hand_over, &status).await,
        }
    }

    async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        self.find_hash(what.payment_hash).await
    }

    async fn wait(&self, what: &Lookup) -> Result<Option<Shown>, EngineError> {
        let Some(mut stream) = self.track(what.payment_hash, true).await? else {
            return Ok(None);
        };
        loop {
            match Self::next(&mut stream, &what.payment_hash).await? {
                Some(Shown::Out { .. }) => {}
                Some(Shown::NotKnown) | None => return Ok(None),
                end => return Ok(end),
            }
        }
    }

    async fn list(&self, after: u64) -> Result<Option<PaymentsPage>, EngineError> {
        let request = self.request(ListPaymentsRequest {
            include_incomplete: true,
            index_offset: after,
            max_payments: PAGE,
            omit_hops: true,
        });
        let mut client = LightningClient::new(self.channel.clone());
        let list = match client.list_payments(request).await {
            Ok(list) => list.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(unanswered(&status)),
        };
        let (mut payments, mut unclear) = (Vec::with_capacity(list.payments.len()), Vec::new());
        for payment in &list.payments {
            let what = || format!("{:?} as a payment hash", payment.payment_hash);
            let hash: PaymentHash = (payment.payment_hash.parse())
                .map_err(|_| EngineError::Nonsense { what: what() })?;
            // AMP payments among others, which have no preimage of their own; no hand-over of ours is one.
            match answers::shown(payment, &hash) {
                Ok(shown) => payments.push((hash, shown)),
                Err(_) => unclear.push(hash),
            }
        }
        let full = list.payments.len() as u64 >= PAGE && list.last_index_offset > after;
        Ok(Some(PaymentsPage { payments, unclear, next: full.then_some(list.last_index_offset) }))
    }
}
