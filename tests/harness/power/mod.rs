//! Simulates power loss: it records what Nexus writes to its files, and replays it without writes that were not synced.
//!
//! strace records every write, truncation and sync of the files in the data directory, in order, with the bytes. After a
//! simulated power loss, everything that was synced is there. Later writes may be missing or present: none, all, some of them,
//! or single sectors of one. That is harsher than most disks.
//!
//! It does not test whether the kernel and the disk really keep what they confirmed with a sync.

mod log;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::crew::Crew;

/// The unit in which a disk writes.
const SECTOR: usize = 512;

/// The names and contents of the files in a directory.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Records Nexus from its next start on.
#[derive(Debug)]
pub struct Recorder {
    data: PathBuf,
    log: PathBuf,
    before: Files,
}

/// The recorded changes of the files.
#[derive(Debug)]
pub struct Recording {
    before: Files,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Event {
    /// When it began, or a sync ended: nanoseconds of Unix time.
    at: i64,
    /// The name of the file; empty for the directory.
    file: String,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate(usize),
    /// Everything before this event is on the disk.
    Sync {
        covers: usize,
    },
}

/// What happens to writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// None is there.
    Gone,
    /// Some are there, whole or in part; this number is the seed.
    Some(u64),
    /// All are there.
    Kept,
}

impl Recorder {
    /// Whether this machine has strace and permits its use.
    pub async fn possible() -> bool {
        let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output().await;
        probe.is_ok_and(|output| output.status.success())
    }

    /// Records the next Nexus of `crew`. Nexus must have ended.
    ///
    /// # Errors
    /// If its files cannot be read, or the program not replaced.
    pub async fn install(crew: &Crew) -> Result<Self> {
        let (data, log) = (crew.dir().join("data"), crew.dir().join("strace.log"));
        let before = read_all(&data)?;
        // -D: the recorded process is the one that was registered with the Workload API; strace is its grandchild.
        let script = format!(
            "exec strace -D -f -ttt -xx -y -s 16777216 -o '{}' \
             -e trace=pwrite64,write,ftruncate,fsync,fdatasync -- \"$PROGRAM\" \"$@\"",
            log.display(),
        );
        crew.wrap("nexus", &script).await?;
        Ok(Self { data, log, before })
    }

    /// Ends the recording after Nexus has ended, and returns it; `None` if strace could not see the bytes.
    ///
    /// # Errors
    /// If the recording cannot be read.
    pub fn finish(self, crew: &Crew) -> Result<Option<Recording>> {
        crew.undo_wrap("nexus")?;
        let text = fs::read_to_string(&self.log)?;
        let events = log::parse(&text, &self.data)?;
        let before = self.before;
        Ok(events.map(|events| Recording { before, events }))
    }
}

impl Recording {
    /// The number of moments at which the power may fail.
    pub fn moments(&self) -> usize {
        self.events.len()
    }

    /// The number of recorded syncs of files.
    pub fn syncs(&self) -> usize {
        self.events.iter().filter(|event| matches!(event.change, Change::Sync { .. })).count()
    }

    /// The time of a moment. Everything that was acknowledged before it must be there after the power loss.
    ///
    /// # Errors
    /// If there is no such moment.
    pub fn time(&self, moment: usize) -> Result<i64> {
        Ok(self.events.get(moment).context("no such moment")?.at)
    }

    /// The same recording without its syncs.
    #[must_use]
    pub fn without_syncs(mut self) -> Self {
        self.events.retain(|event| !matches!(event.change, Change::Sync { .. }));
        self
    }

    /// The files after a power loss just before that moment.
    pub fn after_power_loss(&self, moment: usize, unsynced: Unsynced) -> Files {
        let mut durable = self.before.clone();
        let mut pending: Vec<(usize, &Event)> = Vec::new();
        for (number, event) in self.events.iter().take(moment).enumerate() {
            let Change::Sync { covers } = event.change else {
                pending.push((number, event));
                continue;
            };
            if event.file.is_empty() {
                // A sync of the directory makes the names of files durable.
                for (_, waiting) in &pending {
                    durable.entry(waiting.file.clone()).or_default();
                }
            }
            pending.retain(|(written, waiting)| {
                let synced = waiting.file == event.file && *written < covers;
                if synced {
                    waiting.apply(&mut durable, |_| true);
                }
                !synced
            });
        }
        let mut chance = match unsynced {
            Unsynced::Gone => return durable,
            Unsynced::Kept => None,
            Unsynced::Some(seed) => Some(Chance(seed)),
        };
        for (_, event) in pending {
            let kept = chance.as_mut().map_or(0, |chance| chance.below(3));
            match kept {
                0 => event.apply(&mut durable, |_| true),
                1 => {}
                _ => event.apply(&mut durable, |_| {
                    chance.as_mut().is_none_or(|chance| chance.below(2) == 0)
                }),
            }
        }
        durable
    }

    /// The names of the files that were written to.
    pub fn files(&self) -> BTreeSet<&str> {
        self.events
            .iter()
            .map(|event| event.file.as_str())
            .filter(|file| !file.is_empty())
            .collect()
    }
}

impl Event {
    /// Writes it to the disk, each sector only if `keep` says so.
    fn apply(&self, files: &mut Files, mut keep: impl FnMut(usize) -> bool) {
        let file = files.entry(self.file.clone()).or_default();
        match &self.change {
            Change::Truncate(length) => file.resize(*length, 0),
            Change::Write { offset, bytes } => {
                for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                    let start = offset + number * SECTOR;
                    let end = start + sector.len();
                    if !keep(number) {
                        continue;
                    }
                    if file.len() < end {
                        file.resize(end, 0);
                    }
                    if let Some(place) = file.get_mut(start..end) {
                        place.copy_from_slice(sector);
                    }
                }
            }
            Change::Sync { .. } => {}
        }
    }
}

/// Replaces the files in the data directory of a crew whose Nexus has ended.
///
/// # Errors
/// If they cannot be written.
pub fn put_back(crew: &Crew, files: &Files) -> Result<()> {
    let data = crew.dir().join("data");
    for entry in fs::read_dir(&data)? {
        fs::remove_file(entry?.path())?;
    }
    for (name, bytes) in files {
        fs::write(data.join(name), bytes)?;
        fs::set_permissions(data.join(name), Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn read_all(data: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs::read(entry.path())?);
    }
    Ok(files)
}

/// A series of numbers that looks random and is the same each time.
#[derive(Clone, Copy, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below `bound`, which is not 0. (`SplitMix64`.)
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % bound
    }
}
