//! What is said of a backup that is refused, and what a refused restore leaves behind.

use super::*;

/// A backup of `database` whose manifest was changed.
fn told(
    fixture: &Fixture,
    database: &Path,
    change: impl FnOnce(&mut Contents),
    created: &str,
) -> PathBuf {
    let original = fixture.at("data/nexus.db");
    let mut contents = examine::contents(&examine::open(&original).unwrap()).unwrap();
    change(&mut contents);
    let file = fixture.at("told");
    let mut out = fs::File::create(&file).unwrap();
    let words = (contents, created.to_owned());
    container::write(&mut out, database, words, &Progress::on_terminal()).unwrap();
    file
}

/// A copy of the database that is no store of Nexus any more.
fn altered(fixture: &Fixture) -> PathBuf {
    let copy = fixture.at("copy");
    restore(&fixture.back_up(), &copy, NOON).unwrap();
    let database = copy.join("nexus.db");
    Connection::open(&database).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    database
}

#[tokio::test]
async fn a_refused_restore_left_a_lock_behind() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    let directory = fixture.at("occupied");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("nexus.commits"), "somebody's").unwrap();
    restore(&file, &directory, NOON).unwrap_err();
    let names: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["nexus.commits"]);
    // The lock of a Nexus that runs stays.
    restore(&file, &fixture.at("data"), NOON).unwrap_err();
    assert!(fixture.at("data/nexus.lock").exists());
}

/// The message named a scratch directory inside of it.
#[tokio::test]
async fn a_backup_into_a_directory_that_does_not_exist_names_that_directory() {
    let fixture = Fixture::new().await;
    let file = fixture.at("nodir/x");
    let error = back_up(&fixture.at("data"), &file, NOON).unwrap_err();
    let directory = fixture.at("nodir").display().to_string();
    let told = format!("there is no directory {directory} for the backup: make it first, or");
    assert!(error.to_string().starts_with(&told), "{error}");
}

/// A full disk was told as a backup that cannot be used.
#[tokio::test]
async fn a_full_disk_is_told_of_the_place_that_is_full() {
    let fixture = Fixture::new().await;
    let container = container::Container::open(&fixture.back_up()).unwrap();
    let mut full = fs::File::options().write(true).open("/dev/full").unwrap();
    let place = Path::new("/the/destination");
    let error = container.extract((&mut full, place), &Progress::on_terminal()).unwrap_err();
    assert_eq!(error.to_string(), "cannot use /the/destination");
}

#[tokio::test]
async fn a_manifest_with_what_is_no_time_is_refused_and_commands_no_terminal() {
    let fixture = Fixture::new().await;
    let database = fixture.at("data/nexus.db");
    let forged = told(&fixture, &database, |_| {}, "\x1b[2Jnow");
    let error = verify(&forged, None, NOON).unwrap_err().to_string();
    assert!(error.contains("which is no time") && !error.contains('\x1b'), "{error}");
    let forged = told(&fixture, &database, |told| "\x1b[2J".clone_into(&mut told.root_key), NOW);
    let error = verify(&forged, None, NOON).unwrap_err().to_string();
    assert!(error.contains("no fingerprint") && !error.contains('\x1b'), "{error}");
}

const NOW: &str = "2027-01-15T08:00:00Z";

#[tokio::test]
async fn a_manifest_of_another_database_is_told_in_words_and_not_as_a_dump() {
    let fixture = Fixture::new().await;
    let copy = fixture.at("copy");
    restore(&fixture.back_up(), &copy, NOON).unwrap();
    let forged = told(&fixture, &copy.join("nexus.db"), |told| told.secrets = 41, NOW);
    let error = verify(&forged, None, NOON).unwrap_err().to_string();
    assert!(error.contains("it says secrets 41 and not 40"), "{error}");
    assert!(!error.contains('{'), "{error}");
}

#[tokio::test]
async fn no_error_names_the_temporary_copy_that_is_gone() {
    let fixture = Fixture::new().await;
    let forged = told(&fixture, &altered(&fixture), |_| {}, NOW);
    let error = verify(&forged, None, NOON).unwrap_err().to_string();
    assert!(error.contains("told is damaged: table other is not one of ours"), "{error}");
    assert!(!error.contains(".spike-backup-") && !error.contains("DROP"), "{error}");
}

/// It said that a backup never replaces a file, and to choose another name.
#[tokio::test]
async fn a_device_or_a_pipe_in_place_of_a_file_leads_to_standard_output() {
    let fixture = Fixture::new().await;
    let link = fixture.at("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for file in [Path::new("/dev/null"), &link] {
        let error = back_up(&fixture.at("data"), file, NOON).unwrap_err().to_string();
        assert!(error.ends_with("or - for standard output"), "{error}");
    }
}
