//! Routing (wire-api 3): the order of matching, and the answers without a handler.

use anyhow::Result;
use spike_tests::SUPERUSER;

use super::{BAD_REQUEST, PUT};
use crate::scenario;

#[tokio::test]
async fn every_method_but_post_is_a_bad_request_and_head_has_the_headers_of_one() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
    for method in ["GET", "PUT", "DELETE", "PATCH", "FOO", "OPTIONS"] {
        let answer =
            superuser.exchange(format!("{method} {PUT} HTTP/1.1\r\nHost: x\r\n\r\n")).await?;
        assert_eq!(answer.status_and_body(), (400, BAD_REQUEST), "{method}");
        assert_eq!(answer.header("allow"), None, "{method}");
    }
    superuser.send(format!("HEAD {PUT} HTTP/1.1\r\nHost: x\r\n\r\n")).await?;
    let head = superuser.answer_without_body().await?;
    assert_eq!(head.status, 400);
    assert_eq!(head.header("content-length"), Some("25"));
    // The next answer shows that there was no body.
    assert_eq!(superuser.post("/v1/foo", "{}").await?.status_and_body(), (400, BAD_REQUEST));
    cluster.stop().await
}

#[tokio::test]
async fn escapes_in_a_path_are_undone_before_it_is_matched() -> Result<()> {
    let cluster = scenario().start().await?;
    for (target, status) in [
        ("/v1/store/secret%73?action=list", 200),
        ("/v1/store/secrets?%61ction=l%69st", 200),
        ("/v1/store/secrets?action=list#fragment", 200),
        ("https://elsewhere.example/v1/store/secrets?action=list", 200),
        ("/V1/store/secrets?action=list", 400),
        ("/v1/store/secrets?Action=list", 400),
        ("/v1/store/secrets?action=list;x=1", 400),
        ("/v1/store/secrets?x=%zz&action=list", 200),
        ("/v1%2Fstore/secrets?action=list", 200),
    ] {
        assert_eq!(cluster.post(target, "{}").await?.status, status, "{target}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn an_unclean_path_is_redirected_to_its_clean_form_with_the_query_kept() -> Result<()> {
    let cluster = scenario().start().await?;
    for (target, location) in [
        ("/v1//store/secrets?action=list", "/v1/store/secrets?action=list"),
        ("/v1/./store/secrets", "/v1/store/secrets"),
        ("/v1/x/../store/secrets?a=b&c", "/v1/store/secrets?a=b&c"),
    ] {
        let answer = cluster.post(target, "{}").await?;
        assert_eq!(answer.status_and_body(), (307, ""), "{target}");
        assert_eq!(answer.header("location"), Some(location), "{target}");
        assert_eq!(answer.header("content-type"), None, "{target}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn what_gos_server_answers_by_itself_is_answered_alike() -> Result<()> {
    let cluster = scenario().start().await?;
    let dialer = cluster.dial_as(SUPERUSER)?;
    let options = "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = dialer.connect().await?.exchange(options).await?;
    assert_eq!(answer.status_and_body(), (200, ""));
    assert_eq!(answer.header("content-length"), Some("0"));

    let connect = "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n";
    let answer = dialer.connect().await?.exchange(connect).await?;
    assert_eq!(answer.status_and_body(), (404, "404 page not found\n"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));

    let no_host = format!("POST {PUT} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}");
    let answer = dialer.connect().await?.exchange(no_host).await?;
    assert_eq!(answer.status_and_body(), (400, "400 Bad Request: missing required Host header"));
    cluster.stop().await
}
