//! Once Nexus has read a request, it completes the change even if the peer leaves: store, decisions and audit log agree.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use spike_daemon::settings::Backend;
use spike_mtls::client::{CallError, NexusClient};
use spike_tests::{
    PATIENCE, Running, SUPERUSER, eventually,
    hostile::{
        Http2Peer, Leave, PeerBehaviour,
        frame::{CANCEL, Frame},
    },
    policies::allow,
    raw::Connection,
    secrets,
};
use spike_wire::{Operation, PolicyNameRequest};

use super::{GET, audit_records, http2_as};
use crate::{WORKLOAD, scenario};

/// How often each change is dropped by a reset of its stream, and by the end of its connection.
const RESETS: usize = 100;
const LEAVES: usize = 10;

/// How long after the last of them everything must agree.
const SETTLED: Duration = Duration::from_secs(15);

/// A kind of change. Each one has a secret or a policy of its own, named by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    SecretPut,
    SecretDelete,
    SecretUndelete,
    PolicyPut,
    PolicyDelete,
}

impl Change {
    const ALL: [Self; 5] = [
        Self::SecretPut,
        Self::SecretDelete,
        Self::SecretUndelete,
        Self::PolicyPut,
        Self::PolicyDelete,
    ];

    const fn operation(self) -> Operation {
        match self {
            Self::SecretPut => Operation::SecretPut,
            Self::SecretDelete => Operation::SecretDelete,
            Self::SecretUndelete => Operation::SecretUndelete,
            Self::PolicyPut => Operation::PolicyPut,
            Self::PolicyDelete => Operation::PolicyDelete,
        }
    }

    fn body(self, name: &str) -> Bytes {
        match self {
            Self::SecretPut => secrets::put(name, &[("k", "v")]).encode(),
            Self::SecretDelete | Self::SecretUndelete => secrets::versions(name, &[1]).encode(),
            Self::PolicyPut => may_read(name).encode(),
            Self::PolicyDelete => PolicyNameRequest { name: name.to_owned() }.encode(),
        }
    }

    /// Creates what is then changed.
    async fn prepare(self, superuser: &NexusClient, name: &str) -> Result<()> {
        match self {
            Self::SecretPut | Self::PolicyPut => {}
            Self::SecretDelete => superuser.put_secret(&secrets::put(name, &[("k", "v")])).await?,
            Self::SecretUndelete => {
                superuser.put_secret(&secrets::put(name, &[("k", "v")])).await?;
                superuser.delete_secret(&secrets::versions(name, &[1])).await?;
            }
            Self::PolicyDelete => {
                superuser.put_policy(&may_read(name)).await?;
            }
        }
        Ok(())
    }

    /// Whether the store has the change.
    async fn is_stored(self, superuser: &NexusClient, name: &str) -> Result<bool> {
        let found = match self {
            Self::SecretPut | Self::SecretDelete | Self::SecretUndelete => {
                exists(superuser.get_secret(&secrets::get(name, 0)).await)?
            }
            Self::PolicyPut | Self::PolicyDelete => {
                let request = PolicyNameRequest { name: name.to_owned() };
                exists(superuser.get_policy(&request).await)?
            }
        };
        Ok(found != matches!(self, Self::SecretDelete | Self::PolicyDelete))
    }

    /// Whether the change is in force; `None` if no decision depends on it.
    async fn is_in_force(self, workload: &mut Connection, name: &str) -> Result<Option<bool>> {
        if !matches!(self, Self::PolicyPut | Self::PolicyDelete) {
            return Ok(None);
        }
        let status = eventually("an answer other than to wait", PATIENCE, async || {
            let status = workload.post(GET, secrets::get(name, 0).encode()).await?.status;
            // Repeated denials get 429.
            Ok((status != 429).then_some(status))
        })
        .await?;
        match status {
            // It may read the path, which does not exist.
            404 => Ok(Some(self == Self::PolicyPut)),
            401 => Ok(Some(self == Self::PolicyDelete)),
            other => bail!("the workload is answered {other}"),
        }
    }
}

/// A policy of this name, which lets the workload read the path of this name.
fn may_read(name: &str) -> spike_wire::PolicyPutRequest {
    allow(name, WORKLOAD, &format!("^{name}$"), &["read"])
}

