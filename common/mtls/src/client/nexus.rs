//! Calls to Nexus: N1 to N15.

use std::sync::Arc;

use bytes::Bytes;
use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_wire::{
    Call, DecryptRequest, DecryptResponse, EmptyRequest, EncryptRequest, EncryptResponse,
    ExplainRequest, ExplainResponse, LintResponse, Operation, Policy, PolicyListRequest,
    PolicyListResponse, PolicyNameRequest, PolicyPutRequest, PolicyPutResponse, RecoverResponse,
    RestoreRequest, RestoreResponse, STREAM_CONTENT_TYPE, SecretGetRequest, SecretGetResponse,
    SecretListRequest, SecretListResponse, SecretMetadataRequest, SecretMetadataResponse,
    SecretPutRequest, SecretVersionsRequest, StatusResponse, SurveyResponse, VerifyRequest,
    VerifyResponse, WhoCanRequest, WhoCanResponse, call,
};

use super::{CallError, Caller};
use crate::{ClientTimeouts, MtlsClient, PeerRule, svid::SvidSource};

/// A client of one Nexus; clones share its connections.
#[derive(Clone, Debug)]
pub struct NexusClient(Caller);

impl NexusClient {
    /// A client that shows the SVID of `source` and talks to nobody but a Nexus under the trust roots of that role.
    ///
    /// # Errors
    /// Only where the TLS library cannot be configured at all.
    pub fn new(
        source: &SvidSource,
        roots: Arc<TrustRootsByRole>,
        api: &HttpsUrl,
        timeouts: ClientTimeouts,
    ) -> Result<Self, rustls::Error> {
        let http = MtlsClient::new(source, PeerRule::Roles(&[Role::Nexus], roots), timeouts)?;
        Ok(Self(Caller { http, base: api.to_string() }))
    }

    /// N1.
    ///
    /// # Errors
    /// [`CallError`], like every method here.
    pub async fn put_secret(&self, request: &SecretPutRequest) -> Result<(), CallError> {
        self.call::<call::SecretPut>(request).await.map(drop)
    }

    /// N2.
    ///
    /// # Errors
    /// [`CallError`]; 404 for a path or version that is not there or is deleted.
    pub async fn get_secret(
        &self,
        request: &SecretGetRequest,
    ) -> Result<SecretGetResponse, CallError> {
        self.call::<call::SecretGet>(request).await
    }

    /// N3.
    ///
    /// # Errors
    /// [`CallError`]; 404 where there is no such path.
    pub async fn delete_secret(&self, request: &SecretVersionsRequest) -> Result<(), CallError> {
        self.call::<call::SecretDelete>(request).await.map(drop)
    }

    /// N4.
    ///
    /// # Errors
    /// [`CallError`]; 404 where nothing is there to undelete.
    pub async fn undelete_secret(&self, request: &SecretVersionsRequest) -> Result<(), CallError> {
        self.call::<call::SecretUndelete>(request).await.map(drop)
    }

