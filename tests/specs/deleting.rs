//! `docs/operations/deleting.md`: its commands erase a secret, and leave no value behind that a workload could take for one.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::{repository::text, tour::Place};

/// What was there before, and what is looked for afterwards.
const BEFORE: &str = "\
for value in one two three; do spike secret put tenants/acme/old pass=$value; done
spike secret delete tenants/acme/old --versions 1";
const AFTER: &str = "
spike secret metadata get tenants/acme/old | grep -e '^Version [123]:' && exit 11
for version in 0 1 2 3; do
  spike secret get tenants/acme/old --version $version && exit 12
done
spike secret undelete tenants/acme/old --versions 1,2,3
spike secret get tenants/acme/old && exit 13
echo 'nothing is left'";

// What the versions were pushed out with stayed behind as the value of the secret.
#[tokio::test]
async fn a_secret_that_was_deleted_for_good_has_no_value_any_more() -> Result<()> {
    let page = text("docs/operations/deleting.md")?;
    let commands = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let commands = commands.context("the page has no commands")?;
    let dir =
        tempfile::Builder::new().prefix("deleting-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    fs::write(dir.path().join("typed"), format!("{BEFORE}\n{commands}{AFTER}"))?;
    let (status, said) = Place::new(dir.path()).run("exec \"$0\" run -- sh typed").await?;
    ensure!(status.success() && said.contains("nothing is left"), "{status}: {said}");
    Ok(())
}
