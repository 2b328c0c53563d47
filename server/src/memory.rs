//! How much memory the server has and may have, and when it must refuse what needs more.

use std::fs;
use std::time::Instant;

use crate::config::MemoryLimit;
use crate::limits;

/// Watches over the memory of the process.
///
/// What the system says includes memory that was freed and not given back, which is filled again
/// first. So after znodes were deleted it is not what is used: that is then estimated from what is
/// kept, in proportion to how much memory the most that was ever kept took.
#[derive(Debug)]
pub(crate) struct MemoryGuard {
    limit: Option<u64>,
    next_look: Instant,
    refuses: bool,
    used: u64,
    /// The most that was kept, and the memory that took.
    most: (u64, u64),
}

impl MemoryGuard {
    /// Nothing was kept yet.
    pub(crate) fn new(limit: MemoryLimit, now: Instant) -> MemoryGuard {
        let limit = bytes(limit);
        MemoryGuard { limit, next_look: now, refuses: false, used: 0, most: (0, 0) }
    }

    /// Has another limit count. Says so if nothing is refused any more, for lack of one.
    pub(crate) fn set_limit(&mut self, limit: MemoryLimit, now: Instant) -> Option<bool> {
        (self.limit, self.next_look) = (bytes(limit), now);
        let is_over = self.limit.is_none() && std::mem::take(&mut self.refuses);
        is_over.then_some(false)
    }

    /// Bytes used before it refuses, if it ever does.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Bytes used as of the last look.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Whether what needs more memory is refused.
    pub(crate) fn refuses(&self) -> bool {
        self.refuses
    }

    /// Whether it is time to look again.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.limit.is_some() && now >= self.next_look
    }

    /// Looks at the memory, of which `kept` bytes are known to be kept for a purpose. Says so if
    /// what it refuses has changed.
    pub(crate) fn look(&mut self, kept: u64, now: Instant) -> Option<bool> {
        self.next_look = now + limits::MEMORY_LOOK;
        self.judge(resident_bytes(), kept)
    }

    fn judge(&mut self, resident: u64, kept: u64) -> Option<bool> {
        let limit = self.limit?;
        if kept >= self.most.0 {
            self.most = (kept, resident);
        }
        let (most, took) = self.most;
        let estimate = u128::from(took) * u128::from(kept) / u128::from(most.max(1));
        self.used = resident.min(u64::try_from(estimate).unwrap_or(u64::MAX));
        let refuses = match self.refuses {
            false => self.used >= limit,
            true => self.used > limit / 100 * limits::MEMORY_FREE_PERCENT,
        };
        let has_changed = refuses != self.refuses;
        self.refuses = refuses;
        has_changed.then_some(refuses)
    }
}

/// A limit in bytes, if there is one.
fn bytes(limit: MemoryLimit) -> Option<u64> {
    match limit {
        MemoryLimit::None => None,
        MemoryLimit::Bytes(bytes) => Some(bytes),
        MemoryLimit::Percent(percent) => {
            available_bytes().map(|bytes| bytes / 100 * u64::from(percent))
        }
    }
}

/// Resident memory of this process; 0 if the system does not say.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// What the machine has, or what this process's control group may have of it.
fn available_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = unified.map(|path| format!("/sys/fs/cgroup{path}/memory.max"));
    // Inside a container the group's own files stand at the top.
    let files = own.into_iter().chain([
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ]);
    let allowed = files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    allowed.chain(machine).min()
}

/// The line `MemTotal:  8000000 kB`.
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(limit: u64) -> MemoryGuard {
        MemoryGuard::new(MemoryLimit::Bytes(limit), Instant::now())
    }

    #[test]
    fn it_refuses_at_the_limit_until_some_is_free_again() {
        let mut guard = guard(1000);
        assert_eq!(guard.judge(999, 500), None);
        assert_eq!(guard.judge(1000, 600), Some(true));
        assert_eq!((guard.judge(1100, 650), guard.used()), (None, 1100));
        // Deleted, but the system has got nothing back.
        assert_eq!((guard.judge(1100, 625), guard.used()), (None, 1057));
        assert_eq!((guard.judge(1100, 560), guard.used()), (Some(false), 947));
        assert_eq!(guard.judge(1100, 590), None);
        assert_eq!(guard.judge(1100, 600), Some(true));
    }

    #[test]
    fn what_the_system_got_back_is_free() {
        let mut guard = guard(1000);
        assert_eq!(guard.judge(1200, 900), Some(true));
        assert_eq!((guard.judge(400, 899), guard.used()), (Some(false), 400));
    }

    #[test]
    fn without_a_limit_it_never_refuses() {
        let mut guard = MemoryGuard::new(MemoryLimit::None, Instant::now());
        assert!(!guard.is_due(Instant::now()));
        assert_eq!(guard.judge(u64::MAX, 1), None);
    }

    #[test]
    fn this_machine_has_memory_and_this_process_some_of_it() {
        let available = available_bytes().unwrap();
        assert!(resident_bytes() > 100_000 && resident_bytes() < available);
        assert_eq!(total_bytes("MemFree: 1 kB\nMemTotal:     2 kB\n"), Some(2048));
        assert_eq!(total_bytes("nothing"), None);
    }
}
