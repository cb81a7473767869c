//! Unknown variables: mistyped names, and names from upstream's documentation that nothing reads.

use std::ffi::OsStr;

use strsim::osa_distance;

use super::{
    Environment, Outcome, Problem,
    table::{self, Process},
};

/// How many letters of a mistyped name may be changed, added, omitted or swapped with their neighbour.
const MAX_EDITS: usize = 3;

/// One problem for each unknown variable.
pub(super) fn problems(environment: &Environment, process: Process) -> Vec<Problem> {
    let nobody_reads = environment
        .iter()
        .filter(|(name, value)| {
            name.starts_with("SPIKE_")
                && table::find(name).is_none()
                && !is_for_scripts(name)
                && !is_service_link(name, value)
        })
        .map(|(name, _)| ignored(name, None, why(name)));
    nobody_reads.chain(lone_trust_root(environment, process)).collect()
}

/// Without the value if the name is unknown, because it may be a secret.
fn ignored(name: &str, value: Option<String>, rule: String) -> Problem {
    Problem { variable: name.to_owned(), value, rule, outcome: Outcome::Ignored }
}

fn why(name: &str) -> String {
    if let Some((_, why)) = table::DEAD.iter().find(|(dead, _)| *dead == name) {
        return (*why).to_owned();
    }
    let nearest = table::variables()
        .map(|variable| (osa_distance(name, variable.name), variable.name))
        .min()
        .filter(|(distance, _)| *distance <= MAX_EDITS);
    match nearest {
        Some((_, nearest)) => format!("not a setting of SPIKE; did you mean {nearest}?"),
        None => "not a setting of SPIKE".to_owned(),
    }
}

fn is_for_scripts(name: &str) -> bool {
    table::SCRIPTS.iter().any(|beginning| name.starts_with(beginning))
}

/// Kubernetes describes every service of a namespace to every pod, like Docker links: a service `spike-nexus` becomes
/// `SPIKE_NEXUS_SERVICE_HOST`, `SPIKE_NEXUS_PORT=tcp://…`, `SPIKE_NEXUS_PORT_443_TCP` and so on.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_url = value.to_str().is_some_and(|value| {
        ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
    });
    let is_port = |rest: &str| {
        let (number, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        number.parse::<u16>().is_ok()
            && ["TCP", "UDP", "SCTP"].iter().any(|known| protocol.starts_with(known))
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_url)
        || name.rsplit_once("_PORT_").is_some_and(|(_, rest)| is_port(rest))
}