fn exists<T>(answer: Result<T, CallError>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.status().is_some_and(|status| status == 404) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Checks every change until store, decisions and audit log agree. At least half of the changes must have been made, since all
/// three agree before any change too.
async fn agree(cluster: &Running, change: Change, names: &[String]) -> Result<()> {
    let superuser = cluster.superuser()?;
    let mut workload = cluster.dial_as(WORKLOAD)?.connect().await?;
    let mut last = String::new();
    let agreed = eventually("an agreement", SETTLED, async || {
        let records = audit_records(cluster)?;
        let component = change.operation().audit_component();
        let (mut made, mut at_odds) = (0, Vec::new());
        for name in names {
            let stored = change.is_stored(&superuser, name).await?;
            let in_force = change.is_in_force(&mut workload, name).await?;
            let lines = records.iter().filter(|record| {
                record["Component"] == component && record["Subject"] == name.as_str()
            });
            let lines: Vec<_> = lines.map(|line| line["Status"].clone()).collect();
            let written = lines.iter().filter(|status| **status == 200).count();
            if written != usize::from(stored) || in_force.is_some_and(|force| force != stored) {
                at_odds.push((name, stored, in_force, lines));
            }
            made += usize::from(stored);
        }
        last = format!("{made} made, {} at odds, first {:?}", at_odds.len(), at_odds.first());
        Ok((at_odds.is_empty() && made >= names.len() / 2).then_some(()))
    })
    .await;
    agreed.with_context(|| format!("{change:?}: {last}"))
}

async fn prepared(cluster: &Running, change: Change, count: usize) -> Result<Vec<String>> {
    let superuser = cluster.superuser()?;
    let mut names = Vec::new();
    for number in 0..count {
        let name = format!("{change:?}-{number}").to_lowercase();
        change.prepare(&superuser, &name).await?;
        names.push(name);
    }
    Ok(names)
}

#[tokio::test]
async fn a_change_whose_stream_is_reset_is_whole_in_store_decisions_and_audit_log() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start().await?;
    let dialer = http2_as(&cluster, SUPERUSER)?;
    let mut failures = Vec::new();
    for change in Change::ALL {
        let names = prepared(&cluster, change, RESETS).await?;
        let mut peer = Http2Peer::connect(&dialer, PeerBehaviour::STAYS).await?;
        for (number, name) in names.iter().enumerate() {
            if peer.has_ended() || peer.goaway().is_some() {
                peer = Http2Peer::connect(&dialer, PeerBehaviour::STAYS).await?;
            }
            let target = change.operation().path_and_query();
            let stream = peer.ask(target, &change.body(name)).await?;
            // Every other request has arrived as a whole before its stream is reset.
            if number % 2 == 0
                && let Err(error) = peer.has_read_all().await
            {
                // A server with too many resets ends the connection, which also drops the request.
                ensure!(peer.has_ended(), "{error:#}");
                continue;
            }
            peer.send(&Frame::reset(stream, CANCEL)).await?;
        }
        failures.extend(agree(&cluster, change, &names).await.err());
    }
    ensure!(failures.is_empty(), "{failures:#?}");
    cluster.stop().await
}

/// Sends a whole change over HTTP/1.1 after Nexus has read its head, and leaves.
async fn begin(connection: &mut Connection, change: Change, name: &str) -> Result<()> {
    let (target, body) = (change.operation().path_and_query(), change.body(name));
    let length = body.len();
    connection
        .send(format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        ))
        .await?;
    assert_eq!(connection.answer_without_body().await?.status, 100);
    connection.send(body).await
}

#[tokio::test]
async fn a_change_whose_client_goes_away_is_whole_in_store_decisions_and_audit_log() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start().await?;
    let (http1, http2) = (cluster.dial_as(SUPERUSER)?, http2_as(&cluster, SUPERUSER)?);
    let mut failures = Vec::new();
    for change in Change::ALL {
        let names = prepared(&cluster, change, LEAVES * Leave::ALL.len()).await?;
        for (name, leave) in names.iter().zip(Leave::ALL.into_iter().cycle()) {
            let mut connection = http1.connect().await?;
            begin(&mut connection, change, name).await?;
            if let Some(mut still_listening) = leave.leave(connection).await? {
                assert_eq!(still_listening.answer().await?.status, 200, "{change:?}");
            }
        }
        failures.extend(agree(&cluster, change, &names).await.err());
    }
    for change in [Change::SecretUndelete, Change::PolicyDelete] {
        let superuser = cluster.superuser()?;
        let names: Vec<String> = (0..LEAVES).map(|n| format!("{change:?}-over-2-{n}")).collect();
        for name in &names {
            change.prepare(&superuser, name).await?;
            let mut peer = Http2Peer::connect(&http2, PeerBehaviour::STAYS).await?;
            peer.ask(change.operation().path_and_query(), &change.body(name)).await?;
            peer.has_read_all().await?;
            // The socket closes without the TLS end.
            drop(peer);
        }
        failures.extend(agree(&cluster, change, &names).await.err());
    }
    ensure!(failures.is_empty(), "{failures:#?}");
    cluster.stop().await
}
