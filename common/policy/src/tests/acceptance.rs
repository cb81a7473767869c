//! Which new policies are accepted.

use super::*;

fn validate(name: &str, id: &str, path: &str, words: &[&str]) -> Result<Policy, PolicyError> {
    Policy::validate_new(name, id, path, words, NOON)
}

fn refusal(name: &str, id: &str, path: &str, words: &[&str]) -> PolicyError {
    validate(name, id, path, words).unwrap_err()
}

#[test]
fn a_new_policy_keeps_what_was_given() {
    let policy = validate("web service-1_", APP, "^secrets/web/", &["write", "read", "write"]);
    let policy = policy.unwrap();
    assert_eq!(policy.name, "web service-1_");
    assert_eq!(policy.spiffe_id_pattern, APP);
    assert_eq!(policy.path_pattern, "^secrets/web/");
    assert_eq!(policy.permissions.to_string(), "write,read,write");
    assert_eq!((policy.created_at, policy.updated_at), (NOON, NOON));
}

// Names (wire-api 6.2).
#[test]
fn a_name_has_1_to_250_bytes_of_its_alphabet() {
    for name in ["a", "A-b_c 9", " ", "-", &"x".repeat(250)] {
        assert_eq!(check_name(name), Ok(()), "{name:?}");
    }
    let length = |length| Refusal::TooLong { length, limit: 250 };
    let character = |found, offset| Refusal::Character { found, offset };
    for (name, why) in [
        ("", Refusal::Empty),
        (&*"x".repeat(251), length(251)),
        (&*"é".repeat(126), length(252)),
        ("a.b", character('.', 1)),
        ("a/b", character('/', 1)),
        ("a\n", character('\n', 1)),
        ("né", character('é', 1)),
    ] {
        assert_eq!(refusal(name, APP, "a/b", &["read"]), PolicyError::new(Field::Name, why));
    }
}

// SPIFFE ID patterns (wire-api 6.3).
#[test]
fn a_spiffe_id_pattern_has_the_shape_of_a_spiffe_id() {
    for text in [
        "spiffe://x",
        "^spiffe://x$",
        "spiffe://x/y",
        "spiffe://x//",
        "spiffe://.*",
        "^spiffe://[^a]",
        r"^spiffe://example\.org/(a)?/[a-z]+/x_y.*$",
        r"spiffe://a+?\[\]",
        "spiffe://under_score.td/x",
    ] {
        let checked = check_spiffe_id_pattern(text);
        let expected = !text.contains("[^");
        assert_eq!(checked.is_ok(), expected, "{text} {checked:?}");
    }
    for text in [
        "",
        ".*",
        "^",
        "$",
        "^$",
        "x",
        "spiffe:/x",
        "spiffe://",
        "^spiffe://$",
        "spiffe:///x",
        "spiffe://x/",
        "spiffe://x/$",
        "Spiffe://x",
        "^^spiffe://x",
        "spiffe://x$$",
        "spiffe://x$y",
        "spiffe://x^y",
        "spiffe://a|b",
        "spiffe://a{2}",
        "spiffe://a,b",
        "spiffe://a:b",
        "spiffe://a b",
        "spiffe://é",
        "spiffe://x\n",
        " spiffe://x",
        "(spiffe://x)",
        "spiffe://x/y|z",
        "spiffe://x/a@b",
    ] {
        let error = check_spiffe_id_pattern(text).unwrap_err();
        assert_eq!(error.field, Field::SpiffeIdPattern, "{text}");
    }
    let long = format!("spiffe://{}", "x".repeat(5000));
    assert_eq!(check_spiffe_id_pattern(&long), Ok(()), "there is no limit of length");
}

// Path patterns (wire-api 6.4).
#[test]
fn a_path_pattern_has_1_to_500_bytes_of_its_alphabet() {
    for text in ["a", r"^$.-_/()?+*|[]{}\\", "^.*$", "(?i)a", &"x".repeat(500)] {
        assert_eq!(check_path_pattern(text), Ok(()), "{text}");
    }
    for text in [
        "", " ", "a b", "a{2,3}", "(?:a)", "a,b", "a:b", "<a>", "a&b", "@", "%", "é", "a\n", "\"",
        "'",
    ] {
        assert_eq!(check_path_pattern(text).unwrap_err().field, Field::PathPattern, "{text:?}");
    }
    assert!(check_path_pattern(&"x".repeat(501)).is_err());
}

