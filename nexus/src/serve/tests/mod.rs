//! Requests to every route, without TLS: the rules that hold for all of them.

mod dropped;
mod fixture;
mod large;
mod threads;
