//! The Rust SDK against real daemons: every call, identities that are wrong or end, futures that are dropped, and a service
//! that is built with it.

mod api;
mod dropped;
mod examples;
mod identity;
mod service;
mod trace;
