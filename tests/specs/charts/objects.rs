//! What the rendered objects promise, and that what one names is there.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use spike_bootstrap::Exit;

use super::manifest::{Manifest, RENDERED, ROLES, list_of, selects, variable};

#[test]
fn what_an_object_names_is_there() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        for (object, pod) in manifest.pods() {
            let name = &object["metadata"]["name"];
            let account = pod["spec"]["serviceAccountName"].as_str().context("no account")?;
            manifest.named("ServiceAccount", account)?;
            if object["spec"]["selector"].is_object() {
                assert!(selects(&object["spec"]["selector"]["matchLabels"], pod), "{path}: {name}");
            }
            let volumes = names(&pod["spec"]["volumes"]);
            let claims = list_of(&object["spec"]["volumeClaimTemplates"]);
            let claims =
                claims.iter().map(|claim| claim["metadata"]["name"].as_str().unwrap_or(""));
            let there: BTreeSet<&str> = volumes.into_iter().chain(claims).collect();
            let lists = ["initContainers", "containers"].map(|list| list_of(&pod["spec"][list]));
            let mounted =
                lists.concat().into_iter().flat_map(|it| names(&it["volumeMounts"])).collect();
            assert_eq!(there, mounted, "{path}: {name}");
        }
        for set in manifest.of_kind("StatefulSet") {
            let service = set["spec"]["serviceName"].as_str().context("no service")?;
            let service = manifest.named("Service", service)?;
            assert_eq!(service["spec"]["clusterIP"], "None", "{path}");
            assert_eq!(service["spec"]["publishNotReadyAddresses"], true, "{path}");
        }
    }
    Ok(())
}

#[test]
fn every_selector_selects_a_pod_and_every_named_port_is_open() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        let selected = |selector: &Value| -> Vec<&Value> {
            manifest.pods().map(|(_, pod)| pod).filter(|pod| selects(selector, pod)).collect()
        };
        for service in manifest.of_kind("Service") {
            let pods = selected(&service["spec"]["selector"]);
            assert_eq!(pods.len(), 1, "{path}: {service}");
            for port in list_of(&service["spec"]["ports"]) {
                let open = pods.iter().any(|pod| {
                    let ports = list_of(&pod["spec"]["containers"][0]["ports"]);
                    ports.iter().any(|open| open["name"] == port["targetPort"])
                });
                assert!(open, "{path}: {port}");
            }
        }
        for kind in ["PodDisruptionBudget", "NetworkPolicy", "ClusterSPIFFEID"] {
            for object in manifest.of_kind(kind) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let selector = match kind {
                    "PodDisruptionBudget" => &object["spec"]["selector"],
                    _ => &object["spec"]["podSelector"],
                };
                // The pods of `helm test` and of operators come and go.
                let passing = name.ends_with("-test") || name.ends_with("-operators");
                assert!(
                    passing || !selected(&selector["matchLabels"]).is_empty(),
                    "{path}: {name}"
                );
            }
        }
        for (_, container) in manifest.containers() {
            let open = names(&container["ports"]);
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let port = &container[probe]["httpGet"]["port"];
                assert!(port.is_null() || open.iter().any(|name| port == name), "{path}: {port}");
            }
        }
    }
    Ok(())
}

#[test]
fn every_name_of_a_host_and_of_an_image_is_fully_qualified() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        let mut urls = 0;
        for (_, container) in manifest.containers() {
            let image = container["image"].as_str().context("no image")?;
            let registry = image.split('/').next().unwrap_or_default();
            assert!(registry.contains('.') && image.matches('/').count() >= 2, "{path}: {image}");
            for (name, value) in super::manifest::environment(container) {
                for url in value.split(',').filter(|part| part.starts_with("https://")) {
                    let host = url.trim_start_matches("https://").split(':').next();
                    let host = host.unwrap_or_default();
                    assert!(host.ends_with(".spike.svc.cluster.local"), "{path}: {name}={url}");
                    urls += 1;
                }
            }
        }
        assert!(urls > 6, "{path}: only {urls}");
    }
    Ok(())
}

