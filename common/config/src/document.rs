//! `docs/configuration.md`, generated from the table.
//!
//! A test compares the file with the table; `UPDATE_DOCS=1 cargo test -p spike-config` writes it.

use std::fmt::Write as _;

use super::table::{self, DefaultValue, Process, Section, Variable};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

const HEAD: &str = "\
<!-- Made from common/config/src/table/rows.rs. To change it, change the table and run
     UPDATE_DOCS=1 cargo test -p spike-config -->

# Configuration

Every SPIKE process is configured by environment variables only; there are no configuration files. Names and defaults are
those of upstream SPIKE 0.8.2, so an environment for upstream works here unchanged. Variables are read once, at start. An
empty variable counts as unset.

## Bad values

Before a process does anything, it checks its whole configuration and reports all problems together. Each problem names the
variable, its value as written, and the expected form:

<!-- compared by: tests/specs/pages/run.rs -->
```text
SPIKE_NEXUS_TLS_PORT=\"8553\": expected a listen address such as :8553 or 127.0.0.1:8553
SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL=\"5\": expected a duration above 0, such as 30s or 1h30m: the unit is missing; using 5m
SPIKE_NEXUS_TLS_PROT: not a setting of SPIKE; did you mean SPIKE_NEXUS_TLS_PORT?; ignored
```

- The process does not start in two cases: a bad value affects trust, a listen address, a target address or a data
  location; or two values contradict each other (a threshold above the number of shares, or different numbers of Keepers and
  shares). It ends with **exit status 78** (`EX_CONFIG`): a restart does not help. For systemd set
  `RestartPreventExitStatus=78`.
- Any other bad value is replaced by the default, as upstream does. SPIKE logs a warning at every start; upstream logs
  nothing. The last column of each table names the case.
- An unknown variable that begins with `SPIKE_` is a warning too, except those that Kubernetes adds for services
  (`SPIKE_NEXUS_SERVICE_HOST` and the like) and those of upstream's scripts (`SPIKE_SKIP_…`).

`nexus --check-config` and `keeper --check-config` only check the configuration, and fail on warnings as well.

## How values are written

| kind | form |
|---|---|
| duration | numbers with units, as Go writes them: `300ms`, `30s`, `1.5h`, `1h30m`. Units: `ns`, `us`, `ms`, `s`, `m`, `h`. A number without a unit is refused, except `0` |
| whole number | decimal digits; no separators, no white space |
| size | a whole number of bytes, unless the name ends in a unit (`_MS`: milliseconds) |
| list | elements separated by commas; white space around an element is ignored |
| listen address | `host:port`, `:port`, `[ipv6]:port` |
";

#[test]
fn the_page_on_configuration_matches_the_table() {
    let page = render();
    #[expect(clippy::disallowed_methods, reason = "this asks the developer, not the operator")]
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    if update {
        std::fs::write(PATH, &page).unwrap();
    }
    let stored = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        stored == page,
        "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test -p spike-config"
    );
}

#[test]
fn no_cell_breaks_its_table() {
    for variable in table::variables() {
        let cells = [variable.effect.to_owned(), variable.rule.to_string(), default_of(variable)];
        for cell in cells {
            assert!(!cell.contains(['|', '\n']), "{}: {cell}", variable.name);
        }
    }
}

fn render() -> String {
    let mut page = HEAD.to_owned();
    write_readers(&mut page).unwrap();
    for section in table::SECTIONS {
        write_section(&mut page, section).unwrap();
    }
    write_differences(&mut page).unwrap();
    page
}

fn write_readers(page: &mut String) -> std::fmt::Result {
    page.push_str("\n## What each process reads\n");
    for process in Process::ALL {
        write!(page, "\n**{process}**\n\n")?;
        for section in table::SECTIONS {
            let mine =
                section.variables.iter().filter(|variable| variable.readers.contains(&process));
            let names: Vec<_> = mine.map(|variable| format!("`{}`", variable.name)).collect();
            let title = section.title;
            match names.len() {
                0 => {}
                all if all == section.variables.len() => writeln!(page, "- {title}: all of them")?,
                _ => writeln!(page, "- {title}: {}", names.join(", "))?,
            }
        }
    }
    Ok(())
}

fn write_section(page: &mut String, section: &Section) -> std::fmt::Result {
    write!(page, "\n## {}\n\n{}\n\n", section.title, section.about)?;
    page.push_str("| variable | default | what it does | read by | value | if it is bad |\n");
    page.push_str("|---|---|---|---|---|---|\n");
    for variable in section.variables {
        let Variable { name, effect, rule, .. } = variable;
        let (default, readers) = (default_of(variable), readers_of(variable));
        let (value, bad) = match (rule, rule.is_fatal()) {
            (table::Rule::Text, _) => (String::from("any"), "–"),
            (_, true) => (rule.to_string(), "does not start"),
            // Upstream treats any word but `true` as false, whatever the default is.
            (table::Rule::Flag | table::Rule::GoBool | table::Rule::ExactlyTrue, false) => {
                (rule.to_string(), "`false`, with a warning")
            }
            (_, false) => (rule.to_string(), "default, with a warning"),
        };
        writeln!(page, "| `{name}` | {default} | {effect} | {readers} | {value} | {bad} |")?;
    }
    Ok(())
}

fn default_of(variable: &Variable) -> String {
    match variable.default {
        DefaultValue::Is(text) => format!("`{text}`"),
        DefaultValue::Unset(meaning) => meaning.to_owned(),
    }
}

fn readers_of(variable: &Variable) -> String {
    if variable.readers.len() == Process::ALL.len() {
        return "all".to_owned();
    }
    variable.readers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn write_differences(page: &mut String) -> std::fmt::Result {
    page.push_str(
        "\n## Differences from upstream SPIKE 0.8.2\n\nIn general, SPIKE reports bad values, all together, \
         and unknown variables. An invalid configuration ends with status 78, not 1. A wrong number of Keepers is found at \
         start. The notes below say what upstream does, or that a variable is new:\n\n",
    );
    for variable in table::variables() {
        if let Some(note) = variable.upstream {
            writeln!(page, "- `{}`: {note}", variable.name)?;
        }
    }
    page.push_str(
        "\nNames in upstream's documentation that nothing reads, neither upstream nor SPIKE:\n\n",
    );
    for (name, why) in table::DEAD {
        writeln!(page, "- `{name}`: {why}.")?;
    }
    page.push_str("\nVariables that only upstream's scripts read: names that begin with ");
    let scripts = table::SCRIPTS.map(|prefix| format!("`{prefix}`"));
    writeln!(page, "{}.", scripts.join(", "))
}
