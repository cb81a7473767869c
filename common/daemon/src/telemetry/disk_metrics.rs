//! The metrics of files, which are asked for on a thread of their own: their disk may hold them up.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use prometheus_client::{encoding::text, registry::Registry};

use super::apart::Apart;

/// The metrics; clones share them.
#[derive(Clone, Default)]
pub(super) struct DiskMetrics(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// There once metrics are added.
    texts: OnceLock<(Arc<Mutex<Registry>>, Apart<String>)>,
}

impl DiskMetrics {
    pub(super) fn register(&self, add: impl FnOnce(&mut Registry)) {
        let (registry, _) = self.0.texts.get_or_init(|| {
            let registry = Arc::new(Mutex::new(Registry::with_prefix("spike")));
            let asked = Arc::clone(&registry);
            let write = move || {
                let mut out = String::new();
                let registry = asked.lock().unwrap_or_else(PoisonError::into_inner);
                // Writing to a String cannot fail.
                text::encode_registry(&mut out, &registry).ok();
                out
            };
            (registry, Apart::start("disk-metrics", write))
        });
        add(&mut registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Has them written again, and waits for that for a second at most.
    pub(super) async fn fresh(&self) {
        if let Some((_, texts)) = self.0.texts.get() {
            texts.fresh().await;
        }
    }

    /// The metrics as they were written last, as text without its end.
    pub(super) fn last(&self) -> String {
        self.0.texts.get().and_then(|(_, texts)| texts.last()).unwrap_or_default()
    }
}

impl fmt::Debug for DiskMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskMetrics").finish_non_exhaustive()
    }
}
