//! The calls of the Workload API. Each is only for callers that have an identity.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use prost_types::value::Kind;
use serde_json::Value;
use spiffe::SpiffeId;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::attest::{Caller, no_identity};
use super::generated::spiffe_workload_api_server::SpiffeWorkloadApi;
use super::generated::{
    JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, X509BundlesRequest, X509BundlesResponse, X509svidRequest,
    X509svidResponse,
};
use super::state::State;
use super::updates::Updates;

/// The answer of a streaming call.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The Workload API as one connection sees it.
pub(super) struct Service {
    state: Arc<State>,
    closing: CancellationToken,
}

impl Service {
    pub(super) const fn new(state: Arc<State>, closing: CancellationToken) -> Self {
        Self { state, closing }
    }

    fn identity<T>(&self, request: &Request<T>) -> Result<SpiffeId, Status> {
        caller(request)?.identity(&self.state.registry)
    }

    /// A stream of something that is the same for every caller.
    fn bundles<T: Send + 'static, R>(
        &self,
        request: &Request<R>,
        answer: fn(&State, &SpiffeId) -> Result<T, Status>,
    ) -> Result<Response<Answers<T>>, Status> {
        let updates = Updates::new(&self.state, caller(request)?, &self.closing, None, answer);
        Ok(Response::new(Box::pin(updates.into_stream())))
    }
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Service {
    type FetchX509SVIDStream = Answers<X509svidResponse>;
    type FetchX509BundlesStream = Answers<X509BundlesResponse>;
    type FetchJWTBundlesStream = Answers<JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let renewal = Some(self.state.svid_ttl / 2);
        let caller = caller(&request)?;
        if self.state.attests_executables() && !caller.shows_executable() {
            tracing::info!("no identity issued: the executable is hidden");
            return Err(if self.state.fails_attestation() {
                // The words of SPIRE.
                Status::unavailable("workload attestation failed")
            } else {
                no_identity()
            });
        }
        let updates = Updates::new(&self.state, caller, &self.closing, renewal, State::x509_svid);
        Ok(Response::new(Box::pin(updates.into_stream())))
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        self.bundles(&request, |state, _| Ok(state.x509_bundles()))
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        let id = self.identity(&request)?;
        let request = request.into_inner();
        if request.audience.iter().all(String::is_empty) {
            return Err(Status::invalid_argument("audience must be specified"));
        }
        if !request.spiffe_id.is_empty() {
            let wanted = SpiffeId::new(&request.spiffe_id)
                .map_err(|_invalid| Status::invalid_argument("invalid requested SPIFFE ID"))?;
            if wanted != id {
                return Err(no_identity());
            }
        }
        let svid = self.state.jwt_svid(&id, &request.audience)?;
        Ok(Response::new(JwtsvidResponse { svids: vec![svid] }))
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        self.bundles(&request, |state, _| Ok(state.jwt_bundles()))
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        self.identity(&request)?;
        let request = request.into_inner();
        if request.audience.is_empty() {
            return Err(Status::invalid_argument("audience must be specified"));
        }
        let (id, claims) = self
            .state
            .verify_jwt(&request.svid, &request.audience)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let fields = claims.into_iter().map(|(name, value)| (name, protobuf(value))).collect();
        Ok(Response::new(ValidateJwtsvidResponse {
            spiffe_id: id.to_string(),
            claims: Some(prost_types::Struct { fields }),
        }))
    }
}

fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get::<Caller>().copied().ok_or_else(no_identity)
}

/// JSON as `google.protobuf.Value`. Numbers are doubles there.
fn protobuf(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.into_iter().map(protobuf).collect(),
        }),
        Value::Object(members) => Kind::StructValue(prost_types::Struct {
            fields: members.into_iter().map(|(name, item)| (name, protobuf(item))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}
