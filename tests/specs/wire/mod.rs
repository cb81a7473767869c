//! What goes over the wire, byte for byte: the conformance rows that concern secrets and routing (wire-api 15, rows 1 to
//! 16), routing, headers, TLS and HTTP versions, Go's JSON, and what the audit log says of it all.

mod audit;
mod http;
mod json;
mod routing;
mod rows;
mod tls;

/// The body of requests without a route.
const BAD_REQUEST: &str = r#"{"err":"api_bad_request"}"#;

/// N1 without and N5 with its action.
const PUT: &str = "/v1/store/secrets";
const GET: &str = "/v1/store/secrets?action=get";
const DELETE: &str = "/v1/store/secrets?action=delete";
const UNDELETE: &str = "/v1/store/secrets?action=undelete";
const LIST: &str = "/v1/store/secrets?action=list";
const METADATA: &str = "/v1/store/secrets/metadata?action=get";
const WHO_CAN: &str = "/v1/acl/policy?action=who-can";
