//! `policy list` with filters and pages, from our Nexus, and from upstream's, which has few of them.

use spike_wire::{EmptyRequest, Policy, PolicyListRequest, call};

use super::{all, names as listed};
use crate::cli::PolicyListArgs;
use crate::context::Session;
use crate::error::Error;

/// The result of a list.
pub(super) struct Listed {
    /// The names, in the order of their bytes.
    pub(super) names: Vec<String>,
    /// Whether the limit cut the list.
    pub(super) more: bool,
}

/// Lists the names. Upstream's Nexus knows two filters and ignores all other fields.
pub(super) async fn names(session: &Session, arguments: PolicyListArgs) -> Result<Listed, Error> {
    let request = PolicyListRequest {
        spiffeid_pattern: arguments.spiffeid_pattern.unwrap_or_default(),
        path_pattern: arguments.path_pattern.unwrap_or_default(),
        name_contains: arguments.name_contains.unwrap_or_default(),
        spiffeid_contains: arguments.spiffeid_contains.unwrap_or_default(),
        path_contains: arguments.path_contains.unwrap_or_default(),
        after: arguments.after.unwrap_or_default(),
        // One more than the limit shows whether there are more.
        limit: arguments.limit.map_or(0, |limit| i64::from(limit) + 1),
    };
    let looks_inside = !(request.spiffeid_contains.is_empty() && request.path_contains.is_empty());
    let mut names = if looks_inside && !knows_filters(session).await? {
        let policies = all(session, whole_patterns(&request)).await?.into_iter();
        policies.filter(|policy| is_selected(policy, &request)).map(|policy| policy.name).collect()
    } else {
        listed(session, request.clone()).await?
    };
    names.retain(|name| *name > request.after && name.contains(&request.name_contains));
    names.sort_unstable();
    let limit = arguments.limit.and_then(|limit| usize::try_from(limit).ok());
    let more = limit.is_some_and(|limit| names.len() > limit);
    names.truncate(limit.unwrap_or(usize::MAX));
    Ok(Listed { names, more })
}

/// Whether this is our Nexus. Upstream's has no route for the status.
async fn knows_filters(session: &Session) -> Result<bool, Error> {
    match session.call::<call::OperatorStatus>(&EmptyRequest, "").await {
        Ok(_) => Ok(true),
        Err(error) if super::questions::has_no_such_route(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The request with only the filters that upstream's Nexus knows.
fn whole_patterns(request: &PolicyListRequest) -> PolicyListRequest {
    PolicyListRequest {
        spiffeid_pattern: request.spiffeid_pattern.clone(),
        path_pattern: request.path_pattern.clone(),
        ..PolicyListRequest::default()
    }
}

fn is_selected(policy: &Policy, request: &PolicyListRequest) -> bool {
    policy.spiffeid_pattern.contains(&request.spiffeid_contains)
        && policy.path_pattern.contains(&request.path_contains)
}
