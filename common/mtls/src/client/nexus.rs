//! Calls to Nexus: N1 to N15.

use std::sync::Arc;

use bytes::Bytes;
use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_wire::{
    DecryptRequest, DecryptResponse, EmptyRequest, EmptyResponse, EncryptRequest, EncryptResponse,
    ExplainRequest, ExplainResponse, LintResponse, Operation, Policy, PolicyListRequest,
    PolicyListResponse, PolicyNameRequest, PolicyPutRequest, PolicyPutResponse, RecoverResponse,
    RestoreRequest, RestoreResponse, STREAM_CONTENT_TYPE, SecretGetRequest, SecretGetResponse,
    SecretListRequest, SecretListResponse, SecretMetadataRequest, SecretMetadataResponse,
    SecretPutRequest, SecretVersionsRequest, StatusResponse, SurveyResponse, VerifyRequest,
    VerifyResponse, WhoCanRequest, WhoCanResponse,
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
        self.empty(Operation::SecretPut, request.encode()).await
    }

    /// N2.
    ///
    /// # Errors
    /// [`CallError`]; 404 for a path or version that is not there or is deleted.
    pub async fn get_secret(
        &self,
        request: &SecretGetRequest,
    ) -> Result<SecretGetResponse, CallError> {
        Ok(SecretGetResponse::decode(&self.json(Operation::SecretGet, request.encode()).await?)?)
    }

    /// N3.
    ///
    /// # Errors
    /// [`CallError`]; 404 where there is no such path.
    pub async fn delete_secret(&self, request: &SecretVersionsRequest) -> Result<(), CallError> {
        self.empty(Operation::SecretDelete, request.encode()).await
    }

    /// N4.
    ///
    /// # Errors
    /// [`CallError`]; 404 where nothing is there to undelete.
    pub async fn undelete_secret(&self, request: &SecretVersionsRequest) -> Result<(), CallError> {
        self.empty(Operation::SecretUndelete, request.encode()).await
    }

    /// N5.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_secrets(
        &self,
        request: &SecretListRequest,
    ) -> Result<SecretListResponse, CallError> {
        Ok(SecretListResponse::decode(&self.json(Operation::SecretList, request.encode()).await?)?)
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
        let body = self.json(Operation::SecretMetadata, request.encode()).await?;
        Ok(SecretMetadataResponse::decode(&body)?)
    }

    /// N7.
    ///
    /// # Errors
    /// [`CallError`]; 409 where the request asked not to replace a policy and there is one.
    pub async fn put_policy(
        &self,
        request: &PolicyPutRequest,
    ) -> Result<PolicyPutResponse, CallError> {
        Ok(PolicyPutResponse::decode(&self.json(Operation::PolicyPut, request.encode()).await?)?)
    }

    /// N8.
    ///
    /// # Errors
    /// [`CallError`]; 404 for an unknown name (upstream: 500).
    pub async fn get_policy(&self, request: &PolicyNameRequest) -> Result<Policy, CallError> {
        Ok(Policy::decode(&self.json(Operation::PolicyGet, request.encode()).await?)?)
    }

    /// N9.
    ///
    /// # Errors
    /// [`CallError`]; 404 for an unknown name (upstream: 500).
    pub async fn delete_policy(&self, request: &PolicyNameRequest) -> Result<(), CallError> {
        self.empty(Operation::PolicyDelete, request.encode()).await
    }

    /// N10.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_policies(
        &self,
        request: &PolicyListRequest,
    ) -> Result<PolicyListResponse, CallError> {
        Ok(PolicyListResponse::decode(&self.json(Operation::PolicyList, request.encode()).await?)?)
    }

    /// Why somebody may or may not do something. Upstream's Nexus does not have this route and answers 400, as for the
    /// two that follow.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn explain(&self, request: &ExplainRequest) -> Result<ExplainResponse, CallError> {
        Ok(ExplainResponse::decode(&self.json(Operation::PolicyExplain, request.encode()).await?)?)
    }

    /// Who may do something to a path.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn who_can(&self, request: &WhoCanRequest) -> Result<WhoCanResponse, CallError> {
        Ok(WhoCanResponse::decode(&self.json(Operation::PolicyWhoCan, request.encode()).await?)?)
    }

    /// What the stored policies may not mean to say.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn lint_policies(&self) -> Result<LintResponse, CallError> {
        let body = self.json(Operation::PolicyLint, EmptyRequest.encode()).await?;
        Ok(LintResponse::decode(&body)?)
    }

    /// N11 in JSON mode.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn encrypt(&self, request: &EncryptRequest) -> Result<EncryptResponse, CallError> {
        Ok(EncryptResponse::decode(&self.json(Operation::CipherEncrypt, request.encode()).await?)?)
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
        Ok(DecryptResponse::decode(&self.json(Operation::CipherDecrypt, request.encode()).await?)?)
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
        let body = self.json(Operation::OperatorRecover, EmptyRequest.encode()).await?;
        Ok(RecoverResponse::decode(&body)?)
    }

    /// N14.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn restore(&self, request: &RestoreRequest) -> Result<RestoreResponse, CallError> {
        Ok(RestoreResponse::decode(
            &self.json(Operation::OperatorRestore, request.encode()).await?,
        )?)
    }

    /// How Nexus and its Keepers are. Upstream's Nexus does not have this route and answers 400.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn status(&self) -> Result<StatusResponse, CallError> {
        let body = self.json(Operation::OperatorStatus, EmptyRequest.encode()).await?;
        Ok(StatusResponse::decode(&body)?)
    }

    /// N15.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn verify(&self, request: &VerifyRequest) -> Result<VerifyResponse, CallError> {
        Ok(VerifyResponse::decode(&self.json(Operation::BootstrapVerify, request.encode()).await?)?)
    }

    /// What a new root key would take the place of; Nexus asks every Keeper before it answers. Upstream's Nexus does not
    /// have this route: it answers 503 while it is sealed, and 400 after.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn survey(&self) -> Result<SurveyResponse, CallError> {
        let body = self.json(Operation::BootstrapSurvey, EmptyRequest.encode()).await?;
        Ok(SurveyResponse::decode(&body)?)
    }

    async fn empty(&self, operation: Operation, body: Bytes) -> Result<(), CallError> {
        EmptyResponse::decode(&self.json(operation, body).await?)?;
        Ok(())
    }

    async fn json(&self, operation: Operation, body: Bytes) -> Result<Bytes, CallError> {
        self.0.json(operation.path_and_query(), body).await
    }

    async fn stream(&self, operation: Operation, body: Bytes) -> Result<Bytes, CallError> {
        self.0.post(operation.path_and_query(), STREAM_CONTENT_TYPE, body).await
    }
}
