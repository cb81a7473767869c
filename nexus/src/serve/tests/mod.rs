//! Requests to every route, without TLS: what must hold whatever the route is.

mod dropped;
mod fixture;
