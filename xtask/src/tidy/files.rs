//! Which files the rules apply to: those that git knows or would take up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::File;

/// Larger files are data, not text that anybody reads.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Folders that hold what the repository's programs made.
const MADE: [&str; 3] = [".git", "target", "tenure-data"];

/// Reads all text files below the root, sorted by path.
pub(super) fn text_files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut paths = match known_to_git(root) {
        Some(paths) => paths,
        None => on_disk(root)?,
    };
    paths.sort();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        let full = root.join(&path);
        // A file may be deleted in the working tree but not yet in the index.
        let Ok(metadata) = fs::metadata(&full) else { continue };
        if !metadata.is_file() || metadata.len() > MAX_TEXT_BYTES {
            continue;
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

/// None where there is no git, as in an unpacked archive.
fn known_to_git(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let list = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<_> = list.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn on_disk(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_file() {
                paths.extend(path.to_str().map(|path| path.replace('\\', "/")));
            } else if entry.file_type()?.is_dir()
                && !MADE.iter().any(|made| entry.file_name() == *made)
            {
                folders.push(path);
            }
        }
    }
    Ok(paths)
}