#[test]
fn nexus_and_bootstrap_know_every_keeper_in_the_order_of_its_number() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        let keepers = &manifest.named("StatefulSet", "spike-keeper")?["spec"];
        let count = keepers["replicas"].as_u64().context("no number")?;
        let service = keepers["serviceName"].as_str().context("no service")?;
        let peers: Vec<String> = (0..count)
            .map(|number| {
                format!("https://spike-keeper-{number}.{service}.spike.svc.cluster.local:8443")
            })
            .collect();
        for name in ["nexus", "bootstrap"] {
            let mut containers = manifest.containers();
            let container = containers.find(|(_, it)| it["name"] == name).context(name)?.1;
            assert_eq!(variable(container, "SPIKE_NEXUS_KEEPER_PEERS")?, peers.join(","), "{path}");
            assert_eq!(variable(container, "SPIKE_NEXUS_SHAMIR_SHARES")?, count.to_string());
        }
    }
    Ok(())
}

/// A rolling update, a drained node and a restart each take one Keeper at most, and what is left rebuilds the key.
#[test]
fn whatever_kubernetes_does_by_itself_leaves_a_threshold_of_shares() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        let keepers = &manifest.named("StatefulSet", "spike-keeper")?["spec"];
        let keeper = &keepers["template"]["spec"]["containers"][0];
        assert_eq!(keeper["readinessProbe"]["httpGet"]["path"], "/readyz", "{path}");
        assert_eq!(keeper["livenessProbe"]["httpGet"]["path"], "/livez", "{path}");
        assert_eq!(
            keepers["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
        );
        assert_eq!(keepers["podManagementPolicy"], "Parallel", "{path}");
        let budget = &manifest.named("PodDisruptionBudget", "spike-keeper")?["spec"];
        assert_eq!(budget["maxUnavailable"], 1, "{path}");
        let nexus = manifest.named("StatefulSet", "spike-nexus")?;
        let nexus = &nexus["spec"]["template"]["spec"]["containers"][0];
        let threshold: u64 = variable(nexus, "SPIKE_NEXUS_SHAMIR_THRESHOLD")?.parse()?;
        assert!(keepers["replicas"].as_u64().context("no number")? > threshold, "{path}");
    }
    Ok(())
}

// With the version of the chart among the labels of a pod, every new chart would restart every Keeper.
#[test]
fn the_labels_of_a_pod_are_only_what_selects_it() -> Result<()> {
    for path in RENDERED {
        for (object, pod) in Manifest::read(path)?.pods() {
            let labels = pod["metadata"]["labels"].as_object().context("no labels")?;
            let names: Vec<&str> = labels.keys().map(String::as_str).collect();
            let selecting =
                ["component", "instance", "name"].map(|name| format!("app.kubernetes.io/{name}"));
            assert_eq!(names, selecting, "{path}: {}", object["metadata"]["name"]);
        }
    }
    Ok(())
}

#[test]
fn bootstrap_is_a_job_and_no_hook_and_only_a_failure_that_may_pass_is_tried_again() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        let job = manifest.of_kind("Job").next().context("no job")?;
        assert!(job["metadata"]["annotations"].is_null(), "{path}: {}", job["metadata"]);
        assert!(job["spec"]["ttlSecondsAfterFinished"].is_null(), "{path}: its log would go");
        assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never", "{path}");
        let rules = &job["spec"]["podFailurePolicy"]["rules"];
        let fatal: Vec<u64> = list_of(&rules[0]["onExitCodes"]["values"])
            .iter()
            .filter_map(|it| it.as_u64())
            .collect();
        let expected =
            [Exit::Usage, Exit::KeyExists, Exit::Config].map(|exit| u64::from(exit.code()));
        assert_eq!(fatal, expected, "{path}");
        assert_eq!(rules[0]["action"], "FailJob", "{path}");
    }
    Ok(())
}

