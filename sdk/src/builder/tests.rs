use super::*;

fn builder(environment: &[(&str, &str)]) -> Builder {
    Builder::new().environment(Environment::from_pairs(environment.iter().copied()))
}

fn names(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.variable.as_str()).collect()
}

/// The variables at fault, of settings that are not valid.
fn refused(builder: &Builder) -> Vec<String> {
    let error = builder.settings().unwrap_err();
    names(error.problems()).into_iter().map(str::to_owned).collect()
}

#[test]
fn what_is_set_in_code_wins_even_over_a_bad_value_of_the_environment() {
    let built = builder(&[
        ("SPIKE_NEXUS_API_URL", "not a URL"),
        ("SPIKE_TRUST_ROOT_NEXUS", "a.org,,"),
        ("SPIFFE_ENDPOINT_SOCKET", "/run/agent.sock"),
    ])
    .nexus_url("https://nexus.far:1234")
    .trust_roots("b.org")
    .workload_api("unix:///run/other.sock");
    let (settings, notices) = built.settings().unwrap();
    assert_eq!(settings.api_url.to_string(), "https://nexus.far:1234");
    assert_eq!(settings.identity.trust_roots.nexus.to_string(), "b.org");
    assert_eq!(settings.identity.endpoint.as_str(), "unix:///run/other.sock");
    assert_eq!(names(&notices), [""; 0]);
}

#[test]
fn a_harmless_problem_of_the_environment_is_a_notice_and_none_is_dropped() {
    let built =
        builder(&[("SPIKE_HTTP_CLIENT_TIMEOUT", "soon"), ("SPIKE_NEXUS_APIURL", "https://n")]);
    let (_, notices) = built.settings().unwrap();
    assert_eq!(names(&notices), ["SPIKE_HTTP_CLIENT_TIMEOUT", "SPIKE_NEXUS_APIURL"]);
}

#[test]
fn the_same_problem_in_code_is_an_error() {
    let built = builder(&[]).setting("SPIKE_HTTP_CLIENT_TIMEOUT", "soon");
    assert_eq!(refused(&built), ["SPIKE_HTTP_CLIENT_TIMEOUT"]);
    assert_eq!(refused(&builder(&[]).setting("SPIKE_NEXUS_APIURL", "x")), ["SPIKE_NEXUS_APIURL"]);
    assert_eq!(refused(&builder(&[]).setting("NEXUS_URL", "x")), ["NEXUS_URL"]);
    assert_eq!(
        refused(&builder(&[]).setting("SPIKE_NEXUS_TLS_PORT", ":1")),
        ["SPIKE_NEXUS_TLS_PORT"]
    );
}

#[test]
fn an_empty_text_in_code_is_not_taken_for_the_default() {
    for built in
        [builder(&[]).nexus_url(""), builder(&[]).trust_roots(""), builder(&[]).workload_api("")]
    {
        assert_eq!(refused(&built).len(), 1);
    }
}

#[test]
fn all_problems_are_listed_together() {
    let built =
        builder(&[("SPIKE_HTTP_CLIENT_TIMEOUT", "soon")]).nexus_url("http://n").trust_roots(",");
    let mut wrong = refused(&built);
    wrong.sort();
    assert_eq!(
        wrong,
        ["SPIKE_HTTP_CLIENT_TIMEOUT", "SPIKE_NEXUS_API_URL", "SPIKE_TRUST_ROOT_NEXUS"]
    );
}

#[test]
fn deadline_and_tries_come_from_the_environment_too() {
    let built = builder(&[("SPIKE_SDK_DEADLINE", "7s"), ("SPIKE_SDK_MAX_TRIES", "3")]);
    let (settings, notices) = built.settings().unwrap();
    assert_eq!((settings.deadline, settings.max_tries), (Duration::from_secs(7), 3));
    assert_eq!(names(&notices), [""; 0]);
}