/// `SPIKE_TRUST_ROOT` alone has no effect, here and upstream: everything works with the default trust domain, and is
/// denied with any other (cli-config-deploy 7.1).
fn lone_trust_root(environment: &Environment, process: Process) -> Option<Problem> {
    let written = environment.get(table::SPIKE_TRUST_ROOT.name)?.to_string_lossy();
    let of_this_process = || {
        table::variables()
            .filter(|variable| variable.rule == table::Rule::TrustRoots)
            .filter(|variable| variable.readers.contains(&process))
    };
    let effective = of_this_process().any(|variable| environment.get(variable.name).is_some());
    if effective || written == spike_domain::DEFAULT_TRUST_ROOT {
        return None;
    }
    let names: Vec<_> = of_this_process().map(|variable| variable.name).collect();
    let rule = format!("no effect by itself; set {}", names.join(", "));
    Some(ignored(table::SPIKE_TRUST_ROOT.name, Some(written.into_owned()), rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(process: Process, pairs: &[(&str, &str)]) -> Vec<String> {
        let environment = Environment::from_pairs(pairs.iter().copied());
        problems(&environment, process).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mistyped_name_is_reported_with_the_nearest_one_and_without_the_value() {
        let found = messages(Process::Nexus, &[("SPIKE_NEXUS_TLS_PROT", "hunter2")]);
        let expected = "SPIKE_NEXUS_TLS_PROT: not a setting of SPIKE; did you mean SPIKE_NEXUS_TLS_PORT?; ignored";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_name_unlike_any_other_is_reported_without_a_guess() {
        let found = messages(Process::Keeper, &[("SPIKE_COLOUR_OF_THE_SKY", "blue")]);
        assert_eq!(found, ["SPIKE_COLOUR_OF_THE_SKY: not a setting of SPIKE; ignored"]);
    }

    #[test]
    fn old_names_in_upstreams_documentation_are_reported_with_what_to_do() {
        // cli-config-deploy 2.5.
        let old = [
            ("SPIKE_NEXUS_PBKDF2_ITERATION_COUNT", "600000"),
            ("SPIKE_SHOW_MEMORY_WARNING", "true"),
        ];
        let found = messages(Process::Nexus, &old);
        assert_eq!(
            found,
            [
                "SPIKE_NEXUS_PBKDF2_ITERATION_COUNT: no longer a setting: no key is derived from a \
                 password; ignored",
                "SPIKE_SHOW_MEMORY_WARNING: not the name of the setting, which is \
                 SPIKE_PILOT_SHOW_MEMORY_WARNING; ignored",
            ]
        );
    }

    #[test]
    fn variables_of_other_processes_and_of_scripts_are_not_reported() {
        let others = [
            ("SPIKE_PILOT_RECOVERY_DIR", "/srv"),
            ("SPIKE_BOOTSTRAP_FORCE", "maybe"),
            ("SPIKE_SKIP_NEXUS_START", "1"),
            ("SPIKE_REMOTE_CHARTS_SPIRE_VERSION", "0.26.1"),
        ];
        assert_eq!(messages(Process::Keeper, &others), [""; 0]);
    }

    #[test]
    fn service_variables_of_kubernetes_are_not_reported() {
        let links = [
            ("SPIKE_NEXUS_SERVICE_HOST", "10.0.0.1"),
            ("SPIKE_NEXUS_SERVICE_PORT", "443"),
            ("SPIKE_NEXUS_SERVICE_PORT_HTTPS", "443"),
            ("SPIKE_NEXUS_PORT", "tcp://10.0.0.1:443"),
            ("SPIKE_NEXUS_PORT_443_TCP", "tcp://10.0.0.1:443"),
            ("SPIKE_NEXUS_PORT_443_TCP_ADDR", "10.0.0.1"),
        ];
        assert_eq!(messages(Process::Nexus, &links), [""; 0]);
        assert_eq!(messages(Process::Nexus, &[("SPIKE_NEXUS_PORT", ":8553")]).len(), 1);
    }

    #[test]
    fn a_trust_root_without_those_of_the_components_is_reported() {
        // Upstream's symptom (cli-config-deploy 7.1): "works on bare metal, everything denied in a cluster with another
        // trust domain".
        let found = messages(Process::Pilot, &[("SPIKE_TRUST_ROOT", "example.org")]);
        assert_eq!(
            found,
            ["SPIKE_TRUST_ROOT=\"example.org\": no effect by itself; set SPIKE_TRUST_ROOT_NEXUS, \
              SPIKE_TRUST_ROOT_PILOT; ignored"]
        );
    }

    #[test]
    fn a_trust_root_beside_those_of_the_components_is_fine() {
        // The hardened chart sets them together.
        let set = [("SPIKE_TRUST_ROOT", "example.org"), ("SPIKE_TRUST_ROOT_NEXUS", "example.org")];
        assert_eq!(messages(Process::Pilot, &set), [""; 0]);
        assert_eq!(messages(Process::Pilot, &[("SPIKE_TRUST_ROOT", "spike.ist")]), [""; 0]);
    }

    #[test]
    fn distance_counts_changed_added_left_out_and_swapped_letters() {
        let cases = [
            ("PORT", "PORT", 0),
            ("PORT", "PART", 1),
            ("POT", "PORT", 1),
            ("PORTS", "PORT", 1),
            ("PROT", "PORT", 1),
            ("", "PORT", 4),
            ("HOST", "PORT", 2),
        ];
        for (a, b, expected) in cases {
            assert_eq!(osa_distance(a, b), expected, "{a} {b}");
        }
    }
}
