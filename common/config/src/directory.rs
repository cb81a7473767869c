//! Directories of files: the configured one, one in the home directory, or one in `/tmp` (cli-config-deploy 2.4,
//! crypto-and-storage 3.2 and 7.1).
//!
//! Nothing is created here, and symbolic links are followed only by the operating system.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::fs::Access;

/// Directories that a configured one must not be in.
///
/// Upstream also lists `/root`. It is a home directory, in a container everybody's. [`SOURCES`] are excepted.
const SYSTEM: [&str; 10] =
    ["/etc", "/sys", "/proc", "/dev", "/bin", "/sbin", "/usr", "/lib", "/lib64", "/boot"];

/// Source trees, which may contain the state of a development cluster. Upstream refuses them.
const SOURCES: [&str; 2] = ["/usr/src", "/usr/local/src"];

/// The subdirectory of the database.
pub const DATA_DIRECTORY: &str = "data";

/// The longest path of the database's directory, in bytes: SQLite opens no file whose path has more than 512, and file
/// names are appended.
const MAX_DATA_PATH: usize = 480;

/// The absolute path of a directory that a user names for a whole cluster, without `.` and `..`. Only the path is
/// checked.
///
/// # Errors
/// [`DirectoryError`], if a daemon would refuse the path whatever exists there.
pub fn user_directory(path: &Path) -> Result<PathBuf, DirectoryError> {
    let path = without_controls(absolute(path)?)?;
    if belongs_to_system(&path) {
        return Err(DirectoryError::System(path));
    }
    check_length(&path.join(DATA_DIRECTORY))?;
    Ok(path)
}

/// Checks a directory that a user names for files, as a configured one is checked: it exists, or its parent does.
///
/// # Errors
/// [`DirectoryError`]: the path has a control character, belongs to the system, is no directory, or its parent is missing.
pub fn check_output_directory(path: &Path) -> Result<(), DirectoryError> {
    check_configured(&without_controls(absolute(path)?)?, &look)
}

/// The settings of one directory, not yet compared with the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryChoice {
    /// The configured directory, as written.
    pub(super) configured: Option<PathBuf>,
    /// `HOME`, if it is set.
    pub(super) home: Option<PathBuf>,
    /// `USER`, or `spike`.
    pub(super) user: String,
    /// The subdirectory: `data` or `recover`.
    pub(super) subdirectory: &'static str,
}

/// A directory that exists and is writable, or can be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The absolute path, including the subdirectory.
    pub path: PathBuf,
    /// Why it was chosen.
    pub origin: Origin,
}

/// The rule that chose a directory.
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

/// Why a directory cannot be used. Upstream logs this for a configured one and uses another (F20).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The root of the file system, or a directory of the system.
    #[error("{} belongs to the system", .0.display())]
    System(PathBuf),
    /// A control character, such as the newline at the end of a file that the setting was read from.
    #[error("{0:?} has a control character")]
    Control(PathBuf),
    /// A blank at one end, as a person leaves it by mistake: the directory would be another one.
    #[error("{0:?} begins or ends with a blank")]
    Blank(PathBuf),
    /// The database could not be opened there.
    #[error(
        "a path of {} bytes is too long for the database, whose limit is {MAX_DATA_PATH} bytes: {}",
        .0.as_os_str().len(),
        .0.display()
    )]
    TooLong(PathBuf),
    /// Something other than a directory exists there.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The parent of the configured directory does not exist: probably a mistake.
    #[error("{} does not exist", .0.display())]
    NoParent(PathBuf),
    /// This user may not create files there.
    #[error("{} is not writable for this user ({origin})", path.display())]
    NotWritable {
        /// The directory that exists and is not writable.
        path: PathBuf,
        /// Why it is needed.
        origin: Origin,
    },
    /// It is in `/tmp`, where anybody may have made it: a link, of another user, or one that others can write.
    #[error(
        "{} is {what}: anybody may have made it. Set HOME, or name a directory of this user", path.display()
    )]
    Planted {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A relative path, and there is no current directory.
    #[error("{} is relative, and the current directory is unknown", .0.display())]
    Relative(PathBuf),
}

impl DirectoryChoice {
    /// Chooses a directory, and checks that it exists or can be created, and is writable.
    ///
    /// # Errors
    /// [`DirectoryError`]: a configured directory is never replaced by another.
    pub fn resolve(&self) -> Result<Directory, DirectoryError> {
        let directory = self.resolve_with(look)?;
        if directory.origin == Origin::Temporary {
            directory.path.ancestors().take(2).try_for_each(refuse_planted)?;
        }
        Ok(directory)
    }

    /// The directory, for a process that only looks at what is in it: it need neither be writable nor be there. One in `/tmp` that
    /// anybody may have made says nothing.
    pub fn place(&self) -> Option<PathBuf> {
        match self.base().ok()? {
            (base, Origin::Configured | Origin::Home) => Some(base.join(self.subdirectory)),
            (_, Origin::Temporary) => self.resolve().ok().map(|directory| directory.path),
        }
    }

    fn base(&self) -> Result<(PathBuf, Origin), DirectoryError> {
        let (base, origin) = match (&self.configured, &self.home) {
            (Some(configured), _) => (absolute(configured)?, Origin::Configured),
            (None, Some(home)) => (absolute(&home.join(".spike"))?, Origin::Home),
            (None, None) => {
                let name = format!("/tmp/.spike-{}", self.user);
                (absolute(Path::new(&name))?, Origin::Temporary)
            }
        };
        Ok((without_controls(base)?, origin))
    }

    fn resolve_with(&self, look: impl Fn(&Path) -> Found) -> Result<Directory, DirectoryError> {
        let (base, origin) = self.base()?;
        if origin == Origin::Configured {
            check_configured(&base, &look)?;
        }
        let path = base.join(self.subdirectory);
        if self.subdirectory == DATA_DIRECTORY {
            check_length(&path)?;
        }
        // Missing parts are created later, so the deepest existing part matters.
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

/// What exists at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Directory { writable: bool },
    Other,
}

/// Checks the file system. A path that may not be read counts as a directory that is not writable.
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

/// Refuses a directory in `/tmp` that this user has not made, or that others may change. One that is not there is no danger: the
/// directory above keeps others from replacing what this user makes in it.
fn refuse_planted(path: &Path) -> Result<(), DirectoryError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    let what = if !found.is_dir() {
        "a link or a file".to_owned()
    } else if owner != user {
        format!("of user {owner}, and not of this one ({user})")
    } else if found.mode() & 0o022 != 0 {
        format!("writable for others (mode {:o})", found.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(DirectoryError::Planted { path: path.to_owned(), what })
}

/// Upstream's rules for a configured directory.
fn check_configured(base: &Path, look: &impl Fn(&Path) -> Found) -> Result<(), DirectoryError> {
    if belongs_to_system(base) {
        return Err(DirectoryError::System(base.to_owned()));
    }
    let name = base.file_name().unwrap_or_default().to_string_lossy();
    if name.trim() != name {
        return Err(DirectoryError::Blank(base.to_owned()));
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
    let too_long = data.as_os_str().len() > MAX_DATA_PATH;
    if too_long { Err(DirectoryError::TooLong(data.to_owned())) } else { Ok(()) }
}

fn without_controls(path: PathBuf) -> Result<PathBuf, DirectoryError> {
    let controls = path.to_string_lossy().contains(char::is_control);
    if controls { Err(DirectoryError::Control(path)) } else { Ok(path) }
}

/// Absolute, without `.` and `..`, from the text alone: as Go's `filepath.Abs`.
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
