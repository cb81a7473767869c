//! Settings of the audit log.

use std::path::PathBuf;

use spike_config::{Reader, table};

/// When the lines in a file are flushed to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditSync {
    /// When the operating system does it.
    Never,
    /// About once a second: the default.
    Interval,
    /// Before a line counts as written.
    Each,
}

impl AuditSync {
    fn parse(text: &str) -> Option<Self> {
        match text.to_lowercase().as_str() {
            "none" => Some(Self::Never),
            "interval" => Some(Self::Interval),
            "each" => Some(Self::Each),
            _ => None,
        }
    }
}

/// Settings of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Whether lines go to standard error.
    pub standard_error: bool,
    /// When the file is flushed to the disk.
    pub sync: AuditSync,
    /// Whether a request goes on although its line cannot be written.
    pub optional: bool,
}

impl AuditSettings {
    /// Reads the group.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let also_standard_error = reader.flag(&table::SPIKE_AUDIT_STDERR);
        let file = reader.file(&table::SPIKE_AUDIT_FILE);
        Self {
            standard_error: also_standard_error || file.is_none(),
            file,
            sync: reader.word(&table::SPIKE_AUDIT_SYNC, AuditSync::parse),
            optional: reader.flag(&table::SPIKE_AUDIT_OPTIONAL),
        }
    }
}
