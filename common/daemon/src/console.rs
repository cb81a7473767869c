//! Output of a program for the person or script that called it. It never panics: a stream may be full or closed.

use std::{
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

/// Writes the result of the program to standard output, with a line end. A reader that has closed its end is no error.
///
/// # Errors
/// The operating system's, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let written = output.write_all(format!("{text}\n").as_bytes()).and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// As [`print()`], for a program that does nothing else. Its exit status says whether the text was written.
pub fn print_with_status(text: &str) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("error: cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether standard output and standard error are the same file, terminal, pipe or socket.
pub fn is_one_stream() -> bool {
    let identity = |file: Result<rustix::fs::Stat, _>| file.ok().map(|it| (it.st_dev, it.st_ino));
    let output = identity(rustix::fs::fstat(io::stdout()));
    output.is_some() && output == identity(rustix::fs::fstat(io::stderr()))
}

/// Writes to standard error, with a line end. Nothing can report a failure of this.
pub fn print_error(text: &str) {
    io::stderr().lock().write_all(format!("{text}\n").as_bytes()).ok();
}
