//! What can go wrong.
//!
//! | [`Error`](crate::Error) | what happened | was a write done? | what to do |
//! |---|---|---|---|
//! | `Configuration` | the settings are not valid | no | read all of its problems |
//! | `Identity` | no SVID arrived in time | no | is there an agent, and a registration entry? |
//! | `Tls` | TLS cannot be configured | no | report it |
//! | `Denied` | no policy allows it | no | give an operator the request id |
//! | `NotFound` | no such secret, version or policy, or deleted | no | |
//! | `AlreadyExists` | a policy of that name exists | no | |
//! | `Invalid` | a path, name or pattern is not valid, or a ciphertext does not open | no | read the reason |
//! | `TooLarge` | a request or an answer is over its limit | no | split it |
//! | `Busy` | too much to do, or Nexus is about to end | no | later: `retry_after` |
//! | `Sealed` | Nexus has no root key, or cannot open its store | no | later; if it lasts, an operator |
//! | `Unreachable` | no connection | no | later; is the address right? |
//! | `Unanswered` | the request was sent, and no answer came | perhaps | read, then write again |
//! | `WrongServer` | another SPIFFE ID answers at the address | no | is the address right, are the trust roots? |
//! | `IdentityRefused` | Nexus does not accept the SVID | no | has it expired, is the trust domain federated? |
//! | `Server` | Nexus failed | perhaps | its log has the request id |
//! | `BadAnswer` | the answer has another form | perhaps | is it a Nexus? |
//! | `Deadline` | the time limit passed | `was_under_way`, and the last error | the limit, the tries and the last error are in it |
//!
//! [`is_temporary`](crate::Error::is_temporary) and [`may_have_been_done`](crate::Error::may_have_been_done) answer the two usual
//! questions. The client has tried again already what is worth it: a write only if the table says "no". It waits longer each time,
//! and as long as a busy Nexus asks for. `WrongServer` and `IdentityRefused` come at once.
//!
//! ```no_run
//! use spike_sdk::{Client, Error};
//!
//! # async fn example(spike: &Client) -> Result<Option<String>, Error> {
//! match spike.get("tenants/acme/feature").await {
//!     Ok(secret) => Ok(secret.expose("key").map(str::to_owned)),
//!     Err(Error::NotFound) => Ok(None),
//!     Err(error) if error.is_temporary() => {
//!         eprintln!("without the feature for now: {error}");
//!         Ok(None)
//!     }
//!     Err(error) => Err(error),
//! }
//! # }
//! ```
//!
//! **Logs.** Each call is a span of `tracing` at DEBUG, named `spike`, with `operation`, `subject` (a path or a name), `tries` and
//! `request_id`, the `TrailID` of the audit line of Nexus. A try that failed is an event at DEBUG, a problem of the settings one at
//! WARN. No event has a value, at no level: a test reads everything that a client logs at TRACE.
