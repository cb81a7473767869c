//! Connections for a client of another kind than ours, such as that of Kubernetes.

use std::{future::Future, time::Duration};

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::{client::legacy::connect::Connection, rt::TokioIo};
use tower::Service;

use crate::{
    call_limits::TransportError,
    counted::{self, Counted},
    dial::Target,
};

/// Dials, within `limit`, connections of which each brings one answer with a body of at most `max_answer` bytes, and heads and a
/// handshake: what comes over that ends it with [`TransportError::Endless`]. The bound is that of the whole connection, so a client
/// must not use one again. TLS comes above it.
pub fn bounded_connector(
    max_answer: usize,
    limit: Duration,
) -> impl Service<
    Uri,
    Response = impl Connection + Read + Write + Send + Unpin + 'static,
    Error = TransportError,
    Future = impl Future + Send,
> + Clone
+ Send
+ Sync {
    let most_read = counted::most_for(max_answer);
    tower::service_fn(move |uri: Uri| async move {
        let stream = Target::of(&uri)?.dial(limit).await?;
        Ok(TokioIo::new(Counted::new(stream, most_read)))
    })
}
