//! All pages of a list. Our Nexus sends pages, upstream's sends everything at once.

use spike_wire::{SecretListRequest, SecretListResponse};

use crate::error::Error;

/// The result of a list.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::command) struct Listed {
    /// The paths, in the order that Nexus sends.
    pub(in crate::command) paths: Vec<String>,
    /// Whether the limit cut the list.
    pub(in crate::command) more: bool,
}

/// At most `limit` paths that begin with `prefix`, page by page from `fetch`.
///
/// Upstream's Nexus ignores prefix and limit, and answers 404 for an empty list.
pub(in crate::command) async fn paths(
    prefix: &str,
    limit: Option<usize>,
    mut fetch: impl AsyncFnMut(SecretListRequest) -> Result<SecretListResponse, Error>,
) -> Result<Listed, Error> {
    let mut paths = Vec::new();
    let mut after = String::new();
    loop {
        let missing = limit.map_or(usize::MAX, |limit| limit.saturating_sub(paths.len()));
        let wanted = limit.map_or(0, |_| i64::try_from(missing).unwrap_or(i64::MAX));
        let request =
            SecretListRequest { prefix: prefix.to_owned(), after: after.clone(), limit: wanted };
        let page = match fetch(request).await {
            Err(error) if error.status() == Some(404) => return Ok(Listed { paths, more: false }),
            page => page?,
        };
        let mut here = page.keys.into_iter().filter(|path| path.starts_with(prefix));
        paths.extend(here.by_ref().take(missing));
        let enough = limit.is_some_and(|limit| paths.len() >= limit);
        let left_out = here.next().is_some();
        match page.next {
            // A `next` that does not advance would lead to an endless loop.
            Some(next) if !enough && next > after => after = next,
            next => return Ok(Listed { paths, more: left_out || (enough && next.is_some()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use spike_mtls::client::{CallError, Refusal};
    use spike_wire::Operation;
    use time::OffsetDateTime;

    use super::*;
    use crate::error::Asked;

    const STORED: [&str; 5] = ["a/1", "a/2", "a/3", "b/1", "b/2"];

    /// Pages of two, as our Nexus sends them.
    fn paged(request: &SecretListRequest) -> SecretListResponse {
        let after = request.after.as_str();
        let mut rest: Vec<String> = STORED
            .iter()
            .filter(|path| **path > after && path.starts_with(&request.prefix))
            .map(ToString::to_string)
            .collect();
        let size =
            if request.limit > 0 { usize::try_from(request.limit).unwrap().min(2) } else { 2 };
        let more = rest.len() > size;
        rest.truncate(size);
        SecretListResponse { next: rest.last().filter(|_| more).cloned(), keys: rest }
    }

    async fn listed(prefix: &str, limit: Option<usize>) -> Vec<String> {
        paths(prefix, limit, async |request| Ok(paged(&request))).await.unwrap().paths
    }

    #[tokio::test]
    async fn all_pages_are_read() {
        assert_eq!(listed("", None).await, STORED);
        assert_eq!(listed("a/", None).await, ["a/1", "a/2", "a/3"]);
    }

    #[tokio::test]
    async fn a_limit_holds_across_pages_and_inside_of_one() {
        for limit in 1..=6 {
            assert_eq!(listed("", Some(limit)).await, STORED[..limit.min(5)], "{limit}");
        }
    }

    // Nothing said that a list was cut.
    #[tokio::test]
    async fn a_list_that_a_limit_cuts_says_that_there_is_more() {
        for (prefix, limit, more) in
            [("", 4, true), ("", 5, false), ("", 6, false), ("a/", 2, true), ("a/", 3, false)]
        {
            let listed = paths(prefix, Some(limit), async |request| Ok(paged(&request))).await;
            assert_eq!(listed.unwrap().more, more, "{prefix} {limit}");
        }
    }

    #[tokio::test]
    async fn a_nexus_that_sends_everything_is_filtered_here() {
        let all = async |_| {
            Ok(SecretListResponse { keys: STORED.map(str::to_owned).to_vec(), next: None })
        };
        let Listed { paths, more } = paths("b/", Some(1), all).await.unwrap();
        assert_eq!((paths, more), (vec!["b/1".to_owned()], true));
    }

    #[tokio::test]
    async fn a_nexus_that_leads_in_circles_is_asked_no_third_time() {
        let mut asked = 0;
        let listed = paths("", None, async |_| {
            asked += 1;
            Ok(SecretListResponse { keys: vec!["a".to_owned()], next: Some("a".to_owned()) })
        })
        .await;
        assert_eq!(listed.unwrap().paths, ["a", "a"]);
        assert_eq!(asked, 2);
    }

    #[tokio::test]
    async fn not_found_is_an_empty_list() {
        let listed = paths("", None, async |_| {
            Err(Error::Call {
                asked: Box::new(Asked {
                    operation: Operation::SecretList,
                    subject: String::new(),
                    id: String::new(),
                    is_operator: true,
                    api: String::new(),
                    svid: (OffsetDateTime::UNIX_EPOCH, OffsetDateTime::UNIX_EPOCH),
                    status: None,
                    too_large: None,
                }),
                error: CallError::Refused(Refusal {
                    status: StatusCode::NOT_FOUND,
                    code: None,
                    reason: None,
                    request_id: None,
                }),
            })
        })
        .await;
        assert_eq!(listed.unwrap().paths, [""; 0]);
    }
}
