//! One TLS connection, and requests over it.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::HandshakeKind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::Answer;
use crate::PATIENCE;

/// A connection whose handshake is done on this side.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TlsStream<TcpStream>>,
}

impl Connection {
    pub(super) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The TLS version in use, such as `TLSv1_3`.
    pub fn tls_version(&self) -> Option<String> {
        let version = self.stream.get_ref().get_ref().1.protocol_version()?;
        Some(format!("{version:?}"))
    }

    /// The protocol that the server chose by ALPN.
    pub fn alpn(&self) -> Option<String> {
        let chosen = self.stream.get_ref().get_ref().1.alpn_protocol()?;
        Some(String::from_utf8_lossy(chosen).into_owned())
    }

    /// Whether an earlier session was resumed.
    pub fn resumed(&self) -> bool {
        self.stream.get_ref().get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// How many TLS 1.3 session tickets the server has sent so far.
    pub fn tickets(&self) -> u32 {
        self.stream.get_ref().get_ref().1.tls13_tickets_received()
    }

    /// Sends these bytes and no others.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Ends the sending direction. The answer can still be read.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn end_sending(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// If none comes within [`PATIENCE`].
    pub async fn answer(&mut self) -> Result<Answer> {
        timeout(PATIENCE, Answer::read(&mut self.stream, true)).await.context("no answer")?
    }

    /// Reads the answer to a HEAD.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn answer_without_body(&mut self) -> Result<Answer> {
        timeout(PATIENCE, Answer::read(&mut self.stream, false)).await.context("no answer")?
    }

    /// Sends a whole request and reads its answer. As in Go, an answer may come before the whole request is sent.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn exchange(&mut self, request: impl AsRef<[u8]>) -> Result<Answer> {
        let sent = self.send(request).await;
        let answer = self.answer().await;
        if answer.is_err() {
            sent?;
        }
        answer
    }

    /// A POST as the Go SDK sends it (wire-api 2.3).
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn post(&mut self, target: &str, body: impl AsRef<[u8]>) -> Result<Answer> {
        let body = body.as_ref();
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n\
             Content-Length: {length}\r\nContent-Type: application/json\r\n\
             Accept-Encoding: gzip\r\n\r\n"
        );
        self.exchange([head.as_bytes(), body].concat()).await
    }

    /// Waits until the server ends the connection without another byte, and returns the reason, if there is one.
    ///
    /// # Errors
    /// If the server sends something instead, or nothing within [`PATIENCE`].
    pub async fn ended(&mut self) -> Result<Option<String>> {
        let mut byte = [0];
        match timeout(PATIENCE, self.stream.read(&mut byte)).await {
            Err(_) => bail!("the connection is still open"),
            Ok(Ok(1..)) => bail!("an answer came where none was due"),
            Ok(Ok(0)) => Ok(None),
            Ok(Err(error)) => Ok(Some(error.to_string())),
        }
    }

    /// The stream itself, for benches.
    pub fn into_stream(self) -> BufReader<TlsStream<TcpStream>> {
        self.stream
    }

    /// Switches to HTTP/2.
    ///
    /// # Errors
    /// If the server does not.
    pub async fn http2(self) -> Result<Http2> {
        let io = TokioIo::new(self.stream.into_inner());
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        Ok(Http2(sender))
    }
}

/// An HTTP/2 connection.
#[derive(Debug)]
pub struct Http2(SendRequest<Full<Bytes>>);

impl Http2 {
    /// One POST.
    ///
    /// # Errors
    /// If no answer comes within [`PATIENCE`].
    pub async fn post(&mut self, target: &str, body: &str) -> Result<Response<Bytes>> {
        let request = Request::post(format!("https://localhost{target}"))
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        self.send(request).await
    }

    /// One GET.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn get(&mut self, target: &str) -> Result<Response<Bytes>> {
        let request = Request::get(format!("https://localhost{target}")).body(Full::default())?;
        self.send(request).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        let answer =
            timeout(PATIENCE, self.0.send_request(request)).await.context("no answer")??;
        let (head, body) = answer.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}
