//! The floor of every measurement: a server with the TLS stack and HTTP library of Nexus, which verifies the client's
//! certificate and answers with a fixed body. What Nexus takes longer than this is its own work.

use std::{error::Error, fs, io::Write, net::Ipv4Addr, path::Path, process::ExitCode, sync::Arc};

use axum::{Router, http::header, routing::post};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The files in the directory argument: all DER except the last, which is the body of the answer.
const FILES: [&str; 4] = ["root.der", "leaf.der", "key.der", "body"];

/// Serves on a free port, which it prints, until it is killed. `arguments` are the directory of [`FILES`].
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let Some(dir) = arguments.next() else { return ExitCode::from(2) };
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(serve(Path::new(&dir))));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(std::io::stderr(), "error: {error}");
            if told.is_ok() { ExitCode::FAILURE } else { ExitCode::from(2) }
        }
    }
}

async fn serve(dir: &Path) -> Result<(), Box<dyn Error>> {
    let read = |name: &str| fs::read(dir.join(name));
    let [root, leaf, key, body] = FILES;
    let body: &'static [u8] = Vec::leak(read(body)?);
    let tls = TlsAcceptor::from(Arc::new(tls(read(root)?, read(leaf)?, read(key)?)?));
    let json = [(header::CONTENT_TYPE, "application/json")];
    let app = Router::new().route("/v1/store/secrets", post(async move || (json, body)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, app) = (tls.clone(), app.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = TowerToHyperService::new(app);
            let builder = auto::Builder::new(TokioExecutor::new());
            // The client knows how a connection ended.
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

fn tls(root: Vec<u8>, leaf: Vec<u8>, key: Vec<u8>) -> Result<ServerConfig, Box<dyn Error>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root))?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![CertificateDer::from(leaf)], PrivatePkcs8KeyDer::from(key).into())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
