//! The first hour of a new user: a cluster starts in a clone anywhere, or says why it does not.

use std::{
    fs::Permissions,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use spike_daemon::settings::Backend;
use spike_tests::{PATIENCE, eventually};

use crate::{
    scenario,
    tour::{Place, Up, tour},
};

/// The number of the user `nobody`.
const NOBODY: u32 = 65534;

/// Runs a cluster in the state directory `dir`, puts a secret, and gets it back, with the programs that are on `PATH`.
async fn secret_comes_back(place: &Place, dir: &str) -> Result<()> {
    let (status, printed) = place
        .run(&format!(
            "\"$0\" run --dir '{dir}' -- sh -c 'spike secret put a/b k=v && spike secret get a/b k'"
        ))
        .await?;
    let value_was_printed = printed.lines().any(|line| line == "v");
    ensure!(status.success() && value_was_printed, "{}: {status}\n{printed}", place.dir.display());
    Ok(())
}

fn parent() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("hour-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// Whether the tests run as root.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn a_cluster_comes_up_in_a_directory_of_any_name() -> Result<()> {
    let parent = parent()?;
    for name in ["a#b?c%20d", "a:b", "it's"] {
        let dir = parent.path().join(name);
        std::fs::create_dir(&dir)?;
        secret_comes_back(&Place::new(&dir), ".spike-dev").await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_tour_works_in_the_home_of_root_and_what_is_private_stays_so_under_a_umask_of_000()
-> Result<()> {
    // Without root there is no such home, so any directory is used.
    let home = tempfile::Builder::new().prefix("spike-hour-").tempdir_in("/root");
    let home = home.or_else(|_| parent().map_err(std::io::Error::other))?;
    tour(&Place { shell: "umask 000;", ..Place::new(home.path()) }).await?;

    let open = modes(&home.path().join(".spike-dev"))?
        .into_iter()
        // Programs are no secret; their directory is private.
        .filter(|(path, mode)| mode & 0o077 != 0 && !path.parent().is_some_and(is_bin))
        .collect::<Vec<_>>();
    assert_eq!(open, [], "others may use these");
    for part in ["app1", "shares"] {
        for (path, mode) in modes(&home.path().join(part))? {
            assert_eq!(mode & 0o022, 0, "{} can be written by others", path.display());
        }
    }
    let key = std::fs::metadata(home.path().join("app1/svid.key"))?;
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    Ok(())
}

#[tokio::test]
async fn the_tour_works_for_an_unprivileged_user_below_a_space_and_an_umlaut_under_a_umask_of_077()
-> Result<()> {
    let parent = tempfile::Builder::new().prefix("spike-hour-").tempdir()?;
    let dir = parent.path().join("m\u{fc}ller und s\u{f6}hne");
    std::fs::create_dir(&dir)?;
    // Another user may not be able to reach the programs of the tests.
    let program = parent.path().join("spike-dev");
    std::fs::copy(env!("CARGO_BIN_EXE_spike-programs"), &program)?;
    let user = is_root().then_some(NOBODY);
    if user.is_some() {
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o755))?;
        chown(&dir, user, user)?;
    }
    tour(&Place { program, shell: "umask 077;", user, ..Place::new(&dir) }).await
}

#[tokio::test]
async fn the_tour_works_in_a_path_of_200_characters_with_standard_output_closed() -> Result<()> {
    let parent = parent()?;
    let dir = parent.path().join("x".repeat(200));
    std::fs::create_dir(&dir)?;
    tour(&Place { silent: true, ..Place::new(&dir) }).await
}

#[tokio::test]
async fn a_state_directory_without_its_data_or_without_its_shares_is_told_as_that() -> Result<()> {
    let parent = parent()?;
    let place = Place::new(parent.path());
    secret_comes_back(&place, "state").await?;
    let shares = parent.path().join("state/dev-only-root-key-shares");
    let (again, aside) = ("\"$0\" run --dir state -- true", "state/aside");

    let (status, told) = place.run(&format!("mv state/data {aside}; {again}")).await?;
    assert_eq!(status.code(), Some(1), "{told}");
    for part in ["state/data/nexus.db is gone", &*shares.to_string_lossy(), "put it back", "remove"]
    {
        assert!(told.contains(part), "no {part:?}: {told}");
    }

    let lost = "state/dev-only-root-key-shares/spike.recovery.[12].txt";
    let (status, told) = place
        .run(&format!(
            "rm -rf state/data; mv {aside} state/data; mkdir kept; mv {lost} kept/; {again}"
        ))
        .await?;
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("has 1 of the shares of the root key, and 2 rebuild it"), "{told}");

    place.run(&format!("mv kept/* {}/", shares.display())).await?;
    let (status, told) = place.run("\"$0\" run --dir state -- spike secret get a/b k").await?;
    assert_eq!((status.code(), told.as_str()), (Some(0), "v\n"), "nothing was lost");
    Ok(())
}

