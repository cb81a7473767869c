//! Where files go: the choice between a configured directory, the home directory and `/tmp`
//! (cli-config-deploy 2.4, crypto-and-storage 3.2 and 7.1).
//!
//! Nothing is created here, and symbolic links are not followed beyond what the operating system does.

use std::{
    fmt, fs, io,
    path::{Component, Path, PathBuf},
};

use rustix::fs::Access;

/// Where a configured directory must not be, nor below.
///
/// `/root`, which upstream counts among them, is a home like any other: that of root, in a container of everybody.
/// [`SOURCES`] are excepted.
const SYSTEM: [&str; 10] =
    ["/etc", "/sys", "/proc", "/dev", "/bin", "/sbin", "/usr", "/lib", "/lib64", "/boot"];

/// Where people keep source trees, and with them the state of a development cluster. Upstream refuses them.
const SOURCES: [&str; 2] = ["/usr/src", "/usr/local/src"];

/// The subdirectory of the database.
const DATA: &str = "data";

/// How long the path of the database's directory may be, in bytes: SQLite opens no file whose path has more than 512, and
/// names of files are appended.
const DATA_PATH_MAX: usize = 480;

/// The absolute path of a directory that a person names for a whole cluster, without `.` and `..`. Nothing is looked at but the path.
///
/// # Errors
/// [`DirectoryError`] other than of what is found there: what a daemon would refuse in any case.
pub fn user_directory(path: &Path) -> Result<PathBuf, DirectoryError> {
    let path = without_controls(absolute(path)?)?;
    if belongs_to_system(&path) {
        return Err(DirectoryError::System(path));
    }
    check_length(&path.join(DATA))?;
    Ok(path)
}

/// What the environment says about one directory; not yet compared with the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryChoice {
    /// The directory of the setting, as written.
    pub(super) configured: Option<PathBuf>,
    /// `HOME`, where set.
    pub(super) home: Option<PathBuf>,
    /// `USER`, or `spike`.
    pub(super) user: String,
    /// What is appended to each of them: `data` or `recover`.
    pub(super) subdirectory: &'static str,
}

/// A directory that exists and can be written, or can be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The absolute path, the appended subdirectory included.
    pub path: PathBuf,
    /// Why this one.
    pub origin: Origin,
}

/// Which rule chose a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The setting names it.
    Configured,
    /// The setting is unset: `$HOME/.spike`.
    Home,
    /// Neither the setting nor `HOME` is set: `/tmp/.spike-$USER`.
    Temporary,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configured => "as configured",
            Self::Home => "chosen by HOME, because the setting is unset",
            Self::Temporary => "chosen because neither the setting nor HOME is set",
        })
    }
}

/// Why a directory cannot be used. Upstream logs this for a configured one and quietly uses another place (F20).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The root of the file system, or a place that belongs to the system.
    #[error("{} belongs to the system", .0.display())]
    System(PathBuf),
    /// A character that nobody means to write, such as the newline at the end of a file that the setting was read from.
    #[error("{0:?} has a control character in it")]
    Control(PathBuf),
    /// The database could not be opened there.
    #[error(
        "a path of {} bytes is too long for the database, which takes {DATA_PATH_MAX} at most: {}",
        .0.as_os_str().len(),
        .0.display()
    )]
    TooLong(PathBuf),
    /// Something else than a directory is in the way.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The setting names a directory below one that does not exist: more likely a slip than a wish.
    #[error("{} does not exist", .0.display())]
    NoParent(PathBuf),
    /// This user may not create files there.
    #[error("{} cannot be written by this user ({origin})", path.display())]
    NotWritable {
        /// The directory that exists and cannot be written.
        path: PathBuf,
        /// Why it is needed.
        origin: Origin,
    },
    /// A relative path, and there is no current directory.
    #[error("{} is relative, and the current directory is unknown", .0.display())]
    Relative(PathBuf),
}

impl DirectoryChoice {
    /// Decides, and checks that the directory exists or can be created, and can be written.
    ///
    /// # Errors
    /// [`DirectoryError`]: a configured directory is never replaced by another.
    pub fn resolve(&self) -> Result<Directory, DirectoryError> {
        self.resolve_with(look)
    }

    fn resolve_with(&self, look: impl Fn(&Path) -> Found) -> Result<Directory, DirectoryError> {
        let (base, origin) = match (&self.configured, &self.home) {
            (Some(configured), _) => (absolute(configured)?, Origin::Configured),
            (None, Some(home)) => (absolute(&home.join(".spike"))?, Origin::Home),
            (None, None) => {
                let name = format!("/tmp/.spike-{}", self.user);
                (absolute(Path::new(&name))?, Origin::Temporary)
            }
        };
        let base = without_controls(base)?;
        if origin == Origin::Configured {
            check_configured(&base, &look)?;
        }
        let path = base.join(self.subdirectory);
        if self.subdirectory == DATA {
            check_length(&path)?;
        }
        // What is missing is created later; so what counts is the deepest part that exists.
        for existing in path.ancestors() {
            match look(existing) {
                Found::Nothing => {}
                Found::Directory { writable: true } => break,
                Found::Directory { writable: false } => {
                    return Err(DirectoryError::NotWritable { path: existing.to_owned(), origin });
                }
                Found::Other => return Err(DirectoryError::NotADirectory(existing.to_owned())),
            }
        }
        Ok(Directory { path, origin })
    }
}

/// What is found at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Directory { writable: bool },
    Other,
}

/// Looks at the file system. What may not even be looked at counts as a directory that cannot be written.
fn look(path: &Path) -> Found {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let access = rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK);
            Found::Directory { writable: access.is_ok() }
        }
        Ok(_) => Found::Other,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Found::Nothing,
            _ => Found::Directory { writable: false },
        },
    }
}

/// Upstream's rules for a configured directory.
fn check_configured(base: &Path, look: &impl Fn(&Path) -> Found) -> Result<(), DirectoryError> {
    if belongs_to_system(base) {
        return Err(DirectoryError::System(base.to_owned()));
    }
    let parent = base.parent().unwrap_or(base);
    match (look(base), look(parent)) {
        (Found::Other, _) => Err(DirectoryError::NotADirectory(base.to_owned())),
        (Found::Nothing, Found::Nothing) => Err(DirectoryError::NoParent(parent.to_owned())),
        (Found::Nothing | Found::Directory { .. }, _) => Ok(()),
    }
}

fn belongs_to_system(path: &Path) -> bool {
    let below =
        |directories: &[&str]| directories.iter().any(|directory| path.starts_with(directory));
    path == Path::new("/") || (below(&SYSTEM) && !below(&SOURCES))
}

fn check_length(data: &Path) -> Result<(), DirectoryError> {
    let too_long = data.as_os_str().len() > DATA_PATH_MAX;
    if too_long { Err(DirectoryError::TooLong(data.to_owned())) } else { Ok(()) }
}

fn without_controls(path: PathBuf) -> Result<PathBuf, DirectoryError> {
    let controls = path.to_string_lossy().contains(char::is_control);
    if controls { Err(DirectoryError::Control(path)) } else { Ok(path) }
}

/// Absolute, without `.` and `..`, by the text alone: as Go's `filepath.Abs`.
fn absolute(path: &Path) -> Result<PathBuf, DirectoryError> {
    let relative = || DirectoryError::Relative(path.to_owned());
    let path = std::path::absolute(path).ok().ok_or_else(relative)?;
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests;
