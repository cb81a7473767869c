//! A client that sends exactly the bytes of the test, with a chosen TLS version, ALPN and certificate.
//!
//! It does not verify servers. Other specifications test that our clients do.

mod answer;
mod connection;
mod repeat;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    version,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use self::{
    answer::Answer,
    connection::{Connection, Http2},
    repeat::{call_again, calls_until},
};
use crate::Credential;

/// How to connect. The default is no certificate, TLS 1.2 or 1.3, no ALPN as in the Go SDK, and no resumption.
#[derive(Debug)]
pub struct Dialer {
    address: SocketAddr,
    shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    resumption: Resumption,
}

impl Dialer {
    /// A client without a certificate for the server at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            shown: None,
            versions: vec![&version::TLS13, &version::TLS12],
            alpn: Vec::new(),
            resumption: Resumption::disabled(),
        }
    }

    /// Shows this certificate.
    #[must_use]
    pub fn showing(mut self, credential: &Credential) -> Self {
        self.shown = Some((credential.chain(), credential.key()));
        self
    }

    /// Shows this beside the certificates, as one more. It need not be one.
    #[must_use]
    pub fn showing_too(mut self, certificate: Vec<u8>) -> Self {
        if let Some((chain, _)) = &mut self.shown {
            chain.push(certificate.into());
        }
        self
    }

    /// Uses only TLS 1.2.
    #[must_use]
    pub fn tls12(mut self) -> Self {
        self.versions = vec![&version::TLS12];
        self
    }

    /// Uses only TLS 1.3.
    #[must_use]
    pub fn tls13(mut self) -> Self {
        self.versions = vec![&version::TLS13];
        self
    }

    /// Offers this protocol by ALPN, after those offered before.
    #[must_use]
    pub fn offering(mut self, protocol: &str) -> Self {
        self.alpn.push(protocol.as_bytes().to_vec());
        self
    }

    /// Keeps session tickets of the server, and resumes the session at the next connection.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.resumption = Resumption::in_memory_sessions(16);
        self
    }

    /// The address of the server.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The TLS configuration, for any number of connections. They share what resumption needs.
    ///
    /// # Errors
    /// If TLS cannot use the key.
    pub fn connector(&self) -> Result<TlsConnector> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(aws_lc_rs::default_provider())));
        let mut config = match &self.shown {
            Some((chain, key)) => config.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = self.resumption.clone();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// A connection. In TLS 1.3 only reading from it shows that the server refused the certificate.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn connect(&self) -> Result<Connection> {
        self.connect_with(&self.connector()?).await
    }

    /// A connection with a [`Self::connector`] that is used again.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn connect_with(&self, connector: &TlsConnector) -> Result<Connection> {
        self.connect_after(connector, Duration::ZERO).await
    }

    /// As [`Self::connect_with`], with a pause before the first byte, as over a long way.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn connect_after(
        &self,
        connector: &TlsConnector,
        pause: Duration,
    ) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let name = ServerName::try_from("localhost")?;
        Ok(Connection::new(connector.connect(name, stream).await?))
    }
}

/// Accepts every server that proves possession of the key it shows.
#[derive(Debug)]
struct AnyServer(CryptoProvider);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
