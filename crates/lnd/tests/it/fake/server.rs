//! The fake's server.

use std::{
    net::SocketAddr,
    pin::Pin,
    time::{Duration, SystemTime},
};

use lightning_invoice::Bolt11Invoice;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    codegen::tokio_stream::{Stream, wrappers::ReceiverStream},
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use super::{
    books::{Books, Hash, Nonsense},
    wire::{
        lnrpc::{
            GetInfoRequest, GetInfoResponse, GetStateRequest, GetStateResponse,
            ListPaymentsRequest, ListPaymentsResponse, Payment, WalletState,
            lightning_server::{Lightning, LightningServer},
            payment::PaymentStatus,
            state_server::{State, StateServer},
        },
        routerrpc::{
            SendPaymentRequest, TrackPaymentRequest,
            router_server::{Router, RouterServer},
        },
    },
};

/// Every right, and those to read.
pub(crate) const ADMIN: &[u8] = b"every right";
pub(crate) const READ_ONLY: &[u8] = b"the right to read";

/// A certificate as LND makes it: it signs itself, and says that it is an authority.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn new(expired: bool) -> Self {
        Self::made(|params| {
            if expired {
                params.not_before = rcgen::date_time_ymd(2020, 1, 1);
                params.not_after = rcgen::date_time_ymd(2020, 2, 1);
            }
        })
    }

    /// One that expires at this moment, to the second.
    pub(crate) fn until(moment: SystemTime) -> Self {
        let since_1970 = moment.duration_since(SystemTime::UNIX_EPOCH).expect("later");
        let moment = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since_1970.as_secs());
        Self::made(|params| params.not_after = moment)
    }

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let names = vec!["localhost".to_owned()];
        let mut params = CertificateParams::new(names).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A running fake. It ends with the value; its books stay.
pub(crate) struct FakeLnd {
    pub(crate) books: Books,
    pub(crate) address: SocketAddr,
    pub(crate) certificate: Certificate,
    server: JoinHandle<()>,
}

impl Drop for FakeLnd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeLnd {
    pub(crate) async fn start() -> Self {
        Self::with(Certificate::new(false)).await
    }

    pub(crate) async fn with(certificate: Certificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let books = Books::new();
        let address = listener.local_addr().expect("bound");
        let server = serve(listener, books.clone(), &certificate);
        Self { books, address, certificate, server }
    }

    /// All connections break; the books stay.
    pub(crate) async fn restart(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.server = serve(listener, self.books.clone(), &self.certificate);
    }
}

fn serve(listener: TcpListener, books: Books, certificate: &Certificate) -> JoinHandle<()> {
    let identity = Identity::from_pem(&certificate.pem, &certificate.key);
    let fake = Fake { books };
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .expect("a certificate")
        .add_service(RouterServer::new(fake.clone()))
        .add_service(LightningServer::new(fake.clone()))
        .add_service(StateServer::new(fake));
    tokio::spawn(async move {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let _ = server.serve_with_incoming(incoming).await;
    })
}

#[derive(Clone)]
struct Fake {
    books: Books,
}

type Payments = Pin<Box<dyn Stream<Item = Result<Payment, Status>> + Send>>;

impl Fake {
    /// What LND looks at before it reads a request.
    async fn admit<T>(&self, request: &Request<T>, writes: bool) -> Result<(), Status> {
        let (error, silent, slow_ms) = {
            let mut inner = self.books.lock();
            inner.asked += 1;
            (inner.error.clone(), inner.silent, inner.slow_ms)
        };
        self.books.changed.send_modify(|version| *version += 1);
        if silent {
            std::future::pending::<()>().await;
        }
        if slow_ms > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(slow_ms)).await;
        }
        if let Some(error) = error {
            return Err(Status::unknown(error));
        }
        let macaroon = request.metadata().get("macaroon").and_then(|value| value.to_str().ok());
        let admin = super::books::hex(ADMIN);
        let reads = super::books::hex(READ_ONLY);
        match macaroon {
            None => Err(Status::unknown("expected 1 macaroon, got 0")),
            Some(given) if given == admin => Ok(()),
            Some(given) if given == reads && !writes => Ok(()),
            Some(given) if given == reads => Err(Status::unknown("permission denied")),
            Some(_) => Err(Status::unknown(
                "verification failed: signature mismatch after caveat verification",
            )),
        }
    }

    fn stream(&self, hash: Hash, all: bool) -> Payments {
        if self.books.lock().nonsense == Nonsense::Nothing {
            let (_, receiver) = mpsc::channel(1);
            return Box::pin(ReceiverStream::new(receiver));
        }
        let (sender, receiver) = mpsc::channel(8);
        let (books, mut changed) = (self.books.clone(), self.books.changed.subscribe());
        tokio::spawn(async move {
            let mut last = None;
            while let Some(payment) = books.show(&hash) {
                let out = [PaymentStatus::InFlight, PaymentStatus::Initiated]
                    .into_iter()
                    .any(|status| payment.status == i32::from(status));
                if last.as_ref() != Some(&payment) && (all || !out) {
                    last = Some(payment.clone());
                    if books.lock().nonsense == Nonsense::Twice {
                        let _ = sender.send(Ok(payment.clone())).await;
                    }
                    if sender.send(Ok(payment)).await.is_err() {
                        return;
                    }
                }
                if !out || books.lock().nonsense == Nonsense::EndsEarly {
                    return;
                }
                tokio::select! {
                    () = sender.closed() => return,
                    told = changed.changed() => if told.is_err() { return },
                }
            }
        });
        Box::pin(ReceiverStream::new(receiver))
    }
}

