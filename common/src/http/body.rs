//! Reading a request's body within its limits.

use std::{task::Poll, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Bounds on a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The most bytes of it.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub time: Duration,
}

/// Why there is no whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in force.
        limit: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection broke while it arrived.
    #[error("the body could not be read")]
    Broken,
}

/// How much of a body that is too large is still read, and thrown away, in bytes. A sender that finds the connection
/// closed while it writes may never read the answer; Go's server, too, goes on for this much.
const DRAINED: usize = 256 * 1024;

/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Reads the whole body. Nothing past the limit is kept, and a body that says itself that it is far larger is not begun.
///
/// # Errors
/// [`BodyError`].
pub async fn read_body(mut body: Body, limits: BodyLimits) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit: limits.bytes };
    let said = body.size_hint().lower();
    let is_over = |bytes: usize| said > u64::try_from(bytes).unwrap_or(u64::MAX);
    if is_over(limits.bytes.saturating_add(DRAINED)) {
        return Err(too_large);
    }
    let read = async {
        if !is_over(limits.bytes) {
            match Limited::new(&mut body, limits.bytes).collect().await {
                Ok(body) => return Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => {}
                Err(_) => return Err(BodyError::Broken),
            }
        }
        Box::pin(drain(&mut body)).await;
        Err(too_large)
    };
    let mut read = std::pin::pin!(read);
    // Most bodies come with their heads: no timer then, and no room for one.
    if let Poll::Ready(body) = futures_util::poll!(read.as_mut()) {
        return body;
    }
    let read = Box::pin(tokio::time::timeout(limits.time, read));
    read.await.unwrap_or(Err(BodyError::TooSlow))
}

/// Reads on for a while. What was not read when it is over is not read.
async fn drain(body: &mut Body) {
    let mut rest = Limited::new(body, DRAINED);
    let drained = async { while let Some(Ok(_)) = rest.frame().await {} };
    tokio::time::timeout(DRAIN_TIME, drained).await.ok();
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::{StreamExt, stream};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits { bytes: 4, time: Duration::from_mins(1) };

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_and_one_byte_more_is_refused() {
        let read = |body: &'static str| read_body(Body::from(body), LIMITS);
        assert_eq!(read("1234").await.unwrap(), "1234");
        assert_eq!(read("12345").await, Err(BodyError::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn a_body_that_is_somewhat_too_large_is_read_to_its_end_so_that_the_answer_is_heard() {
        let read = async |pieces: usize| {
            let taken = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&taken);
            let piece = Bytes::from_static(&[0; 1024]);
            let endless = stream::iter(0..pieces).map(move |_| {
                seen.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(piece.clone())
            });
            let answer = read_body(Body::from_stream(endless), LIMITS).await;
            assert_eq!(answer, Err(BodyError::TooLarge { limit: 4 }));
            taken.load(Ordering::Relaxed)
        };
        assert_eq!(read(100).await, 100);
        assert!(read(100_000).await < 300, "and no further");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_or_never_comes_is_told_apart() {
        let broken = stream::iter([Ok("12"), Err(std::io::Error::other("gone"))]);
        assert_eq!(read_body(Body::from_stream(broken), LIMITS).await, Err(BodyError::Broken));

        let silent = stream::pending::<Result<Bytes, std::io::Error>>();
        let hurried = BodyLimits { time: Duration::ZERO, ..LIMITS };
        assert_eq!(read_body(Body::from_stream(silent), hurried).await, Err(BodyError::TooSlow));
    }
}
