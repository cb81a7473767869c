//! Calls to Nexus.

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

use super::{CallError, Ended, JSON, ServerClient};
use crate::{
    ClientTimeouts, MtlsClient, PeerCertificate, PeerRule, TransportError, svid::SvidSource,
};

/// A client of one Nexus; clones share its connections.
#[derive(Clone, Debug)]
pub struct NexusClient(ServerClient);

impl NexusClient {
    /// A client that proves itself with the SVID of `source`, and accepts only a Nexus under these trust roots.
    ///
    /// # Errors
    /// Only if the TLS library cannot be configured at all.
    pub fn new(
        source: &SvidSource,
        roots: Arc<TrustRootsByRole>,
        api: &HttpsUrl,
        timeouts: ClientTimeouts,
    ) -> Result<Self, rustls::Error> {
        let http = MtlsClient::new(source, PeerRule::Roles(&[Role::Nexus], roots), timeouts)?;
        Ok(Self(ServerClient::new(http, api.to_string())))
    }

    /// The certificate of Nexus, without a call.
    ///
    /// # Errors
    /// [`TransportError`]: it cannot be reached, or is no Nexus.
    pub async fn certificate(&self) -> Result<PeerCertificate, TransportError> {
        self.0.certificate().await
    }

    /// Adds a version of a secret (N1).
    ///
    /// # Errors
    /// [`CallError`], like every method here.
    pub async fn put_secret(&self, request: &SecretPutRequest) -> Result<(), CallError> {
        self.call::<call::SecretPut>(request).await.map(drop)
    }

    /// Reads a version of a secret (N2).
    ///
    /// # Errors
    /// [`CallError`]; 404 if the path or version does not exist or is deleted.
    pub async fn get_secret(
        &self,
        request: &SecretGetRequest,
    ) -> Result<SecretGetResponse, CallError> {
        self.call::<call::SecretGet>(request).await
    }

    /// Deletes versions of a secret (N3).
    ///
    /// # Errors
    /// [`CallError`]; 404 if the path does not exist.
    pub async fn delete_secret(&self, request: &SecretVersionsRequest) -> Result<(), CallError> {
        self.call::<call::SecretDelete>(request).await.map(drop)
    }

    /// Undeletes versions of a secret (N4).
    ///
    /// # Errors
    /// [`CallError`]; 404 if there is nothing to undelete.
    pub async fn undelete_secret(&self, request: &SecretVersionsRequest) -> Result<(), CallError> {
        self.call::<call::SecretUndelete>(request).await.map(drop)
    }

