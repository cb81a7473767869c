//! Request targets as Go reads them: decoded paths, the first `action`, and unclean paths (wire-api 3.1, 3.3).

use std::borrow::Cow;

use super::percent::percent_decoded;

/// Decodes the percent escapes of a path. `None` for a malformed one, which HTTP servers refuse earlier. Bytes that are
/// not UTF-8 become U+FFFD, so that they match no route.
pub fn decode_path(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let bytes = percent_decoded(path.as_bytes())?;
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The path that Go's `ServeMux` redirects to: without `//`, `/./` and `/../`, but with a trailing slash if there was
/// one. `None` if the path is clean. Escapes are not decoded, so `/%2e/` is clean.
pub fn clean_path(path: &str) -> Option<String> {
    (!is_clean(path)).then(|| cleaned(path))
}

/// Whether the path is clean: one slash before each segment, and perhaps one at the end.
fn is_clean(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    let is_suspect = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.']);
    if !path.as_bytes().windows(2).any(is_suspect) {
        return true;
    }
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    segments.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

fn cleaned(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut cleaned = format!("/{}", kept.join("/"));
    if path.ends_with('/') && !kept.is_empty() {
        cleaned.push('/');
    }
    cleaned
}

/// The first value of the key `action` in a query, form-decoded; empty if there is none. A part that contains `;` or an
/// invalid escape is ignored.
pub(super) fn first_action(query: &str) -> Cow<'_, [u8]> {
    // The form of nearly every request.
    if let Some(action) = query.strip_prefix("action=")
        && action.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        return Cow::Borrowed(action.as_bytes());
    }
    query
        .split('&')
        .filter(|part| !part.contains(';'))
        .find_map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (form_decode(key)?, form_decode(value)?);
            (*key == *b"action").then_some(value)
        })
        .unwrap_or_default()
}

fn form_decode(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('+') {
        return percent_decoded(text.as_bytes());
    }
    let spaced = text.replace('+', " ");
    percent_decoded(spaced.as_bytes()).map(|decoded| Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, cleaned) in [
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b/", "/b/"),
            ("//", "/"),
            ("/..", "/"),
            ("/a//", "/a/"),
            ("/a/.", "/a"),
            ("/a/..", "/"),
            ("/a/b/..", "/a"),
            ("//h/x", "/h/x"),
            ("/v1//store/secrets", "/v1/store/secrets"),
            ("", "/"),
            ("a", "/a"),
        ] {
            assert_eq!(clean_path(path).as_deref(), Some(cleaned), "{path}");
        }
    }

    #[test]
    fn a_clean_path_is_not_redirected() {
        for path in ["/", "/a", "/a/", "/v1/store/secrets", "/a%2F%2Fb", "/a/%2e%2e/b", "/..."] {
            assert_eq!(clean_path(path), None, "{path}");
        }
    }

    #[test]
    fn exactly_the_paths_that_cleaning_would_change_are_not_clean() {
        let mut paths = vec![String::new()];
        for _ in 0..7 {
            let longer =
                paths.iter().flat_map(|path| ["/", ".", "a"].map(|end| format!("{path}{end}")));
            paths = longer.collect();
            for path in &paths {
                assert_eq!(is_clean(path), cleaned(path) == *path, "{path}");
            }
        }
    }

    #[test]
    fn the_action_is_the_first_value_of_its_key_after_form_decoding() {
        for (query, action) in [
            ("", ""),
            ("action=get", "get"),
            ("action=list&action=get", "list"),
            ("action=&action=get", ""),
            ("action", ""),
            ("Action=get", ""),
            ("x=1&action=get&y", "get"),
            ("&&action=get", "get"),
            ("=x&action=get", "get"),
            ("action==get", "=get"),
            ("%61ction=g%65t", "get"),
            ("action=+", " "),
            ("action%3Dget", ""),
            ("action=list;x=1", ""),
            ("action=list;x=1&action=get", "get"),
            ("a;b&action=get", "get"),
            ("action=%zz&action=get", "get"),
            ("action=%4&action=get", "get"),
            ("%zz=x&action=get", "get"),
        ] {
            assert_eq!(*first_action(query), *action.as_bytes(), "{query}");
        }
    }

    #[test]
    fn a_path_is_compared_after_its_escapes_are_undone() {
        assert_eq!(decode_path("/v1/store/secret%73").as_deref(), Some("/v1/store/secrets"));
        assert_eq!(decode_path("/a+b").as_deref(), Some("/a+b"));
        assert_eq!(decode_path("/%ff").as_deref(), Some("/\u{fffd}"));
        assert_eq!(decode_path("/%zz"), None);
        assert_eq!(decode_path("/%4"), None);
    }
}
