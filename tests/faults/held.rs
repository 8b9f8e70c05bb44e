//! I6: what this process holds: threads, file descriptors and heap.

use std::time::{Duration, Instant};

/// Threads and file descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub threads: usize,
    pub descriptors: usize,
}

pub fn held() -> Held {
    let count = |dir: &str| std::fs::read_dir(dir).unwrap().count();
    Held { threads: count("/proc/self/task"), descriptors: count("/proc/self/fd") }
}

/// What is held now beyond what was held before; the emulator's own threads take a moment to end.
pub fn leaks(before: Held) -> Option<String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let now = held();
        if now.threads <= before.threads && now.descriptors <= before.descriptors {
            return None;
        }
        if Instant::now() > deadline {
            return Some(format!("I6: {before:?} before, {now:?} now"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes that are allocated and not freed, in all arenas and mappings of glibc's malloc.
pub fn heap() -> usize {
    // SAFETY: mallinfo2 takes nothing, reads malloc's own counters under their locks and gives numbers.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// The most memory that this process ever had, in bytes.
pub fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
