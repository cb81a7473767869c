use super::*;

const ONE: &str = r"
name: acme-db
spiffeidPattern: ^spiffe://example\.org/acme/.*$
pathPattern: ^tenants/acme/db/.*$
permissions: [read, write]
";

fn names(text: &str) -> Vec<String> {
    read(text.as_bytes()).unwrap().requests.into_iter().map(|request| request.name).collect()
}

fn problem(text: &str) -> String {
    let error = read(text.as_bytes()).unwrap_err().in_file(Path::new("policy.yaml"));
    let hints = crate::hint::hints(&error);
    [&[error.to_string()], &hints[..]].concat().join("\nhint: ")
}

fn expected() -> PolicyPutRequest {
    PolicyPutRequest {
        name: "acme-db".to_owned(),
        spiffeid_pattern: r"^spiffe://example\.org/acme/.*$".to_owned(),
        path_pattern: "^tenants/acme/db/.*$".to_owned(),
        permissions: vec!["read".to_owned(), "write".to_owned()],
        create_only: false,
    }
}

#[test]
fn every_way_to_write_one_policy_reads_the_same() {
    for text in [
        ONE.to_owned(),
        format!("---\n{ONE}..."),
        format!("# comment\n{ONE}id: acme-db\ncreatedAt: 2026-01-20T04:33:41Z\npathregex: null\n"),
        format!("{ONE}idregex: null\npathregex:\n"),
        // The same said twice is said once, and permissions are a set.
        format!("{ONE}Permissions: [write, read, write]\n"),
        format!("{ONE}name: acme-db\nPermissions: [read, write]\nid: ''\n"),
        ONE.replace("[read, write]", "\n  - read\n  - write"),
        ONE.replace("^spiffe", "'^spiffe").replace("acme/.*$\npath", "acme/.*$'\npath"),
        ONE.replace("^spiffe", "\"^spiffe")
            .replace(r"\.", r"\\.")
            .replace("acme/.*$\npath", "acme/.*$\"\npath"),
        // What `policy get` prints, here and upstream.
        ONE.replace("spiffeidPattern", "spiffiedPattern"),
        ONE.to_lowercase(),
        r#"{"name": "acme-db", "spiffeidPattern": "^spiffe://example\\.org/acme/.*$",
            "pathPattern": "^tenants/acme/db/.*$", "permissions": ["read", "write"]}"#
            .to_owned(),
    ] {
        let policies = read(text.as_bytes()).unwrap();
        assert_eq!(policies.requests, [expected()], "{text}");
        assert_eq!(!policies.times.is_empty(), text.contains("createdAt"), "{text}");
    }
}

#[test]
fn a_file_may_hold_several_documents_and_empty_ones() {
    let other = ONE.replace("acme-db", "other");
    assert_eq!(names(&format!("---{ONE}---{other}---\n")), ["acme-db", "other"]);
    assert_eq!(names(&format!("# first\n---\n---{ONE}")), ["acme-db"]);
}

