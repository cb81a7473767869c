//! The recovery drill is run as the page has it: everything that has the root key in memory is killed, and comes back from the
//! recovery files.

use anyhow::Result;

use crate::tour::{Place, tour_of};

#[tokio::test]
async fn the_recovery_drill_is_as_its_page_shows_it() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("drill-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    tour_of(&Place::new(dir.path()), "docs/operations/drill.md").await
}
