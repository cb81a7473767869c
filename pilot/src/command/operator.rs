//! `spike operator` (cli-config-deploy 1.11, crypto-and-storage 3, wire-api N13 and N14).

mod restore;
mod shares;
mod status;

use std::path::{Path, PathBuf};

use spike_config::check_output_directory;
use spike_crypto::{Share, ShareIndex, ShareValue};
use spike_domain::Role;
use spike_wire::{EmptyRequest, RecoverResponse, Shard, call};

use crate::cli::{OperatorCommand, RecoverArgs};
use crate::context::Context;
use crate::error::Error;
use crate::recovery_file::RecoveryDirectory;

pub(super) use status::{margin_in_words, margin_while_sealed, node as status_node, trusts};

pub(super) async fn run(command: OperatorCommand, context: &mut Context<'_>) -> Result<(), Error> {
    match command {
        OperatorCommand::Recover(arguments) => recover(arguments, context).await,
        OperatorCommand::Restore(arguments) => restore::run(arguments, context).await,
        OperatorCommand::Status { format } => status::run(format, context).await,
    }
}

async fn recover(arguments: RecoverArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let RecoverArgs { out, stdout } = arguments;
    // A directory that cannot be written is found before the shares leave Nexus.
    let directory = if stdout {
        None
    } else {
        let directory = RecoveryDirectory::prepare(&directory_for(out, context)?)?;
        if let Some(risk) = directory.risk() {
            let path = directory.path().display();
            let text = format!(
                "the directory {path} {risk}, who can remove and replace what is in it: choose a directory of your own"
            );
            context.streams.message("warning:", &text);
        }
        Some(directory)
    };
    let session = context.nexus(&[Role::PilotRecover]).await?;
    let shares = shares_of(&session.call::<call::OperatorRecover>(&EmptyRequest, "").await?)?;
    let Some(directory) = directory else {
        return context.streams.render(|out| {
            shares
                .iter()
                .try_for_each(|share| writeln!(out, "{}", share.to_recovery_text().as_str()))
        });
    };
    let others = directory.write(&shares)?;
    context.streams.print(&saved(directory.path()))?;
    if others.is_empty() {
        return Ok(());
    }
    context.streams.remark("warning:", &left_over(&others))
}

fn directory_for(out: Option<PathBuf>, context: &mut Context<'_>) -> Result<PathBuf, Error> {
    if let Some(out) = out {
        // Before any share leaves Nexus; with a typing error, the files would be where nobody looks for them.
        check_output_directory(&out).map_err(|error| {
            Error::usage_hint(
                format!("the recovery files cannot be written there: {error}"),
                "--out DIR names a directory of your own that exists, or one to be made in a directory that exists",
            )
        })?;
        return Ok(out);
    }
    let resolved = context.settings()?.recovery.resolve().map_err(|error| {
        Error::usage_hint(
            format!("there is no directory for the recovery files: {error}"),
            "set SPIKE_PILOT_RECOVERY_DIR, or use --out DIR or --stdout",
        )
    })?;
    Ok(resolved.path)
}

/// All shares, checked. A share that cannot be fed back later must not look saved.
fn shares_of(answer: &RecoverResponse) -> Result<Vec<Share>, Error> {
    if answer.shards.is_empty() {
        return Err(Error::UselessShares("no shards found: SPIKE Nexus sent none".to_owned()));
    }
    let share = |(&index, shard): (&i64, &Shard)| {
        if shard.is_zero() || !shard.is_whole() {
            return Err(Error::UselessShares(format!("empty shard found: number {index}")));
        }
        let unusable = |error| {
            Error::UselessShares(format!("SPIKE Nexus sent an unusable shard {index}: {error}"))
        };
        let value = ShareValue::from_bytes(shard.expose_secret()).map_err(unusable)?;
        Ok(Share { index: ShareIndex::try_from(index).map_err(unusable)?, value })
    };
    answer.shards.iter().map(share).collect()
}

/// The warning about other recovery files in the directory.
fn left_over(others: &[String]) -> String {
    format!(
        "the directory also holds {}, which SPIKE Nexus has not sent now: they may belong to another root key, so keep them apart from the new ones",
        others.join(", ")
    )
}

fn saved(directory: &Path) -> String {
    format!(
        "
  SPIKE Recovery shards saved to the recovery directory:
  {}

  Please make sure that:
    1. You encrypt these shards and keep them safe, in different places.
    2. You securely erase the shards from the recovery directory
       after you have encrypted them and moved them to a safe place.

  If you lose these shards, you will not be able to recover
  SPIKE Nexus in the unlikely event of a total system crash.

",
        directory.display()
    )
}

#[cfg(test)]
mod tests;
