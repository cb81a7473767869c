//! The table of operations, as reviewers and readers see it: tables in `docs/wire-api.md` that are made from it, so that every change of a row
//! is seen there. `UPDATE_DOCS=1 cargo test -p spike-wire` writes them.

use std::fmt::Write as _;
use std::path::Path;

use super::super::{ErrorCode, KeeperOperation, Needs, Operation, Rule};
use spike_domain::Role;

/// The end of a table that is made.
const END: &str = "<!-- end -->\n";

/// What both kinds of operation have.
struct Shown {
    label: &'static str,
    summary: &'static str,
    rule: Rule,
    needs: Option<Needs>,
    changes: bool,
    target: &'static str,
    audit: (&'static str, &'static str),
    error: String,
}

macro_rules! shown {
    ($operation:expr, $needs:expr) => {{
        let operation = $operation;
        let error = operation.error_body(ErrorCode::ApiNotFound);
        Shown {
            label: operation.label(),
            summary: operation.summary(),
            rule: operation.rule(),
            needs: $needs(operation.needs()),
            changes: operation.changes(),
            target: operation.path_and_query(),
            audit: (operation.audit_component(), operation.audit_action()),
            error: String::from_utf8(error.to_vec()).unwrap(),
        }
    }};
}

fn all() -> Vec<Shown> {
    let nexus = Operation::ALL.iter().map(|operation| shown!(operation, Some));
    // A Keeper has no backends, and is never sealed.
    let keeper = KeeperOperation::ALL.iter().map(|operation| shown!(operation, |_| None));
    nexus.chain(keeper).collect()
}

impl Shown {
    /// The summary in a cell.
    fn what(&self) -> String {
        self.summary.trim_end_matches('.').replace("Ours, unknown upstream:", "**Ours**:")
    }

    /// The summary without its number.
    fn deed(&self) -> &str {
        let (_, deed) = self.summary.split_once(": ").unwrap();
        deed.trim_end_matches('.')
    }
}

/// The table of rules and needs.
fn who_may() -> String {
    let mut text = String::from(
        "| operation | superuser | lite workload | anybody else | backends | while sealed |\n|---|---|---|---|---|---|\n",
    );
    for row in all() {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let has = |role| matches!(row.rule, Rule::Roles(roles) if roles.contains(&role));
        let superuser = !matches!(row.rule, Rule::Roles(_)) || has(Role::PilotSuperuser);
        let lite = matches!(row.rule, Rule::Cipher(..)) || has(Role::LiteWorkload);
        let (backends, sealed) = match row.needs {
            Some(Needs::Store) => ("`sqlite`, `memory`", "503"),
            Some(Needs::RootKey) => ("all", "503"),
            Some(Needs::Nothing) => ("all", "answered"),
            None => ("–", "–"),
        };
        writeln!(
            text,
            "| {} | {} | {} | {} | {backends} | {sealed} |",
            row.what(),
            yes(superuser),
            yes(lite),
            anybody(row.rule)
        )
        .unwrap();
    }
    text
}

fn anybody(rule: Rule) -> String {
    match rule {
        Rule::OnThePath(word) => format!("policy: `{word}` on the path"),
        Rule::OnSystemPath(word, path) | Rule::Cipher(word, path) => {
            format!("policy: `{word}` on `{path}`")
        }
        Rule::Names(word, path) => format!(
            "policy: `{word}` on `{path}`: all names. **Ours**: without it, the names on which a policy gives `{word}`"
        ),
        Rule::Roles(roles) => {
            let others = roles.iter().filter(|role| **role != Role::PilotSuperuser);
            let names: Vec<String> = others.map(ToString::to_string).collect();
            format!("only {}", names.join(", "))
        }
    }
}

/// The table of names and errors.
fn names_and_errors() -> String {
    let mut text = String::from(
        "| operation | target | in metrics | in the audit log | changes | an error |\n|---|---|---|---|---|---|\n",
    );
    for row in all() {
        let (number, _) = row.summary.split_once(": ").unwrap();
        let number = if number.starts_with("Ours") { row.deed() } else { number };
        let Shown { label, target, audit: (component, action), .. } = row;
        let changes = if row.changes { "yes" } else { "no" };
        let error = row.error.replace(ErrorCode::ApiNotFound.as_str(), "…");
        writeln!(
            text,
            "| {number} | `{target}` | `{label}` | `{component}`, `{action}` | {changes} | `{error}` |"
        )
        .unwrap();
    }
    text
}

/// Holds `docs/wire-api.md` to a table that is made, below a line that names it.
#[track_caller]
fn holds(table: &str, made: &str) {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let path = above.map(|up| up.join("docs/wire-api.md")).find(|path| path.exists()).unwrap();
    let begin = format!("<!-- made from the table of operations: {table} -->\n");
    let written = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = written.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{begin}{made}{END}{after}");
    #[expect(clippy::disallowed_methods, reason = "this asks the developer, not the operator")]
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    if update {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let how = "write it anew: UPDATE_DOCS=1 cargo test -p spike-wire";
    assert!(written == wanted, "docs/wire-api.md is not what the table of operations says; {how}");
}

#[test]
fn the_tables_in_the_docs_say_what_the_table_of_operations_says() {
    holds("who may", &who_may());
    holds("names and errors", &names_and_errors());
}
