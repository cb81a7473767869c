//! Policies of upstream. They are imported unchanged, so that they can be seen and deleted. A policy with another effect than
//! it states is reported like one that was left out.

use rusqlite::Row;
use spike_domain::UnixNanos;

use crate::cell::{self, Opener, UNSALTED};
use crate::error::ImportError;
use crate::opened::Opened;
use crate::recognise::PolicyForm;
use crate::report::{ImportReport, Reason};
use crate::rows::{Policy, Sink};

const POLICIES: &str = "policies";

/// The nonce and the three cells encrypted with it.
pub(crate) const ENCRYPTED_CELLS: &str = "SELECT nonce, encrypted_spiffe_id_pattern,
    encrypted_path_pattern, encrypted_permissions FROM policies";

/// Imports every policy; of several with one name, the one that changed last.
pub(crate) fn import<S: Sink>(
    source: &Opened,
    sink: &mut S,
    report: &mut ImportReport,
) -> Result<(), S::Error> {
    // The name, the time of the last change, and the name in the report.
    let (updated, called) = match source.form.policies {
        PolicyForm::Missing => return Ok(()),
        PolicyForm::ByName => ("updated_time", "NULL"),
        PolicyForm::ById { updated: true } => ("updated_time", "id"),
        PolicyForm::ById { updated: false } => ("created_time", "id"),
        PolicyForm::Clear => return Ok(refuse_all(source, report)?),
    };
    let sql = format!(
        "SELECT nonce, encrypted_spiffe_id_pattern, encrypted_path_pattern, encrypted_permissions,
            created_time, {updated}, name, {called} FROM policies
         ORDER BY name, {updated} DESC, created_time DESC, {called}"
    );
    let fault = |error| source.fault(&error);
    let mut statement = source.copy.connection.prepare(&sql).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut last: Option<String> = None;
    while let Some(row) = rows.next().map_err(fault)? {
        let name = row.get_ref(6).map_err(fault)?;
        let id = row.get_ref(7).map_err(fault)?.as_str().ok();
        let called = match id {
            Some(id) => format!("{} (id {id})", cell::name(name)),
            None => cell::name(name),
        };
        let Ok(name) = name.as_str() else {
            report.refuse(POLICIES, called, Reason::NoName);
            continue;
        };
        if last.as_deref() == Some(name) {
            report.refuse(POLICIES, called, Reason::Namesake);
            continue;
        }
        let text = match text(row, source) {
            Ok(text) => text,
            Err(reason) => {
                report.refuse(POLICIES, called, reason);
                continue;
            }
        };
        let time = |column| Ok(cell::time(row.get_ref(column)?));
        let created: Option<UnixNanos> = time(4).map_err(fault)?;
        let updated: Option<UnixNanos> = time(5).map_err(fault)?;
        if created.is_none() || updated.is_none() {
            report.change(POLICIES, called.clone(), Reason::Time);
        }
        last = Some(name.to_owned());
        let Text { spiffe_id_pattern, path_pattern, permissions } = text;
        let policy = Policy {
            name: name.to_owned(),
            spiffe_id_pattern,
            path_pattern,
            permissions,
            created: created.unwrap_or_default(),
            updated: updated.unwrap_or_default(),
        };
        if let Err(why) = sink.judges(&policy) {
            report.refuse(POLICIES, called, Reason::Policy(why));
        }
        sink.policy(policy)?;
        report.policies += 1;
    }
    Ok(())
}

/// The content of a policy.
struct Text {
    spiffe_id_pattern: String,
    path_pattern: String,
    permissions: Vec<String>,
}

fn text(row: &Row<'_>, source: &Opened) -> Result<Text, Reason> {
    let cell = |column| row.get_ref(column).map_err(|_no_column| Reason::Content);
    // One nonce for three cells (F13); this code only reads it.
    let opener = Opener::new(&source.cipher, cell(0)?)?;
    let permissions = opener.text(cell(3)?, &UNSALTED)?;
    let words = permissions.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(Text {
        spiffe_id_pattern: opener.text(cell(1)?, &UNSALTED)?,
        path_pattern: opener.text(cell(2)?, &UNSALTED)?,
        permissions: words.map(str::to_owned).collect(),
    })
}

fn refuse_all(source: &Opened, report: &mut ImportReport) -> Result<(), ImportError> {
    let fault = |error| source.fault(&error);
    let mut statement =
        source.copy.connection.prepare("SELECT name FROM policies ORDER BY name").map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        report.refuse(POLICIES, cell::name(row.get_ref(0).map_err(fault)?), Reason::Clear);
    }
    Ok(())
}
