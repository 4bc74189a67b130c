//! The connection: gRPC over TLS. LND's certificate signs itself and says that it is an authority,
//! which the usual check refuses; so the very certificate in its file is what is looked for.

use std::{fmt, io, sync::Arc};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError,
        RootCertStore, SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::ring,
        pki_types::{
            CertificateDer, ServerName, UnixTime,
            pem::{self, PemObject as _},
        },
    },
};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::config::{Config, ConfigError};

/// Accepts the certificate that it was given, as long as it is valid, and whatever that signed.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    usual: Arc<WebPkiServerVerifier>,
}

#[derive(thiserror::Error)]
#[error("the node shows another certificate than the one in the file")]
struct OtherCertificate;

impl fmt::Debug for OtherCertificate {
    /// What rustls shows of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether the usual check found nothing but that the certificate signs itself, or has another name:
/// what is the very certificate of the file needs no name. That it has expired is found before either.
fn is_of_itself(error: &TlsError) -> bool {
    match error {
        TlsError::InvalidCertificate(CertificateError::Other(other)) => {
            other.to_string().contains("CaUsedAsEndEntity")
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => true,
        _ => false,
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let usual = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match usual {
            Err(error) if is_of_itself(&error) => {
                if *end_entity == self.certificate {
                    return Ok(ServerCertVerified::assertion());
                }
                let other = OtherError(Arc::new(OtherCertificate));
                Err(TlsError::InvalidCertificate(CertificateError::Other(other)))
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

fn tls(pem: &[u8]) -> Result<ClientConfig, ConfigError> {
    let refused = |why: String| ConfigError::Certificate { why };
    let certificate = CertificateDer::from_pem_slice(pem).map_err(|error| {
        refused(match error {
            pem::Error::NoItemsFound => "it holds no certificate in PEM".to_owned(),
            error => error.to_string(),
        })
    })?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).map_err(|error| refused(error.to_string()))?;
    let provider = Arc::new(ring::default_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| refused(error.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { certificate, usual }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

async fn connect(
    address: Arc<str>,
    tls: TlsConnector,
) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let stream = TcpStream::connect(&*address).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(tls.connect(name, stream).await?))
}

/// A channel that connects when it is first used, and again whenever it broke.
pub(crate) fn channel(config: &Config) -> Result<Channel, ConfigError> {
    let refused = || ConfigError::Address { address: config.address.clone() };
    if config.address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(refused());
    }
    // TLS is the connector's: for tonic it is a plain stream.
    let endpoint = Endpoint::from_shared(format!("http://{}", config.address));
    let endpoint = endpoint.map_err(|_| refused())?;
    let endpoint = endpoint
        .connect_timeout(std::time::Duration::from_secs(10))
        .http2_keep_alive_interval(std::time::Duration::from_secs(60))
        .keep_alive_timeout(std::time::Duration::from_secs(20));
    let tls = TlsConnector::from(Arc::new(tls(&config.certificate)?));
    let address: Arc<str> = config.address.as_str().into();
    let connector = service_fn(move |_: Uri| connect(Arc::clone(&address), tls.clone()));
    Ok(endpoint.connect_with_connector_lazy(connector))
}
