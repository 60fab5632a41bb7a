//! What the kernel says of a process and of itself. Linux only; elsewhere figures of this kind are missing.

use std::{fs, time::Duration};

use serde_json::{Value, json};

/// A clock tick of `/proc/<pid>/stat`: 100 a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The memory and CPU of one process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Resident memory, bytes.
    pub(crate) rss: u64,
    /// CPU used since its start, user and system.
    pub(crate) cpu: Duration,
    /// Open file descriptors.
    pub(crate) descriptors: u64,
}

/// Readings of several processes, by name.
pub(crate) type Readings = Vec<(String, Reading)>;

impl Reading {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { rss: self.rss + other.rss, cpu: self.cpu + other.cpu, descriptors: self.descriptors + other.descriptors }
    }
}

/// Reads a process; `None` when it is gone or not ours to read.
pub(crate) fn read(pid: u32) -> Option<Reading> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold blanks: fields are counted from behind it. 14 and 15 of all are utime and stime.
    let mut fields =
        stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11).map_while(|field| field.parse::<u32>().ok());
    let ticks = fields.next()? + fields.next()?;
    Some(Reading {
        rss: kilobytes(&status, "VmRSS:")? * 1024,
        cpu: TICK * ticks,
        descriptors: deskbell::telemetry::open_files(pid),
    })
}

/// Reads a process and those that it started, together. What they share is counted for each of them.
pub(crate) fn read_family(first: u32) -> Option<Reading> {
    // Whoever has ended meanwhile does not count.
    Some(children(first).filter_map(read).fold(read(first)?, Reading::plus))
}

fn children(first: u32) -> impl Iterator<Item = u32> {
    let names = fs::read_dir("/proc").into_iter().flatten();
    let all = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter(move |pid| parent(*pid) == Some(first))
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What the kernel itself holds, in bytes: slab and TCP buffers, of all processes together.
pub(crate) fn kernel_bytes() -> Option<u64> {
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    Some(
        (kilobytes(&memory, "Slab:")? + kilobytes(&memory, "KernelStack:")? + kilobytes(&memory, "PageTables:")?)
            * 1024,
    )
}

/// CPU that the whole machine has used since it started, all cores together.
pub(crate) fn machine_cpu() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields = stat.lines().next()?.split_ascii_whitespace().skip(1).map_while(|field| field.parse::<u32>().ok());
    // user nice system idle iowait irq softirq steal: all but the two kinds of waiting.
    let busy: u32 = fields.take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| ticks).sum();
    Some(TICK * busy)
}

/// How many descriptors this process may open.
pub(crate) fn descriptor_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// An error that says how to raise the limit, when so many sockets can't be held; the program itself takes a few.
pub(crate) fn require_descriptors(sockets: u64) -> anyhow::Result<()> {
    let (needed, allowed) = (sockets + 64, descriptor_limit().unwrap_or(u64::MAX));
    if needed > allowed {
        anyhow::bail!(
            "{sockets} sockets need {needed} descriptors and {allowed} are allowed: ulimit -n {needed}; where that is refused, \
             root raises it with ulimit -Hn {needed}, or LimitNOFILE={needed} for a service"
        );
    }
    Ok(())
}

/// An error when so many idle sessions can't be held in the memory that is free: both ends, and what the kernel takes of it.
pub(crate) fn require_memory(sessions: u64) -> anyhow::Result<()> {
    /// Server with TLS 16 kB, client 8 kB, two sockets of the kernel 4 kB each: as measured, rounded up.
    const EACH: u64 = 32_000;
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = kilobytes(&text, "MemAvailable:").map_or(u64::MAX, |free| free * 1024);
    let needed = sessions.saturating_mul(EACH);
    if needed > free {
        anyhow::bail!(
            "{sockets} sessions take about {} MB and {} MB are free: take \
             --sessions {} or fewer, or put the server on another machine (--url)",
            needed / 1_000_000,
            free / 1_000_000,
            free / EACH,
            sockets = sessions,
        );
    }
    Ok(())
}

/// Memory that could still be taken, as the kernel reckons.
pub(crate) fn available_bytes() -> Option<u64> {
    Some(kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")? * 1024)
}

/// In words, when so little memory is left that more would bring the machine down: 1.5 GiB.
pub(crate) fn short_of_memory() -> Option<String> {
    is_short(available_bytes()?)
}

fn is_short(available: u64) -> Option<String> {
    const LEAST: u64 = 3 << 29;
    (available < LEAST).then(|| {
        format!(
            "memory runs out: {} MB are available, and {} MB are left alone. End what else takes memory, or put \
             more sessions on another machine (--url)",
            available / 1_000_000,
            LEAST / 1_000_000
        )
    })
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

/// The machine, for the record.
pub(crate) fn machine() -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model.to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|memory| kilobytes(&memory, "MemTotal:"));
    json!({
        "cpu": model,
        "cores": cpu.lines().filter(|line| line.starts_with("processor")).count(),
        "memory_kib": memory,
        "kernel": kernel.trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_a_process_and_its_children() {
        let mut first = std::process::Command::new("sh");
        let first = first.args(["-c", "sleep 60 & echo begun; wait"]);
        let mut first = first.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(first.stdout.take().unwrap()), &mut said).unwrap();
        let (alone, all) = (read(first.id()).unwrap(), read_family(first.id()).unwrap());
        let second = children(first.id()).next().unwrap().to_string();
        std::process::Command::new("kill").arg(second).status().unwrap();
        first.wait().unwrap();
        assert!(all.rss > alone.rss && all.descriptors > alone.descriptors, "{alone:?} {all:?}");
    }

    #[test]
    fn what_can_not_be_held_is_refused_with_what_helps() {
        let told = require_descriptors(1_000_000_000).unwrap_err().to_string();
        assert!(told.contains("ulimit -n 1000000064"), "{told}");
        let told = require_memory(1_000_000_000).unwrap_err().to_string();
        assert!(told.contains("--sessions ") && told.contains("32000000 MB"), "{told}");
        assert!(is_short(1_600_000_000).unwrap().contains("1600 MB are available"));
        assert_eq!(is_short(1_700_000_000), None);
        require_descriptors(10).and_then(|()| require_memory(10)).unwrap();
    }

    #[test]
    fn this_process_can_be_read() {
        let reading = read(std::process::id()).unwrap();
        assert!(reading.rss > 100_000 && reading.descriptors >= 3);
        assert!(kernel_bytes().unwrap() > 100_000);
        assert!(descriptor_limit().unwrap() > 16);
        assert!(read(u32::MAX).is_none());
    }
}
