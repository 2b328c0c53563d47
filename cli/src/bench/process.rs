//! Processor time and resident memory of processes, as the kernel reports them under `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// A process to watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pid: u32,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Process {
        Process { pid }
    }

    /// This very process: the load generator.
    pub(crate) fn own() -> Process {
        Process { pid: std::process::id() }
    }

    /// User and system time of all its threads so far, in microseconds.
    pub(crate) fn cpu_us(self) -> Result<u64> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let ticks = cpu_ticks(&stat).with_context(|| format!("{path} is not as expected"))?;
        Ok(ticks * 1_000_000 / rustix::param::clock_ticks_per_second())
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        resident_bytes(&status).with_context(|| format!("{path} is not as expected"))
    }
}

/// The processes of all servers, if they run here; figures are sums over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes(Vec<Process>);

impl Processes {
    pub(crate) fn new(pids: &[u32]) -> Processes {
        Processes(pids.iter().copied().map(Process::new).collect())
    }

    /// Processor time so far, in microseconds; `None` if no process is known.
    pub(crate) fn cpu_us(&self) -> Result<Option<u64>> {
        self.sum(Process::cpu_us)
    }

    /// Resident memory, in bytes; `None` if no process is known.
    pub(crate) fn resident_bytes(&self) -> Result<Option<u64>> {
        self.sum(Process::resident_bytes)
    }

    fn sum(&self, read: impl Fn(Process) -> Result<u64>) -> Result<Option<u64>> {
        let all: Result<Vec<u64>> = self.0.iter().map(|process| read(*process)).collect();
        Ok(Some(all?).filter(|all| !all.is_empty()).map(|all| all.iter().sum()))
    }
}

/// Fields 14 and 15 of `/proc/PID/stat`; the second field is a name that may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Process, Processes, cpu_ticks, resident_bytes};

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 31 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(281));
        assert_eq!(cpu_ticks("7 (cut"), None);
    }

    #[test]
    fn resident_memory_is_in_kibibytes() {
        assert_eq!(resident_bytes("VmSize:\t 9 kB\nVmRSS:\t   12 kB\n"), Some(12 * 1024));
        assert_eq!(resident_bytes("Name: kthreadd\n"), None);
    }

    #[test]
    fn figures_of_several_processes_are_added_up() {
        let own = std::process::id();
        let one = Processes::new(&[own]).resident_bytes().unwrap().unwrap();
        let two = Processes::new(&[own, own]).resident_bytes().unwrap().unwrap();
        assert!(two > one + one / 2, "{two} against {one}");
        assert_eq!(Processes::new(&[]).cpu_us().unwrap(), None);
    }

    #[test]
    fn this_process_can_be_watched() {
        assert!(Process::own().resident_bytes().unwrap() > 100_000);
        Process::own().cpu_us().unwrap();
    }
}
