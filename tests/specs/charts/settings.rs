//! The settings that the chart gives to the programs are settings of those programs, and valid.

use anyhow::{Context, Result};
use spike_config::{Environment, Process, table};
use spike_daemon::settings::{BootstrapSettings, KeeperSettings, NexusSettings, PilotSettings};

use super::manifest::{Manifest, RENDERED, environment};

/// What a process says to `variables`, in a directory that it may write to.
pub(super) fn problems(process: Process, variables: &[(String, String)]) -> Result<Vec<String>> {
    let home = tempfile::tempdir()?;
    let home = ("HOME".to_owned(), home.path().display().to_string());
    let environment = Environment::from_pairs(variables.iter().cloned().chain([home]));
    let found = match process {
        Process::Nexus => NexusSettings::load(&environment).map(|(_, warnings)| warnings),
        Process::Keeper => KeeperSettings::load(&environment).map(|(_, warnings)| warnings),
        Process::Bootstrap => BootstrapSettings::load(&environment).map(|(_, warnings)| warnings),
        Process::Pilot => PilotSettings::load(&environment).map(|(_, warnings)| warnings),
        Process::Workload => anyhow::bail!("no workload is rendered"),
    };
    let found = found.unwrap_or_else(|error| error.problems().to_vec());
    Ok(found.iter().map(ToString::to_string).collect())
}

pub(super) fn process_of(container: &str) -> Result<Process> {
    Ok(match container {
        "nexus" => Process::Nexus,
        "keeper" => Process::Keeper,
        "bootstrap" => Process::Bootstrap,
        "shell" => Process::Pilot,
        other => anyhow::bail!("{other}: which program is this?"),
    })
}

#[test]
fn every_setting_of_a_container_is_one_that_its_program_reads_and_accepts() -> Result<()> {
    for path in RENDERED {
        let manifest = Manifest::read(path)?;
        let mut checked = 0;
        for (_, container) in manifest.containers() {
            let variables = environment(container);
            if variables.is_empty() {
                continue;
            }
            let process = process_of(container["name"].as_str().context("no name")?)?;
            for (position, (name, _)) in variables.iter().enumerate() {
                assert!(
                    variables[..position].iter().all(|(other, _)| other != name),
                    "{name} twice"
                );
                if matches!(name.as_str(), "PATH" | "HOME") {
                    continue;
                }
                let row = table::find(name).with_context(|| format!("{path}: {name}"))?;
                assert!(row.readers.contains(&process), "{path}: {process} does not read {name}");
            }
            assert_eq!(problems(process, &variables)?, [""; 0], "{path}: {process}");
            checked += 1;
        }
        assert!(checked >= 3, "{path}: only {checked}");
    }
    Ok(())
}

/// Under its own name a setting would be overlooked: each program trusts exactly the roles that it meets.
#[test]
fn every_trust_root_that_a_program_reads_is_set() -> Result<()> {
    for path in RENDERED {
        for (_, container) in Manifest::read(path)?.containers() {
            let variables = environment(container);
            if variables.is_empty() {
                continue;
            }
            let process = process_of(container["name"].as_str().context("no name")?)?;
            let roots = table::variables().filter(|row| {
                row.name.starts_with("SPIKE_TRUST_ROOT_") && row.readers.contains(&process)
            });
            for row in roots {
                let found = variables.iter().find(|(name, _)| name == row.name);
                assert_eq!(
                    found.map(|(_, value)| value.as_str()),
                    Some("example.org"),
                    "{path}: {}",
                    row.name
                );
            }
        }
    }
    Ok(())
}
