//! The file named by `dynamicConfigFile`, kept in step with the members: so that a server which
//! loses its data comes back knowing whom to ask, and not those of its first start.
//!
//! The reference server writes a new file for each version and rewrites `zoo.cfg` to name it. Here
//! `zoo.cfg` is the operator's own and stays as it is; the one file is replaced, whole or not at
//! all. What else stands in it is kept. A comment tells the version, which never goes back.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;

use crate::config::Member;

/// Hands the members to the thread that writes them: the disk may be slow, and clients wait.
pub(crate) struct MembersFile(Sender<Present>);

/// The members of an ensemble at some version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Present {
    /// The ensemble's id.
    cluster: u64,
    /// Zxid of the change that made them so.
    version: u64,
    /// By their numbers.
    members: Vec<Member>,
}

impl MembersFile {
    /// Starts the thread that keeps the file of this member.
    pub(crate) fn start(path: PathBuf, me: u64) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Present>();
        thread::Builder::new().name("tenure-members".into()).spawn(move || {
            for present in receiver {
                let shown = path.display();
                match bring_up(&path, me, &present) {
                    Ok(false) => {}
                    Ok(true) => {
                        let version = format_args!("{:x}", present.version);
                        tracing::info!(version, "members written to {shown}");
                    }
                    Err(error) => tracing::warn!(
                        %error,
                        "the members could not be written to {shown}; if this server lost its \
                         data it would look for those that stand there"
                    ),
                }
            }
        })?;
        Ok(MembersFile(sender))
    }

    /// The members are as this text of `/zookeeper/config` says.
    pub(crate) fn keep(&self, cluster: u64, text: &str) {
        if let Some(present) = Present::parse(cluster, text) {
            // Without the thread the file stays as it is, which was said when it ended.
            _ = self.0.send(present);
        }
    }
}

impl Present {
    /// `None` if the text names nobody, or the ensemble has no id yet.
    fn parse(cluster: u64, text: &str) -> Option<Self> {
        let version = text.lines().find_map(|line| line.strip_prefix("version="))?;
        let version = u64::from_str_radix(version.trim(), 16).ok()?;
        let members = members_in(text);
        (cluster != 0 && !members.is_empty()).then_some(Present { cluster, version, members })
    }

    /// The line that tells what the file holds.
    fn mark(&self) -> String {
        format!("{MARK}{:016x}, version {:x}", self.cluster, self.version)
    }

    /// Whether a file of this text says what was true later.
    fn is_older_than(&self, text: &str) -> bool {
        let mark = text.lines().find_map(|line| line.strip_prefix(MARK));
        let numbers = mark.and_then(|rest| rest.split_once(", version "));
        let number = |text: &str| u64::from_str_radix(text.trim(), 16).ok();
        numbers.is_some_and(|(cluster, version)| {
            number(cluster) == Some(self.cluster) && number(version) >= Some(self.version)
        })
    }

    /// The text with these members in place of its own.
    fn in_place_of_those_in(&self, text: &str) -> String {
        let is_ours = |line: &&str| !line.starts_with(MARK) && Member::from_line(line).is_none();
        let kept = text.lines().filter(is_ours).map(str::to_owned);
        let lines = std::iter::once(self.mark()).chain(kept);
        let lines = lines.chain(self.members.iter().map(Member::to_string));
        lines.map(|line| line + "\n").collect()
    }
}

const MARK: &str = "# The members as Tenure has written them: ensemble ";

/// By their numbers.
fn members_in(text: &str) -> Vec<Member> {
    let mut members: Vec<Member> = text.lines().filter_map(Member::from_line).collect();
    members.sort_by_key(|member| member.id);
    members
}

