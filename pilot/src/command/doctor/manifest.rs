//! The containers in a rendered manifest of Kubernetes: what each runs, and the environment that it gets, as far as the file says
//! it.
//!
//! The file is YAML or JSON with any number of documents. Of each workload every container counts that runs one of our programs.
//! Which one is told by its command, its image, its name, or the name of the workload, in this order. A value from elsewhere
//! (`valueFrom`, `envFrom`) is not known. What else is in the file is left to Kubernetes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::Program;

/// The most bytes of a manifest. A chart of ours renders less than 100 KiB, and etcd takes 1.5 MiB for one object.
pub(super) const MOST: usize = 4 * 1024 * 1024;

/// The kinds of workloads, and where the pod is in each.
const WORKLOADS: [(&str, &[&str]); 7] = [
    ("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("Deployment", &["spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    ("Pod", &["spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
];

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Container {
    /// Its workload and its name, for people.
    pub(super) place: String,
    /// The program that it runs, if that can be told.
    pub(super) program: Option<Program>,
    /// The variables whose values are in the file. The last value of a name counts.
    pub(super) variables: BTreeMap<String, String>,
    /// The variables whose values are elsewhere, and where.
    pub(super) unknown: BTreeMap<String, String>,
    /// From where the container gets variables whose names are not in the file.
    pub(super) imported: Vec<String>,
}

impl Container {
    /// Whether it sets anything of ours.
    pub(super) fn has_settings(&self) -> bool {
        let names = self.variables.keys().chain(self.unknown.keys());
        names.into_iter().any(|name| name.starts_with("SPIKE_") || name.starts_with("SPIFFE_"))
    }
}

/// Whether a text is a manifest, and not lines of NAME=VALUE: a key of every object of Kubernetes begins a line.
pub(super) fn is_manifest(text: &str) -> bool {
    let begins = |line: &str| line.starts_with("apiVersion:") || line.starts_with("kind:");
    text.trim_start().starts_with('{') || text.lines().any(begins)
}

/// The containers of all workloads that run a program of ours, or have settings of ours.
///
/// # Errors
/// Where the text is not YAML.
pub(super) fn read(text: &str) -> Result<Vec<Container>, String> {
    if text.len() > MOST {
        return Err(format!("it has more than {} MiB", MOST >> 20));
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
        let place = error.location();
        let line = place.map(|place| format!("line {}, column {}: ", place.line(), place.column()));
        format!("{}not the YAML of a manifest", line.unwrap_or_default())
    })?;
    let mut containers = Vec::new();
    for document in &documents {
        objects(document, &mut |object| workload(object, &mut containers));
    }
    Ok(containers)
}

/// The objects of a document: itself, or those in a list.
fn objects<'v>(document: &'v Value, then: &mut impl FnMut(&'v Value)) {
    match document.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().for_each(then),
        None => then(document),
    }
}

fn workload(object: &Value, containers: &mut Vec<Container>) {
    let kind = text(object, "kind");
    let Some((kind, path)) = WORKLOADS.iter().find(|(known, _)| *known == kind) else { return };
    let name = object.get("metadata").map_or("", |metadata| text(metadata, "name"));
    let Some(pod) = path.iter().try_fold(object, |at, key| at.get(key)) else { return };
    for (list, is_init) in [("initContainers", true), ("containers", false)] {
        for found in pod.get(list).and_then(Value::as_array).into_iter().flatten() {
            let mut container = Container {
                place: format!("{kind} {name}, container {}", text(found, "name")),
                program: program(found, name),
                ..Container::default()
            };
            environment(found, &mut container);
            // What only prepares a pod has a program of ours in its image at times, and gets no settings then.
            let counts = !is_init && container.program.is_some();
            if counts || container.has_settings() {
                containers.push(container);
            }
        }
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The program that a container runs.
fn program(container: &Value, workload: &str) -> Option<Program> {
    let first = container.get("command").and_then(|command| command.get(0)).and_then(Value::as_str);
    let image = text(container, "image");
    let image = image.split('@').next().unwrap_or_default();
    let image = image.rsplit('/').next().and_then(|last| last.split(':').next());
    let names = [
        first.and_then(|path| path.rsplit('/').next()),
        image,
        Some(text(container, "name")),
        Some(workload),
    ];
    names.into_iter().flatten().find_map(named)
}

/// The program of this name, which may stand behind a prefix: `spike-nexus`.
fn named(name: &str) -> Option<Program> {
    let last = name.rsplit('-').next()?;
    match last {
        "nexus" => Some(Program::Nexus),
        "keeper" => Some(Program::Keeper),
        "bootstrap" => Some(Program::Bootstrap),
        "pilot" => Some(Program::Spike),
        _ if name == "spike" => Some(Program::Spike),
        _ => None,
    }
}

fn environment(found: &Value, container: &mut Container) {
    for variable in found.get("env").and_then(Value::as_array).into_iter().flatten() {
        let name = text(variable, "name");
        if name.is_empty() {
            continue;
        }
        if let Some(from) = variable.get("valueFrom").filter(|from| !from.is_null()) {
            let kind = from.as_object().and_then(|from| from.keys().next());
            let kind = kind.map_or("valueFrom", String::as_str);
            container.variables.remove(name);
            container.unknown.insert(name.to_owned(), kind.to_owned());
            continue;
        }
        let value = match variable.get("value") {
            Some(Value::String(value)) => value.clone(),
            // Kubernetes refuses a number here, and takes what is missing for nothing.
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        match expanded(&value, container) {
            Ok(value) => {
                container.unknown.remove(name);
                container.variables.insert(name.to_owned(), value);
            }
            Err(from) => {
                container.variables.remove(name);
                container.unknown.insert(name.to_owned(), format!("the value of {from}"));
            }
        }
    }
    for from in found.get("envFrom").and_then(Value::as_array).into_iter().flatten() {
        let sources =
            from.as_object().into_iter().flatten().filter(|(_, source)| source.is_object());
        let sources = sources.map(|(kind, source)| format!("{kind} {}", text(source, "name")));
        container.imported.extend(sources);
    }
}

/// Puts the values of earlier variables in place of `$(NAME)`, as Kubernetes does; `$$` stands for a dollar sign there, and a name
/// that is not known stays as it is. `Err`: a variable whose value is not known.
fn expanded(value: &str, container: &Container) -> Result<String, String> {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) =
            after.strip_prefix('(').and_then(|after| after.split_once(')'))
        {
            if container.unknown.contains_key(name) {
                return Err(name.to_owned());
            }
            match container.variables.get(name) {
                Some(value) if expanded.len() + value.len() <= MOST => expanded.push_str(value),
                Some(_) => return Err(name.to_owned()),
                None => expanded.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests;
