use super::*;

#[test]
fn a_list_is_filtered_and_cut_on_either_kind_of_nexus() {
    for kind in [Kind::Ours, Kind::Upstreams] {
        let (nexus, policies) = nexus(kind);
        for (name, path) in [("a", "^x/1$"), ("b", "^y/1$"), ("ab", "^x/2$"), ("c", "^x/3$")] {
            let request = PolicyPutRequest {
                name: name.to_owned(),
                spiffeid_pattern: format!("^spiffe://example/{name}$"),
                path_pattern: path.to_owned(),
                permissions: vec!["read".to_owned()],
                create_only: false,
            };
            policies.lock().unwrap().insert(name.to_owned(), stored(request));
        }
        for (flags, expected) in [
            (&["--name-contains", "b"][..], "ab b"),
            (&["--path-contains", "x/"], "a ab c"),
            (&["--spiffeid-contains", "/c"], "c"),
            (&["--path-contains", "x/", "--name-contains", "b"], "ab"),
            (&["--after", "ab"], "b c"),
            (&["--after", "ab", "--limit", "1"], "b"),
            (&["--limit", "3"], "a ab b"),
        ] {
            let ran = nexus.run(&[&["policy", "list", "-f", "json"], flags].concat());
            let entries: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            let names: Vec<_> = entries
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["name"].as_str().unwrap())
                .collect();
            assert_eq!(names.join(" "), expected, "{flags:?}");
            // Nothing said that a list was cut.
            let more = flags.contains(&"--limit");
            assert_eq!(ran.stderr.contains("there are more"), more, "{flags:?}: {ran}");
        }
    }
}

#[test]
fn an_empty_list_is_said_to_be_one() {
    let (nexus, _) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&["policy", "list"]).stdout, "No policies found.\n");
    assert_eq!(nexus.run(&["policy", "list", "-f", "json"]).stdout, "[]\n");
    assert_eq!(nexus.run(&["policy", "list", "-f", "yaml"]).stdout, "[]\n");
    // Upstream's clients take 404 for an empty list.
    let none = FakeNexus::start(|operation, _| error(operation, ErrorCode::ApiNotFound));
    assert_eq!(none.run(&["policy", "list"]).stdout, "No policies found.\n");
}

#[test]
fn a_policy_and_the_list_have_upstreams_layout_in_every_format() {
    let (nexus, _) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("acme-db")).exit, Exit::Success);
    insta::assert_snapshot!(nexus.run(&["policy", "list"]), @"
    [0]
    POLICIES
    ========

    Name: acme-db
    --------


    --
    ");
    insta::assert_snapshot!(nexus.run(&["policy", "list", "-f", "json"]), @r#"
    [0]
    [
      {
        "id": "acme-db",
        "name": "acme-db"
      }
    ]
    --
    "#);
    insta::assert_snapshot!(nexus.run(&["policy", "list", "-f", "yaml"]), @"
    [0]
    - id: acme-db
      name: acme-db

    --
    ");
    insta::assert_snapshot!(nexus.run(&["policy", "get", "acme-db"]), @r"
    [0]
    POLICY DETAILS
    =============

    Name: acme-db
    SPIFFE ID Pattern: ^spiffe://example\.org/acme/.*$
    Path Pattern: ^tenants/acme/db/.*$
    Permissions: read, write
    Created At: 2026-07-25T20:02:04Z
    Updated At: 2026-07-25T20:02:04Z

    --
    ");
    insta::assert_snapshot!(nexus.run(&["policy", "get", "acme-db", "-f", "json"]), @r#"
    [0]
    {
      "id": "acme-db",
      "name": "acme-db",
      "spiffeidPattern": "^spiffe://example\\.org/acme/.*$",
      "pathPattern": "^tenants/acme/db/.*$",
      "permissions": [
        "read",
        "write"
      ],
      "createdAt": "2026-07-25T20:02:04.5Z",
      "updatedAt": "2026-07-25T20:02:04.5Z"
    }
    --
    "#);
    insta::assert_snapshot!(nexus.run(&["policy", "get", "--name", "acme-db", "-f", "yaml"]), @r#"
    [0]
    id: acme-db
    name: acme-db
    spiffeidPattern: ^spiffe://example\.org/acme/.*$
    pathPattern: ^tenants/acme/db/.*$
    permissions:
        - read
        - write
    createdAt: "2026-07-25T20:02:04.5Z"
    updatedAt: "2026-07-25T20:02:04.5Z"

    --
    "#);
}

#[test]
fn what_a_dry_run_shows_can_be_read_by_a_program() {
    let (nexus, policies) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("p")).exit, Exit::Success);
    let before = policies.lock().unwrap().clone();
    let printed = nexus.run(&["policy", "get", "p", "-f", "json"]).stdout;
    let wanted = printed.replace("\"write\"", "\"list\"");
    let dry_run = ["policy", "apply", "--dry-run", "-f", "-", "--format", "json"];
    let ran = nexus.run_with(&dry_run, &wanted);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["policies"][0]["change"], "replace", "{told}");
    assert_eq!(told["policies"][0]["fields"][0]["before"], "read, write", "{told}");
    assert_eq!(told["policies"][0]["fields"][0]["after"], "list, read", "{told}");
    let lost: Vec<_> = told["access"]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|difference| difference["gained"] == false)
        .map(|difference| difference["permission"].as_str().unwrap())
        .collect();
    assert!(!lost.is_empty() && lost.iter().all(|permission| *permission == "write"), "{told}");
    assert_eq!(*policies.lock().unwrap(), before);
    let yaml =
        nexus.run_with(&["policy", "apply", "--dry-run", "-f", "-", "--format", "yaml"], &wanted);
    assert!(yaml.stdout.starts_with("policies:\n"), "{yaml:?}");
    // Without a dry run there is nothing to format.
    let ran = nexus.run_with(&["policy", "apply", "-f", "-", "--format", "json"], &wanted);
    assert_eq!(ran.exit, Exit::Usage);
}

// A policy of which the file has a time was downloaded twice.
#[test]
fn a_dry_run_downloads_each_policy_once_and_notes_times_all_the_same() {
    let (nexus, _) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("p")).exit, Exit::Success);
    let printed = nexus.run(&["policy", "get", "p", "-f", "json"]).stdout;
    let downloads = || {
        let asked = nexus.asked();
        asked.iter().filter(|operation| **operation == Operation::PolicyGet).count()
    };
    let before = downloads();
    let edited = printed.replace("2026-", "2036-");
    let ran = nexus.run_with(&["policy", "apply", "--dry-run", "-f", "-"], &edited);
    assert_eq!(downloads() - before, 1, "{ran}");
    assert!(ran.stderr.contains("those of the file are not applied"), "{ran}");
}

