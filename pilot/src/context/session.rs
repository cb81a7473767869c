//! A connection to Nexus, and the identity of this process.

use std::sync::Arc;

use http::StatusCode;
use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_mtls::{
    ClientTimeouts,
    client::{CallError, NexusClient},
    svid::{Material, SvidSource},
};
use spike_wire::{Call, Operation};
use time::OffsetDateTime;

use crate::error::{Asked, Error};

/// Nexus, ready to be called.
#[derive(Debug)]
pub(crate) struct Session {
    /// The calls.
    pub(crate) nexus: NexusClient,
    /// The trust roots of the built-in roles, from the settings of this process.
    pub(crate) roots: Arc<TrustRootsByRole>,
    id: String,
    api: HttpsUrl,
    svid: (OffsetDateTime, OffsetDateTime),
}

impl Session {
    pub(super) fn open(
        source: &SvidSource,
        roots: Arc<TrustRootsByRole>,
        api: HttpsUrl,
        timeouts: ClientTimeouts,
        material: &Material,
    ) -> Result<Self, Error> {
        let nexus = NexusClient::new(source, Arc::clone(&roots), &api, timeouts)
            .map_err(|error| Error::Tls(error.into()))?;
        let svid = (material.not_before(), material.not_after());
        Ok(Self { nexus, roots, id: material.id().to_string(), api, svid })
    }

    /// The SPIFFE ID of this process.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Makes a call. `subject` is what the words about its failure name: a path, or nothing.
    pub(crate) async fn call<C: Call>(
        &self,
        request: &C::Request,
        subject: &str,
    ) -> Result<C::Reply, Error> {
        self.nexus.call::<C>(request).await.map_err(|error| {
            let mut asked = self.asked(C::OPERATION, subject);
            if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE) {
                asked.too_large = Some(C::encode(request).len());
            }
            Error::Call { asked: Box::new(asked), error }
        })
    }

    /// Makes the error of a failed call, for `map_err`. For what is no [`Call`]: the streams of the cipher.
    pub(crate) fn failed(
        &self,
        operation: Operation,
        subject: &str,
    ) -> impl FnOnce(CallError) -> Error {
        let asked = self.asked(operation, subject);
        move |error| Error::Call { asked: Box::new(asked), error }
    }

    fn asked(&self, operation: Operation, subject: &str) -> Asked {
        Asked {
            operation,
            subject: subject.to_owned(),
            id: self.id.clone(),
            is_operator: Role::OPERATORS.iter().any(|role| self.roots.hold(*role, &self.id)),
            api: self.api.to_string(),
            svid: self.svid,
            status: None,
            too_large: None,
        }
    }
}
