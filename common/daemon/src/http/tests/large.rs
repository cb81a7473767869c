//! What is large of a request, and what becomes of it while the request takes its time.

use futures_util::{StreamExt, stream};

use super::*;

/// Memory that all parts of a head share, as they do when HTTP/2 has read it.
struct HeadMemory {
    text: String,
    _held: Arc<()>,
}

impl AsRef<[u8]> for HeadMemory {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

#[tokio::test]
async fn a_long_query_is_not_held_for_as_long_as_its_request_takes() {
    let daemon = Daemon::unlimited();
    let (held, query) = (Arc::new(()), format!("action=get&x={}", "x".repeat(60_000)));
    let text = format!("/change?{query}");
    let memory = Bytes::from_owner(HeadMemory { text, _held: Arc::clone(&held) });
    let host = HeaderValue::from_maybe_shared(memory.slice(1..7)).unwrap();
    let uri = Uri::from_maybe_shared(memory).unwrap();
    let mut answer = send(&daemon, Request::post(uri).header(header::HOST, host));
    assert!(poll!(&mut answer).is_pending(), "the handler waits");
    assert_eq!(Arc::strong_count(&held), 1, "nothing of the head is left");
    daemon.go_on.notify_one();
    assert_eq!(answer.await.status(), StatusCode::OK);
    let line = daemon.lines(1).remove(0);
    let written = format!("{}…[+{} bytes]", &query[..512], query.len() - 512);
    assert_eq!(
        (line["Path"].as_str(), line["Resource"].as_str()),
        (Some("/change"), Some(&*written))
    );
}

/// How many pieces are read of three large bodies that come at once, of ten pieces each, and are not wanted.
async fn pieces_read_of_three_unwanted_bodies(daemon: &Arc<Daemon>) -> usize {
    const PIECE: usize = 64 * 1024;
    let peer = Peer::unverified("spiffe://a/b");
    let read = Arc::new(AtomicUsize::new(0));
    let send = async |target, pieces: usize| {
        let read = Arc::clone(&read);
        let body = stream::iter(0..pieces).map(move |_| {
            read.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from(vec![0; PIECE]))
        });
        let request = post(target).body(Body::from_stream(body)).unwrap();
        app(daemon).connect(peer.clone())(request).await.status().as_u16()
    };
    assert_eq!(send("/denied", 4).await, 401);
    read.store(0, Ordering::Relaxed);
    let answers = tokio::join!(send("/", 10), send("/", 10), send("/", 10));
    assert_eq!(answers, (429, 429, 429));
    daemon.frame.tasks.close();
    daemon.frame.tasks.wait().await;
    read.load(Ordering::Relaxed)
}

#[tokio::test]
async fn of_a_peer_that_has_to_wait_two_large_bodies_are_read_to_their_ends_so_that_it_reads_its_answer()
 {
    // Of the third one the first piece was looked at.
    assert_eq!(pieces_read_of_three_unwanted_bodies(&Daemon::unlimited()).await, 10 + 10 + 1);
}

#[tokio::test]
async fn a_peer_with_no_place_left_for_answers_that_wait_gets_no_more_bodies_read_for_that() {
    let daemon = Daemon::unlimited();
    let allowance = daemon.frame.allowance(&Peer::unverified("spiffe://a/b"));
    let places: Vec<_> = std::iter::from_fn(|| allowance.delayed.take(1).ok()).collect();
    assert!(!places.is_empty());
    assert_eq!(pieces_read_of_three_unwanted_bodies(&daemon).await, 10 + 10 + 1);
}
