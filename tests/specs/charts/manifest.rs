//! Kubernetes objects, read from the files that the chart renders.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::repository::text;

/// The files in `deploy/kubernetes`.
pub(super) const RENDERED: [&str; 2] =
    ["deploy/kubernetes/try-out.yaml", "deploy/kubernetes/production.yaml"];

/// Those of the pods of operators, a file for each role.
pub(super) const ROLES: [&str; 3] = [
    "deploy/kubernetes/roles/pilot.yaml",
    "deploy/kubernetes/roles/recover.yaml",
    "deploy/kubernetes/roles/restore.yaml",
];

/// The objects of one file.
#[derive(Debug)]
pub(super) struct Manifest(pub(super) Vec<Value>);

impl Manifest {
    pub(super) fn read(path: &str) -> Result<Self> {
        Self::parse(&text(path)?, path)
    }

    /// The objects in `text`, which is that of `path`.
    pub(super) fn parse(text: &str, path: &str) -> Result<Self> {
        let documents = text.split("---\n").filter(|part| part.contains("kind:"));
        let objects: Vec<Value> = documents
            .map(serde_saphyr::from_str)
            .collect::<Result<_, _>>()
            .context(path.to_owned())?;
        assert!(objects.len() > 2, "{path}: only {} objects", objects.len());
        Ok(Self(objects))
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    pub(super) fn named(&self, kind: &str, name: &str) -> Result<&Value> {
        let mut found = self.of_kind(kind);
        found
            .find(|object| *at(object, "/metadata/name") == *name)
            .with_context(|| format!("no {kind} {name}"))
    }

    /// The templates of all pods: the object that they are in, and `metadata` and `spec` of the pod.
    pub(super) fn pods(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.0.iter().filter_map(|object| {
            let template = at(object, "/spec/template");
            template.is_object().then_some((object, template))
        })
    }

    /// The containers of all pods, with the pods they are in.
    pub(super) fn containers(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.pods().flat_map(|(_, pod)| {
            let lists =
                ["/spec/initContainers", "/spec/containers"].map(|list| list_of(at(pod, list)));
            lists.concat().into_iter().map(move |container| (pod, container))
        })
    }
}

/// The key in Bootstrap's `ConfigMap` that the Keepers of the chart look at.
pub(crate) fn note_key() -> Result<String> {
    let manifest = Manifest::read(RENDERED[0])?;
    let keepers = manifest.named("StatefulSet", "spike-keeper")?;
    let volumes = list_of(at(keepers, "/spec/template/spec/volumes"));
    let key = volumes.iter().find_map(|volume| at(volume, "/configMap/items/0/key").as_str());
    Ok(key.context("the Keepers look at no ConfigMap")?.to_owned())
}

/// What a JSON pointer leads to; `null` where there is nothing.
fn at<'a>(value: &'a Value, way: &str) -> &'a Value {
    static NOTHING: Value = Value::Null;
    value.pointer(way).unwrap_or(&NOTHING)
}

/// The elements of a list, which may be missing.
pub(super) fn list_of(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}

/// Whether the labels of `pod` are those that `selector` (a map) asks for. An empty selector selects nothing here.
pub(super) fn selects(selector: &Value, pod: &Value) -> bool {
    let labels = at(pod, "/metadata/labels");
    selector.as_object().is_some_and(|wanted| {
        !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
    })
}

/// The environment of a container, as it stands there.
pub(super) fn environment(container: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list_of(&container["env"])
        .into_iter()
        .map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect()
}

/// The value of a variable of a container.
pub(super) fn variable(container: &Value, name: &str) -> Result<String> {
    let found = environment(container).into_iter().find(|(its, _)| its == name);
    Ok(found.with_context(|| format!("no {name}"))?.1)
}
