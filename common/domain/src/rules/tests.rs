use super::*;

#[test]
fn a_path_has_1_to_500_bytes_of_its_class() {
    for text in ["a", "/", "a//b/../c", "(a|b)?[x]{2}+*\\.-_", &"a".repeat(500)] {
        assert!(is_secret_path(text), "{text}");
    }
    for text in ["", "a b", "a:b", "^a", "a$", "a@b", "a%20", "a,b", "é", "a\n", &"a".repeat(501)]
    {
        assert!(!is_secret_path(text), "{text}");
    }
}

#[test]
fn a_name_has_1_to_250_bytes_of_its_class() {
    for text in ["a", "A-b_c 9", " ", &"n".repeat(250)] {
        assert!(is_name(text), "{text}");
    }
    for text in ["", "a/b", "a.b", "é", "a\n", "a\tb", &"n".repeat(251)] {
        assert!(!is_name(text), "{text}");
    }
}

#[test]
fn a_path_pattern_may_be_anchored_besides() {
    for text in ["^a$", "a", "^secrets/.*$", "(?i)a", "$^", &"^".repeat(500)] {
        assert!(is_path_pattern(text), "{text}");
    }
    for text in ["", "a{2,3}", "(?:a)", "a b", "<", &"^".repeat(501)] {
        assert!(!is_path_pattern(text), "{text}");
    }
}

#[test]
fn a_spiffe_id_pattern_begins_with_the_scheme() {
    for text in [
        "spiffe://a",
        "^spiffe://example\\.org/web-service/.*$",
        "spiffe://a$",
        "spiffe://[a-z]+/under_score/x",
        "^spiffe://under_score/x$",
        "spiffe://a//",
        "spiffe://a//b$",
        "spiffe://.*",
        &format!("spiffe://{}", "a".repeat(10_000)),
    ] {
        assert!(is_spiffeid_pattern(text), "{text}");
    }
    for text in [
        "",
        ".*",
        "^",
        "spiffe://",
        "spiffe:///",
        "spiffe:///a",
        "^spiffe://$",
        "spiffe://a/",
        "spiffe://a/$",
        "spiffe://a|b",
        "spiffe://a/{2}",
        "spiffe://a:8080",
        "spiffe://a/b$c",
        "spiffe://a/b$$",
        "^^spiffe://a",
        "spiffe://a/b^",
        "https://a",
        "Spiffe://a",
        "spiffe://a b",
        "spiffe://é",
    ] {
        assert!(!is_spiffeid_pattern(text), "{text}");
    }
}

#[test]
fn the_rule_for_spiffe_id_patterns_is_that_of_the_reference() {
    // Every text of up to six characters, one of each kind, after the scheme, compared with a literal reading of the
    // expression: `[A]+(/[B]+)*\$?`, where B is A with `/`; `_` is in both.
    let alphabet = ['a', '/', '_', '$', '|'];
    let mut texts = vec![String::new()];
    for _ in 0..6 {
        let longer: Vec<_> = texts
            .iter()
            .flat_map(|text| alphabet.map(|character| format!("{text}{character}")))
            .collect();
        texts.extend(longer);
        texts.sort();
        texts.dedup();
    }
    for text in texts {
        let expected = reference(text.as_bytes());
        assert_eq!(is_spiffeid_pattern(&format!("spiffe://{text}")), expected, "{text}");
    }
}

/// Backtracks over the expression.
fn reference(text: &[u8]) -> bool {
    let run = text.iter().take_while(|&&byte| matches!(byte, b'a' | b'_')).count();
    (1..=run).any(|len| after_authority(&text[len..]))
}

fn after_authority(rest: &[u8]) -> bool {
    if matches!(rest, [] | [b'$']) {
        return true;
    }
    let Some((b'/', rest)) = rest.split_first() else {
        return false;
    };
    let run = rest.iter().take_while(|&&byte| matches!(byte, b'a' | b'/' | b'_')).count();
    (1..=run).any(|len| after_authority(&rest[len..]))
}

#[test]
fn there_are_five_permissions() {
    for word in ["read", "write", "list", "execute", "super"] {
        assert!(is_permission(word), "{word}");
    }
    for word in ["", "READ", "delete", "read "] {
        assert!(!is_permission(word), "{word}");
    }
}

#[test]
fn the_reserved_paths_are_themselves_good_paths() {
    assert!(crate::RESERVED_PATHS.into_iter().all(is_secret_path));
}