#[test]
fn nobody_but_bootstrap_has_a_token_and_it_may_do_nothing_but_keep_its_config_map() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        for (object, pod) in manifest.pods() {
            let mounted = &pod["spec"]["automountServiceAccountToken"];
            assert_eq!(*mounted, json!(object["kind"] == "Job"), "{path}: {}", object["metadata"]);
        }
        let roles: Vec<&Value> = manifest.of_kind("Role").collect();
        let [role] = roles.as_slice() else { anyhow::bail!("{path}: {roles:?}") };
        let job = manifest.of_kind("Job").next().context("no job")?;
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let state = variable(container, "SPIKE_BOOTSTRAP_CONFIGMAP_NAME")?;
        let core = [""];
        let expected = json!([
            {"apiGroups": core, "resources": ["configmaps"], "verbs": ["create"]},
            {"apiGroups": core, "resources": ["configmaps"], "resourceNames": [state], "verbs": ["get", "update"]},
        ]);
        assert_eq!(role["rules"], expected, "{path}");
        // The Keepers look at the same one.
        let keepers = manifest.named("StatefulSet", "spike-keeper")?;
        let volumes = list_of(&keepers["spec"]["template"]["spec"]["volumes"]);
        let volume = volumes.iter().find(|it| it["configMap"].is_object()).context("no volume")?;
        assert_eq!(volume["configMap"]["name"], state, "{path}");
        assert_eq!(volume["configMap"]["optional"], true, "{path}");
        let keeper = &keepers["spec"]["template"]["spec"]["containers"][0];
        let mounts = list_of(&keeper["volumeMounts"]);
        let mount = mounts.iter().find(|it| it["name"] == volume["name"]).context("no mount")?;
        // With a subPath the file would stay as it was when the pod started.
        assert!(mount["subPath"].is_null(), "{path}");
        let (at, file) = (&mount["mountPath"], &volume["configMap"]["items"][0]["path"]);
        let note = format!("{}/{}", at.as_str().unwrap_or(""), file.as_str().unwrap_or(""));
        assert_eq!(variable(keeper, "SPIKE_KEEPER_BOOTSTRAP_NOTE")?, note, "{path}");
    }
    Ok(())
}

/// Applied without Helm, everything went into the namespace of whoever applied it, where no selector looks.
#[test]
fn every_object_says_the_namespace_that_its_selectors_look_in() -> Result<()> {
    for path in RENDERED.into_iter().chain(ROLES) {
        for object in &Manifest::read(path)?.0 {
            let told = &object["metadata"]["namespace"];
            match object["kind"].as_str() {
                Some("Namespace" | "ClusterSPIFFEID") => {
                    assert!(told.is_null(), "{path}: {object}");
                }
                _ => assert_eq!(told, "spike", "{path}: {}", object["metadata"]),
            }
        }
    }
    Ok(())
}

/// Without Helm there was no pod for an operator, and a superuser for a test that nobody could run.
#[test]
fn without_helm_there_is_a_file_for_each_role_with_its_identity_and_nothing_else() -> Result<()> {
    for path in ROLES {
        let manifest = Manifest::read(path)?;
        let role = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".yaml");
        let (_, pod) = manifest.pods().next().context("no pod")?;
        let identities: Vec<&Value> = manifest.of_kind("ClusterSPIFFEID").collect();
        let [identity] = identities.as_slice() else { anyhow::bail!("{path}: {identities:?}") };
        assert!(selects(&identity["spec"]["podSelector"]["matchLabels"], pod), "{path}");
        let id = identity["spec"]["spiffeIDTemplate"].as_str().unwrap_or_default();
        let wanted = role.replace("pilot", "superuser");
        assert!(id.contains(&format!("/spike/pilot/role/{wanted}/")), "{path}: {id}");
        assert_eq!(manifest.0.len(), 3, "{path}");
    }
    for path in RENDERED {
        let ids = Manifest::read(path)?;
        let tests =
            ids.of_kind("ClusterSPIFFEID").filter(|id| id.to_string().contains("spike-test"));
        assert_eq!(tests.count(), 0, "{path}: nobody runs `helm test`");
    }
    Ok(())
}

/// The names of the elements of a list.
fn names(list: &Value) -> Vec<&str> {
    list_of(list).into_iter().filter_map(|it| it["name"].as_str()).collect()
}
