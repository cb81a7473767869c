//! A request as its handler gets it. This is the only way to its body, so no route can forget what holds for large ones.

use std::sync::Arc;

use http::{HeaderValue, header};
use spike_daemon::http::{AnswerMemory, BodyBytes, BodyLimits, Exchange, RequestBody};
use spike_mtls::budget::Taken;
use spike_wire::Operation;

use crate::{
    access::Principal,
    error::Error,
    service::{
        Nexus,
        long_work::{Deadline, Lane, Place},
    },
};

/// The advice for a body whose parsing takes too long.
const SMALLER: &str = "send less at once";

/// What a body has taken, until the request that was made of it is carried out: its memory, and a place if it is large.
#[derive(Debug)]
pub(super) struct Held {
    _memory: Option<Taken>,
    _place: Option<Place>,
}

/// The arguments of a handler.
pub(super) struct HandlerRequest<'a> {
    pub(super) nexus: &'a Arc<Nexus>,
    pub(super) principal: Principal,
    /// The budget for the answer.
    pub(super) memory: AnswerMemory,
    exchange: &'a Exchange,
    operation: Operation,
    body: &'a mut RequestBody,
}

impl<'a> HandlerRequest<'a> {
    pub(super) fn new(
        nexus: &'a Arc<Nexus>,
        exchange: &'a Exchange,
        operation: Operation,
        body: &'a mut RequestBody,
    ) -> Self {
        let principal = Principal::from(exchange.peer());
        let memory = body.answer_memory();
        Self { nexus, principal, memory, exchange, operation, body }
    }

    /// The content type, if there is one.
    pub(super) fn content_type(&self) -> Option<&HeaderValue> {
        self.exchange.headers().get(header::CONTENT_TYPE)
    }

    /// Reads the body; a large one only if the principal may carry out this operation at all. It is still to be authorized.
    ///
    /// # Errors
    /// [`Error::Denied`], and whatever is wrong with the body.
    pub(super) async fn read(&mut self, limits: BodyLimits) -> Result<BodyBytes, Error> {
        let Self { nexus, principal, operation, body, .. } = self;
        body.read(limits, || nexus.access().may_somewhere(principal, *operation)).await
    }

    /// Reads the body and runs `work` on it: on this thread if the body is small, and off the threads that serve requests if it
    /// is large. The second result is what the body has taken, to be kept for as long as the first.
    ///
    /// # Errors
    /// As [`Self::read`]; [`Error::Busy`]; the error of `work`.
    pub(super) async fn work_on_body<T: Send + 'static>(
        &mut self,
        limits: BodyLimits,
        work: impl FnOnce(&[u8]) -> Result<T, Error> + Send + 'static,
    ) -> Result<(T, Held), Error> {
        let body = self.read(limits).await?;
        let is_large = body.is_large();
        let work = move || {
            let made = work(&body)?;
            Ok((made, body.freed()))
        };
        if !is_large {
            let (made, memory) = work()?;
            return Ok((made, Held { _memory: memory, _place: None }));
        }
        let work = move |_: Deadline| work();
        let worked = self.nexus.run_long(Lane::Bodies, &self.principal, SMALLER, work).await;
        let ((made, memory), place) = worked?;
        Ok((made, Held { _memory: memory, _place: Some(place) }))
    }
}