#[test]
fn a_backslash_in_double_quotes_is_explained() {
    // cli-config-deploy 9 no. 19: upstream's own examples have it.
    let text = ONE.replace("^spiffe", "\"^spiffe").replace("acme/.*$\npath", "acme/.*$\"\npath");
    insta::assert_snapshot!(problem(&text), @r"
    Error reading policy file: policy.yaml: line 3, column 18: an unknown escape in double quotes
    hint: in double quotes \ begins an escape of YAML, and \. is none: write the pattern in single quotes
    ");
}

#[test]
fn what_is_missing_is_named_with_the_policy_it_is_missing_from() {
    insta::assert_snapshot!(problem(&ONE.replace("pathPattern", "pathPattern: ''\n#")), @"
    Error reading policy file: policy.yaml: pathPattern is missing or empty
    hint: a policy has name, spiffeidPattern, pathPattern and permissions
    ");
    let second = ONE.replace("acme-db", "''");
    insta::assert_snapshot!(problem(&format!("{ONE}---{second}")), @"
    Error reading policy file: policy.yaml: policy 2: name is missing or empty
    hint: a policy has name, spiffeidPattern, pathPattern and permissions
    ");
    insta::assert_snapshot!(problem(&ONE.replace("[read, write]", "[]")), @"
    Error reading policy file: policy.yaml: permissions is missing or empty
    hint: a policy has name, spiffeidPattern, pathPattern and permissions
    ");
}

#[test]
fn a_field_that_no_policy_has_is_named_with_its_line() {
    insta::assert_snapshot!(problem(&format!("{ONE}effect: deny\n")), @r#"
    Error reading policy file: policy.yaml: line 6: a policy has no field "effect"
    hint: it has name, spiffeidPattern, pathPattern and permissions; it allows what these say, and denies nothing
    "#);
    let second = ONE.replace("acme-db", "b").replace("pathPattern", "path");
    let told = problem(&format!("{ONE}---{second}"));
    assert!(told.contains(r#"policy 2: line 9: a policy has no field "path""#), "{told}");
}

#[test]
fn two_fields_that_say_different_things_are_not_resolved_by_taking_one() {
    for (line, told) in [
        (
            "Permissions: [read, write, super]",
            r#"line 6: "Permissions" says something else than "permissions" in line 5"#,
        ),
        (
            "permissions: [read]",
            r#"line 6: "permissions" says something else than "permissions" in line 5"#,
        ),
        (
            "permissions: null",
            r#"line 6: "permissions" says something else than "permissions" in line 5"#,
        ),
        (
            "spiffiedPattern: ^spiffe://example/b$",
            r#"line 6: "spiffiedPattern" says something else than "spiffeidPattern" in line 3"#,
        ),
        (
            "pathpattern: ^b$",
            r#"line 6: "pathpattern" says something else than "pathPattern" in line 4"#,
        ),
        // The last of them was taken.
        (
            "createdAt: 2026-01-20T04:33:41Z\ncreatedat: 2026-01-21T04:33:41Z",
            r#"line 7: "createdat" says something else than "createdAt" in line 6"#,
        ),
        ("name: other", r#"line 6: "name" says something else than "name" in line 2"#),
        ("id: other", r#"line 6: "id" says something else than "name" in line 2"#),
    ] {
        let problem = problem(&format!("{ONE}{line}\n"));
        assert!(problem.contains(told), "{line}: {problem}");
    }
    let json = r#"{"name": "a", "spiffeidPattern": "^spiffe://a/b$", "pathPattern": "^a$", "permissions": ["read"], "permissions": ["super"]}"#;
    assert!(problem(json).contains("says something else"), "{}", problem(json));
}

// An edit of it was passed over.
#[test]
fn a_field_that_is_never_read_may_be_empty_and_nothing_else() {
    insta::assert_snapshot!(problem(&format!("{ONE}idregex: ^spiffe://other$\n")), @r#"
    Error reading policy file: policy.yaml: line 6: "idregex" is not read, and has a value
    hint: the patterns of a policy are spiffeidPattern and pathPattern: write it there, and leave this line out
    "#);
    for field in ["effect: deny", "createdBy: me", "updatedby: me"] {
        let problem = problem(&format!("{ONE}{field}\n"));
        assert!(problem.contains("line 6: a policy has no field"), "{problem}");
    }
}

#[test]
fn a_name_may_stand_in_a_file_once() {
    insta::assert_snapshot!(problem(&format!("{ONE}---{ONE}")), @"Error reading policy file: policy.yaml: policy 2: an earlier policy has the same name");
}

#[test]
fn rules_are_checked_before_anything_is_sent() {
    insta::assert_snapshot!(problem(&ONE.replace("^spiffe://example\\.org/acme/.*$", ".*")), @r#"
    Error reading policy file: policy.yaml: ".*" is not a SPIFFE ID pattern
    hint: it begins with spiffe:// (after ^) and may use \ . * + ? ( ) [ ], such as '^spiffe://example\.org/acme/.*$'; neither | nor { } is allowed
    "#);
    insta::assert_snapshot!(problem(&ONE.replace("db/.*$", "größe")), @r#"
    Error reading policy file: policy.yaml: "^tenants/acme/größe" is not a path pattern
    hint: it has 1 to 500 letters, digits and ._-/^$()?+*|[]{}\, such as '^tenants/acme/db/.*$'
    "#);
    insta::assert_snapshot!(problem(&ONE.replace("[read, write]", "[read, reed]")), @r#"Error reading policy file: policy.yaml: [access_invalid_permission] "reed" is not a permission: expected some of read, write, list, execute, super"#);
    insta::assert_snapshot!(problem(&ONE.replace("acme-db", "acme.db")), @r#"Error reading policy file: policy.yaml: "acme.db" is not the name of a policy: expected 1 to 250 letters, digits, '-', '_' and spaces"#);
}

#[test]
fn a_wrong_file_is_refused_without_quoting_it() {
    for text in [
        "hunter2",
        "- hunter2",
        "hunter2: [",
        "name: [hunter2]",
        "permissions: hunter2",
        "{hunter2",
        "hunter2 hunter2: x",
        "\"hunter2\\.\"",
    ] {
        let problem = problem(text);
        assert!(
            problem.starts_with("Error reading policy file: policy.yaml: "),
            "{text}: {problem}"
        );
        assert!(!problem.contains("hunter2"), "{text}: {problem}");
    }
    assert_eq!(
        problem(""),
        "Error reading policy file: policy.yaml: there is no policy in it: it is empty"
    );
    assert!(read(b"name: \xff").is_err());
}

#[test]
fn a_file_that_an_editor_saved_with_a_byte_order_mark_and_crlf_is_read() {
    let text = "name: acme\r\nspiffeidPattern: ^spiffe://example\\.org/app$\r\npathPattern: ^a/.*$\r\npermissions: [read]\r\n";
    let plain = read(text.replace('\r', "").as_bytes()).unwrap();
    assert_eq!(read(format!("\u{feff}{text}").as_bytes()), Ok(plain));
}