#[tokio::test]
async fn beside_a_running_cluster_each_command_works_or_says_what_is_wrong() -> Result<()> {
    let parent = parent()?;
    let place = Place::new(parent.path());
    let cluster = Up::start(&place).await?;

    let (status, told) = place.run("\"$0\"").await?;
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("spike-dev, pid {}", cluster.pid()?)), "{told}");
    assert!(told.contains("--dir"), "{told}");

    let as_superuser = "\"$0\" --dir .spike-dev as spike/pilot/role/superuser -- ";
    let (status, told) = place
        .run(&format!(". .spike-dev/env; {as_superuser} env spike secret put a/b k=v"))
        .await?;
    assert_eq!((status.code(), told.as_str()), (Some(0), "OK\n"));

    let (status, told) = place.run("touch file; \"$0\" svid workload/app1 --out file").await?;
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("--out file: the directory cannot be made"), "{told}");

    let (status, told) = place.run("\"$0\" as /work//app1 -- true").await?;
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("/work//app1"), "{told}");

    let (status, told) =
        place.run("mkdir other; \"$0\" --dir other as /workload/app1 -- true").await?;
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("no cluster is running in other"), "{told}");

    cluster.end().await
}

#[tokio::test]
async fn a_daemon_that_is_killed_is_started_again_and_no_old_line_is_told_as_its_reason()
-> Result<()> {
    let parent = parent()?;
    let place = Place::new(parent.path());
    let cluster = Up::start(&place).await?;
    // Lines of the audit log, and an error that Nexus survived.
    let (status, told) = place
        .run(
            ". .spike-dev/env; spike secret put a/b k=v; spike secret list; \
             printf '%s\\n' '{\"level\":\"ERROR\",\"message\":\"survived\"}' >> .spike-dev/logs/nexus.log; \
             kill -9 $(sed -n 's/^  nexus .*(pid \\([0-9]*\\),.*/\\1/p' up.log)",
        )
        .await?;
    assert!(status.success(), "{told}");
    let printed = eventually("Nexus is started again", PATIENCE, async || {
        let printed = cluster.printed()?;
        Ok(printed.contains("was started again").then_some(printed))
    })
    .await?;
    let (_, told) = printed.split_once("Ctrl-C ends everything.\n").context("nothing is told")?;
    let told = told.strip_suffix(")\n").context("no pid")?;
    let (told, pid) = told.rsplit_once(" (pid ").context("no pid")?;
    assert_eq!(told, "nexus ended with signal: 9 (SIGKILL)\nnexus was started again");
    // The process with that number is the new Nexus.
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.parse::<u32>()?))?;
    assert_eq!(name.trim_end(), "nexus");
    cluster.end().await
}

#[tokio::test]
async fn a_state_directory_that_the_daemons_would_refuse_is_refused_before_it_is_made() -> Result<()>
{
    let parent = parent()?;
    let place = Place::new(parent.path());
    for command in ["--dir /etc/spike-hour", "--dir /etc/spike-hour run -- true"] {
        let (status, told) = place.run(&format!("\"$0\" {command}")).await?;
        assert_eq!(status.code(), Some(1), "{told}");
        assert_eq!(
            told,
            "error: \"/etc/spike-hour\" cannot be the state directory; name another with --dir: \
             /etc/spike-hour belongs to the system\n"
        );
        assert!(!Path::new("/etc/spike-hour").exists(), "it was made");
    }
    Ok(())
}

fn is_bin(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "bin")
}

/// A directory and everything below it, with its mode.
fn modes(dir: &Path) -> Result<Vec<(PathBuf, u32)>> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = std::fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        }
        if !metadata.is_symlink() {
            found.push((path, metadata.permissions().mode() & 0o777));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_cluster_of_an_unprivileged_user_comes_up_beside_a_source_tree_that_is_read_only()
-> Result<()> {
    let parent = tempfile::Builder::new().prefix("spike-hour-").tempdir()?;
    let (tree, elsewhere) = (parent.path().join("tree"), parent.path().join("elsewhere"));
    std::fs::create_dir(&tree)?;
    std::fs::create_dir(&elsewhere)?;
    let program = tree.join("spike-dev");
    std::fs::copy(env!("CARGO_BIN_EXE_spike-programs"), &program)?;
    std::fs::set_permissions(&tree, Permissions::from_mode(0o555))?;
    // Nothing is read-only to root.
    let user = is_root().then_some(NOBODY);
    if user.is_some() {
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o755))?;
        chown(&elsewhere, user, user)?;
    }
    let place = Place { program, user, ..Place::new(&tree) };
    let done = secret_comes_back(&place, &elsewhere.display().to_string()).await;
    std::fs::set_permissions(&tree, Permissions::from_mode(0o755))?;
    done
}

#[tokio::test]
async fn when_a_daemon_ends_its_own_message_is_shown() -> Result<()> {
    let refused = scenario()
        .backend(Backend::Sqlite)
        .setting("SPIKE_NEXUS_DATA_DIR", "/etc/spike")
        .start()
        .await;
    let error = format!("{:#}", refused.err().context("it started")?);
    assert!(error.contains("nexus ended with exit status: 78"), "{error}");
    assert!(error.contains("/etc/spike belongs to the system"), "{error}");
    Ok(())
}
