//! The audit log as evidence: whatever comes to Nexus has exactly one line, and what is done to the lines afterwards is found.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use spike_tests::{
    PATIENCE, Running, SUPERUSER, eventually,
    hostile::{
        Http2Peer, Leave, PeerBehaviour,
        frame::{CANCEL, Frame},
    },
    raw::{Answer, Connection, Dialer},
};
use tempfile::TempDir;

use super::{pid_of_nexus, records, rotated};
use crate::{WORKLOAD, scenario};

/// In every value and in every broken body.
const PLANTED: &str = "planted-5b1f0c";

/// How often each kind of request is sent, by each of some clients at the same time.
const ROUNDS: usize = 250;
const CLIENTS: usize = 4;

/// How many handshakes are refused, how many requests are none, and how many clients and streams go away: fewer than are only
/// counted.
const REFUSED: usize = 40;
const MALFORMED: usize = 40;
const DROPPED: usize = 40;

/// Who sent a request, and the status that it was answered with, by its id.
type Answered = BTreeMap<String, (String, u16)>;

/// A cluster whose Nexus has an audit file in a directory of its own.
async fn with_file(settings: &[(&str, &str)]) -> Result<(Running, PathBuf, TempDir)> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = dir.path().join("nexus-audit.log");
    let path = file.to_str().context("a path that is text")?;
    // The workload is denied more often than one may be.
    let plan = scenario()
        .setting("SPIKE_AUDIT_FILE", path)
        .setting("SPIKE_HTTP_SERVER_DENIALS_PER_SECOND", "0")
        .setting("SPIKE_HTTP_SERVER_DENIALS_BURST", "0");
    let plan = settings.iter().fold(plan, |plan, (name, value)| plan.setting(name, value));
    Ok((plan.start().await?, file, dir))
}

/// One of the superuser, and one of a workload that may do nothing.
struct Connections {
    operator: Connection,
    denied: Connection,
}

async fn connect(cluster: &Running) -> Result<Connections> {
    let operator = cluster.dial_as(SUPERUSER)?.connect().await?;
    Ok(Connections { operator, denied: cluster.dial_as(WORKLOAD)?.connect().await? })
}

