use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn choice(configured: Option<&str>, home: Option<&str>, user: &str) -> DirectoryChoice {
    DirectoryChoice {
        configured: configured.map(PathBuf::from),
        home: home.map(PathBuf::from),
        user: user.to_owned(),
        subdirectory: DATA_DIRECTORY,
    }
}

/// A file system with these directories, all of them writable.
fn with_directories<'a>(directories: &'a [&str]) -> impl Fn(&Path) -> Found + 'a {
    |path| {
        if directories.iter().any(|directory| path == Path::new(directory)) {
            Found::Directory { writable: true }
        } else {
            Found::Nothing
        }
    }
}

fn resolve(choice: &DirectoryChoice) -> Result<Directory, DirectoryError> {
    choice.resolve_with(with_directories(&["/", "/srv", "/home/ann", "/tmp"]))
}

#[test]
fn a_configured_directory_wins_and_has_the_subdirectory_appended() {
    let found = resolve(&choice(Some("/srv/spike"), Some("/home/ann"), "ann"));
    let expected = Directory { path: "/srv/spike/data".into(), origin: Origin::Configured };
    assert_eq!(found, Ok(expected));
}

#[test]
fn without_a_setting_it_is_below_the_home_directory() {
    let found = resolve(&choice(None, Some("/home/ann"), "ann"));
    let expected = Directory { path: "/home/ann/.spike/data".into(), origin: Origin::Home };
    assert_eq!(found, Ok(expected));
}

#[test]
fn without_a_home_it_is_below_tmp_under_the_name_of_the_user() {
    let found = resolve(&choice(None, None, "ann"));
    let expected = Directory { path: "/tmp/.spike-ann/data".into(), origin: Origin::Temporary };
    assert_eq!(found, Ok(expected));
}

#[test]
fn directories_of_the_system_are_refused_however_they_are_spelled() {
    let spellings = [
        "/",
        "//",
        "/etc",
        "/etc/",
        "/usr/local/spike",
        "/srv/../etc/spike",
        "/srv/./../lib64",
        "/..",
    ];
    for text in spellings {
        let found = resolve(&choice(Some(text), Some("/home/ann"), "ann"));
        assert!(matches!(found, Err(DirectoryError::System(_))), "{text}: {found:?}");
    }
}

#[test]
fn a_directory_that_only_begins_like_one_of_the_system_is_accepted() {
    let choice = choice(Some("/etcetera"), None, "ann");
    assert_eq!(resolve(&choice).map(|found| found.path), Ok("/etcetera/data".into()));
}

#[test]
fn a_home_directory_may_be_a_system_directory() {
    // The home of root is /root (crypto-and-storage 3.2).
    let found = choice(None, Some("/root"), "root").resolve_with(with_directories(&["/", "/root"]));
    assert_eq!(found.map(|found| found.path), Ok("/root/.spike/data".into()));
}

