//! What a server wants of the process it runs in. One process may run several servers, so this is
//! left to whoever owns the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one and returns it, if there is one.
pub fn raise_open_files_limit() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    limit.current
}

/// Has the system back memory by small pages only, from now on. Huge ones would make room for 500
/// times what is asked for, which is more than the whole state of a small server, and the system
/// stalls a thread while it puts one together.
pub fn prefer_small_pages() {
    // Without the means there is nothing to switch off either.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
