//! The file `myid` in a data folder: which member of the ensemble the data belong to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::error::ConfigError;
use super::read::read_text;

/// Makes sure that a data folder belongs to a member: one that belongs to nobody yet becomes its
/// own, with a `myid` file. Votes and log of one member must not become those of another.
///
/// # Errors
/// [`ConfigError::OtherMember`] if the folder is another member's, and if `myid` cannot be read or
/// written.
pub fn claim_data_dir(data_dir: &Path, my_id: u64) -> Result<(), ConfigError> {
    let path = data_dir.join(MY_ID);
    match read_my_id(Some(data_dir))? {
        Some(found) if found == my_id => Ok(()),
        Some(found) => Err(ConfigError::OtherMember { path, found, my_id }),
        None => {
            write_my_id(data_dir, my_id).map_err(|source| ConfigError::Unwritable { path, source })
        }
    }
}

const MY_ID: &str = "myid";

/// The number in `myid`, if there is such a file.
pub(super) fn read_my_id(data_dir: Option<&Path>) -> Result<Option<u64>, ConfigError> {
    let Some(path) = data_dir.map(|dir| dir.join(MY_ID)).filter(|path| path.exists()) else {
        return Ok(None);
    };
    let text = read_text(&path)?;
    match text.trim().parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(ConfigError::BadValue {
            origin: path.display().to_string(),
            line: 1,
            key: MY_ID.into(),
            value: text.trim().chars().take(80).collect(),
            expected: "a whole number".into(),
        }),
    }
}

/// Whole or not at all: an empty file would stop every later start.
fn write_my_id(data_dir: &Path, my_id: u64) -> io::Result<()> {
    // What is in it is nobody else's business.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let unfinished = data_dir.join("myid.new");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{my_id}")?;
    file.sync_all()?;
    fs::rename(&unfinished, data_dir.join(MY_ID))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stays_with_its_first_member() {
        let folder = tempfile::tempdir().expect("scratch");
        let data_dir = folder.path().join("data");
        claim_data_dir(&data_dir, 2).expect("nobody's");
        claim_data_dir(&data_dir, 2).expect("its own");
        let error = claim_data_dir(&data_dir, 3).expect_err("another's").to_string();
        assert!(error.contains("myid") && error.contains("member 2, not of member 3"), "{error}");
        fs::write(data_dir.join("myid"), "many").expect("scratch");
        let error = claim_data_dir(&data_dir, 2).expect_err("no number").to_string();
        assert!(error.contains("many") && error.contains("a whole number"), "{error}");
    }
}
