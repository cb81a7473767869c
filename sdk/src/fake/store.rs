//! The secrets of a fake, by the rules of Nexus.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
};

use spike_domain::{History, SecretPath, Selector, UnixNanos, rules};
use spike_mtls::clock;
use spike_wire::{
    SecretListRequest, SecretListResponse, SecretMetadata, SecretMetadataRequest,
    SecretMetadataResponse, SecretValues, VersionMetadata,
};
use zeroize::Zeroizing;

/// The versions that Nexus keeps by default.
const MAX_VERSIONS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// 2026-01-01T00:00:00Z.
const BEGINNING: UnixNanos = 1_767_225_600_000_000_000;
const SECOND: UnixNanos = 1_000_000_000;

/// All secrets, and the time of the last change.
#[derive(Default)]
pub(super) struct Store {
    secrets: BTreeMap<String, Kept>,
    changes: UnixNanos,
}

struct Kept {
    history: History,
    /// The values of each version, as JSON.
    values: HashMap<i64, Zeroizing<Vec<u8>>>,
}

impl Store {
    /// The time of a change: a second after the one before.
    fn tick(&mut self) -> UnixNanos {
        self.changes += 1;
        self.now()
    }

    /// The time of the last change.
    pub(super) const fn now(&self) -> UnixNanos {
        BEGINNING + self.changes * SECOND
    }

    /// Adds a version. `None` is a version without values.
    pub(super) fn put(&mut self, path: &str, values: Option<&SecretValues>) -> Result<i64, String> {
        let path = SecretPath::parse_for_put(path).map_err(|error| error.to_string())?;
        let values = values.ok_or("the values are missing")?;
        if let Some(bad) = values.names().find(|name| !rules::is_name(name)) {
            return Err(format!("{bad:?} is not a name"));
        }
        let now = self.tick();
        let kept = self.secrets.entry(path.as_str().to_owned()).or_insert_with(|| Kept {
            history: History::new(MAX_VERSIONS, now),
            values: HashMap::new(),
        });
        let put = kept.history.put(now, None).map_err(|error| error.to_string())?;
        kept.values.retain(|number, _| !put.pruned.contains(number));
        kept.values.insert(put.number, values.to_json_object());
        Ok(put.number)
    }

    /// The values of a live version, as JSON.
    pub(super) fn get(&self, path: &str, version: i64) -> Option<&[u8]> {
        let kept = self.secrets.get(path)?;
        let number = kept.history.find(Selector::from(version))?.number;
        kept.values.get(&number).map(|json| json.as_slice())
    }

    /// Deletes versions. Returns whether the path exists.
    pub(super) fn delete(&mut self, path: &str, versions: &[i64]) -> bool {
        let now = self.tick();
        let Some(kept) = self.secrets.get_mut(path) else { return false };
        kept.history.delete(&selectors(versions), now);
        true
    }

    /// Undeletes versions. Returns whether there were any.
    pub(super) fn undelete(&mut self, path: &str, versions: &[i64]) -> bool {
        let now = self.tick();
        let Some(kept) = self.secrets.get_mut(path) else { return false };
        !kept.history.undelete(&selectors(versions), now).is_empty()
    }

    /// The metadata of a path, if the version that was asked for is there.
    pub(super) fn metadata(&self, asked: &SecretMetadataRequest) -> Option<SecretMetadataResponse> {
        let history = &self.secrets.get(&asked.path)?.history;
        let is_there = match Selector::from(asked.version) {
            Selector::Current if asked.include_deleted => true,
            Selector::Number(number) if asked.include_deleted => history.version(number).is_some(),
            live => history.find(live).is_some(),
        };
        let number = |version: Option<&spike_domain::Version>| version.map_or(0, |one| one.number);
        is_there.then(|| SecretMetadataResponse {
            versions: history.versions().iter().map(version).collect(),
            metadata: SecretMetadata {
                current_version: number(history.current()),
                oldest_version: number(history.oldest()),
                created_time: clock::at(history.created()),
                updated_time: clock::at(history.updated()),
                max_versions: history.max_versions().get().into(),
            },
        })
    }

    /// One page of the paths that `is_shown` lets through.
    pub(super) fn list(
        &self,
        asked: &SecretListRequest,
        is_shown: impl Fn(&str) -> bool,
    ) -> SecretListResponse {
        let limit = usize::try_from(asked.limit).ok().filter(|limit| *limit > 0);
        let mut shown = self
            .secrets
            .keys()
            .filter(|path| path.starts_with(&asked.prefix) && **path > asked.after)
            .filter(|path| is_shown(path));
        let keys: Vec<String> = shown.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
        let next = shown.next().and_then(|_| keys.last().cloned());
        SecretListResponse { keys, next }
    }
}

fn selectors(versions: &[i64]) -> Vec<Selector> {
    versions.iter().copied().map(Selector::from).collect()
}

fn version(version: &spike_domain::Version) -> (i64, VersionMetadata) {
    let created_time = clock::at(version.created);
    let deleted_time = version.deleted.map(clock::at);
    (version.number, VersionMetadata { created_time, version: version.number, deleted_time })
}
