//! Encryption as a service: N11 and N12 in both modes (wire-api 7, rows 17 to 22 and 27 to 30; crypto-and-storage 9).

use anyhow::{Context, Result};
use bytes::Bytes;
use http::StatusCode;
use spike_mtls::client::{CallError, NexusClient};
use spike_tests::{
    SUPERUSER,
    policies::allow,
    raw::{Answer, Connection},
};
use spike_wire::{DecryptRequest, EncryptRequest, SecretBytes};

use crate::{WORKLOAD, scenario};

const ENCRYPT: &str = "/v1/cipher/encrypt";
const DECRYPT: &str = "/v1/cipher/decrypt";
const STREAM: &str = "application/octet-stream";
const LITE: &str = "/spike/workload/role/lite";

/// The largest plaintext: the limit on ciphertext without its tag.
const LARGEST: usize = 65_520;

fn status<T>(answer: Result<T, CallError>) -> Option<StatusCode> {
    answer.err().and_then(|error| error.status())
}

fn plaintext(bytes: &[u8]) -> EncryptRequest {
    EncryptRequest { plaintext: SecretBytes::from(bytes) }
}

/// Encrypts and decrypts in both modes.
async fn round_trip(client: &NexusClient, bytes: &[u8]) -> Result<(), CallError> {
    let sealed = client.encrypt(&plaintext(bytes)).await?;
    assert_eq!((sealed.version, sealed.nonce.len()), (1, 12));
    assert_eq!(sealed.ciphertext.len(), bytes.len() + 16);
    let request = DecryptRequest {
        version: sealed.version,
        nonce: sealed.nonce.clone(),
        ciphertext: sealed.ciphertext.clone(),
    };
    let opened = client.decrypt(&request).await?;
    assert!(opened.plaintext.expose_secret() == bytes);

    let stream = client.encrypt_stream(Bytes::copy_from_slice(bytes)).await?;
    assert_eq!((stream.first(), stream.len()), (Some(&1), bytes.len() + 29));
    assert!(client.decrypt_stream(stream).await? == bytes);
    // What one mode wrote the other reads.
    let framed = [&[1], sealed.nonce.as_slice(), &sealed.ciphertext].concat();
    assert!(client.decrypt_stream(framed.into()).await? == bytes);
    Ok(())
}

async fn post(
    connection: &mut Connection,
    target: &str,
    kind: &str,
    body: &[u8],
) -> Result<Answer> {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.exchange([head.as_bytes(), body].concat()).await
}

/// F15, Q-24, row 29: upstream encrypts 65,521 to 65,536 bytes, which nobody can decrypt again.
#[tokio::test]
async fn what_is_encrypted_can_be_decrypted_and_what_could_not_be_is_refused() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    for size in [0, 1, LARGEST] {
        round_trip(&superuser, &vec![0xa5; size]).await?;
    }
    for size in [LARGEST + 1, 65_536, 65_550, 65_551, 200_000] {
        let bytes = vec![0xa5; size];
        let json = status(superuser.encrypt(&plaintext(&bytes)).await);
        assert_eq!(json, Some(StatusCode::BAD_REQUEST), "{size}");
        let stream = status(superuser.encrypt_stream(bytes.into()).await);
        assert_eq!(stream, Some(StatusCode::BAD_REQUEST), "{size}");
    }
    let first = superuser.encrypt(&plaintext(b"x")).await?;
    let second = superuser.encrypt(&plaintext(b"x")).await?;
    assert_ne!(first.nonce, second.nonce);
    cluster.stop().await
}

/// K7: releases up to 0.8.0 wrote the character `1` where later ones write the byte 1.
#[tokio::test]
async fn both_version_bytes_are_read_in_both_modes_and_no_other() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let stream = superuser.encrypt_stream(Bytes::from_static(b"old")).await?;
    let sealed = superuser.encrypt(&plaintext(b"old")).await?;
    for (version, readable) in
        [(0x01, true), (0x31, true), (0x00, false), (0x02, false), (0x30, false), (0xff, false)]
    {
        let mut other = stream.to_vec();
        other[0] = version;
        let request = DecryptRequest {
            version,
            nonce: sealed.nonce.clone(),
            ciphertext: sealed.ciphertext.clone(),
        };
        let json = superuser.decrypt(&request).await;
        let stream = superuser.decrypt_stream(other.into()).await;
        assert_eq!((json.is_ok(), stream.is_ok()), (readable, readable), "{version}");
        if readable {
            assert_eq!(json?.plaintext.expose_secret(), b"old");
            assert_eq!(stream?, "old");
        } else {
            assert_eq!(
                (status(json), status(stream)),
                (Some(StatusCode::BAD_REQUEST), Some(StatusCode::BAD_REQUEST))
            );
        }
    }
    cluster.stop().await
}

