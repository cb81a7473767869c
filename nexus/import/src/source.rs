//! A database that can be imported: recognised, readable, and of the given root key.

use spike_crypto::{RootCipher, RootKey};

use crate::cell::{Opener, Salt, UNSALTED};
use crate::error::ImportError;
use crate::files::{FileRecord, Upstream};
use crate::opened::Opened;
use crate::recognise::{Form, MetadataForm, PolicyForm};
use crate::report::ImportReport;
use crate::rows::{Rules, Sink};
use crate::{policies, secrets};

/// A database of upstream that is recognised, belongs to the root key, and can be read.
#[derive(Debug)]
pub struct Source(Opened);

impl Source {
    /// Copies the database, and checks its form and its key.
    ///
    /// # Errors
    /// [`ImportError`] if it cannot be imported.
    pub fn open(upstream: Upstream, root: &RootKey) -> Result<Self, ImportError> {
        let copy = upstream.copy()?;
        let form = Form::of(&copy.connection).map_err(|error| upstream.fault(&error))?;
        let form = match form {
            Ok(form) => form,
            Err(what) => return Err(ImportError::Unreadable { path: upstream.path, what }),
        };
        let cipher = RootCipher::new(root);
        let source = Opened { upstream, copy, form, cipher };
        let (opened, refused) = trial(&source).map_err(|error| source.fault(&error))?;
        if refused > 0 && opened <= refused {
            let (path, given) = (source.upstream.path, root.fingerprint());
            return Err(ImportError::OtherKey { path, given, opened, refused });
        }
        Ok(Self(source))
    }

    /// Passes every row to `sink`. Holds one value at a time in memory.
    ///
    /// # Errors
    /// [`ImportError::Incomplete`] if rows would be left out and `rules` do not allow it; the error of `sink`. Then the rows
    /// that were passed before do not count.
    pub fn take_in<S: Sink>(&self, sink: &mut S, rules: Rules) -> Result<ImportReport, S::Error> {
        let mut report = ImportReport::new(self.0.form.generation());
        secrets::import(&self.0, sink, rules.default_limit, &mut report)?;
        policies::import(&self.0, sink, &mut report)?;
        if !report.refused.is_empty() && !rules.with_losses {
            return Err(report.incomplete(&self.0.upstream.path).into());
        }
        Ok(report)
    }

    /// The properties of the file, to recognise it later.
    pub const fn file(&self) -> FileRecord {
        let Upstream { bytes, modified, .. } = self.0.upstream;
        FileRecord { bytes, modified, sha256: self.0.copy.sha256 }
    }
}

/// How many encrypted rows decrypt, and how many do not.
fn trial(source: &Opened) -> rusqlite::Result<(u64, u64)> {
    let mut tables: Vec<(&str, &[Salt])> =
        vec![("SELECT nonce, encrypted_data FROM secrets", &[UNSALTED])];
    if source.form.metadata == MetadataForm::Encrypted {
        tables.push((secrets::ENCRYPTED_METADATA, &secrets::SALTS));
    }
    if let PolicyForm::ByName | PolicyForm::ById { .. } = source.form.policies {
        tables.push((policies::ENCRYPTED_CELLS, &[UNSALTED; 3]));
    }
    let (mut opened, mut refused) = (0, 0);
    for (sql, salts) in tables {
        let mut statement = source.copy.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let opens = Opener::new(&source.cipher, row.get_ref(0)?).is_ok_and(|opener| {
                (1..).zip(salts).all(|(column, salt)| {
                    row.get_ref(column).is_ok_and(|cell| opener.open(cell, salt).is_ok())
                })
            });
            *if opens { &mut opened } else { &mut refused } += 1;
        }
    }
    Ok((opened, refused))
}
