//! The API as its clients see it: the crate `spiffe` for what is allowed, a bare gRPC client for what is not.

mod lifecycle;
mod processes;

use std::collections::HashSet;
use std::fs;

use futures_util::{Stream, StreamExt as _};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use spiffe::{
    JwtSvid, SpiffeId, TrustDomain, WorkloadApiClient, WorkloadApiError, X509Bundle, X509Context,
    X509Svid,
};
use spike_mtls::clock;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::generated::{ValidateJwtsvidRequest, ValidateJwtsvidResponse};
use super::*;
use crate::ca::tests::verifies;

const DEADLINE: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_hours(1);

fn trust_domain(name: &str) -> TrustDomain {
    TrustDomain::new(name).unwrap()
}

fn authority(name: &str) -> Ca {
    Ca::new(trust_domain(name), clock::now()).unwrap()
}

fn id(path: &str) -> SpiffeId {
    SpiffeId::new(format!("spiffe://spike.ist{path}")).unwrap()
}

async fn start_in(dir: &Path, svid_ttl: Duration) -> Running {
    let ca = Arc::new(authority("spike.ist"));
    let config = Config { socket: dir.join("api.sock"), ca, svid_ttl };
    WorkloadApi::start(config).await.unwrap()
}

async fn start(svid_ttl: Duration) -> (Running, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (start_in(dir.path(), svid_ttl).await, dir)
}

async fn client(api: &Running) -> WorkloadApiClient {
    WorkloadApiClient::connect_to(api.endpoint()).await.unwrap()
}

/// The next item, which has to come before the deadline.
async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> Option<T> {
    tokio::time::timeout(DEADLINE, stream.next()).await.expect("nothing came before the deadline")
}

/// The SVID is valid now, by the root of the bundle.
fn verify(svid: &X509Svid, bundle: &X509Bundle) {
    let root = bundle.authorities()[0].as_bytes();
    verifies(svid.leaf().as_bytes(), root, clock::now()).unwrap();
}

fn denied<T>(answer: &Result<T, WorkloadApiError>) -> bool {
    matches!(answer, Err(WorkloadApiError::NoIdentityIssued))
}

#[tokio::test]
async fn an_x509_svid_verifies_against_the_bundle_that_comes_with_it() {
    let (api, _dir) = start(HOUR).await;
    let context = client(&api).await.fetch_x509_context().await.unwrap();
    let svid = context.default_svid().unwrap();
    assert!(svid.spiffe_id().path().starts_with("/workload/spike_dev-"), "{}", svid.spiffe_id());
    let bundle = context.bundle_set().get(&trust_domain("spike.ist")).unwrap();
    assert_eq!(bundle.authorities()[0].as_bytes(), api.ca().root_der());
    verify(svid, &bundle);
}

#[tokio::test]
async fn a_stream_gets_a_fresh_svid_at_half_of_the_lifetime_again_and_again() {
    let (api, _dir) = start(Duration::from_secs(2)).await;
    let mut stream = client(&api).await.stream_x509_contexts().await.unwrap();
    let mut seen = HashSet::new();
    for _ in 0..4 {
        let context = next(&mut stream).await.unwrap().unwrap();
        let svid = context.default_svid().unwrap();
        // Valid at the moment of its arrival, which is when a client begins to use it.
        verify(svid, &context.bundle_set().get(&trust_domain("spike.ist")).unwrap());
        assert!(seen.insert(svid.leaf().as_bytes().to_vec()));
        assert!(seen.insert(svid.private_key().as_bytes().to_vec()));
    }
}

