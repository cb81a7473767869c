//! An archive in the format `ustar` of POSIX.1: plain files, each with a header of 512 bytes.

use std::io::{self, Write};

const BLOCK: usize = 512;

/// Writes an archive file by file.
pub(super) struct Tar<W>(W);

impl<W: Write> Tar<W> {
    pub(super) const fn new(out: W) -> Self {
        Self(out)
    }

    /// Adds a file that only its owner may read. The name has at most 100 bytes; `at` is in seconds since the epoch.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8], at: i64) -> io::Result<()> {
        self.0.write_all(&header(name, bytes.len(), at)?)?;
        self.0.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        self.0.write_all(&vec![0; padding])
    }

    /// Two empty blocks are the end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.flush()?;
        Ok(self.0)
    }
}

fn header(name: &str, size: usize, at: i64) -> io::Result<Vec<u8>> {
    // Each field with its width; numbers are octal.
    let fields: [(String, usize); 9] = [
        (name.to_owned(), 100),
        ("0000600".to_owned(), 8),
        ("0000000".to_owned(), 8),
        ("0000000".to_owned(), 8),
        (format!("{size:011o}"), 12),
        (format!("{:011o}", at.max(0)), 12),
        // The sum is computed as if it were spaces.
        (" ".repeat(8), 8),
        ("0".to_owned(), 1),
        (String::new(), 100),
    ];
    let mut header = Vec::with_capacity(BLOCK);
    for (text, width) in fields {
        if text.len() > width {
            return Err(io::Error::other(format!("{text:?} is too long for an archive")));
        }
        header.extend_from_slice(text.as_bytes());
        header.resize(header.len() + width - text.len(), 0);
    }
    header.extend_from_slice(b"ustar\x0000");
    header.resize(BLOCK, 0);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(field) = header.get_mut(148..156) {
        field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tar_of_this_machine_lists_and_reads_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        let mut tar = Tar::new(std::fs::File::create(&path).unwrap());
        tar.add("one.txt", b"first", 0).unwrap();
        tar.add("logs/two.log", &[b'x'; 1500], 1_700_000_000).unwrap();
        tar.add("empty", b"", 0).unwrap();
        tar.finish().unwrap();
        let tar = |arguments: &[&str]| {
            let command = std::process::Command::new("tar").args(arguments).arg(&path).output();
            let output = command.unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(tar(&["-tf"]), "one.txt\nlogs/two.log\nempty\n");
        assert_eq!(tar(&["-xO", "-f"]), format!("first{}", "x".repeat(1500)));
    }

    #[test]
    fn a_name_that_does_not_fit_is_an_error() {
        assert!(Tar::new(Vec::new()).add(&"x".repeat(101), b"", 0).is_err());
    }
}