/// F11, Q-26, rows 27 and 28: upstream answers 500 in JSON mode.
#[tokio::test]
async fn tampered_input_is_a_bad_request_in_both_modes() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let sealed = superuser.encrypt(&plaintext(b"hello")).await?;
    let good = DecryptRequest {
        version: 1,
        nonce: sealed.nonce.clone(),
        ciphertext: sealed.ciphertext.clone(),
    };
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    for at in 0..sealed.nonce.len() + sealed.ciphertext.len() {
        let mut bad = good.clone();
        match at.checked_sub(12) {
            None => bad.nonce[at] ^= 1,
            Some(at) => bad.ciphertext[at] ^= 0x80,
        }
        let row_27 = connection.post(DECRYPT, bad.encode()).await?;
        assert_eq!(
            row_27.status_and_body(),
            (400, r#"{"plaintext":null,"err":"api_bad_request"}"#),
            "{at}"
        );
        let framed = [&[1], bad.nonce.as_slice(), &bad.ciphertext].concat();
        let row_28 = post(&mut connection, DECRYPT, STREAM, &framed).await?;
        assert_eq!(row_28.status_and_body(), (400, "decryption failed\n"), "{at}");
        assert!(row_28.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    }
    cluster.stop().await
}

#[tokio::test]
async fn a_stream_that_is_cut_short_says_where_in_upstreams_words() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    let large = [&[1][..], &vec![0; 12 + 65_537]].concat();
    for (body, told) in [
        (&b""[..], "crypto_failed_to_read_version\n"),
        (b"\x02", "crypto_unsupported_version\n"),
        (b"\x01", "crypto_failed_to_read_nonce\n"),
        (b"\x01elevenbytes", "crypto_failed_to_read_nonce\n"),
        (b"\x01twelve bytes", "decryption failed\n"),
        (&large, r#"{"plaintext":null,"err":"api_bad_request"}"#),
    ] {
        let answer = post(&mut connection, DECRYPT, STREAM, body).await?;
        assert_eq!(answer.status_and_body(), (400, told), "{} bytes", body.len());
    }
    cluster.stop().await
}

/// Rows 17 to 19 and 22, and wire-api 5.3: who may, and when that is checked.
#[tokio::test]
async fn rows_17_to_22_the_cipher_is_for_superuser_lite_and_whom_a_policy_lets() -> Result<()> {
    let cluster = scenario().start().await?;
    let (superuser, workload, lite) =
        (cluster.superuser()?, cluster.as_id(WORKLOAD)?, cluster.as_id(LITE)?);
    let row_17 = cluster.post_as(WORKLOAD, DECRYPT, "{").await?;
    assert_eq!(
        row_17.status_and_body(),
        (401, r#"{"plaintext":null,"err":"access_unauthorized"}"#)
    );
    let encrypt_error =
        |code: &str| format!(r#"{{"version":0,"nonce":null,"ciphertext":null,"err":"{code}"}}"#);
    let row_18 = cluster.post_as(WORKLOAD, ENCRYPT, "{").await?;
    assert_eq!(row_18.status_and_body(), (400, encrypt_error("api_bad_request").as_str()));
    let refused = cluster.post_as(WORKLOAD, ENCRYPT, "{}").await?;
    assert_eq!(refused.status_and_body(), (401, encrypt_error("access_unauthorized").as_str()));
    for target in [ENCRYPT, DECRYPT] {
        let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
        let raw = post(&mut connection, target, STREAM, b"x").await?;
        assert_eq!(raw.status, 401, "{target}");
        assert!(raw.body.contains("access_unauthorized"), "JSON in raw mode too: {}", raw.body);
    }
    // The denial arrives although nothing of the body was read.
    let large = Bytes::from(vec![1; LARGEST]);
    assert_eq!(
        status(workload.decrypt_stream(large.clone()).await),
        Some(StatusCode::UNAUTHORIZED)
    );
    assert_eq!(status(workload.encrypt_stream(large).await), Some(StatusCode::UNAUTHORIZED));
    round_trip(&lite, b"row 19").await?;
    round_trip(&superuser, b"as before").await?;
    assert!(round_trip(&workload, b"not yet").await.is_err());
    for (permission, may) in [("read", false), ("write", false), ("super", true), ("execute", true)]
    {
        superuser
            .put_policy(&allow("p", WORKLOAD, "^spike/system/cipher/exec$", &[permission]))
            .await?;
        assert_eq!(round_trip(&workload, b"row 22").await.is_ok(), may, "{permission}");
    }
    cluster.stop().await
}

/// Row 30, Q-8: only the exact content type selects raw mode.
#[tokio::test]
async fn row_30_every_content_type_but_one_means_json() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    let json = br#"{"plaintext":"aGVsbG8=","algorithm":"whatever"}"#;
    for kind in [
        "application/octet-stream; charset=x",
        "application/octet-stream;",
        "Application/Octet-Stream",
        "application/json",
        "text/plain",
        "",
    ] {
        let answer = post(&mut connection, ENCRYPT, kind, json).await?;
        let body = answer.json();
        assert_eq!((answer.status, body["version"].as_u64()), (200, Some(1)), "{kind:?}: {body}");
    }
    cluster.stop().await
}

/// Q-8: the Go SDK streams, so its bodies come in chunks.
#[tokio::test]
async fn a_body_in_chunks_is_as_good_as_any() -> Result<()> {
    let cluster = scenario().start().await?;
    let sealed = cluster.superuser()?.encrypt_stream(Bytes::from_static(b"hello")).await?;
    let mut request = format!(
        "POST {DECRYPT} HTTP/1.1\r\nHost: x\r\nContent-Type: {STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in sealed.chunks(7) {
        request.extend(format!("{:x}\r\n", piece.len()).bytes());
        request.extend_from_slice(piece);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    let answer = connection.exchange(request).await?;
    assert_eq!(answer.status_and_body(), (200, "hello"));
    assert_eq!(answer.header("content-type"), Some(STREAM));
    cluster.stop().await
}

/// cli-config-deploy 1.6: upstream's SDK reports any status that it does not know, 413 too, as "cannot connect".
#[tokio::test]
async fn what_is_over_the_limit_is_refused_in_a_way_that_upstreams_sdk_understands() -> Result<()> {
    let cluster = scenario().start().await?;
    let far_over = "A".repeat(LARGEST * 6 / 4 * 4);
    let json = format!(r#"{{"plaintext":"{far_over}"}}"#);
    let answer = cluster.post(ENCRYPT, &json).await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["err"], "api_bad_request");
    assert!(body["reason"].as_str().is_some_and(|reason| reason.contains("larger than")), "{body}");
    let json = format!(r#"{{"version":1,"nonce":"{}","ciphertext":"{far_over}"}}"#, "A".repeat(16));
    assert_eq!(cluster.post(DECRYPT, &json).await?.status, 400);
    cluster.stop().await
}

/// Q-30: upstream reads it whole, for anybody.
#[tokio::test]
async fn a_hundred_mebibytes_are_refused_early_and_take_no_memory() -> Result<()> {
    const HUGE: usize = 100 << 20;
    const PIECE: usize = 64 << 10;
    let mut cluster = scenario().start().await?;
    let pid = cluster.nexus().pid().context("Nexus does not run")?;
    round_trip(&cluster.superuser()?, &vec![1; LARGEST]).await?;
    let before = resident_kib(pid)?;
    for target in [ENCRYPT, DECRYPT] {
        // The request says that it is too large, so nothing of it is read.
        let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {STREAM}\r\nContent-Length: {HUGE}\r\n\r\n"
        );
        assert_eq!(connection.exchange(head).await?.status, 400, "{target}");
        // The request does not say so; the answer comes soon after the limit.
        let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let piece = [format!("{PIECE:x}\r\n").as_bytes(), &vec![0; PIECE], b"\r\n"].concat();
        connection.send([head.as_bytes(), &piece.repeat(5)].concat()).await?;
        assert_eq!(connection.answer().await?.status, 400, "{target}");
        let mut sent = 5 * PIECE;
        while sent < HUGE && connection.send(&piece).await.is_ok() {
            sent += PIECE;
        }
    }
    let grown = resident_kib(pid)?.saturating_sub(before);
    assert!(grown < 16 * 1024, "Nexus grew by {grown} KiB");
    round_trip(&cluster.superuser()?, b"it still serves").await?;
    cluster.stop().await
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