/// Sends every kind of request, `rounds` times.
async fn send_all(connections: Connections, client: usize, rounds: usize) -> Result<Answered> {
    let Connections { mut operator, mut denied } = connections;
    let mut answered = Answered::new();
    for round in 0..rounds {
        let path = format!("evidence/{client}/{}", round % 20);
        let put = format!(r#"{{"path":"{path}","values":{{"k":"{PLANTED}"}}}}"#);
        let get = format!(r#"{{"path":"{path}"}}"#);
        let broken = format!(r#"{{"path":"{path}","values":{{"k":"{PLANTED}"#);
        let kinds = [
            (SUPERUSER, "/v1/store/secrets", &put),
            (SUPERUSER, "/v1/store/secrets?action=get", &get),
            (SUPERUSER, "/v1/store/secrets?action=list", &get),
            (SUPERUSER, "/v1/store/secrets?action=get", &r#"{"path":"evidence/none"}"#.to_owned()),
            (SUPERUSER, "/v1/store/secrets", &broken),
            (SUPERUSER, "/v1/acl/policy?action=list", &"{}".to_owned()),
            (SUPERUSER, "/v1/nothing?action=get", &get),
            (WORKLOAD, "/v1/store/secrets?action=get", &get),
            (WORKLOAD, "/v1/store/secrets", &put),
            (WORKLOAD, "/v1/operator/recover", &broken),
        ];
        for (who, target, body) in kinds {
            let connection = if who == SUPERUSER { &mut operator } else { &mut denied };
            let answer: Answer = connection.post(target, body).await?;
            let id = answer.request_id()?.to_owned();
            let before = answered.insert(id, (format!("spiffe://spike.ist{who}"), answer.status));
            ensure!(before.is_none(), "two requests have the same id");
        }
    }
    Ok(answered)
}

/// Sends a whole request and goes away without its answer.
async fn go_away(dialer: &Dialer, number: usize) -> Result<()> {
    let mut connection: Connection = dialer.connect().await?;
    let body = format!(r#"{{"path":"dropped/{number}","values":{{"k":"{PLANTED}"}}}}"#);
    let length = body.len();
    let head = format!(
        "POST /v1/store/secrets HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.send(head).await?;
    ensure!(connection.answer_without_body().await?.status == 100, "it is not read");
    connection.send(body).await?;
    let way = match number % 3 {
        0 => Leave::Reset,
        1 => Leave::Close,
        _ => Leave::Cut,
    };
    way.leave(connection).await?;
    Ok(())
}

/// Sends whole requests over HTTP/2 and resets their streams.
async fn reset_streams(dialer: &Dialer, count: usize) -> Result<()> {
    let mut peer = Http2Peer::connect(dialer, PeerBehaviour::STAYS).await?;
    for number in 0..count {
        let body = format!(r#"{{"path":"reset/{number}","values":{{"k":"{PLANTED}"}}}}"#);
        let stream = peer.ask("/v1/store/secrets", body.as_bytes()).await?;
        peer.has_read_all().await?;
        peer.send(&Frame::reset(stream, CANCEL)).await?;
    }
    peer.has_read_all().await
}

/// `spike audit verify` of these files: its status and its findings.
async fn verify(
    cluster: &Running,
    options: &[&str],
    files: &[PathBuf],
) -> Result<(i32, Vec<Value>)> {
    let files = files.iter().map(|file| file.to_str().context("a path that is text"));
    let files = files.collect::<Result<Vec<_>>>()?;
    let arguments = [&["audit", "verify", "-f", "json"], options, &files].concat();
    let ran = cluster.spike(&arguments).await?;
    let answer: Value = serde_json::from_str(ran.text()?).with_context(|| format!("{ran:?}"))?;
    let findings = answer.get("findings").and_then(Value::as_array).context("no findings")?.clone();
    Ok((ran.status.context("it was killed")?, findings))
}

/// Waits until Nexus writes to a new file in place of one that was renamed.
async fn until_there(file: &Path) -> Result<()> {
    eventually("the next audit file", PATIENCE, async || {
        Ok(fs::metadata(file).is_ok_and(|file| file.len() > 0).then_some(()))
    })
    .await
}

fn field<'a>(record: &'a Value, name: &str) -> &'a str {
    let field = record.get("audit").and_then(|audit| audit.get(name));
    field.and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_of_all_kinds_have_one_true_line_each_in_a_chain_that_verifies()
-> Result<()> {
    let (mut cluster, file, _dir) = with_file(&[]).await?;
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        clients.push(tokio::spawn(send_all(connect(&cluster).await?, client, ROUNDS)));
    }
    for number in 0..REFUSED {
        let stranger = cluster.stranger().tls13().connect().await?.ended().await;
        ensure!(stranger?.is_some(), "stranger {number} was let in");
    }
    for number in 0..DROPPED {
        go_away(&cluster.dial_as(SUPERUSER)?, number).await?;
    }
    reset_streams(&cluster.dial_as(SUPERUSER)?.offering("h2"), DROPPED).await?;
    for number in 0..MALFORMED {
        let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
        let answer = connection.exchange("nonsense\r\n\r\n").await?;
        ensure!(answer.status == 400, "number {number}: {answer:?}");
    }
    // Renamed without a signal, and then with one.
    fs::rename(&file, rotated(&file, 2))?;
    until_there(&file).await?;
    let mut answered = Answered::new();
    for client in clients {
        answered.extend(client.await??);
    }
    assert_eq!(answered.len(), 10 * ROUNDS * CLIENTS);
    fs::rename(&file, rotated(&file, 1))?;
    kill_process(pid_of_nexus(&mut cluster)?, Signal::HUP)?;
    until_there(&file).await?;
    answered.extend(send_all(connect(&cluster).await?, CLIENTS, 1).await?);
    // The chain goes on over an end that nobody could prepare.
    cluster.nexus().kill().await?;
    cluster.restart_nexus().await?;
    answered.extend(send_all(connect(&cluster).await?, CLIENTS, 1).await?);

    let files = [rotated(&file, 2), rotated(&file, 1), file.clone()];
    let mut lines: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
    let (mut handshakes, mut malformed, mut dropped, mut opened) = (0, 0, 0, 0);
    for record in files.iter().map(|file| records(file)).collect::<Result<Vec<_>>>()?.concat() {
        let status = u16::try_from(record["audit"]["Status"].as_u64().context("no status")?)?;
        let state = if (1..400).contains(&status) { "audit-success" } else { "audit-errored" };
        match (field(&record, "TrailID"), field(&record, "Action")) {
            ("", "handshake") => handshakes += 1,
            ("", "open") => opened += 1,
            ("", "request") => malformed += 1,
            ("", other) => anyhow::bail!("a line {other}: {record}"),
            (id, _) => {
                assert_eq!(field(&record, "State"), state, "{record}");
                let line = (field(&record, "UserID").to_owned(), status);
                if answered.contains_key(id) {
                    lines.entry(id.to_owned()).or_default().push(line);
                } else {
                    dropped += 1;
                }
            }
        }
    }
    for (id, expected) in &answered {
        assert_eq!(lines.get(id).map(Vec::as_slice), Some(std::slice::from_ref(expected)), "{id}");
    }
    // Two starts and two rotations.
    let counts = (handshakes, malformed, dropped, opened);
    assert_eq!(counts, (REFUSED, MALFORMED, 2 * DROPPED, 4));
    for text in
        files.iter().map(fs::read_to_string).chain([fs::read_to_string(cluster.nexus().log())])
    {
        assert!(!text?.contains(PLANTED), "a value is in a log");
    }
    assert_eq!(verify(&cluster, &[], &files).await?, (0, Vec::new()));
    cluster.stop().await
}

/// The lines of a file, each with its newline.
fn lines_of(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_the_lines_of_a_real_log_is_found_at_its_place() -> Result<()> {
    let (cluster, file, dir) = with_file(&[]).await?;
    send_all(connect(&cluster).await?, 0, 2).await?;
    let old = rotated(&file, 1);
    fs::rename(&file, &old)?;
    until_there(&file).await?;
    send_all(connect(&cluster).await?, 0, 2).await?;
    let (status, health) = cluster.telemetry("/healthz").await?;
    let health: Value = serde_json::from_str(&health)?;
    let head =
        health["auditHeads"][0]["hash"].as_str().with_context(|| format!("{status} {health}"))?;
    let files = [old.clone(), file.clone()];
    assert_eq!(verify(&cluster, &["--head", head], &files).await?, (0, Vec::new()));

    let texts = [fs::read_to_string(&old)?, fs::read_to_string(&file)?];
    let (first, second) = (lines_of(&texts[0]), lines_of(&texts[1]));
    let flipped = first[4].replacen("audit-", "audIt-", 1);
    let whole = |lines: &[&str]| lines.concat();
    let count = first.len();
    let cases = [
        (
            "changed",
            1,
            5,
            [whole(&[&first[..4], &[&flipped], &first[5..]].concat()), whole(&second)],
        ),
        ("missing", 1, 5, [whole(&[&first[..4], &first[5..]].concat()), whole(&second)]),
        ("repeated", 1, 6, [whole(&[&first[..5], &first[4..]].concat()), whole(&second)]),
        (
            "moved",
            1,
            6,
            [whole(&[&first[..4], &[first[5], first[4]], &first[6..]].concat()), whole(&second)],
        ),
        // Over the rotation: the last line of the old file, and the first of the new one.
        ("missing", 2, 1, [whole(&first[..count - 1]), whole(&second)]),
        ("missing", 2, 1, [whole(&first), whole(&second[1..])]),
        ("repeated", 2, 1, [whole(&first), whole(&[&first[count - 1..], &second[..]].concat())]),
        (
            "moved",
            2,
            1,
            [
                whole(&[&first[..count - 1], &second[..1]].concat()),
                whole(&[&first[count - 1..], &second[1..]].concat()),
            ],
        ),
    ];
    let copies = [dir.path().join("copy.1"), dir.path().join("copy.2")];
    for (kind, at, line, contents) in cases {
        for (copy, content) in copies.iter().zip(contents) {
            fs::write(copy, content)?;
        }
        let (status, findings) = verify(&cluster, &["--head", head], &copies).await?;
        let [finding] = &findings[..] else { anyhow::bail!("{kind} {at}:{line}: {findings:#?}") };
        let name = copies[at - 1].to_str().context("a path that is text")?;
        assert_eq!(
            (status, finding["kind"].as_str(), finding["file"].as_str()),
            (7, Some(kind), Some(name))
        );
        assert_eq!(finding["line"], line, "{finding}");
    }
    // Only the head that was kept elsewhere tells of a cut end.
    fs::write(&copies[0], whole(&first))?;
    fs::write(&copies[1], whole(&second[..second.len() - 3]))?;
    assert_eq!(verify(&cluster, &[], &copies).await?, (0, Vec::new()));
    let (status, findings) = verify(&cluster, &["--head", head], &copies).await?;
    assert_eq!((status, findings[0]["kind"].as_str()), (7, Some("head")));
    cluster.stop().await
}

#[tokio::test]
async fn the_id_that_a_denied_caller_is_given_leads_an_operator_to_the_reason() -> Result<()> {
    let (cluster, file, _dir) = with_file(&[("SPIKE_AUDIT_SYNC", "each")]).await?;
    let denied = cluster
        .post_as(WORKLOAD, "/v1/store/secrets?action=get", r#"{"path":"tenants/acme/db"}"#)
        .await?;
    assert_eq!(denied.status, 401);
    let name = file.to_str().context("a path that is text")?;
    let ran =
        cluster.spike(&["audit", "query", name, "--request-id", denied.request_id()?]).await?;
    let text = ran.done()?;
    for part in ["401", "tenants/acme/db", WORKLOAD, "no policy"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn a_daemon_whose_audit_file_cannot_be_opened_does_not_start() -> Result<()> {
    let (cluster, file, dir) = with_file(&[]).await?;
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("elsewhere", &link)?;
    for (path, reason) in [
        (dir.path().join("missing/audit.log"), "No such file or directory"),
        (link, "it is a symbolic link"),
        (file, "another process writes to it"),
    ] {
        let mut command = cluster.command("nexus");
        command.env("SPIKE_NEXUS_BACKEND_STORE", "memory").env("SPIKE_AUDIT_FILE", &path);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, output).await??;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(78), "{stderr}");
        assert!(stderr.contains("SPIKE_AUDIT_FILE") && stderr.contains(reason), "{stderr}");
    }
    cluster.stop().await
}
