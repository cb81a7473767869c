//! How a client connects: dials, shakes hands, and notes with which identity.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Uri, uri::Scheme};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    call_limits::{ClientTimeouts, HANDSHAKE, TransportError, within},
    counted::{Counted, ReadCount},
    dial::Target,
    svid::SvidSource,
    tls_error,
};

/// The number of the identity with which a connection was opened: see [`SvidSource::generation`].
#[derive(Clone, Copy)]
pub(super) struct Generation(pub(super) u64);

#[derive(Clone)]
pub(super) struct Connector {
    pub(super) tls: TlsConnector,
    pub(super) timeouts: ClientTimeouts,
    pub(super) source: SvidSource,
    /// The most bytes that a connection brings for one answer.
    pub(super) most_read: usize,
}

/// A connection whose server has proved itself.
type Verified = TlsStream<Counted<TcpStream>>;

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Dialled>, TransportError> {
        let (stream, generation) = self.shake_hands(uri).await?;
        let count = stream.get_ref().0.count();
        Ok(TokioIo::new(Dialled { stream, generation, count }))
    }

    pub(super) async fn shake_hands(
        self,
        uri: Uri,
    ) -> Result<(Verified, Generation), TransportError> {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(TransportError::Address(uri.to_string()));
        }
        let target = Target::of(&uri)?;
        let stream = Counted::new(target.dial(self.timeouts.dial).await?, self.most_read);
        let Target { name, at, .. } = target;
        // The name is not compared with the certificate; a name that TLS cannot carry is not sent.
        let server_name = ServerName::try_from(name)
            .unwrap_or_else(|_| ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()));
        // Before the handshake: it shows this identity or a newer one.
        let generation = Generation(self.source.generation());
        let shaken = within(self.timeouts.handshake, HANDSHAKE, async {
            self.tls.connect(server_name, stream).await.map_err(|error| TransportError::Handshake {
                host: at.clone(),
                source: Arc::new(tls_error::of_handshake(error)),
            })
        });
        Ok((shaken.await?, generation))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Dialled>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Dialled>, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection with a verified server.
pub(super) struct Dialled {
    stream: Verified,
    generation: Generation,
    count: ReadCount,
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.generation).extra(self.count.clone())
    }
}

impl AsyncRead for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
