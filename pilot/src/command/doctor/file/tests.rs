use crate::Exit;
use crate::testing::{Ran, run_alone};

/// What the doctor says of a manifest with a Pod of these containers.
fn judged(containers: &str, more: &[&str]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.yaml");
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n{containers}"
    );
    std::fs::write(&path, text).unwrap();
    let arguments = [&["doctor", "--config", path.to_str().unwrap()], more].concat();
    run_alone(&arguments, "")
}

const NEXUS: &str = "  - name: c
    image: r.example.org/spike-nexus:1
    env:
    - {name: SPIKE_NEXUS_BACKEND_STORE, value: lite}
";

// A value from a Secret was told as one that is not set.
#[test]
fn a_value_that_is_not_in_the_file_is_not_known_and_no_fault() {
    let missing = judged(NEXUS, &[]);
    assert_eq!(missing.exit, Exit::Usage, "{missing}");
    assert!(missing.stdout.contains("setting SPIKE_NEXUS_KEEPER_PEERS: Pod p, container c: not"));
    let from =
        "    - {name: SPIKE_NEXUS_KEEPER_PEERS, valueFrom: {configMapKeyRef: {name: m, key: k}}}\n";
    let elsewhere = judged(&format!("{NEXUS}{from}"), &[]);
    assert_eq!(elsewhere.exit, Exit::Success, "{elsewhere}");
    let told = "[skip] setting SPIKE_NEXUS_KEEPER_PEERS: Pod p, container c: not known, it\n         comes from configMapKeyRef\n";
    assert!(elsewhere.stdout.contains(told), "{elsewhere}");
    let all = judged(&format!("{NEXUS}    envFrom: [{{configMapRef: {{name: more}}}}]\n"), &[]);
    assert_eq!(all.exit, Exit::Success, "{all}");
    assert!(all.stdout.contains("what comes from configMapRef more is"), "{all}");
    let bad = "    - {name: SPIKE_NEXUS_TLS_PORT, value: \"8553\"}\n";
    let bad = judged(&format!("{NEXUS}{from}{bad}"), &[]);
    assert_eq!(bad.exit, Exit::Usage, "{bad}");
    assert!(bad.stdout.contains("\"8553\", while not\n         every value is known"), "{bad}");
}

#[test]
fn a_directory_of_a_container_is_not_looked_for_on_this_machine() {
    let directory = "    - {name: SPIKE_NEXUS_DATA_DIR, value: /does/not/exist}
    - {name: SPIKE_NEXUS_KEEPER_PEERS, value: \"https://a,https://b,https://c\"}\n";
    let ran = judged(&format!("{NEXUS}{directory}"), &[]);
    assert_eq!(ran.exit, Exit::Success, "{ran}");
    assert!(ran.stdout.contains("[skip] setting SPIKE_NEXUS_DATA_DIR: Pod p, container c: a"));
}

#[test]
fn the_program_picks_containers_and_stands_for_those_that_say_nothing() {
    let own = "  - name: own
    image: own:1
    env: [{name: SPIKE_NEXUS_API_ULR, value: \"https://n\"}]
";
    let both = format!("{own}{NEXUS}");
    let inferred = judged(&both, &[]);
    assert_eq!(inferred.exit, Exit::Usage, "{inferred}");
    assert!(inferred.stdout.contains("container own: it does not say"), "{inferred}");
    let spike = judged(&both, &["--program", "spike"]);
    assert_eq!(spike.exit, Exit::Findings, "{spike}");
    assert!(spike.stdout.contains("did you mean SPIKE_NEXUS_API_URL?"), "{spike}");
    assert!(!spike.stdout.contains("container c"), "{spike}");
    let none = judged(NEXUS, &["--program", "keeper"]);
    assert_eq!((none.exit, none.stdout.as_str()), (Exit::Usage, ""), "{none}");
    assert!(none.stderr.contains("has no container that runs keeper"), "{none}");
    let other = judged("  - {name: web, image: nginx}\n", &[]);
    assert!(other.stderr.contains("has no container that runs a program of SPIKE"), "{other}");
}

#[test]
fn a_file_that_is_no_manifest_needs_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nexus.env");
    std::fs::write(&path, "SPIKE_BANNER_ENABLED=false\n").unwrap();
    let ran = run_alone(&["doctor", "--config", path.to_str().unwrap()], "");
    assert_eq!(ran.exit, Exit::Usage, "{ran}");
    assert!(ran.stderr.contains("hint: use --program nexus, keeper, bootstrap or spike"), "{ran}");
}
