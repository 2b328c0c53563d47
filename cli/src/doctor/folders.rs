//! The folders of snapshots and log: may they be written, is there room, what disk are they on?

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{statfs, statvfs};
use tenure_server::config::ServerConfig;

use super::finding::{Finding, Findings};

/// Less room than this is a matter of hours.
const LITTLE_BYTES: u64 = 256 * 1024 * 1024;
/// Less room than this is a matter of days, whatever its share of the disk.
const SOME_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Numbers of file systems, as the kernel has them.
const TMPFS: u64 = 0x0102_1994;
const NFS: u64 = 0x6969;
const OVERLAY: u64 = 0x794c_7630;

pub(super) fn look(config: &ServerConfig) -> Vec<Finding> {
    let mut found = Findings::about("folders");
    let data = folder("dataDir", &config.data_dir, &mut found);
    if config.data_log_dir == config.data_dir {
        found.note("snapshots and log share a folder: writing a snapshot slows syncs of the log");
        return found.into_list();
    }
    let log = folder("dataLogDir", &config.data_log_dir, &mut found);
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    if let Some((data, log)) = data.zip(log)
        && device(&data).is_some()
        && device(&data) == device(&log)
    {
        found.note("dataDir and dataLogDir are on the same file system: both wait for one disk");
    }
    found.into_list()
}

/// Looks at a folder, or at the nearest one above it that exists.
fn folder(key: &str, path: &Path, found: &mut Findings) -> Option<PathBuf> {
    let there = path.ancestors().find(|path| path.exists() || path.as_os_str().is_empty())?;
    let there = match there.as_os_str().is_empty() {
        true => Path::new("."),
        false => there,
    };
    if !there.is_dir() {
        found.problem(format!("{key}: {} is no folder", there.display()), "name another one");
        return None;
    }
    let probe = there.join(format!(".tenure-doctor-{}", std::process::id()));
    match File::create(&probe) {
        // It is only in the way now.
        Ok(_) => drop(fs::remove_file(&probe)),
        Err(error) => {
            found.problem(
                format!("{key}: {} cannot be written: {error}", there.display()),
                "let the user that runs the server own it, or run this as that user",
            );
            return None;
        }
    }
    match there == path || path.exists() {
        true => found.good(format!("{key}: {} can be written", path.display())),
        false => found.note(format!("{key}: {} will be made at the start", path.display())),
    }
    room(key, there, found);
    kind(key, there, found);
    Some(there.to_owned())
}

fn room(key: &str, path: &Path, found: &mut Findings) {
    let Ok(disk) = statvfs(path) else { return };
    let (free, all) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    let shown = format!("{key}: {} free of {}", size(free), size(all));
    let todo = "make room: writes wait while the disk is full";
    match free {
        0..LITTLE_BYTES => found.problem(shown, todo),
        LITTLE_BYTES..SOME_BYTES => found.warning(shown, todo),
        _ if free * 20 < all => found.warning(shown, todo),
        _ => found.good(shown),
    }
    if disk.f_files > 0 && disk.f_favail < 1_000 {
        found.problem(
            format!("{key}: room for {} more files", disk.f_favail),
            "remove files: the disk has no place for their names",
        );
    }
}

fn kind(key: &str, path: &Path, found: &mut Findings) {
    let Ok(disk) = statfs(path) else { return };
    // How wide the number is depends on the machine.
    match disk.f_type as u64 & 0xffff_ffff {
        TMPFS => found.problem(
            format!("{key}: a file system in memory: everything is lost with the machine"),
            "move it to a disk",
        ),
        NFS => found.warning(
            format!("{key}: a network file system: a sync costs a round trip, locks may not hold"),
            "use a disk of this machine",
        ),
        OVERLAY => found.warning(
            format!("{key}: inside the container: the data go when it is removed"),
            "mount a volume there",
        ),
        _ => {}
    }
}

fn size(bytes: u64) -> String {
    let gib = bytes as f64 / (1024.0 * 1024.0 * 1024.0);
    format!("{gib:.1} GiB")
}