    /// N5.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_secrets(
        &self,
        request: &SecretListRequest,
    ) -> Result<SecretListResponse, CallError> {
        self.call::<call::SecretList>(request).await
    }

    /// N6. The version of the request must exist and be live; the answer tells of all versions.
    ///
    /// # Errors
    /// [`CallError`]; 404 as for N2.
    pub async fn secret_metadata(
        &self,
        request: &SecretGetRequest,
    ) -> Result<SecretMetadataResponse, CallError> {
        let SecretGetRequest { path, version } = request.clone();
        self.any_secret_metadata(&SecretMetadataRequest { path, version, include_deleted: false })
            .await
    }

    /// N6, of deleted versions too where the request says so and Nexus is one of ours.
    ///
    /// # Errors
    /// [`CallError`]; 404 where there is no such secret or version.
    pub async fn any_secret_metadata(
        &self,
        request: &SecretMetadataRequest,
    ) -> Result<SecretMetadataResponse, CallError> {
        self.call::<call::SecretMetadata>(request).await
    }

    /// N7.
    ///
    /// # Errors
    /// [`CallError`]; 409 where the request asked not to replace a policy and there is one.
    pub async fn put_policy(
        &self,
        request: &PolicyPutRequest,
    ) -> Result<PolicyPutResponse, CallError> {
        self.call::<call::PolicyPut>(request).await
    }

    /// N8.
    ///
    /// # Errors
    /// [`CallError`]; 404 for an unknown name (upstream: 500).
    pub async fn get_policy(&self, request: &PolicyNameRequest) -> Result<Policy, CallError> {
        self.call::<call::PolicyGet>(request).await
    }

    /// N9.
    ///
    /// # Errors
    /// [`CallError`]; 404 for an unknown name (upstream: 500).
    pub async fn delete_policy(&self, request: &PolicyNameRequest) -> Result<(), CallError> {
        self.call::<call::PolicyDelete>(request).await.map(drop)
    }

    /// N10.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_policies(
        &self,
        request: &PolicyListRequest,
    ) -> Result<PolicyListResponse, CallError> {
        self.call::<call::PolicyList>(request).await
    }

    /// Why somebody may or may not do something. Upstream's Nexus does not have this route and answers 400, as for the
    /// two that follow.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn explain(&self, request: &ExplainRequest) -> Result<ExplainResponse, CallError> {
        self.call::<call::PolicyExplain>(request).await
    }

    /// Who may do something to a path.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn who_can(&self, request: &WhoCanRequest) -> Result<WhoCanResponse, CallError> {
        self.call::<call::PolicyWhoCan>(request).await
    }

    /// What the stored policies may not mean to say.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn lint_policies(&self) -> Result<LintResponse, CallError> {
        self.call::<call::PolicyLint>(&EmptyRequest).await
    }

    /// N11 in JSON mode.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn encrypt(&self, request: &EncryptRequest) -> Result<EncryptResponse, CallError> {
        self.call::<call::CipherEncrypt>(request).await
    }

    /// N11 in stream mode: plaintext in, version byte, nonce and ciphertext out.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn encrypt_stream(&self, plaintext: Bytes) -> Result<Bytes, CallError> {
        self.stream(Operation::CipherEncrypt, plaintext).await
    }

    /// N12 in JSON mode.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn decrypt(&self, request: &DecryptRequest) -> Result<DecryptResponse, CallError> {
        self.call::<call::CipherDecrypt>(request).await
    }

    /// N12 in stream mode: version byte, nonce and ciphertext in, plaintext out.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn decrypt_stream(&self, ciphertext: Bytes) -> Result<Bytes, CallError> {
        self.stream(Operation::CipherDecrypt, ciphertext).await
    }

    /// N13.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn recover(&self) -> Result<RecoverResponse, CallError> {
        self.call::<call::OperatorRecover>(&EmptyRequest).await
    }

    /// N14.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn restore(&self, request: &RestoreRequest) -> Result<RestoreResponse, CallError> {
        self.call::<call::OperatorRestore>(request).await
    }

    /// How Nexus and its Keepers are. Upstream's Nexus does not have this route and answers 400.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn status(&self) -> Result<StatusResponse, CallError> {
        self.call::<call::OperatorStatus>(&EmptyRequest).await
    }

    /// N15.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn verify(&self, request: &VerifyRequest) -> Result<VerifyResponse, CallError> {
        self.call::<call::BootstrapVerify>(request).await
    }

    /// What a new root key would take the place of; Nexus asks every Keeper before it answers. Upstream's Nexus does not
    /// have this route: it answers 503 while it is sealed, and 400 after.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn survey(&self) -> Result<SurveyResponse, CallError> {
        self.call::<call::BootstrapSurvey>(&EmptyRequest).await
    }

    /// Any call. The methods above name them.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<C: Call>(&self, request: &C::Request) -> Result<C::Reply, CallError> {
        let target = C::OPERATION.path_and_query();
        let body = self.0.json(target, C::encode(request)).await?;
        Ok(C::decode_reply(&body)?)
    }

    async fn stream(&self, operation: Operation, body: Bytes) -> Result<Bytes, CallError> {
        self.0.post(operation.path_and_query(), STREAM_CONTENT_TYPE, body).await
    }
}
