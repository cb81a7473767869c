//! What Nexus does, in domain words: what is between a granted request and the store. Each operation takes the grant of its call
//! by value.

pub(crate) mod cipher;
mod keepers;
mod lists;
pub mod long_work;
pub(crate) mod operator;
mod policies;
mod questions;
mod secrets;
pub(crate) mod survey;

use std::sync::Arc;

use spike_daemon::{
    audit::AuditLog,
    http::{BodyLimits, Frame},
    telemetry::HealthView,
};
use time::OffsetDateTime;

use crate::{
    access::Access,
    keys::{KeySource, seal::Seal},
};
use long_work::LongWork;
use spike_domain::UnixNanos;

/// The service. One per process, shared by every request.
#[derive(Debug)]
pub struct Nexus {
    access: Access,
    seal: Arc<Seal>,
    key_source: KeySource,
    max_ciphertext: usize,
    frame: Arc<Frame>,
    health: HealthView,
    long_work: LongWork,
}

impl Nexus {
    /// Puts the parts together.
    pub fn new(
        access: Access,
        (seal, key_source): (Arc<Seal>, KeySource),
        max_ciphertext: usize,
        frame: Arc<Frame>,
        health: HealthView,
    ) -> Self {
        let long_work = LongWork::default();
        Self { access, seal, key_source, max_ciphertext, frame, health, long_work }
    }

    /// The health checks of this process.
    pub(crate) const fn health(&self) -> &HealthView {
        &self.health
    }

    /// Who may do what.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// Whether the root key is here.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Where the root key comes from.
    pub(crate) const fn key_source(&self) -> &KeySource {
        &self.key_source
    }

    /// The longest ciphertext of the cipher and of Bootstrap's proof, in bytes, the tag included.
    pub(crate) const fn max_ciphertext(&self) -> usize {
        self.max_ciphertext
    }

    /// What every request is held against.
    pub const fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }

    /// Where every request is written down.
    pub fn audit(&self) -> &AuditLog {
        self.frame.audit()
    }

    /// Bounds on every body.
    pub fn body_limits(&self) -> BodyLimits {
        self.frame.body_limits()
    }

    /// Where work is done that takes long.
    pub(crate) const fn long_work(&self) -> &LongWork {
        &self.long_work
    }
}

fn at(nanos: UnixNanos) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
