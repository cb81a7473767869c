//! Keepers that never come to the end of an answer.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use spike_dev::ca::Ca;
use spike_domain::TrustRootsByRole;
use spike_mtls::{
    ClientTimeouts, PeerRule, TransportError,
    client::{CallError, KeeperClient},
    clock, server_config,
    svid::SvidSource,
};
use spike_tests::{
    Credential, PATIENCE, eventually,
    fake_keeper::{ReservedAddress, answer},
};
use spike_wire::KeeperStatusKind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::fresh_shares;
use crate::crew;

/// A head that HTTP permits any number of before the answer.
const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\n\r\n";

/// What a Keeper sends to each request: this many heads, and then the answer.
#[derive(Clone, Copy)]
struct Interim(usize);

/// Serves as this Keeper until the test ends.
fn serve(listener: TcpListener, keeper: &SvidSource, interim: Interim) -> Result<()> {
    let tls = TlsAcceptor::from(Arc::new(server_config(keeper, PeerRule::AnySvid)?));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(tls.clone(), stream, interim));
        }
    });
    Ok(())
}

async fn converse(tls: TlsAcceptor, stream: TcpStream, Interim(heads): Interim) -> Result<()> {
    let mut stream = tls.accept(stream).await?;
    let body = answer(&[7; 32]);
    let length = body.len();
    let last = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut asked = Vec::new();
    loop {
        while !asked.ends_with(b"{}") {
            if stream.read_buf(&mut asked).await? == 0 {
                return Ok(());
            }
        }
        asked.clear();
        let mut left = heads;
        while left > 0 {
            let now = left.min(1000);
            stream.write_all(INTERIM.repeat(now).as_bytes()).await?;
            left -= now;
        }
        stream.write_all(last.as_bytes()).await?;
    }
}

/// A client of a Keeper that sends so many heads before each answer.
async fn client_of(interim: Interim) -> Result<KeeperClient> {
    let ca = Ca::new("spike.ist".parse()?, clock::now())?;
    let source = |path: &str| {
        let id = format!("spiffe://spike.ist{path}").parse()?;
        Credential::valid(&ca, id, Duration::from_hours(1))?.source()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?).parse()?;
    serve(listener, &source("/spike/keeper")?, interim)?;
    let roots = Arc::new(TrustRootsByRole::default());
    Ok(KeeperClient::new(&source("/spike/nexus")?, roots, &url, ClientTimeouts::default())?)
}

/// It was read until the time limit of the call, at the speed of the processor, and so was the next one.
#[tokio::test]
async fn heads_without_end_end_the_call_at_once_and_with_the_reason() -> Result<()> {
    let keeper = client_of(Interim(usize::MAX)).await?;
    let begun = Instant::now();
    let refused = timeout(PATIENCE, keeper.shard()).await?.err().context("it is no answer")?;
    assert!(matches!(refused, CallError::Transport(TransportError::Endless { .. })), "{refused}");
    assert!(refused.to_string().contains("heads included"), "{refused}");
    let limit = ClientTimeouts::default().response_header;
    assert!(begun.elapsed() < limit / 2, "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn some_heads_before_each_of_many_answers_on_one_connection_are_read() -> Result<()> {
    let keeper = client_of(Interim(100)).await?;
    // Together a megabyte.
    for call in 0..300 {
        let told = timeout(PATIENCE, keeper.shard()).await?.with_context(|| call.to_string())?;
        assert_eq!(told.shard.expose_secret(), &[7; 32]);
    }
    Ok(())
}

/// Half a processor went for good, as long as one Keeper did so.
#[tokio::test]
async fn a_keeper_that_sends_heads_without_end_is_reported_and_costs_nexus_little() -> Result<()> {
    let honest = ReservedAddress::several(2).await?;
    let endless = TcpListener::bind("127.0.0.1:0").await?;
    let mut urls: Vec<String> = honest.iter().map(ReservedAddress::url).collect();
    urls.push(format!("https://localhost:{}", endless.local_addr()?.port()));
    let plan = crew().keepers_at(&urls, 2).setting("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    let mut crew = plan.start_sealed().await?;
    serve(endless, &crew.credential("/spike/keeper")?.source()?, Interim(usize::MAX))?;
    let mut keepers = Vec::new();
    for (address, share) in honest.into_iter().zip(fresh_shares(3, 2)?) {
        let keeper = address.serve(&crew)?;
        keeper.hold(&share.value);
        keepers.push(keeper);
    }
    crew.ready(PATIENCE).await?;
    eventually("the third one is reported", PATIENCE, async || {
        let status = crew.status().await?;
        let third = status.keepers.get(2).context("three Keepers")?;
        Ok((third.state == KeeperStatusKind::Unusable).then_some(()))
    })
    .await?;
    crew.log_says("nexus", "heads included, and no whole answer").await?;
    crew.stop().await
}
