//! A proxy between a service and its node, which ends TLS as such proxies do: it reads what the service
//! says, can hold it up, and passes it on though its sender is dead by then.

use std::{
    io,
    net::TcpListener as Listener,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    },
};

use crate::fake::Certificate;

/// What the service has said since it is held up.
#[derive(Debug, Default)]
struct Held {
    said: Mutex<Vec<u8>>,
    bell: Condvar,
}

/// The proxy. It ends with the process.
pub(crate) struct Proxy {
    pub(crate) address: String,
    pub(crate) certificate: Certificate,
    holds: watch::Sender<bool>,
    held: Arc<Held>,
}

impl Proxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = Listener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound").to_string();
        let (certificate, holds) = (Certificate::new(false), watch::Sender::new(false));
        let held = Arc::new(Held::default());
        let wire = Wire {
            port,
            acceptor: acceptor(&certificate),
            connector: connector(),
            holds: holds.subscribe(),
            held: Arc::clone(&held),
        };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(wire.listen(listener));
        });
        Self { address, certificate, holds, held }
    }

    /// From now on nothing of the service arrives, until it is let in.
    pub(crate) fn hold(&self) {
        self.held.said.lock().expect("no panic").clear();
        self.holds.send_replace(true);
    }

    pub(crate) fn let_in(&self) {
        self.holds.send_replace(false);
    }

    /// Waits until a request with these words is held up, whole. A sender that dies between the last byte of
    /// a request and its end has sent none: the node waits for the end.
    pub(crate) fn holds(&self, words: &str) {
        let incomplete = |said: &mut Vec<u8>| {
            let words = find(said, words.as_bytes());
            words.and_then(|at| find(&said[at..], &END_STREAM)).is_none()
        };
        let said = self.held.said.lock().expect("no panic");
        drop(self.held.bell.wait_while(said, incomplete).expect("no panic"));
    }
}

/// How an HTTP/2 frame begins that ends a request: DATA, no bytes, END_STREAM (RFC 9113, 6.1). The client
/// sends it after the frame in which the request is.
const END_STREAM: [u8; 5] = [0, 0, 0, 0, 1];

fn find(said: &[u8], words: &[u8]) -> Option<usize> {
    said.windows(words.len()).position(|at| at == words)
}

/// What a connection needs.
#[derive(Clone)]
struct Wire {
    port: u16,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    holds: watch::Receiver<bool>,
    held: Arc<Held>,
}

impl Wire {
    async fn listen(self, listener: Listener) {
        let listener = TcpListener::from_std(listener).expect("a runtime");
        while let Ok((from, _)) = listener.accept().await {
            tokio::spawn(self.clone().connect(from));
        }
    }

    async fn connect(self, from: TcpStream) -> io::Result<()> {
        let to = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let (from, to) =
            tokio::try_join!(self.acceptor.accept(from), self.connector.connect(name, to))?;
        let (from, mut answers) = split(from);
        let (mut back, to) = split(to);
        tokio::spawn(async move { tokio::io::copy(&mut back, &mut answers).await });
        let (read, said) = mpsc::unbounded_channel();
        tokio::spawn(pass_on(said, to, self.holds));
        listen_to(from, read, &self.held).await
    }
}

/// What is held up goes on being read: the test waits for what it is.
async fn listen_to(
    mut from: impl AsyncRead + Unpin,
    read: mpsc::UnboundedSender<Vec<u8>>,
    held: &Held,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while let length @ 1.. = from.read(&mut buffer).await? {
        let said = &buffer[..length];
        held.said.lock().expect("no panic").extend_from_slice(said);
        held.bell.notify_all();
        if read.send(said.to_vec()).is_err() {
            break;
        }
    }
    Ok(())
}

/// In its order, and to the end. That the service is gone the node does not learn: its connection is the
/// proxy's, and stays.
async fn pass_on(
    mut said: mpsc::UnboundedReceiver<Vec<u8>>,
    mut to: impl AsyncWrite + Unpin,
    mut holds: watch::Receiver<bool>,
) {
    while let Some(chunk) = said.recv().await {
        if holds.wait_for(|holds| !holds).await.is_err() || to.write_all(&chunk).await.is_err() {
            return;
        }
        if to.flush().await.is_err() {
            return;
        }
    }
    std::future::pending::<()>().await;
}

fn acceptor(certificate: &Certificate) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_slice(certificate.pem.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(vec![chain], key);
    let mut config = config.expect("a key that fits");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn connector() -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anyone));
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// The node is on this machine, started by the test: who it is was settled by its port.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
