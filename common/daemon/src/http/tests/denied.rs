//! Bodies of denied requests.

use super::*;

#[tokio::test]
async fn bodies_that_break_off_do_not_escape_the_limit_on_denials() {
    let daemon = Daemon::unlimited();
    let answer = app(&daemon).connect(Peer::unverified("spiffe://a/b"));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let parts = [Ok("12"), Err(std::io::Error::other("gone"))];
        let broken = Body::from_stream(futures_util::stream::iter(parts));
        statuses.push(answer(post("/").body(broken).unwrap()).await.status().as_u16());
    }
    assert_eq!(statuses, [400, 400, 429]);
}

#[tokio::test]
async fn a_large_body_that_was_read_for_nothing_counts_as_many_denials_and_the_next_is_not_read() {
    const LARGE: usize = 100 * 1024;
    let daemon = Daemon::unlimited();
    let peer = Peer::unverified("spiffe://a/b");
    let send = async |target, length| {
        let request = post(target).body(Body::from(vec![b'x'; length])).unwrap();
        app(&daemon).connect(peer.clone())(request).await.status().as_u16()
    };
    assert_eq!(send("/denied", LARGE).await, 401);
    assert!(!peer.pause().is_on());
    let mut refused = std::pin::pin!(send("/", LARGE));
    while !peer.pause().is_on() {
        assert!(poll!(refused.as_mut()).is_pending(), "its connection is not read meanwhile");
    }
    assert_eq!(refused.await, 429);
    assert_eq!(send("/", 100).await, 200, "a small request is carried out");
    let another = Peer::unverified("spiffe://a/b");
    drop(app(&daemon).connect(another.clone()));
    assert!(another.pause().is_on(), "another connection is no way around it");
    let somebody_else = Peer::unverified("spiffe://a/c");
    drop(app(&daemon).connect(somebody_else.clone()));
    assert!(!somebody_else.pause().is_on());
}

/// A connection whose first burst had not come did not know of it.
#[tokio::test]
async fn every_connection_of_an_id_knows_that_it_is_slowed_down_while_an_answer_is_delayed() {
    let daemon = Daemon::unlimited();
    let peers = ["spiffe://a/b", "spiffe://a/b", "spiffe://a/c"].map(Peer::unverified);
    let answers = peers.each_ref().map(|peer| app(&daemon).connect(peer.clone()));
    let are_slow = || peers.each_ref().map(|peer| peer.pause().is_slowed_down());
    let denied = || post("/denied").body(Body::empty()).unwrap();
    for _ in 0..2 {
        assert_eq!(answers[0](denied()).await.status(), 401);
    }
    assert_eq!(are_slow(), [false; 3]);
    let mut delayed = answers[0](denied());
    while are_slow() == [false; 3] {
        assert!(poll!(&mut delayed).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(are_slow(), [true, true, false]);
    assert_eq!(delayed.await.status(), 429);
    assert_eq!(are_slow(), [false; 3]);
}
