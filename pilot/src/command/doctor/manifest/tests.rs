use super::*;

const PRODUCTION: &str = include_str!("../../../../../deploy/kubernetes/production.yaml");
const TRY_OUT: &str = include_str!("../../../../../deploy/kubernetes/try-out.yaml");

fn places(text: &str) -> Vec<(String, Option<Program>)> {
    let containers = read(text).unwrap();
    containers.into_iter().map(|container| (container.place, container.program)).collect()
}

/// A pod with one container, whose lines these are.
fn pod(lines: &str) -> String {
    format!("kind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n    - name: c\n{lines}")
}

fn container(lines: &str) -> Container {
    let mut containers = read(&pod(lines)).unwrap();
    assert_eq!(containers.len(), 1, "{containers:?}");
    containers.remove(0)
}

fn job_hash(place: &str) -> &str {
    place.strip_prefix("Job spike-bootstrap").and_then(|rest| rest.split(',').next()).unwrap_or("?")
}

#[test]
fn every_container_of_our_manifests_is_found_with_its_program() {
    let expected = [
        ("StatefulSet spike-keeper, container keeper", Program::Keeper),
        ("StatefulSet spike-nexus, container nexus", Program::Nexus),
        ("Job spike-bootstrap, container bootstrap", Program::Bootstrap),
    ];
    let expected = expected.map(|(place, program)| (place.to_owned(), Some(program)));
    let mut found = places(PRODUCTION);
    // The name of the Job ends with a hash of what it does.
    if let Some((place, _)) = found.last_mut() {
        *place = place.replace(job_hash(place), "");
    }
    assert_eq!(found, expected);
    let pilot = ("Deployment spike-pilot, container shell".to_owned(), Some(Program::Spike));
    let tried = places(TRY_OUT);
    assert!(tried.contains(&pilot), "{tried:?}");
    // What only copies a program out of its image does not run it.
    assert!(tried.iter().all(|(place, _)| !place.ends_with("container spike")), "{tried:?}");
}

#[test]
fn a_program_is_told_by_command_image_or_name() {
    for (lines, program) in [
        ("      image: r.example.org:5000/a/spike-nexus:0.1.0\n", Some(Program::Nexus)),
        ("      image: spike-keeper@sha256:00\n", Some(Program::Keeper)),
        (
            "      image: own:1\n      command: [/usr/bin/bootstrap, -init]\n",
            Some(Program::Bootstrap),
        ),
        ("      image: spike-nexus\n      command: [/keeper]\n", Some(Program::Keeper)),
        ("      image: spike:1\n", Some(Program::Spike)),
        ("      image: nexus-proxy:1\n", None),
    ] {
        let env = "      env: [{name: SPIKE_BANNER_ENABLED, value: \"false\"}]\n";
        assert_eq!(container(&format!("{lines}{env}")).program, program, "{lines}");
    }
    assert_eq!(places(&pod("      image: nginx:1\n")), [], "it is no concern of ours");
}

#[test]
fn several_documents_and_lists_are_read_in_every_form() {
    let one = pod("      image: spike-nexus\n");
    let several = format!("# Source: chart\n---\n{one}---\n---\nkind: Service\n---\n{one}");
    assert_eq!(places(&several).len(), 2);
    let json = r#"{"kind": "List", "items": [
        {"kind": "CronJob", "metadata": {"name": "j"}, "spec": {"jobTemplate": {"spec": {"template": {"spec":
            {"containers": [{"name": "keeper", "image": "own"}]}}}}}},
        {"kind": "Deployment", "spec": {"template": {"spec": {"containers": "none"}}}}]}"#;
    assert!(is_manifest(json) && is_manifest(&several) && is_manifest(PRODUCTION));
    assert_eq!(places(json), [("CronJob j, container keeper".to_owned(), Some(Program::Keeper))]);
    assert!(!is_manifest("# a file\nSPIKE_NEXUS_TLS_PORT=:8553\n"));
}

#[test]
fn what_comes_from_elsewhere_is_not_known_and_references_are_followed() {
    let found = container(
        "      image: spike-nexus
      envFrom: [{configMapRef: {name: more}}, {prefix: P_, secretRef: {name: s}}]
      env:
        - {name: NAMESPACE, value: spike}
        - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
        - {name: A, value: \"https://x.$(NAMESPACE).svc $$(NAMESPACE) $(NOBODY) $5\"}
        - {name: B, value: \"https://$(HOST):1\"}
        - {name: C, value: 1}
        - {name: C, value: \"2\"}
        - {name: D}
",
    );
    let expected = [
        ("A", "https://x.spike.svc $(NAMESPACE) $(NOBODY) $5"),
        ("C", "2"),
        ("D", ""),
        ("NAMESPACE", "spike"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found.variables, BTreeMap::from(expected));
    let unknown = [("B", "the value of HOST"), ("HOST", "fieldRef")];
    let unknown = unknown.map(|(name, from)| (name.to_owned(), from.to_owned()));
    assert_eq!(found.unknown, BTreeMap::from(unknown));
    assert_eq!(found.imported, ["configMapRef more", "secretRef s"]);
}

#[test]
fn a_text_that_is_no_yaml_is_refused_with_its_place_and_is_not_quoted() {
    let error = read("kind: Pod\nspec: [hunter2\n").unwrap_err();
    assert!(error.starts_with("line ") && error.contains("not the YAML of a manifest"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let long = format!("kind: Pod\n#{}", "x".repeat(MOST));
    assert_eq!(read(&long).unwrap_err(), "it has more than 4 MiB");
}

// Each level doubles what is in the one before.
#[test]
fn values_that_grow_by_references_end_somewhere() {
    let mut lines = String::from(
        "      image: spike-nexus\n      env:\n        - {name: V0, value: xxxxxxxxxxxxxxxx}\n",
    );
    for level in 1..40 {
        let before = level - 1;
        let name = format!("        - {{name: V{level}, ");
        let value = format!("value: \"$(V{before})$(V{before})\"}}\n");
        lines.extend([name, value]);
    }
    let found = container(&lines);
    assert!(found.variables.values().map(String::len).sum::<usize>() < 3 * MOST);
    assert!(found.unknown.contains_key("V39"));
    let bomb = "kind: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]\n";
    assert!(read(bomb).is_err());
}
