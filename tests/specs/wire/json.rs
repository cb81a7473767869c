//! Go's JSON through the wire (wire-api 4.2, Q-19).

use anyhow::Result;

use super::{GET, LIST, PUT, WHO_CAN};
use crate::scenario;

#[tokio::test]
async fn bodies_are_read_as_gos_decoder_reads_them() -> Result<()> {
    let cluster = scenario().start().await?;
    for (what, body, values) in [
        (
            "unknown keys",
            r#"{"path":"p","values":{"k":"v"},"extra":[1,{"x":null}]}"#,
            r#"{"k":"v"}"#,
        ),
        ("keys in another case", r#"{"PATH":"p","Values":{"k":"v"}}"#, r#"{"k":"v"}"#),
        ("the last of two", r#"{"path":"x","path":"p","values":{"k":"v"}}"#, r#"{"k":"v"}"#),
        (
            "objects unite",
            r#"{"path":"p","values":{"a":"1"},"values":{"b":"2"}}"#,
            r#"{"a":"1","b":"2"}"#,
        ),
        ("a null value", r#"{"path":"p","values":{"k":null}}"#, r#"{"k":""}"#),
        ("null values", r#"{"path":"p","values":null}"#, "{}"),
        ("white space", " \t\r\n{\"path\":\"p\",\"values\":{\"k\":\"v\"}} \n", r#"{"k":"v"}"#),
        (
            "escapes",
            r#"{"path":"\u0070","values":{"k":"\u003c\ud83d\ude00"}}"#,
            r#"{"k":"\u003c😀"}"#,
        ),
    ] {
        assert_eq!(cluster.post(PUT, body).await?.status_and_body(), (200, "{}"), "{what}");
        let read = cluster.post(GET, r#"{"path":"p"}"#).await?;
        let want = format!(r#"{{"data":{values}}}"#);
        assert_eq!(read.status, 200, "{what}");
        assert_eq!(read.json(), serde_json::from_str::<serde_json::Value>(&want)?, "{what}");
    }
    cluster.stop().await
}

/// Bodies of our own routes were read by stricter rules: each of these was a bad request.
#[tokio::test]
async fn the_bodies_of_our_own_routes_are_read_so_too() -> Result<()> {
    let cluster = scenario().start().await?;
    let plain = cluster.post(WHO_CAN, r#"{"path":"p","permission":"read"}"#).await?;
    assert_eq!(plain.status, 200);
    for (what, body) in [
        ("keys in another case", r#"{"PATH":"p","Permission":"read"}"#),
        ("the last of two", r#"{"path":"x","path":"p","permission":"read"}"#),
        ("null after a value", r#"{"path":"p","permission":"read","path":null}"#),
        ("unknown keys", r#"{"path":"p","permission":"read","extra":[{}]}"#),
    ] {
        let answer = cluster.post(WHO_CAN, body).await?;
        assert_eq!(answer.status_and_body(), plain.status_and_body(), "{what}");
    }
    let nothing = cluster.post(WHO_CAN, "null").await?;
    assert_eq!(nothing.status, 400);
    let field = nothing.json()["reason"].clone();
    assert!(field.as_str().is_some_and(|reason| reason.contains("permission")), "{field}");
    cluster.stop().await
}

#[tokio::test]
async fn what_is_not_utf_8_becomes_the_replacement_character() -> Result<()> {
    let cluster = scenario().start().await?;
    let body = b"{\"path\":\"p\",\"values\":{\"k\":\"a\xffb\"}}";
    assert_eq!(cluster.post(PUT, body).await?.status_and_body(), (200, "{}"));
    let read = cluster.post(GET, r#"{"path":"p"}"#).await?;
    assert_eq!(read.json()["data"]["k"], "a\u{fffd}b");
    cluster.stop().await
}

#[tokio::test]
async fn what_gos_decoder_refuses_is_a_bad_request() -> Result<()> {
    let cluster = scenario().start().await?;
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(10_001), "]".repeat(10_001));
    for (what, body) in [
        ("an array", "[]"),
        ("a string", r#""x""#),
        ("a number", "1"),
        ("something behind it", "{} {}"),
        ("a byte order mark", "\u{feff}{}"),
        ("half of it", r#"{"path":"#),
        ("a path that is a number", r#"{"path":1}"#),
        ("too deep", &deep),
    ] {
        let answer = cluster.post(GET, body).await?;
        assert_eq!(
            answer.status_and_body(),
            (400, r#"{"data":null,"err":"api_bad_request"}"#),
            "{what}"
        );
    }
    assert_eq!(cluster.post(LIST, "{}").await?.status, 200);
    cluster.stop().await
}

/// As Go's encoder writes them; any reader of JSON gets the same text.
#[tokio::test]
async fn what_go_escapes_in_answers_is_escaped() -> Result<()> {
    let cluster = scenario().start().await?;
    let body = r#"{"path":"p","values":{"k":"<&>\u2028\u2029"}}"#;
    assert_eq!(cluster.post(PUT, body).await?.status, 200);
    let read = cluster.post(GET, r#"{"path":"p"}"#).await?;
    assert_eq!(read.status_and_body(), (200, r#"{"data":{"k":"\u003c\u0026\u003e\u2028\u2029"}}"#));
    cluster.stop().await
}