    /// Lists the paths of secrets (N5).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_secrets(
        &self,
        request: &SecretListRequest,
    ) -> Result<SecretListResponse, CallError> {
        self.call::<call::SecretList>(request).await
    }

    /// Reads the metadata of all versions of a secret (N6). The version in the request must exist and not be deleted.
    ///
    /// # Errors
    /// [`CallError`]; 404 as for [`Self::get_secret`].
    pub async fn secret_metadata(
        &self,
        request: &SecretGetRequest,
    ) -> Result<SecretMetadataResponse, CallError> {
        let SecretGetRequest { path, version } = request.clone();
        self.any_secret_metadata(&SecretMetadataRequest { path, version, include_deleted: false })
            .await
    }

    /// As [`Self::secret_metadata`], with deleted versions if the request asks for them and Nexus is not upstream's.
    ///
    /// # Errors
    /// [`CallError`]; 404 if the secret or version does not exist.
    pub async fn any_secret_metadata(
        &self,
        request: &SecretMetadataRequest,
    ) -> Result<SecretMetadataResponse, CallError> {
        self.call::<call::SecretMetadata>(request).await
    }

    /// Creates or replaces a policy (N7).
    ///
    /// # Errors
    /// [`CallError`]; 409 if the request excludes replacing, and the policy exists.
    pub async fn put_policy(
        &self,
        request: &PolicyPutRequest,
    ) -> Result<PolicyPutResponse, CallError> {
        self.call::<call::PolicyPut>(request).await
    }

    /// Reads a policy (N8).
    ///
    /// # Errors
    /// [`CallError`]; 404 for an unknown name (upstream: 500).
    pub async fn get_policy(&self, request: &PolicyNameRequest) -> Result<Policy, CallError> {
        self.call::<call::PolicyGet>(request).await
    }

    /// Deletes a policy (N9).
    ///
    /// # Errors
    /// [`CallError`]; 404 for an unknown name (upstream: 500).
    pub async fn delete_policy(&self, request: &PolicyNameRequest) -> Result<(), CallError> {
        self.call::<call::PolicyDelete>(request).await.map(drop)
    }

    /// Lists policies (N10).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_policies(
        &self,
        request: &PolicyListRequest,
    ) -> Result<PolicyListResponse, CallError> {
        self.call::<call::PolicyList>(request).await
    }

    /// Explains why a SPIFFE ID has a permission or not. Upstream's Nexus does not have this route and the next two,
    /// and answers 400.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn explain(&self, request: &ExplainRequest) -> Result<ExplainResponse, CallError> {
        self.call::<call::PolicyExplain>(request).await
    }

    /// Lists who has a permission on a path.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn who_can(&self, request: &WhoCanRequest) -> Result<WhoCanResponse, CallError> {
        self.call::<call::PolicyWhoCan>(request).await
    }

    /// Lists probable mistakes in the stored policies.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn lint_policies(&self) -> Result<LintResponse, CallError> {
        self.call::<call::PolicyLint>(&EmptyRequest).await
    }

    /// Encrypts, in JSON mode (N11).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn encrypt(&self, request: &EncryptRequest) -> Result<EncryptResponse, CallError> {
        self.call::<call::CipherEncrypt>(request).await
    }

    /// Encrypts, in stream mode: returns version byte, nonce and ciphertext (N11).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn encrypt_stream(&self, plaintext: Bytes) -> Result<Bytes, CallError> {
        self.stream(Operation::CipherEncrypt, plaintext).await
    }

    /// Decrypts, in JSON mode (N12).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn decrypt(&self, request: &DecryptRequest) -> Result<DecryptResponse, CallError> {
        self.call::<call::CipherDecrypt>(request).await
    }

    /// Decrypts, in stream mode: takes version byte, nonce and ciphertext (N12).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn decrypt_stream(&self, ciphertext: Bytes) -> Result<Bytes, CallError> {
        self.stream(Operation::CipherDecrypt, ciphertext).await
    }

    /// Returns recovery shares (N13).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn recover(&self) -> Result<RecoverResponse, CallError> {
        self.call::<call::OperatorRecover>(&EmptyRequest).await
    }

    /// Restores the root key from recovery shares, one for each call (N14).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn restore(&self, request: &RestoreRequest) -> Result<RestoreResponse, CallError> {
        self.call::<call::OperatorRestore>(request).await
    }

    /// The status of Nexus and its Keepers. Upstream's Nexus does not have this route, and answers 400.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn status(&self) -> Result<StatusResponse, CallError> {
        self.call::<call::OperatorStatus>(&EmptyRequest).await
    }

    /// Proves that Nexus has the root key (N15).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn verify(&self, request: &VerifyRequest) -> Result<VerifyResponse, CallError> {
        self.call::<call::BootstrapVerify>(request).await
    }

    /// What a new root key would replace; Nexus asks every Keeper first. Upstream's Nexus does not have this route: it
    /// answers 503 while sealed, and 400 otherwise.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn survey(&self) -> Result<SurveyResponse, CallError> {
        self.call::<call::BootstrapSurvey>(&EmptyRequest).await
    }

    /// Any call, for programs that make one which no method here stands for.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<C: Call>(&self, request: &C::Request) -> Result<C::Reply, CallError> {
        let target = C::OPERATION.path_and_query();
        let body = self.0.json(target, C::encode(request)).await?;
        Ok(C::decode_reply(&body)?)
    }

    /// As [`Self::call`], with what the head of the answer says besides.
    pub async fn call_to_its_end<C: Call>(&self, request: &C::Request) -> Ended<C::Reply> {
        let target = C::OPERATION.path_and_query();
        let Ended { outcome, request_id, retry_after } =
            self.0.exchange(target, JSON, C::encode(request)).await;
        let outcome = outcome.and_then(|body| Ok(C::decode_reply(&body)?));
        Ended { outcome, request_id, retry_after }
    }

    async fn stream(&self, operation: Operation, body: Bytes) -> Result<Bytes, CallError> {
        self.0.post(operation.path_and_query(), STREAM_CONTENT_TYPE, body).await
    }
}
