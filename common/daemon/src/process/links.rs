//! Links that lead nowhere: what they pointed at, such as a volume, may be there again in a moment. They are not the same as
//! nothing.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// A symbolic link whose target is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DanglingLink {
    link: PathBuf,
    target: PathBuf,
}

impl DanglingLink {
    /// The link on the way to `path`, or `path` itself, if its target is missing. Looks at the file system.
    pub fn on(path: &Path) -> Option<Self> {
        path.ancestors().find_map(Self::at)
    }

    fn at(link: &Path) -> Option<Self> {
        let target = fs::read_link(link).ok()?;
        match fs::metadata(link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(Self { link: link.to_owned(), target })
            }
            Ok(_) | Err(_) => None,
        }
    }

    /// The same as an error of the system's.
    pub fn error(&self) -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, self.to_string())
    }
}

impl fmt::Display for DanglingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (link, target) = (self.link.display(), self.target.display());
        write!(f, "{link} is a link to {target}, which is not there")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_told_with_its_target_wherever_it_is_on_the_way() {
        let home = tempfile::tempdir().unwrap();
        let (link, target) = (home.path().join("link"), home.path().join("volume"));
        symlink(&target, &link).unwrap();
        for path in [link.clone(), link.join("data"), link.join("data/nexus.db")] {
            let told = DanglingLink::on(&path).unwrap().to_string();
            let expected =
                format!("{} is a link to {}, which is not there", link.display(), target.display());
            assert_eq!(told, expected);
        }
        fs::create_dir(&target).unwrap();
        assert_eq!(DanglingLink::on(&link.join("data")), None);
        assert_eq!(DanglingLink::on(&home.path().join("nothing/data")), None);
    }
}