#[tokio::test]
async fn a_rotation_on_demand_reaches_open_streams_of_svids_only() {
    let (api, _dir) = start(HOUR).await;
    let client = client(&api).await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    let mut bundles = client.stream_x509_bundles().await.unwrap();
    let first = next(&mut svids).await.unwrap().unwrap();
    next(&mut bundles).await.unwrap().unwrap();
    api.rotate();
    let second = next(&mut svids).await.unwrap().unwrap();
    assert_ne!(first.leaf(), second.leaf());
    // The next answer is the one after this change, not one for the rotation.
    api.federate(authority("other.example").bundle()).unwrap();
    assert_eq!(next(&mut bundles).await.unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn foreign_trust_domains_come_and_go_in_every_stream() {
    let (api, _dir) = start(HOUR).await;
    let client = client(&api).await;
    let mut contexts = client.stream_x509_contexts().await.unwrap();
    let mut x509 = client.stream_x509_bundles().await.unwrap();
    let mut jwt = client.stream_jwt_bundles().await.unwrap();
    let (own, foreign) = (trust_domain("spike.ist"), trust_domain("other.example"));
    let has_foreign = |context: &X509Context| context.bundle_set().get(&foreign).is_some();

    assert!(!has_foreign(&next(&mut contexts).await.unwrap().unwrap()));
    assert!(next(&mut x509).await.unwrap().unwrap().get(&foreign).is_none());
    assert!(next(&mut jwt).await.unwrap().unwrap().get(&foreign).is_none());

    let other = authority("other.example");
    api.federate(other.bundle()).unwrap();
    assert!(has_foreign(&next(&mut contexts).await.unwrap().unwrap()));
    let bundles = next(&mut x509).await.unwrap().unwrap();
    assert_eq!(bundles.get(&foreign).unwrap().authorities()[0].as_bytes(), other.root_der());
    assert_eq!(bundles.get(&own).unwrap().authorities()[0].as_bytes(), api.ca().root_der());
    let bundles = next(&mut jwt).await.unwrap().unwrap();
    let key_id = other.bundle().jwt_authorities[0].key_id().to_owned();
    assert!(bundles.get(&foreign).unwrap().find_jwt_authority(&key_id).is_some());
    assert!(bundles.get(&own).unwrap().find_jwt_authority(&key_id).is_none());

    assert!(api.unfederate(&foreign));
    assert!(!api.unfederate(&foreign));
    assert!(!has_foreign(&next(&mut contexts).await.unwrap().unwrap()));
    assert!(next(&mut x509).await.unwrap().unwrap().get(&foreign).is_none());
    assert!(next(&mut jwt).await.unwrap().unwrap().get(&foreign).is_none());
}

#[tokio::test]
async fn a_further_authority_of_our_own_comes_and_goes_with_every_svid() {
    let (api, _dir) = start(HOUR).await;
    let mut contexts = client(&api).await.stream_x509_contexts().await.unwrap();
    let second = authority("spike.ist");
    let authorities = |context: &X509Context| {
        let bundle = context.bundle_set().get(&trust_domain("spike.ist")).unwrap();
        bundle.authorities().iter().map(|der| der.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    let first = api.ca().root_der();
    assert_eq!(authorities(&next(&mut contexts).await.unwrap().unwrap()), [first]);
    api.trust_also(second.root_der());
    let both = authorities(&next(&mut contexts).await.unwrap().unwrap());
    assert_eq!(both, [first, second.root_der()]);
    api.trust_also(&[]);
    assert_eq!(authorities(&next(&mut contexts).await.unwrap().unwrap()), [first]);
}

#[tokio::test]
async fn a_trust_domain_does_not_federate_with_itself() {
    let (api, _dir) = start(HOUR).await;
    let refused = api.federate(authority("spike.ist").bundle());
    assert!(matches!(refused, Err(Error::OwnTrustDomain(_))));
    assert_eq!(client(&api).await.fetch_x509_bundles().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_jwt_svid_is_validated_by_the_api_and_by_a_verifier_with_the_bundle() {
    let (api, _dir) = start(HOUR).await;
    let _entry = api.registry().register(std::process::id(), id("/workload/app")).unwrap();
    let client = client(&api).await;
    let svid = client.fetch_jwt_svid(["nexus", "other"], None).await.unwrap();
    assert_eq!(*svid.spiffe_id(), id("/workload/app"));
    let asked = client.fetch_jwt_svid(["nexus"], Some(&id("/workload/app"))).await.unwrap();
    assert_eq!(*asked.spiffe_id(), id("/workload/app"));

    let bundles = client.fetch_jwt_bundles().await.unwrap();
    JwtSvid::parse_and_validate(svid.token(), &bundles, &["nexus"]).unwrap();
    let validated = client.validate_jwt_token("other", svid.token()).await.unwrap();
    assert_eq!(*validated.spiffe_id(), id("/workload/app"));
    let refused = client.validate_jwt_token("somebody", svid.token()).await.unwrap_err();
    assert!(refused.is_invalid_argument(), "{refused}");
}

#[tokio::test]
async fn a_jwt_svid_needs_an_audience_and_ones_own_id() {
    let (api, _dir) = start(HOUR).await;
    let client = client(&api).await;
    let refused = client.fetch_jwt_svid(Vec::<String>::new(), None).await.unwrap_err();
    assert!(refused.is_invalid_argument(), "{refused}");
    let foreign = client.fetch_jwt_svid(["x"], Some(&id("/spike/nexus"))).await;
    assert!(denied(&foreign));
}

#[tokio::test]
async fn a_foreign_jwt_svid_is_valid_while_its_trust_domain_is_federated() {
    let (api, _dir) = start(HOUR).await;
    let client = client(&api).await;
    let other = authority("other.example");
    let subject = SpiffeId::new("spiffe://other.example/app").unwrap();
    let now = clock::now();
    let token = other.issue_jwt(&subject, &["nexus".to_owned()], HOUR, now).unwrap();
    assert!(client.validate_jwt_token("nexus", &token).await.unwrap_err().is_invalid_argument());
    api.federate(other.bundle()).unwrap();
    let svid = client.validate_jwt_token("nexus", &token).await.unwrap();
    assert_eq!(*svid.spiffe_id(), subject);

    // Trust is per trust domain: the foreign key does not speak for ours.
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    other.save(theirs.path()).unwrap();
    authority("spike.ist").save(ours.path()).unwrap();
    fs::copy(theirs.path().join("jwt-key.pem"), ours.path().join("jwt-key.pem")).unwrap();
    let posing = Ca::load(ours.path(), trust_domain("spike.ist"), now).unwrap();
    let token = posing.issue_jwt(&id("/app"), &["nexus".to_owned()], HOUR, now).unwrap();
    assert!(client.validate_jwt_token("nexus", &token).await.unwrap_err().is_invalid_argument());
}

/// Every call of the service.
const CALLS: [&str; 5] =
    ["FetchX509SVID", "FetchX509Bundles", "FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID"];

async fn bare_channel(api: &Running) -> Channel {
    let socket = api.socket().to_owned();
    let connect = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connect).await.unwrap()
}

async fn bare_call(channel: &Channel, call: &str, headers: &[&'static str]) -> Status {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(ValidateJwtsvidRequest::default());
    for header in headers {
        request.metadata_mut().append("workload.spiffe.io", header.parse().unwrap());
    }
    let path: PathAndQuery = format!("/SpiffeWorkloadAPI/{call}").parse().unwrap();
    let codec = ProstCodec::<ValidateJwtsvidRequest, ValidateJwtsvidResponse>::default();
    client.unary(request, path, codec).await.unwrap_err()
}

#[tokio::test]
async fn every_call_without_the_security_header_is_refused() {
    let (api, _dir) = start(HOUR).await;
    let channel = bare_channel(&api).await;
    for call in CALLS {
        for headers in [&[][..], &["false"], &["True"], &["true", "true"]] {
            let status = bare_call(&channel, call, headers).await;
            assert_eq!(status.code(), Code::InvalidArgument, "{call} {headers:?}");
            assert_eq!(status.message(), "security header missing from request");
        }
    }
}

#[tokio::test]
async fn every_call_without_an_identity_is_denied() {
    let (api, _dir) = start(HOUR).await;
    let _withheld = api.registry().withhold(std::process::id()).unwrap();
    let channel = bare_channel(&api).await;
    for call in CALLS {
        let status = bare_call(&channel, call, &["true"]).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{call}");
        assert_eq!(status.message(), "no identity issued");
    }
}

#[tokio::test]
async fn an_identity_can_be_withheld_and_given_back() {
    let (api, _dir) = start(HOUR).await;
    let client = client(&api).await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    let mut bundles = client.stream_jwt_bundles().await.unwrap();
    next(&mut svids).await.unwrap().unwrap();
    next(&mut bundles).await.unwrap().unwrap();

    let withheld = api.registry().withhold(std::process::id()).unwrap();
    assert!(denied(&next(&mut svids).await.unwrap()));
    assert!(denied(&next(&mut bundles).await.unwrap()));
    assert!(next(&mut svids).await.is_none());
    assert!(denied(&client.fetch_x509_svid().await));
    drop(withheld);
    client.fetch_x509_svid().await.unwrap();
}

#[tokio::test]
async fn an_open_stream_follows_a_new_registration_at_once() {
    let (api, _dir) = start(HOUR).await;
    let mut svids = client(&api).await.stream_x509_svids().await.unwrap();
    next(&mut svids).await.unwrap().unwrap();
    let _entry = api.registry().register(std::process::id(), id("/spike/nexus")).unwrap();
    assert_eq!(*next(&mut svids).await.unwrap().unwrap().spiffe_id(), id("/spike/nexus"));
}