// The newline of a setting read from a file used to lead to a new, empty directory.
#[test]
fn a_path_with_a_control_character_is_refused() {
    for (configured, home) in [(Some("/srv/spike\n"), None), (None, Some("/home/x\u{7f}"))] {
        let choice = DirectoryChoice {
            configured: configured.map(PathBuf::from),
            home: home.map(PathBuf::from),
            user: "spike".to_owned(),
            subdirectory: DATA_DIRECTORY,
        };
        let error = choice.resolve_with(|_| Found::Directory { writable: true }).unwrap_err();
        assert!(matches!(error, DirectoryError::Control(_)), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}

#[test]
fn the_home_of_root_is_not_a_directory_of_the_system() {
    let look = with_directories(&["/", "/root", "/root/spike"]);
    let found = choice(Some("/root/spike/.spike-dev"), Some("/root"), "root").resolve_with(look);
    assert_eq!(found.map(|found| found.path), Ok("/root/spike/.spike-dev/data".into()));
}

/// It was made, beside the one that was meant.
#[test]
fn a_blank_at_the_end_of_a_configured_directory_is_refused() {
    for text in ["/srv/spike ", "/srv/ spike", "/srv/spike\u{a0}"] {
        let found =
            choice(Some(text), None, "u").resolve_with(|_| Found::Directory { writable: true });
        assert_eq!(found, Err(DirectoryError::Blank(text.into())), "{text:?}");
    }
}

#[test]
fn a_configured_directory_may_be_missing_but_not_its_parent() {
    let found = resolve(&choice(Some("/srv/a/b"), Some("/home/ann"), "ann"));
    assert_eq!(found, Err(DirectoryError::NoParent("/srv/a".into())));
}

#[test]
fn a_relative_directory_starts_at_the_current_one() {
    let here = std::env::current_dir().unwrap();
    let found = choice(Some("spike/../store"), None, "ann")
        .resolve_with(|_| Found::Directory { writable: true });
    assert_eq!(found.map(|found| found.path), Ok(here.join("store/data")));
}

#[test]
fn a_configured_directory_that_cannot_be_written_is_refused_and_not_replaced() {
    let look = |path: &Path| match path.to_str() {
        Some("/srv" | "/srv/spike") => Found::Directory { writable: false },
        Some("/home/ann" | "/tmp") => Found::Directory { writable: true },
        _ => Found::Nothing,
    };
    let found = choice(Some("/srv/spike"), Some("/home/ann"), "ann").resolve_with(look);
    let origin = Origin::Configured;
    assert_eq!(found, Err(DirectoryError::NotWritable { path: "/srv/spike".into(), origin }));
}

#[test]
fn a_home_in_which_nothing_can_be_created_is_refused_with_the_reason_for_choosing_it() {
    let look = |path: &Path| match path.to_str() {
        Some("/") => Found::Directory { writable: false },
        _ => Found::Nothing,
    };
    let error = choice(None, Some("/nonexistent"), "nobody").resolve_with(look).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/ is not writable for this user (chosen by HOME, because the setting is unset)"
    );
}

#[test]
fn on_a_real_file_system_a_file_in_the_way_is_found_and_nothing_is_created() {
    let temporary = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(temporary.path()).unwrap();
    let configured = |name: &str| choice(base.join(name).to_str(), None, "ann").resolve();

    fs::write(base.join("file"), "x").unwrap();
    assert_eq!(configured("file"), Err(DirectoryError::NotADirectory(base.join("file"))));
    assert_eq!(configured("file/x"), Err(DirectoryError::NotADirectory(base.join("file"))));

    fs::create_dir(base.join("half")).unwrap();
    fs::write(base.join("half/data"), "x").unwrap();
    let in_the_way = base.join("half/data");
    assert_eq!(configured("half"), Err(DirectoryError::NotADirectory(in_the_way)));

    assert_eq!(configured("new").map(|found| found.path), Ok(base.join("new/data")));
    assert!(!base.join("new").exists());
}

#[test]
fn a_source_tree_of_a_container_is_no_directory_of_the_system() {
    for text in ["/usr/src/app/.spike-dev", "/usr/local/src/spike"] {
        assert_eq!(user_directory(Path::new(text)), Ok(text.into()));
    }
    for text in ["/usr", "/usr/srcs", "/usr/local", "/usr/src/../lib"] {
        let refused = user_directory(Path::new(text));
        assert!(matches!(refused, Err(DirectoryError::System(_))), "{text}: {refused:?}");
    }
}

#[test]
fn a_path_that_is_too_long_for_the_database_is_refused_and_not_found_out_later() {
    let long = |length: usize| format!("/srv/{}", "x".repeat(length - "/srv/".len()));
    let longest = MAX_DATA_PATH - "/data".len();
    let (fits, over) = (long(longest), long(longest + 1));
    assert!(resolve(&choice(Some(&fits), None, "ann")).is_ok());
    assert_eq!(user_directory(Path::new(&fits)), Ok(fits.into()));
    let refused = resolve(&choice(Some(&over), None, "ann"));
    assert!(matches!(refused, Err(DirectoryError::TooLong(_))), "{refused:?}");
    assert!(matches!(user_directory(Path::new(&over)), Err(DirectoryError::TooLong(_))));
}

// Without HOME, a directory that somebody else had made in /tmp was used, by root too.
#[test]
fn a_directory_in_tmp_that_others_made_or_can_write_is_refused_by_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (own, open, link) =
        (dir.path().join("own"), dir.path().join("open"), dir.path().join("link"));
    for made in [&own, &open] {
        fs::create_dir(made).unwrap();
    }
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o775)).unwrap();
    symlink(&own, &link).unwrap();
    assert_eq!(refuse_planted(&own), Ok(()));
    assert_eq!(refuse_planted(&dir.path().join("none")), Ok(()));
    let why = |path: &Path| refuse_planted(path).unwrap_err().to_string();
    assert!(why(&open).contains("writable for others (mode 775)"), "{}", why(&open));
    assert!(why(&link).contains("is a link or a file"), "{}", why(&link));
    let user = rustix::process::geteuid().as_raw();
    if user != 0 {
        assert!(why(Path::new("/")).contains("of user 0"), "{}", why(Path::new("/")));
    }
}
