//! `spike secret` (cli-config-deploy 1.8, wire-api N1 to N6).

pub(super) mod listing;
mod missing;
mod pairs;

use spike_domain::rules::{self, Fault};
use spike_wire::{
    SecretGetRequest, SecretMetadataRequest, SecretMetadataResponse, SecretPutRequest, SecretStr,
    SecretValues, SecretVersionsRequest, call,
};

use crate::cli::{
    Format, MetadataCommand, SecretCommand, SecretGetArgs, SecretListArgs, SecretPutArgs, Versions,
};
use crate::context::{Context, Session};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Name, Node, human, quoted, write_json, write_yaml};
use listing::Listed;

/// The note after a quoted value.
const QUOTED: &str = r"a value in double quotes is shown with the escapes of JSON, such as \n where a line ends; a pipe, and `spike secret get PATH KEY --raw`, get it as it is";

pub(super) async fn run(command: SecretCommand, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        SecretCommand::Put(arguments) => put(arguments, context).await,
        SecretCommand::Get(arguments) => get(arguments, context).await,
        SecretCommand::List(arguments) => list(arguments, context).await,
        SecretCommand::Delete { path, versions } => delete(path, versions, context).await,
        SecretCommand::Undelete { path, versions } => undelete(path, versions, context).await,
        SecretCommand::Metadata(MetadataCommand::Get { path, version, format }) => {
            metadata(path, version, format, context).await
        }
    }
    .map(|()| Exit::Success)
}

async fn put(arguments: SecretPutArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let SecretPutArgs { path, pairs, allow_empty } = arguments;
    check_path(&path)?;
    let values = pairs::read(&pairs, allow_empty, context)?;
    let request = SecretPutRequest { path, values: Some(values) };
    let session = context.nexus_by_policy().await?;
    session.call::<call::SecretPut>(&request, &request.path).await?;
    context.streams.print("OK\n")
}

async fn get(arguments: SecretGetArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let SecretGetArgs { path, key, version, format, raw } = arguments;
    check_path(&path)?;
    let session = context.nexus_by_policy().await?;
    let request = SecretGetRequest { path, version };
    let answer = match session.call::<call::SecretGet>(&request, &request.path).await {
        Ok(answer) => answer,
        Err(error) => {
            return Err(missing::of_version(&session, &request.path, version, error).await);
        }
    };
    let values = answer.data.unwrap_or_default();
    let on_terminal = context.streams.stdout_is_terminal();
    let mut quoted = false;
    let Some(key) = key else {
        context.streams.render(|out| match format {
            Format::Human if on_terminal => {
                human::secret_on_terminal(out, &values).map(|any| quoted = any)
            }
            Format::Human => human::secret(out, &values),
            Format::Json => write_json(out, &node_of(&values), 4),
            // Upstream's answer in YAML ends in an empty line.
            Format::Yaml => write_yaml(out, &node_of(&values)).and_then(|()| writeln!(out)),
        })?;
        return tell_of_quotes(quoted, context);
    };
    let Some(value) = values.get(&key).map(SecretStr::expose_secret) else {
        let keys = values.names().map(str::to_owned).collect();
        return Err(Error::NoSuchKey { path: request.path, key, keys });
    };
    if raw {
        return context.streams.render_raw(|out| out.write_all(value.as_bytes()));
    }
    context.streams.render(|out| match format {
        Format::Human if on_terminal => {
            human::value_on_terminal(out, value).map(|any| quoted = any)
        }
        Format::Human => writeln!(out, "{value}"),
        Format::Json => write_json(out, &Node::Text(value), 4),
        Format::Yaml => write_yaml(out, &Node::Text(value)).and_then(|()| writeln!(out)),
    })?;
    tell_of_quotes(quoted, context)
}

fn tell_of_quotes(quoted: bool, context: &mut Context<'_>) -> Result<(), Error> {
    if quoted { context.streams.remark("note:", QUOTED) } else { Ok(()) }
}

async fn list(arguments: SecretListArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let SecretListArgs { prefix, limit, format } = arguments;
    let session = context.nexus_by_policy().await?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let Listed { paths, more } = listing::paths(&prefix, limit, async |request| {
        session.call::<call::SecretList>(&request, "").await
    })
    .await?;
    context.streams.render(|out| match format {
        Format::Human => human::secret_list(out, &paths),
        Format::Json => write_json(out, &Node::texts(&paths), 2),
        Format::Yaml => write_yaml(out, &Node::texts(&paths)),
    })?;
    if more {
        let text = "there are more: a larger --limit, or a longer prefix, lists them";
        context.streams.remark("note:", text)?;
    }
    Ok(())
}

async fn delete(
    path: String,
    Versions(versions): Versions,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    check_path(&path)?;
    let session = context.nexus_by_policy().await?;
    let request = SecretVersionsRequest { path, versions };
    session.call::<call::SecretDelete>(&request, &request.path).await?;
    tell_of_changed_versions(&session, request, context).await
}

