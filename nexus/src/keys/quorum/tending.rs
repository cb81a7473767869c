//! The tasks that call the Keepers.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::Keepers;

/// The tasks. They end when this is dropped, and what was known of the Keepers then stays: nobody asks them any more.
#[derive(Debug)]
pub(crate) struct Tending {
    tasks: Vec<AbortHandle>,
    keepers: Option<Arc<Keepers>>,
}

impl Tending {
    /// One task that does not look at the Keepers.
    pub(super) fn of(task: AbortHandle) -> Self {
        Self { tasks: vec![task], keepers: None }
    }

    /// All tasks that do.
    pub(super) const fn all(tasks: Vec<AbortHandle>, keepers: Arc<Keepers>) -> Self {
        Self { tasks, keepers: Some(keepers) }
    }
}

impl Drop for Tending {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        if let Some(keepers) = &self.keepers {
            keepers.keep_last_look();
        }
    }
}
