//! Which znodes clients ask for most, lately: estimated from a few of the requests, so that it
//! costs the others nothing.

use tenure_wire::OpCode;

use crate::limits;

/// How often a path was among the requests looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotPath {
    /// The path, or its beginning if it is very long.
    pub path: String,
    /// How often; at most as many too many as the least of the list has.
    pub count: u64,
}

/// The most frequent paths of late, and of how many requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HotPathReport {
    /// Requests with a path that were looked at, older ones counting less.
    pub sampled: u64,
    /// The most frequent first.
    pub paths: Vec<HotPath>,
}

/// A list of bounded length in which whoever is frequent stays.
#[derive(Debug)]
pub(crate) struct HotPaths {
    /// Requests to let pass before the next one is looked at.
    skip: u32,
    random: u32,
    sampled: u64,
    paths: Vec<HotPath>,
}

impl HotPaths {
    pub(crate) fn new() -> Self {
        HotPaths { skip: 0, random: 0x9e37_79b9, sampled: 0, paths: Vec::new() }
    }

    /// A request of an attached client came in. Called for every one.
    pub(crate) fn request(&mut self, payload: &[u8]) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        // Not every nth: clients may repeat themselves every nth request.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.skip = self.random % (2 * limits::HOT_PATH_EVERY);
        if let Some(path) = path(payload) {
            self.count(path);
        }
    }

    fn count(&mut self, path: &str) {
        self.sampled += 1;
        if let Some(known) = self.paths.iter_mut().find(|known| known.path == path) {
            known.count += 1;
        } else if self.paths.len() < limits::HOT_PATHS {
            self.paths.push(HotPath { path: path.to_owned(), count: 1 });
        } else if let Some(least) = self.paths.iter_mut().min_by_key(|known| known.count) {
            // It may be the beginning of something frequent, and counts as if it had been here all
            // the time: what is frequent is never missed.
            path.clone_into(&mut least.path);
            least.count += 1;
        }
        if self.sampled >= limits::HOT_PATH_MEMORY {
            self.sampled /= 2;
            self.paths.iter_mut().for_each(|known| known.count /= 2);
            self.paths.retain(|known| known.count > 0);
        }
    }

    pub(crate) fn report(&self) -> HotPathReport {
        let mut paths = self.paths.clone();
        paths.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
        HotPathReport { sampled: self.sampled, paths }
    }
}

/// The path at the front of a request's record, if it has one there.
fn path(payload: &[u8]) -> Option<&str> {
    let (_, rest) = payload.split_first_chunk::<4>()?;
    let (op, rest) = rest.split_first_chunk::<4>()?;
    let has_path = matches!(
        OpCode::from_i32(i32::from_be_bytes(*op))?,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::Exists
            | OpCode::GetData
            | OpCode::SetData
            | OpCode::GetAcl
            | OpCode::SetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::GetAllChildrenNumber
            | OpCode::GetEphemerals
            | OpCode::AddWatch
            | OpCode::Sync
    );
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let path = std::str::from_utf8(rest.get(..length)?).ok()?;
    let path = &path[..path.floor_char_boundary(limits::HOT_PATH_BYTES)];
    (has_path && path.starts_with('/')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(op: OpCode, path: &str) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend((op as i32).to_be_bytes());
        bytes.extend((path.len() as i32).to_be_bytes());
        bytes.extend(path.as_bytes());
        bytes
    }

    #[test]
    fn what_is_frequent_is_found_among_much_that_is_not() {
        let mut hot = HotPaths::new();
        for n in 0..200_000_u32 {
            match n % 4 {
                0 => hot.request(&frame(OpCode::GetData, "/hot")),
                1 => hot.request(&frame(OpCode::SetData, "/warm")),
                _ => hot.request(&frame(OpCode::Exists, &format!("/cold/{n}"))),
            }
        }
        let report = hot.report();
        let names: Vec<&str> = report.paths[..2].iter().map(|hot| hot.path.as_str()).collect();
        assert!(names.contains(&"/hot") && names.contains(&"/warm"), "{report:?}");
        let share = report.paths[0].count as f64 / report.sampled as f64;
        assert!((0.2..0.35).contains(&share), "{share}");
        assert!(report.paths.len() <= limits::HOT_PATHS);
    }

    #[test]
    fn what_was_frequent_once_is_forgotten() {
        let mut hot = HotPaths::new();
        for (path, times) in [("/before", 100_000), ("/now", 1_000_000)] {
            let frame = frame(OpCode::GetData, path);
            (0..times).for_each(|_| hot.request(&frame));
        }
        let report = hot.report();
        assert_eq!(report.paths[0].path, "/now");
        let before = report.paths.iter().find(|hot| hot.path == "/before");
        assert!(before.is_none_or(|before| before.count * 8 < report.sampled), "{report:?}");
    }

    #[test]
    fn only_records_that_begin_with_a_path_have_one() {
        assert_eq!(path(&frame(OpCode::GetData, "/a/b")), Some("/a/b"));
        assert_eq!(path(&frame(OpCode::Ping, "/a")), None);
        assert_eq!(path(&frame(OpCode::GetData, "a")), None);
        assert_eq!(path(&frame(OpCode::GetData, "/a")[..13]), None);
        assert_eq!(path(&[0; 7]), None);
        let mut bad = frame(OpCode::GetData, "/ab");
        bad[14] = 0xff;
        assert_eq!(path(&bad), None);
        bad[8..12].copy_from_slice(&(-1_i32).to_be_bytes());
        assert_eq!(path(&bad), None);
        let long = format!("/{}", "ä".repeat(limits::HOT_PATH_BYTES));
        let found = path(&frame(OpCode::Delete, &long)).map(str::to_owned);
        let found = found.expect("a path");
        assert!(found.len() <= limits::HOT_PATH_BYTES && long.starts_with(&found));
    }
}
