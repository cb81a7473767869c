//! What a process takes.

use anyhow::{Context, Result};

/// One mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// The resident memory of a process in bytes: `VmRSS` of proc(5).
///
/// # Errors
/// Where there is no such process.
pub fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?;
    Ok(number.trim().parse::<u64>()? * 1024)
}