/// The hash and the amount of a request to pay.
fn read(request: &SendPaymentRequest) -> Result<(Hash, i64), Status> {
    if request.payment_request.is_empty() {
        let hash = request.payment_hash.clone().try_into();
        return Ok((hash.map_err(|_| Status::unknown("invalid hash"))?, request.amt_msat));
    }
    let invoice: Bolt11Invoice =
        (request.payment_request.parse()).map_err(|_| Status::unknown("checksum failed"))?;
    if invoice.currency() != lightning_invoice::Currency::Simnet {
        return Err(Status::unknown("invoice not for current active network 'simnet'"));
    }
    if invoice.is_expired() {
        return Err(Status::unknown("invoice expired. Valid until then"));
    }
    let stated = invoice.amount_milli_satoshis();
    let amount = match (stated, request.amt_msat) {
        (None, 0) => {
            return Err(Status::unknown(
                "amount must be specified when paying a zero amount invoice",
            ));
        }
        (None, given) => given,
        (Some(stated), 0) => i64::try_from(stated).expect("an amount"),
        (Some(_), _) => {
            return Err(Status::unknown(
                "amount must not be specified when paying a non-zero amount invoice",
            ));
        }
    };
    Ok((*invoice.payment_hash().as_ref(), amount))
}

#[tonic::async_trait]
impl Router for Fake {
    type SendPaymentV2Stream = Payments;
    type TrackPaymentV2Stream = Payments;

    async fn send_payment_v2(
        &self,
        request: Request<SendPaymentRequest>,
    ) -> Result<Response<Payments>, Status> {
        self.admit(&request, true).await?;
        let request = request.into_inner();
        assert!(request.timeout_seconds > 0, "a time-out is always set");
        assert!(request.fee_limit_msat > 0, "a fee limit is always set");
        self.books.lock().records.clone_from(&request.dest_custom_records);
        // Once it is on its way it arrives, whether its caller still lives or not.
        let books = self.books.clone();
        let arrives = tokio::spawn(async move { arrive(books, request).await });
        let hash = arrives.await.expect("no panic")?;
        let lost = {
            let mut inner = self.books.lock();
            let lost = inner.lost > 0;
            inner.lost = inner.lost.saturating_sub(1);
            lost
        };
        if lost {
            return Err(Status::unavailable("the connection broke"));
        }
        Ok(Response::new(self.stream(hash, true)))
    }

    async fn track_payment_v2(
        &self,
        request: Request<TrackPaymentRequest>,
    ) -> Result<Response<Payments>, Status> {
        self.admit(&request, false).await?;
        let request = request.into_inner();
        let hash = request.payment_hash.try_into();
        let hash: Hash = hash.map_err(|_| Status::unknown("invalid hash"))?;
        if self.books.show(&hash).is_none() {
            return Err(Status::not_found("payment isn't initiated"));
        }
        Ok(Response::new(self.stream(hash, !request.no_inflight_updates)))
    }
}

/// A request arrives, at last.
async fn arrive(books: Books, request: SendPaymentRequest) -> Result<Hash, Status> {
    let (hash, amount) = read(&request)?;
    let (waits, dropped) = {
        let mut inner = books.lock();
        let passes = inner.pass > 0;
        inner.pass = inner.pass.saturating_sub(1);
        let waits = !passes && inner.waiting > 0;
        inner.waiting -= u32::from(waits);
        let dropped = !passes && !waits && inner.dropped > 0;
        inner.dropped -= u32::from(dropped);
        (waits, dropped)
    };
    if dropped {
        books.change(|inner| *inner.held_up.entry(hash).or_default() += 1);
        std::future::pending::<()>().await;
    }
    if waits {
        let mut changed = books.changed.subscribe();
        books.change(|inner| *inner.held_up.entry(hash).or_default() += 1);
        let gate = changed.wait_for(|_| books.lock().let_in);
        gate.await.expect("the books stay");
        // It is looked at only now.
        read(&request)?;
    }
    let init = books.init(hash, amount, request.payment_request);
    init.map_err(Status::already_exists)?;
    Ok(hash)
}

#[tonic::async_trait]
impl Lightning for Fake {
    async fn get_info(
        &self,
        request: Request<GetInfoRequest>,
    ) -> Result<Response<GetInfoResponse>, Status> {
        self.admit(&request, false).await?;
        Ok(Response::new(GetInfoResponse::default()))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        self.admit(&request, false).await?;
        let request = request.into_inner();
        let most = usize::try_from(request.max_payments).expect("a number");
        let payments = self.books.list(request.index_offset, most);
        let last_index_offset = payments.last().map_or(0, |payment| payment.payment_index);
        Ok(Response::new(ListPaymentsResponse { payments, last_index_offset }))
    }
}

#[tonic::async_trait]
impl State for Fake {
    async fn get_state(
        &self,
        _: Request<GetStateRequest>,
    ) -> Result<Response<GetStateResponse>, Status> {
        let state = match self.books.lock().error {
            Some(_) => WalletState::Locked,
            None => WalletState::ServerActive,
        };
        Ok(Response::new(GetStateResponse { state: state.into() }))
    }
}