// Permissions (wire-api 6.5).
#[test]
fn permissions_are_one_or_more_of_five_words() {
    let why = |words: &[&str]| refusal("n", APP, "a/b", words).why;
    assert_eq!(why(&[]), Refusal::Empty);
    let unknown = Refusal::UnknownPermission { word: "Read".into() };
    assert_eq!(why(&["read", "Read"]), unknown);
    assert!(validate("n", APP, "a/b", &["read", "write", "list", "execute", "super"]).is_ok());
}

// The order is: name, SPIFFE ID pattern, path pattern, permissions, then compiling, then reserved paths (N7).
#[test]
fn the_first_fault_in_upstreams_order_is_named() {
    let field = |name, id, path, words: &[&str]| refusal(name, id, path, words).field;
    assert_eq!(field("", "", "", &[]), Field::Name);
    assert_eq!(field("n", "", "", &[]), Field::SpiffeIdPattern);
    assert_eq!(field("n", "spiffe://(", "", &[]), Field::PathPattern);
    assert_eq!(field("n", "spiffe://(", "(", &[]), Field::Permissions);
    assert_eq!(field("n", "spiffe://(", "(", &["read"]), Field::SpiffeIdPattern);
    assert_eq!(field("n", "spiffe://x", "(", &["read"]), Field::PathPattern);
    let reserved = refusal("n", "spiffe://x", "acl", &["read"]);
    assert!(matches!(reserved.why, Refusal::ReservedPath { .. }), "{reserved}");
}

#[test]
fn an_error_says_field_place_and_reason() {
    for (id, path, expected) in [
        ("spiffe://x", "a(b", "pathPattern: missing closing ): `(b` at byte 1"),
        ("spiffe://x", "a,b", "pathPattern: ',' is not allowed at byte 1"),
        ("^spiffe://a|b", "a", "spiffeidPattern: '|' is not allowed at byte 11"),
        (".*", "a", "spiffeidPattern: must begin with spiffe:// or ^spiffe:// and a trust domain"),
        (
            "spiffe://x",
            "secret",
            "pathPattern: finds the reserved path spike/system/secret, but does not match the whole path",
        ),
        (
            "spiffe://x",
            ".*",
            "pathPattern: finds the reserved path spike/system/acl, but spiffeidPattern does not begin with ^ and \
             end with $",
        ),
    ] {
        assert_eq!(refusal("n", id, path, &["read"]).to_string(), expected);
    }
    assert_eq!(refusal("n", "spiffe://x", "a**", &["read"]).offset(), Some(1));
}

// The table of wire-api 5.5. All three reserved paths are tested (F24).
#[test]
fn patterns_that_reach_reserved_paths_must_be_entitled_to_them() {
    for (id, path, accepted) in [
        ("^spiffe://x.y$", "acl", false),
        ("spiffe://x.y", ".*", false),
        ("^spiffe://x.y$", ".*", true),
        ("^spiffe://x.y$", "spike/system/acl", true),
        ("spiffe://x.y", "a", false),
        ("^spiffe://x.y$", "secret", false),
        ("spiffe://x.y", "^secrets/", true),
        ("spiffe://x.y", "secrets/.*", true),
        ("^spiffe://x.y$", "^spike/system/cipher/exec$", true),
        ("^spiffe://x.y", "^spike/system/cipher/exec$", false),
        ("spiffe://x.y$", "^spike/system/secret$", false),
        // The first path is matched whole, a later one only in part (F24).
        ("^spiffe://x.y$", "spike/system/acl|secret", false),
        ("^spiffe://x.y$", "spike/system/acl|spike/system/secret", true),
        ("^spiffe://x.y$", "spike/system/", false),
        ("^spiffe://x.y$", "spike/system/.*", true),
        ("spiffe://x.y", "^spike/system/other$", true),
        ("spiffe://x.y", "^spike/system/other", true),
        // The pattern quotes the appended end, so it matches nothing whole.
        ("^spiffe://x.y$", r"\Qspike/system/acl", false),
        ("^spiffe://x.y$", r"\Qspike/system/acl\E", true),
    ] {
        let result = validate("n", id, path, &["read"]);
        assert_eq!(result.is_ok(), accepted, "{id} on {path}: {result:?}");
    }
}
