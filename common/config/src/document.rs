//! `docs/configuration.md`, made from the table, so that it cannot fall behind the code.
//!
//! A test compares the file with what the table gives; `UPDATE_DOCS=1 cargo test -p spike-config` writes it.

use std::fmt::Write as _;

use super::table::{self, DefaultValue, Process, Section, Variable};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

const HEAD: &str = "\
<!-- Made from common/config/src/table/rows.rs. To change it, change the table and run
     UPDATE_DOCS=1 cargo test -p spike-config -->

# Configuration

Every SPIKE process is configured by environment variables alone; there are no configuration files. The names and
defaults are those of upstream SPIKE 0.8.2, so that an environment made for it works here as it stands. Variables are read
once, at start. A variable that is set but empty counts as unset.

## Bad values

A configuration is checked whole before a process does anything, and everything that is wrong is reported together, each
problem with the variable, its value as written, and what was expected:

```text
SPIKE_NEXUS_TLS_PORT=\"8553\": expected a listen address such as :8553 or 127.0.0.1:8553
SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL=\"5\": expected a duration above 0, such as 30s or 1h30m: the unit is missing; using 5m
SPIKE_NEXUS_TLS_PROT: not a setting of SPIKE; did you mean SPIKE_NEXUS_TLS_PORT?; ignored
```

- Where a bad value would change who is trusted, where a process listens, what it talks to or where data goes, and where
  values contradict each other (a threshold above the number of shares, another number of Keepers than of shares), the
  process does not start. It ends with **exit status 78** (`EX_CONFIG`): starting it again will not help. For systemd
  that is `RestartPreventExitStatus=78`.
- Any other bad value is replaced by the default, as upstream does, and that is logged as a warning at every start
  (upstream says nothing). The last column below tells which is which.
- A variable that begins with `SPIKE_` and that no process knows is a warning too. Those that Kubernetes adds for services
  (`SPIKE_NEXUS_SERVICE_HOST` and the like) and those of upstream's scripts (`SPIKE_SKIP_…`) are not.

`nexus --check-config` and `keeper --check-config` do the check and nothing else, and fail on warnings as well.

## How values are written

| kind | form |
|---|---|
| duration | numbers with units, as Go writes them: `300ms`, `30s`, `1.5h`, `1h30m`. Units: `ns`, `us`, `ms`, `s`, `m`, `h`. A number without a unit is refused, except `0` |
| whole number | decimal digits; no separators, no white space |
| size | a whole number of bytes, unless the name ends in a unit (`_MS`: milliseconds) |
| list | elements separated by commas; white space around an element does not count |
| listen address | `host:port`, `:port`, `[ipv6]:port` |
";

#[test]
fn the_page_on_configuration_is_what_the_table_says() {
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
            // Upstream takes any word but `true` for a no, whatever the default is.
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
        "\n## Differences from upstream SPIKE 0.8.2\n\nIn general: bad values are reported, all at \
         once; unknown variables are reported; an invalid configuration ends with status 78, not 1; a number of \
         Keepers that does not fit is found at start. By variable (\"there\" is upstream):\n\n",
    );
    for variable in table::variables() {
        if let Some(note) = variable.upstream {
            writeln!(page, "- `{}`: {note}", variable.name)?;
        }
    }
    page.push_str(
        "\nNames that upstream's documentation mentions and nobody reads, there or here:\n\n",
    );
    for (name, why) in table::DEAD {
        writeln!(page, "- `{name}`: {why}.")?;
    }
    page.push_str(
        "\nVariables that upstream's scripts read, and no process: names that begin with ",
    );
    let scripts = table::SCRIPTS.map(|beginning| format!("`{beginning}`"));
    writeln!(page, "{}.", scripts.join(", "))
}
