//! The memory and processor time of a process.

use std::time::Duration;

use anyhow::{Context, Result};

/// One mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// The resident memory of a process in bytes: `VmRSS` of proc(5).
///
/// # Errors
/// If there is no such process.
pub fn resident(pid: u32) -> Result<u64> {
    in_status(pid, "VmRSS:")
}

/// The part of it that the process has taken, without the program itself: `RssAnon` of proc(5).
///
/// # Errors
/// If there is no such process.
pub fn taken(pid: u32) -> Result<u64> {
    in_status(pid, "RssAnon:")
}

fn in_status(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no such field")?;
    Ok(number.trim().parse::<u64>()? * 1024)
}

/// The processor time of a process so far, in user and kernel mode: `utime` and `stime` of proc(5).
///
/// # Errors
/// If there is no such process.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may contain any character, so the fields are counted after it.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(1000 * ticks / rustix::param::clock_ticks_per_second()))
}
