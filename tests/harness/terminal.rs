//! A pseudo terminal, for programs that look different on one.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{PATIENCE, eventually};

/// What a terminal shows: everything that was written to it.
#[derive(Debug)]
pub struct Terminal {
    written: Arc<Mutex<Vec<u8>>>,
    master: File,
    reader: thread::JoinHandle<()>,
}

impl Terminal {
    /// A terminal of this size, and the file that a process gets for it.
    ///
    /// # Errors
    /// If the system has none left.
    pub fn open(columns: u16, rows: u16) -> Result<(Self, File)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size)?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        let slave = OpenOptions::new().read(true).write(true).open(name)?;
        let master = File::from(master);
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (mut reader, shared) = (master.try_clone()?, Arc::clone(&written));
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut piece) {
                let new = piece.get(..read).unwrap_or_default();
                shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(new);
            }
        });
        Ok((Self { written, master, reader }, slave))
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }

    /// Types a text, as a person at the keyboard does.
    ///
    /// # Errors
    /// If nobody has the terminal any more.
    pub fn types(&self, text: &str) -> Result<()> {
        Ok((&self.master).write_all(text.as_bytes())?)
    }

    /// Everything, once nobody has the terminal any more.
    ///
    /// # Errors
    /// What was written, if a process keeps it.
    pub async fn whole(&self) -> Result<String> {
        let ended = eventually("the end of the terminal", PATIENCE, async || {
            Ok(self.reader.is_finished().then(|| self.text()))
        });
        ended.await.with_context(|| self.text().escape_debug().to_string())
    }

    /// Waits until what was written from `from` on has a part, and returns where it ends.
    ///
    /// # Errors
    /// What was written, if the part does not come.
    pub async fn shows(&self, from: usize, part: &str) -> Result<usize> {
        let what = format!("{part:?} on the terminal");
        let found = eventually(&what, PATIENCE, async || {
            Ok(self.text().get(from..).and_then(|text| text.find(part)))
        });
        let found = found.await.with_context(|| self.text().escape_debug().to_string())?;
        Ok(from + found + part.len())
    }
}

/// Lines as a terminal shows them, without what colours them and moves the cursor.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    plain + rest
}
