//! Properties of every declared body, ours and upstream's.

use std::collections::BTreeSet;
use std::iter;
use std::path::Path;

use serde_json::Value;

use super::super::{Body, BodyKind, WhoCanRequest, bodies};

/// Every seed of a fuzz target: the name of a body, and the body.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let seeds = std::fs::read_dir(place).unwrap().map(|entry| {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        let end = text.iter().position(|&byte| byte == b'\n').unwrap();
        (String::from_utf8(text[..end].to_vec()).unwrap(), text[end + 1..].to_vec())
    });
    seeds.collect()
}

/// The example of one body, and its seeds.
fn seeds_of(body: &Body) -> Vec<Vec<u8>> {
    let target = if body.kind == BodyKind::Request { "json_bodies" } else { "json_replies" };
    let of_it = seeds(target).into_iter().filter(|(name, _)| name == body.name);
    iter::once((body.example)().to_vec()).chain(of_it.map(|(_, seed)| seed)).collect()
}

fn rewritten(body: &Body, json: &[u8]) -> Value {
    let written = (body.rewrite)(json);
    let written = written.unwrap_or_else(|error| panic!("{}: {error}", body.name));
    serde_json::from_slice(&written).unwrap()
}

#[test]
fn every_exported_request_and_response_is_declared_once() {
    let names: Vec<_> = bodies().map(|body| body.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
    let mut exported = BTreeSet::new();
    for file in files.filter(|file| file.is_file()) {
        let text = std::fs::read_to_string(file).unwrap();
        let structs = text.split("pub struct ").skip(1).filter_map(|declared| {
            declared.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned)
        });
        exported.extend(structs.filter(|n| n.ends_with("Request") || n.ends_with("Response")));
    }
    assert!(exported.len() > 30, "{exported:?}");
    for name in exported {
        assert!(
            names.contains(&name.as_str()),
            "{name} is not declared with `bodies!`, or not in `bodies()`"
        );
    }
}

#[test]
fn every_key_of_every_body_is_in_its_example_and_comes_back() {
    for body in bodies() {
        let mut seen = BTreeSet::new();
        for seed in seeds_of(body) {
            let sent = (body.rewrite)(&seed).unwrap();
            assert!((body.same)(&seed, &sent), "{}: {}", body.name, seed.escape_ascii());
            assert_eq!((body.rewrite)(&sent).unwrap(), sent, "{}", body.name);
            let sent: Value = serde_json::from_slice(&sent).unwrap();
            let given: Value = serde_json::from_slice(&seed).unwrap();
            for &key in body.keys {
                // A missing key could read as its zero value, but not as the given value.
                let same = sent.get(key).filter(|sent| Some(*sent) == given.get(key));
                seen.extend(same.map(|_| key));
            }
        }
        let lost: Vec<_> = body.keys.iter().filter(|key| !seen.contains(*key)).collect();
        assert!(lost.is_empty(), "{}: neither its example nor a seed keeps {lost:?}", body.name);
    }
}

#[test]
fn the_keys_of_every_body_match_in_any_case_of_letters() {
    for body in bodies() {
        for seed in seeds_of(body) {
            let Value::Object(given) = serde_json::from_slice(&seed).unwrap() else { panic!() };
            let upper: Value = given
                .into_iter()
                .map(|(key, value)| {
                    let declared = body.keys.contains(&key.as_str());
                    (if declared { key.to_ascii_uppercase() } else { key }, value)
                })
                .collect();
            let upper = serde_json::to_vec(&upper).unwrap();
            assert_eq!(rewritten(body, &upper), rewritten(body, &seed), "{}", body.name);
        }
    }
}

#[test]
fn null_stands_for_every_body_and_for_every_field() {
    for body in bodies() {
        let nothing = rewritten(body, b"{}");
        assert_eq!(rewritten(body, b"null"), nothing, "{}", body.name);
        for key in body.keys {
            // The presence of this key matters.
            if (body.name, *key) == ("SecretPutRequest", "values") {
                continue;
            }
            let json = format!(r#"{{"{key}":null}}"#);
            assert_eq!(rewritten(body, json.as_bytes()), nothing, "{}: {json}", body.name);
        }
    }
}

#[test]
fn unknown_keys_are_passed_over_and_the_last_of_equal_keys_wins() {
    for body in bodies() {
        for seed in seeds_of(body) {
            let fields = std::str::from_utf8(&seed).unwrap().trim();
            let fields = fields.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
            let comma = if fields.is_empty() { "" } else { "," };
            let twice = format!(r#"{{"no such key":[{{}}]{comma}{fields}{comma}{fields}}}"#);
            assert_eq!(rewritten(body, twice.as_bytes()), rewritten(body, &seed), "{}", body.name);
        }
    }
}

#[test]
fn what_follows_a_body_or_comes_before_it_is_refused() {
    for body in bodies() {
        for broken in ["", "{}{}", "{},", "\u{feff}{}", "[]", "\"\"", "{} x"] {
            assert!((body.rewrite)(broken.as_bytes()).is_err(), "{}: {broken:?}", body.name);
        }
    }
}

#[test]
fn an_unknown_field_may_not_nest_deeper_in_one_body_than_in_another() {
    let nested = |lists: usize| format!("{{\"x\":{}{}}}", "[".repeat(lists), "]".repeat(lists));
    for body in bodies() {
        let deepest = nested(super::super::MAX_DEPTH - 1);
        assert!((body.rewrite)(deepest.as_bytes()).is_ok(), "{}", body.name);
        let too_deep = nested(super::super::MAX_DEPTH);
        assert!((body.rewrite)(too_deep.as_bytes()).is_err(), "{}", body.name);
    }
}

/// They used to be read by other rules: exact keys, all present, and no `null`.
#[test]
fn a_question_of_our_own_is_read_as_go_reads_it() {
    let body = br#"{"PATH":"p","Permission":"read","permission":null,"other":1}"#;
    let request = WhoCanRequest::decode(body).unwrap();
    assert_eq!((request.path.as_str(), request.permission.as_str()), ("p", "read"));
    assert_eq!(WhoCanRequest::decode(b"null").unwrap(), WhoCanRequest::default());
}
