//! What this process takes of its machine.
//!
//! A container's limits are the machine's, as far as the process can use it: see [`sysinfo::CGroupLimits`].

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

use super::Reading;
use crate::proto::v1::MetricFamily;

/// Asking the kernel costs some ten microseconds; nobody needs it more often.
const REFRESH: Duration = Duration::from_millis(500);

/// Asks the kernel.
pub struct Process {
    pid: Option<Pid>,
    last: Mutex<Option<(Instant, Usage)>>,
}

/// What it says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Resident bytes of this process.
    pub memory_bytes: u64,
    /// Processor time it has used since it began.
    pub cpu: Duration,
    /// Share of the machine's memory, or of the container's, that is free or can be freed, 0 to 1.
    pub free_ratio: f64,
}

impl Default for Process {
    fn default() -> Self {
        Self { pid: get_current_pid().ok(), last: Mutex::default() }
    }
}

impl Process {
    /// The usage, not older than half a second.
    pub fn usage(&self, now: Instant) -> Usage {
        let mut last = self.last.lock();
        match *last {
            Some((at, usage)) if now.saturating_duration_since(at) < REFRESH => usage,
            _ => last.insert((now, self.ask())).1,
        }
    }

    /// The usage as metrics of `instance`.
    pub fn families(&self, instance: &str, now: Instant) -> Vec<MetricFamily> {
        let Usage { memory_bytes, cpu, free_ratio } = self.usage(now);
        let memory = Reading::gauge("waypost_memory_bytes", "Resident memory of a process", ["instance"]);
        let seconds = Reading::counter("waypost_cpu_seconds", "Processor time a process has used", ["instance"]);
        let free = Reading::gauge(
            "waypost_machine_memory_free_ratio",
            "Share of the memory of its machine or container that is available, 0 to 1",
            ["instance"],
        );
        let told = [(memory, memory_bytes as f64), (seconds, cpu.as_secs_f64()), (free, free_ratio)];
        told.into_iter().map(|(reading, value)| reading.with(&[instance], value).done()).collect()
    }

    fn ask(&self) -> Usage {
        let mut system = System::new();
        system.refresh_memory();
        let pids: Vec<_> = self.pid.into_iter().collect();
        let kind = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), false, kind);
        let process = self.pid.and_then(|pid| system.process(pid));
        Usage {
            memory_bytes: process.map_or(0, |process| process.memory()),
            cpu: process.map_or(Duration::ZERO, |process| Duration::from_millis(process.accumulated_cpu_time())),
            free_ratio: free_ratio(&system),
        }
    }
}

/// Of whichever is tighter, machine or container.
fn free_ratio(system: &System) -> f64 {
    let machine = (system.available_memory(), system.total_memory());
    let container = system.cgroup_limits().map(|limits| (limits.free_memory, limits.total_memory));
    let (free, total) = container.filter(|(_, total)| *total < machine.1).unwrap_or(machine);
    if total == 0 { 1.0 } else { (free as f64 / total as f64).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_this_process() {
        let usage = Process::default().usage(Instant::now());
        assert!(usage.memory_bytes > 100_000, "{usage:?}");
        assert!((0.0..=1.0).contains(&usage.free_ratio) && usage.free_ratio > 0.0, "{usage:?}");
    }

    #[test]
    fn it_is_asked_twice_a_second_at_most() {
        let (process, now) = (Process::default(), Instant::now());
        let first = process.usage(now);
        let _grown = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert_eq!(process.usage(now + REFRESH / 2), first);
        assert!(process.usage(now + REFRESH).memory_bytes > first.memory_bytes + (16 << 20));
    }
}
