//! What the completion scripts ask for: candidates for the last word of a command line.
//!
//! Somebody waits for it at a keyboard, and did not ask for a command to be run. So it is silent, prompts for nothing, is quick or
//! gives up, and succeeds whatever happens. It asks for names only: a value is never on its way here.

use std::path::Path;
use std::time::Duration;

use spike_config::table::SPIFFE_ENDPOINT_SOCKET;
use spike_domain::is_hidden;
use spike_wire::{PolicyListRequest, call};

use super::secret::listing;
use crate::cli::{self, Slot};
use crate::context::{Context, Session};
use crate::error::Error;

/// How long a key press may take in all.
const LIMIT: Duration = Duration::from_millis(400);

/// How many candidates a person can look through.
const MOST: usize = 500;

/// Reads the words of the line from standard input, one a line, and prints a candidate a line. They are not arguments of this
/// program, because other users would see in the process list what is being typed: `pass=…`.
pub(super) async fn complete(context: &mut Context<'_>) -> Result<(), Error> {
    let Ok(typed) = context.streams.read_all() else { return Ok(()) };
    let Ok(typed) = std::str::from_utf8(&typed) else { return Ok(()) };
    let words: Vec<_> = typed.strip_suffix('\n').unwrap_or(typed).split('\n').collect();
    let Some(end) = cli::unfinished(&cli::tree(), &words) else { return Ok(()) };
    let candidates = match end.slot {
        Slot::Permissions => cli::permissions(&end.begun),
        Slot::Path | Slot::Policy if !has_agent(context) => Vec::new(),
        slot => {
            let asked = tokio::time::timeout(LIMIT, names(slot, &end.begun, context)).await;
            asked.ok().and_then(Result::ok).unwrap_or_default()
        }
    };
    // Control characters would be typed, too, and those that nobody sees would turn the line around.
    let is_plain = |name: &&String| !name.chars().any(|c| c.is_control() || is_hidden(c));
    let lines = candidates.iter().filter(is_plain).map(|name| format!("{}{name}\n", end.kept));
    context.streams.print(&lines.collect::<String>()).or(Ok(()))
}

/// Whether there may be an agent: its address is set, and a socket is there.
fn has_agent(context: &Context<'_>) -> bool {
    if !context.has_agent() {
        // A test has given an identity.
        return true;
    }
    let address = context.environment().get(SPIFFE_ENDPOINT_SOCKET.name);
    let Some(address) = address.and_then(std::ffi::OsStr::to_str) else { return false };
    address.strip_prefix("unix:").is_none_or(|path| Path::new(path).exists())
}

async fn names(slot: Slot, begun: &str, context: &mut Context<'_>) -> Result<Vec<String>, Error> {
    context.settings_unseen()?;
    let session = context.nexus_by_policy().await?;
    match slot {
        Slot::Permissions => Ok(Vec::new()),
        Slot::Path => paths(begun, &session).await,
        Slot::Policy => {
            let request = PolicyListRequest::default();
            let answer = session.call::<call::PolicyList>(&request, "").await?;
            Ok(answer.names.into_iter().filter(|name| name.starts_with(begun)).take(MOST).collect())
        }
    }
}

async fn paths(begun: &str, session: &Session) -> Result<Vec<String>, Error> {
    let listed = listing::paths(begun, Some(MOST), async |request| {
        session.call::<call::SecretList>(&request, "").await
    });
    Ok(listed.await?.paths)
}

#[cfg(test)]
mod tests;
