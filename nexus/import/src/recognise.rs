//! Recognises which release of upstream wrote a database, by the names of columns (crypto-and-storage 7.2, 7.6), because it
//! contains no version.

use std::collections::BTreeSet;
use std::fmt;

use rusqlite::Connection;

/// The releases that write such a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 0.8.2: policies by name, encrypted metadata.
    Current,
    /// Between 0.8.0 and 0.8.2, never released: policies by id, encrypted metadata.
    Between,
    /// 0.6.1 to 0.8.0: policies by id, metadata in clear.
    V0_8_0,
    /// 0.5.0 to 0.6.0: as later, without the time of the last change of a policy.
    V0_5_0,
    /// 0.4.3 and earlier: the patterns of policies in clear. Policies are not imported.
    V0_4_3,
    /// Tables of several releases, or none for policies.
    Mixed,
}

/// The layout of table `secret_metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetadataForm {
    Encrypted,
    /// With or without the limit on versions.
    Clear {
        limit: bool,
    },
}

/// The layout of table `policies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyForm {
    /// There is no such table.
    Missing,
    ByName,
    /// With or without the time of the last change. Names may repeat.
    ById {
        updated: bool,
    },
    /// It contains nothing encrypted.
    Clear,
}

/// The layout of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) metadata: MetadataForm,
    pub(crate) policies: PolicyForm,
}

impl Form {
    /// Reads the layout. The error names the table that is not one of upstream's.
    pub(crate) fn of(connection: &Connection) -> rusqlite::Result<Result<Self, String>> {
        let secrets = columns(connection, "secrets")?;
        let metadata = columns(connection, "secret_metadata")?;
        let policies = columns(connection, "policies")?;
        if secrets.is_empty() && metadata.is_empty() && policies.is_empty() {
            return Ok(Err("it has none of upstream's tables".to_owned()));
        }
        Ok(Self::recognise(&secrets, &metadata, &policies)
            .map_err(|table| format!("table {table} is not as any known release makes it")))
    }

    fn recognise(
        secrets: &Columns,
        metadata: &Columns,
        policies: &Columns,
    ) -> Result<Self, &'static str> {
        let version =
            ["path", "version", "nonce", "encrypted_data", "created_time", "deleted_time"];
        if !has(secrets, &version) {
            return Err("secrets");
        }
        let encrypted = [
            "path",
            "nonce",
            "encrypted_current_version",
            "encrypted_oldest_version",
            "encrypted_created_time",
            "encrypted_updated_time",
            "encrypted_max_versions",
        ];
        let metadata = if has(metadata, &encrypted) {
            MetadataForm::Encrypted
        } else if has(metadata, &["path", "current_version", "created_time", "updated_time"]) {
            MetadataForm::Clear { limit: has(metadata, &["max_versions"]) }
        } else {
            return Err("secret_metadata");
        };
        let encrypted = [
            "name",
            "nonce",
            "encrypted_spiffe_id_pattern",
            "encrypted_path_pattern",
            "encrypted_permissions",
            "created_time",
        ];
        let updated = has(policies, &["updated_time"]);
        let policies = if policies.is_empty() {
            PolicyForm::Missing
        } else if has(policies, &encrypted) && has(policies, &["id"]) {
            PolicyForm::ById { updated }
        } else if has(policies, &encrypted) && updated {
            PolicyForm::ByName
        } else if has(policies, &["name", "spiffe_id_pattern", "path_pattern"]) {
            PolicyForm::Clear
        } else {
            return Err("policies");
        };
        Ok(Self { metadata, policies })
    }

    pub(crate) const fn generation(self) -> Generation {
        match (self.metadata, self.policies) {
            (MetadataForm::Encrypted, PolicyForm::ByName) => Generation::Current,
            (MetadataForm::Encrypted, PolicyForm::ById { updated: true }) => Generation::Between,
            (MetadataForm::Clear { limit: true }, PolicyForm::ById { updated: true }) => {
                Generation::V0_8_0
            }
            (MetadataForm::Clear { .. }, PolicyForm::ById { updated: false }) => Generation::V0_5_0,
            (MetadataForm::Clear { .. }, PolicyForm::Clear) => Generation::V0_4_3,
            (MetadataForm::Encrypted | MetadataForm::Clear { .. }, _) => Generation::Mixed,
        }
    }
}

type Columns = BTreeSet<String>;

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Columns> {
    let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn has(columns: &Columns, wanted: &[&str]) -> bool {
    wanted.iter().all(|name| columns.contains(*name))
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "0.8.2",
            Self::Between => "between 0.8.0 and 0.8.2",
            Self::V0_8_0 => "0.8.0",
            Self::V0_5_0 => "0.5.0 to 0.6.0",
            Self::V0_4_3 => "0.4.3 or earlier",
            Self::Mixed => "several releases",
        })
    }
}
