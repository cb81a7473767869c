//! The used part of the SPIFFE Workload API: one streaming call and its messages.
//!
//! The messages are those of `workload.proto` (`X509SVIDRequest`, `X509SVIDResponse`, `X509SVID`), with two differences
//! that do not change the encoding. Unused fields are omitted. Data of foreign trust domains is declared as bytes, so
//! that it cannot make the whole message undecodable.

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use tokio::net::{TcpStream, UnixStream};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    metadata::MetadataValue,
    transport::{Channel, Endpoint, Uri},
};
use tonic_prost::ProstCodec;

use spike_config::EndpointAddress;

use crate::counted::{self, Counted, ReadCount};

/// The call that streams SVIDs and bundles.
const FETCH: &str = "/SpiffeWorkloadAPI/FetchX509SVID";

/// The header that shows that no proxy was tricked into sending the request (SPIFFE Workload Endpoint, section 4.1).
const SECURITY_HEADER: &str = "workload.spiffe.io";

/// The largest message, in bytes. With gRPC's usual 4 MiB, one large foreign bundle would stop all updates.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// The request has no parameters.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct X509SvidRequest {}

/// Everything that the agent sends to this process in one update.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct X509SvidResponse {
    /// The SVIDs; the first one is used.
    #[prost(message, repeated, tag = "1")]
    pub(super) svids: Vec<X509Svid>,
    /// The bundles of foreign trust domains. A protobuf map is encoded as a list of such entries.
    #[prost(message, repeated, tag = "3")]
    pub(super) federated_bundles: Vec<FederatedBundle>,
}

/// One SVID and the bundle of its trust domain.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct X509Svid {
    /// The chain, leaf first: concatenated DER certificates.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) chain: Bytes,
    /// The private key, PKCS#8 DER.
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) key: Bytes,
    /// The authorities: concatenated DER certificates.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) bundle: Bytes,
}

/// The bundle of one foreign trust domain.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct FederatedBundle {
    /// The SPIFFE ID of the trust domain, `spiffe://example.org`.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) trust_domain: Bytes,
    /// The authorities: concatenated DER certificates.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) bundle: Bytes,
}

impl std::fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("X509Svid").finish_non_exhaustive()
    }
}

/// Why the stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The socket cannot be reached, or does not speak HTTP/2.
    #[error("cannot connect to the agent")]
    Connect(#[source] tonic::transport::Error),
    /// The agent answered with an error.
    #[error("the agent refused the call: {}", .0.message())]
    Refused(Status),
}

/// The stream of messages. What comes over its connection for one message is bounded, whatever it is.
///
/// The HTTP/2 layer bounds a head: by hyper's default 16 KiB of fields, and so few CONTINUATION frames as fit that. It bounds neither
/// how many heads of interim answers (1xx) come, nor empty frames: an agent that sends these without end would keep a processor busy.
pub(super) struct Messages {
    stream: Streaming<X509SvidResponse>,
    read: ReadCount,
}

impl Messages {
    /// The next message. `None`: the agent has ended the stream.
    pub(super) async fn next(&mut self) -> Result<Option<X509SvidResponse>, Status> {
        let message = self.stream.message().await;
        self.read.restart();
        message
    }
}

/// Connects to the agent and requests the stream.
pub(super) async fn fetch(address: &EndpointAddress) -> Result<Messages, FetchError> {
    let read = ReadCount::default();
    let channel = connect(address.clone(), read.clone()).await.map_err(FetchError::Connect)?;
    let mut client = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    if let Err(error) = client.ready().await {
        return Err(FetchError::Connect(error));
    }
    let mut request = Request::new(X509SvidRequest {});
    request.metadata_mut().insert(SECURITY_HEADER, MetadataValue::from_static("true"));
    let codec = ProstCodec::<X509SvidRequest, X509SvidResponse>::default();
    let answer = client.server_streaming(request, PathAndQuery::from_static(FETCH), codec).await;
    let stream = answer.map_err(FetchError::Refused)?.into_inner();
    Ok(Messages { stream, read })
}

/// The URI only fills `:authority`; `address` is the target.
async fn connect(
    address: EndpointAddress,
    read: ReadCount,
) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_static("http://localhost");
    match address {
        EndpointAddress::Unix(path) => {
            let dial = tower::service_fn(move |_: Uri| {
                let (path, read) = (path.clone(), read.clone());
                async move { UnixStream::connect(path).await.map(|stream| bounded(stream, read)) }
            });
            endpoint.connect_with_connector(dial).await
        }
        EndpointAddress::Tcp(address) => {
            let dial = tower::service_fn(move |_: Uri| {
                let read = read.clone();
                async move { TcpStream::connect(address).await.map(|stream| bounded(stream, read)) }
            });
            endpoint.connect_with_connector(dial).await
        }
    }
}

fn bounded<S>(stream: S, read: ReadCount) -> TokioIo<Counted<S>> {
    TokioIo::new(Counted::with(read, stream, counted::most_for(MAX_MESSAGE)))
}