/// Writes the members into the file, unless it has them, or has newer ones, or this server is not
/// among them: without its own line it could not start again. Says whether it was written.
fn bring_up(path: &Path, me: u64, present: &Present) -> io::Result<bool> {
    // What the name stands for is replaced, not the name.
    let path = fs::canonicalize(path)?;
    let text = fs::read_to_string(&path)?;
    let is_in = present.members.iter().any(|member| member.id == me);
    if !is_in || members_in(&text) == present.members || present.is_older_than(&text) {
        return Ok(false);
    }
    let mut name = path.clone().into_os_string();
    name.push(".new");
    let unfinished = PathBuf::from(name);
    let mut file = File::create(&unfinished)?;
    file.set_permissions(fs::metadata(&path)?.permissions())?;
    file.write_all(present.in_place_of_those_in(&text).as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const FIRST: &str = "# mine\nserver.2=b:1:2\ngroup.1=1:2\nserver.1=a:1:2:participant\n";

    fn present(version: u64, lines: &[&str]) -> Present {
        let text = format!("{}\nversion={version:x}", lines.join("\n"));
        Present::parse(0xfeed, &text).expect("members")
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("scratch");
        let path = folder.path().join("members");
        fs::write(&path, FIRST).expect("scratch");
        (folder, path)
    }

    #[test]
    fn the_members_take_the_place_of_those_before_and_the_rest_stays() {
        let (folder, path) = folder();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("scratch");
        let same = present(1, &["server.1=a:1:2:participant", "server.2=b:1:2:participant"]);
        assert!(!bring_up(&path, 1, &same).expect("readable"), "nothing is new");
        let newer = present(0x1f, &["server.1=a:1:2", "server.3=c:1:2:observer;0.0.0.0:3"]);
        assert!(bring_up(&path, 1, &newer).expect("writable"));
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(
            text,
            "# The members as Tenure has written them: ensemble 000000000000feed, version 1f\n\
             # mine\ngroup.1=1:2\nserver.1=a:1:2:participant\n\
             server.3=c:1:2:observer;0.0.0.0:3\n"
        );
        let newest = present(0x20, &["server.1=a:7:2"]);
        assert!(bring_up(&path, 1, &newest).expect("writable"));
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text.matches('#').count(), 2, "{text}");
        assert!(text.ends_with("group.1=1:2\nserver.1=a:7:2:participant\n"), "{text}");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1, "nothing is left over");
    }

    #[test]
    fn older_members_and_others_than_this_one_do_not_count() {
        let (_folder, path) = folder();
        let newer = present(9, &["server.1=a:1:2", "server.3=c:1:2"]);
        assert!(bring_up(&path, 1, &newer).expect("writable"));
        // Such are seen when a log is read again from its start.
        let older = present(8, &["server.1=a:1:2", "server.2=b:1:2"]);
        assert!(!bring_up(&path, 1, &older).expect("readable"));
        // Those of another ensemble have other versions.
        let others = Present { cluster: 0xbeef, ..older };
        assert!(bring_up(&path, 1, &others).expect("writable"));
        let without = present(10, &["server.2=b:1:2", "server.3=c:1:2"]);
        assert!(!bring_up(&path, 1, &without).expect("readable"), "it could not start with that");
    }

    #[test]
    fn a_name_for_the_file_stays_one() {
        let (folder, path) = folder();
        let name = folder.path().join("name");
        std::os::unix::fs::symlink(&path, &name).expect("scratch");
        let newer = present(9, &["server.1=a:1:2", "server.3=c:1:2"]);
        assert!(bring_up(&name, 1, &newer).expect("writable"));
        assert!(fs::read_to_string(&path).expect("readable").contains("server.3=c"));
        assert!(fs::symlink_metadata(&name).expect("there").is_symlink());
    }

    #[test]
    fn nothing_is_known_without_members_a_version_or_an_id() {
        assert_eq!(Present::parse(7, ""), None);
        assert_eq!(Present::parse(7, "version=1"), None);
        assert_eq!(Present::parse(7, "server.1=a:1:2"), None);
        assert_eq!(Present::parse(0, "server.1=a:1:2\nversion=1"), None);
    }
}