#[test]
fn a_list_that_a_limit_cuts_says_how_to_go_on_in_every_format() {
    let (nexus, _) = nexus(Kind::Ours);
    for name in ["a", "b b", "c"] {
        assert_eq!(nexus.run(&create(name)).exit, Exit::Success);
    }
    for format in ["human", "json", "yaml"] {
        let ran = nexus.run(&["policy", "list", "--limit", "2", "-f", format]);
        assert_eq!(ran.stderr, "note: there are more: --after \"b b\" lists those that follow\n");
        assert_eq!(nexus.run(&["policy", "list", "--limit", "3", "-f", format]).stderr, "");
    }
}

// The YAML had spellings of its own, and two fields of which an edit was passed over.
#[test]
fn whatever_of_a_printed_policy_is_edited_is_applied_or_refused_or_told() {
    let (nexus, policies) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("acme-db")).exit, Exit::Success);
    for format in ["json", "yaml"] {
        let printed = nexus.run(&["policy", "get", "acme-db", "-f", format]).stdout;
        let apply = |edited: &str| nexus.run_with(&["policy", "apply", "-f", "-"], edited);
        let told = apply(&printed);
        assert_eq!(told.exit, Exit::Success, "{told}");
        // The note came after every printed policy, even if no time was changed.
        assert_eq!(told.stderr, "");
        for field in ["createdAt", "updatedAt"] {
            let (before, after) = printed.split_once(field).unwrap();
            let told = apply(&format!("{before}{field}{}", after.replacen("2026-", "2036-", 1)));
            assert_eq!(told.exit, Exit::Success, "{told}");
            assert!(told.stderr.contains("those of the file are not applied"), "{told}");
        }
        let told = apply(&printed.replace("acme-db", &format!("copy-{format}")));
        assert!(told.stderr.contains("those of the file are not applied"), "{told}");
        for (from, to) in [("^spiffe", "^spiffe://other|spiffe"), ("^tenants", "tenants")] {
            assert!(printed.contains(from), "{printed}");
            assert_eq!(apply(&printed).exit, Exit::Success);
            let before = policies.lock().unwrap().clone();
            let ran = apply(&printed.replacen(from, to, 1));
            let changed = before != *policies.lock().unwrap();
            assert!(changed || ran.exit == Exit::Usage, "{ran}");
        }
        assert_eq!(apply(&printed).exit, Exit::Success);
        let id_alone = apply(&printed.replacen("acme-db", "other", 1));
        assert_eq!(id_alone.exit, Exit::Usage, "{id_alone}");
        let added = match format {
            "json" => printed.replacen('{', r#"{ "idregex": "^spiffe://other$","#, 1),
            _ => format!("{}idregex: ^spiffe://other$\n", printed.trim_start()),
        };
        let compiled = apply(&added.replace("\n\n", "\n"));
        assert_eq!(compiled.exit, Exit::Usage, "{compiled}");
        assert!(compiled.stderr.contains("\"idregex\" is not read"), "{compiled}");
    }
}
