//! HTTP versions, headers and framing (wire-api 2.2 to 2.4, 4.1).

use anyhow::Result;
use spike_daemon::settings::Backend;
use spike_tests::SUPERUSER;

use super::{BAD_REQUEST, GET, LIST, PUT};
use crate::scenario;

#[tokio::test]
async fn every_json_answer_carries_the_headers_that_keep_it_out_of_caches() -> Result<()> {
    let cluster = scenario().start().await?;
    for (target, body, status) in
        [(LIST, "{}", 200), (GET, r#"{"path":"nowhere"}"#, 404), ("/v1/foo", "{}", 400)]
    {
        let answer = cluster.post(target, body).await?;
        assert_eq!(answer.status, status);
        assert_eq!(answer.version, "HTTP/1.1");
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store, no-cache, must-revalidate, private"),
            ("pragma", "no-cache"),
            ("expires", "0"),
            ("content-length", &answer.body.len().to_string()),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {target}");
        }
        assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")));
    }
    cluster.stop().await
}

/// Q-9: the Go SDK sends no ALPN at all; curl asks for HTTP/2.
#[tokio::test]
async fn http_1_1_works_without_alpn_and_http_2_with_it() -> Result<()> {
    let cluster = scenario().start().await?;
    let dial = || cluster.dial_as(SUPERUSER);
    let mut without = dial()?.connect().await?;
    assert_eq!(without.alpn(), None);
    assert_eq!(without.post(LIST, "{}").await?.status_and_body(), (200, r#"{"keys":[]}"#));

    let mut http1 = dial()?.offering("http/1.1").connect().await?;
    assert_eq!(http1.alpn().as_deref(), Some("http/1.1"));
    assert_eq!(http1.post(LIST, "{}").await?.status, 200);

    let http2 = dial()?.offering("h2").offering("http/1.1").connect().await?;
    assert_eq!(http2.alpn().as_deref(), Some("h2"));
    let answer = http2.http2().await?.post(LIST, "{}").await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.body().as_ref(), br#"{"keys":[]}"#);
    assert_eq!(answer.headers()["cache-control"], "no-store, no-cache, must-revalidate, private");
    cluster.stop().await
}

#[tokio::test]
async fn http_1_0_is_answered_too() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
    let request = format!("POST {LIST} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}");
    assert_eq!(superuser.exchange(request).await?.status_and_body(), (200, r#"{"keys":[]}"#));
    superuser.ended().await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_chunked_body_is_taken_also_when_it_is_empty() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
    let head = |target: &str| {
        format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    };
    let chunks = head(LIST) + "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    assert_eq!(superuser.exchange(chunks).await?.status_and_body(), (200, r#"{"keys":[]}"#));
    let empty = head(LIST) + "0\r\n\r\n";
    let answer = superuser.exchange(empty).await?;
    assert_eq!(answer.status_and_body(), (400, r#"{"keys":null,"err":"api_bad_request"}"#));
    let broken = superuser.exchange(head(LIST) + "zz\r\n").await?;
    assert_eq!(broken.status, 400);
    superuser.ended().await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_continue() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
    superuser
        .send(format!(
            "POST {LIST} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        ))
        .await?;
    assert_eq!(superuser.answer_without_body().await?.status, 100);
    assert_eq!(superuser.exchange("{}").await?.status_and_body(), (200, r#"{"keys":[]}"#));
    cluster.stop().await
}

#[tokio::test]
async fn a_client_that_has_nothing_more_to_say_still_gets_its_answer() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start().await?;
    let body = r#"{"path":"app/db","values":{"name":"value"}}"#;
    let length = body.len();
    let put = format!("POST {PUT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    for _ in 0..20 {
        let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
        superuser.send(&put).await?;
        // The put is still being committed.
        superuser.end_sending().await?;
        assert_eq!(superuser.answer().await?.status_and_body(), (200, "{}"));
        superuser.ended().await?;
    }
    cluster.stop().await
}

#[tokio::test]
async fn the_content_type_of_a_request_does_not_matter() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
    for line in ["", "Content-Type: text/plain\r\n", "Content-Type: application/octet-stream\r\n"] {
        let request =
            format!("POST {LIST} HTTP/1.1\r\nHost: x\r\n{line}Content-Length: 2\r\n\r\n{{}}");
        assert_eq!(superuser.exchange(request).await?.status, 200, "{line:?}");
    }
    cluster.stop().await
}

/// wire-api 2.4.
#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431_and_closed() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
    let padding = "p".repeat(200 * 1024);
    let request = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nX-Padding: {padding}\r\n\r\n");
    assert_eq!(superuser.exchange(request).await?.status, 431);
    superuser.ended().await?;
    cluster.stop().await
}

/// Q-30; and the status must reach a client that is still sending (wire-api 4.3).
#[tokio::test]
async fn a_body_that_is_too_large_is_answered_413_and_not_kept() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_MAX_BODY_SIZE", "10000").start().await?;
    let put = |size: usize| format!(r#"{{"path":"e","values":{{"k":"{}"}}}}"#, "v".repeat(size));
    assert_eq!(cluster.post(PUT, put(9_000)).await?.status_and_body(), (200, "{}"));
    for size in [10_000, 200_000] {
        let answer = cluster.post(PUT, put(size)).await?;
        assert_eq!(answer.status_and_body(), (413, BAD_REQUEST), "{size}");
        let limit = "the body is larger than 10000 bytes (SPIKE_HTTP_SERVER_MAX_BODY_SIZE)";
        assert_eq!(answer.json()["reason"], limit, "{size}");
    }
    cluster.stop().await
}