async fn undelete(
    path: String,
    versions: Option<Versions>,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    check_path(&path)?;
    let versions = versions_to_undelete(versions);
    let session = context.nexus_by_policy().await?;
    let request = SecretVersionsRequest { path, versions };
    if let Err(error) = session.call::<call::SecretUndelete>(&request, &request.path).await {
        let SecretVersionsRequest { path, versions } = &request;
        return Err(missing::of_undelete(&session, path, versions, error).await);
    }
    tell_of_changed_versions(&session, request, context).await
}

/// Says that it is done, and warns of named versions that do not exist, which SPIKE Nexus ignores, as upstream's does. Where
/// none of them exists, nothing was done.
async fn tell_of_changed_versions(
    session: &Session,
    request: SecretVersionsRequest,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let SecretVersionsRequest { path, versions: named } = request;
    let missing = missing_versions(session, &path, &named).await;
    if !named.is_empty() && missing.len() == named.len() {
        return Err(missing::unchanged(&path, &missing));
    }
    context.streams.print("OK\n")?;
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("{path} has no version {}: nothing was changed there", listed(&missing));
    context.streams.remark("warning:", &text)
}

/// Those of the named versions that do not exist; 0, the current one, always does. The change has succeeded, so a failure to
/// get the list of versions is ignored.
async fn missing_versions(session: &Session, path: &str, named: &[i64]) -> Vec<i64> {
    if named.iter().all(|version| *version == 0) {
        return Vec::new();
    }
    let question =
        SecretMetadataRequest { path: path.to_owned(), version: 0, include_deleted: true };
    let asked = session.call::<call::SecretMetadata>(&question, path).await;
    let Ok(answer) = asked else { return Vec::new() };
    if answer.versions.is_empty() {
        return Vec::new();
    }
    let is_missing = |version: &i64| *version != 0 && !answer.versions.contains_key(version);
    named.iter().copied().filter(is_missing).collect()
}

fn listed(versions: &[i64]) -> String {
    let each: Vec<String> = versions.iter().map(ToString::to_string).collect();
    each.join(", ")
}

/// The empty list stands for the highest deleted version. Upstream sends 0, the current version, which is never deleted
/// (cli-config-deploy 10.2 no. 1).
fn versions_to_undelete(versions: Option<Versions>) -> Vec<i64> {
    versions.map(|Versions(versions)| versions).filter(|list| list != &[0]).unwrap_or_default()
}

async fn metadata(
    path: String,
    version: i64,
    format: Format,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    check_path(&path)?;
    let session = context.nexus_by_policy().await?;
    // Without a number the question is about the secret as a whole, so deleted versions count.
    let request = SecretMetadataRequest { path, version, include_deleted: version == 0 };
    let answer = match session.call::<call::SecretMetadata>(&request, &request.path).await {
        Ok(answer) => answer,
        Err(error) => {
            return Err(missing::of_version(&session, &request.path, version, error).await);
        }
    };
    let on_terminal = context.streams.stdout_is_terminal();
    context.streams.render(|out| match format {
        Format::Human => human::metadata(out, &answer, on_terminal),
        Format::Json => write_json(out, &metadata_node(&answer), 2),
        Format::Yaml => write_yaml(out, &metadata_node(&answer).lower_case()),
    })
}

fn node_of(values: &SecretValues) -> Node<'_> {
    Node::Map(
        values
            .iter()
            .map(|(name, value)| (name.into(), Node::Text(value.expose_secret())))
            .collect(),
    )
}

/// The versions, if any, by number (Go's JSON sorts them as text), and the metadata of the whole secret.
fn metadata_node(answer: &SecretMetadataResponse) -> Node<'_> {
    let versions = answer.versions.iter().map(|(number, version)| {
        let fields = Node::map([
            ("createdTime", Node::Time(version.created_time)),
            ("version", Node::Integer(version.version)),
            ("deletedTime", version.deleted_time.map_or(Node::Null, Node::Time)),
        ]);
        (Name::Number(*number), fields)
    });
    let whole = &answer.metadata;
    let metadata = Node::map([
        ("currentVersion", Node::Integer(whole.current_version)),
        ("oldestVersion", Node::Integer(whole.oldest_version)),
        ("createdTime", Node::Time(whole.created_time)),
        ("updatedTime", Node::Time(whole.updated_time)),
        ("maxVersions", Node::Integer(whole.max_versions)),
    ]);
    let mut fields = vec![("metadata".into(), metadata)];
    if !answer.versions.is_empty() {
        fields.insert(0, ("versions".into(), Node::Map(versions.collect())));
    }
    Node::Map(fields)
}

fn check_path(path: &str) -> Result<(), Error> {
    let Err(fault) = rules::check_secret_path(path) else { return Ok(()) };
    let rule = format!(
        "a path is 1 to {} letters, digits and ._-/()?+*|[]{{}}\\, such as tenants/acme/db",
        rules::MAX_PATH_BYTES
    );
    let hint = match fault {
        Fault::TooLong { length, .. } => format!("it is too long: it has {length} bytes; {rule}"),
        Fault::Empty | Fault::Character { .. } => rule,
    };
    Err(Error::usage_hint(format!("invalid secret path {}", quoted(path)), hint))
}

#[cfg(test)]
mod tests;
