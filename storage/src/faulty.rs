//! A disk in memory that fails as disks do, from a seed: the double behind the storage tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, FileId, OpenMode};
use crate::random::Random;

/// What goes wrong from now on; nothing by default. "One in N" with N = 1 means always, 0 never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// How often a write takes only a part of what it was given.
    pub short_write_one_in: u32,
    /// How often a write fails with an I/O error.
    pub fail_write_one_in: u32,
    /// How often a sync fails; the bytes stay readable, but may never reach the disk.
    pub fail_sync_one_in: u32,
    /// Bytes that all files together may hold before the disk is full.
    pub capacity_bytes: u64,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            short_write_one_in: 0,
            fail_write_one_in: 0,
            fail_sync_one_in: 0,
            capacity_bytes: u64::MAX,
        }
    }
}

/// Keeps what programs see apart from what would survive a power loss.
///
/// Unsynced bytes survive by sector: of each sector, some state between the last sync and now.
/// Unsynced names survive as a prefix of the changes made in their folder.
pub struct FaultyDisk {
    state: Mutex<State>,
}

struct State {
    random: Random,
    faults: Faults,
    files: BTreeMap<FileNumber, FileBytes>,
    open: BTreeMap<FileId, (FileNumber, OpenMode)>,
    names: BTreeMap<PathBuf, FileNumber>,
    durable_names: BTreeMap<PathBuf, FileNumber>,
    unsynced_names: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    next: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FileNumber(u64);

#[derive(Default)]
struct FileBytes {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Of each sector written since the last sync, what it held after each write.
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
}

#[derive(Clone)]
enum NameChange {
    Add(PathBuf, FileNumber),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// Disks write this much as one.
const SECTOR_BYTES: usize = 512;

impl FaultyDisk {
    /// An empty disk; everything random about it follows from the seed.
    pub fn new(seed: u64) -> FaultyDisk {
        let state = State {
            random: Random::new(seed),
            faults: Faults::default(),
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            dirs: BTreeSet::new(),
            next: 1,
        };
        FaultyDisk { state: Mutex::new(state) }
    }

    /// Changes what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Ends the process: open files are gone, bytes and names stay as they were seen.
    pub fn kill(&self) {
        self.state().open.clear();
    }

    /// Loses power: what was not synced survives in part, or not at all.
    pub fn lose_power(&self) {
        let state = &mut *self.state();
        state.open.clear();
        let fate = Fate::draw(&mut state.random);
        for file in state.files.values_mut() {
            let survived = file.survivors(&mut state.random, fate);
            file.durable.clone_from(&survived);
            file.live = survived;
            file.unsynced.clear();
        }
        let changes = std::mem::take(&mut state.unsynced_names);
        let mut cut: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for change in &changes {
            *cut.entry(change.dir().to_path_buf()).or_default() += 1;
        }
        for count in cut.values_mut() {
            *count = fate.prefix(&mut state.random, *count);
        }
        for change in changes {
            let left = cut.entry(change.dir().to_path_buf()).or_default();
            if *left > 0 {
                *left -= 1;
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        state.drop_nameless();
    }

    /// The bytes of a file as programs see them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let number = state.names.get(path)?;
        Some(state.files.get(number)?.live.clone())
    }

    /// Replaces or creates a file, durably.
    pub fn set_contents(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let number = state.new_number();
        let (live, durable) = (bytes.to_vec(), bytes.to_vec());
        state.files.insert(number, FileBytes { live, durable, unsynced: BTreeMap::new() });
        state.names.insert(path.to_path_buf(), number);
        state.durable_names.insert(path.to_path_buf(), number);
        if let Some(dir) = path.parent() {
            state.dirs.insert(dir.to_path_buf());
        }
    }

    /// Damages one byte of a file: the bits of `mask` turn over.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) {
        let mut bytes = self.contents(path).expect("the file to damage exists");
        bytes[offset] ^= mask;
        self.set_contents(path, &bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of what was not synced survives a power loss.
#[derive(Clone, Copy)]
enum Fate {
    Nothing,
    Everything,
    Some,
}

impl Fate {
    fn draw(random: &mut Random) -> Fate {
        match random.below(6) {
            0 => Fate::Nothing,
            1 => Fate::Everything,
            _ => Fate::Some,
        }
    }

    /// How many of so many changes, in order, survive.
    fn prefix(self, random: &mut Random, count: usize) -> usize {
        match (self, random.below(3)) {
            (Fate::Nothing, _) | (Fate::Some, 0) => 0,
            (Fate::Everything, _) | (Fate::Some, 1) => count,
            (Fate::Some, _) => random.below(count as u64 + 1) as usize,
        }
    }
}

impl FileBytes {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let from = sector * SECTOR_BYTES;
            let to = self.live.len().min(from + SECTOR_BYTES);
            self.unsynced.entry(sector).or_default().push(self.live[from..to].to_vec());
        }
    }

    fn sync(&mut self) {
        for (sector, mut images) in std::mem::take(&mut self.unsynced) {
            let newest = images.pop().expect("a sector is listed when it is written");
            put(&mut self.durable, sector, &newest);
        }
    }

    fn survivors(&self, random: &mut Random, fate: Fate) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (sector, images) in &self.unsynced {
            let count = fate.prefix(random, images.len());
            if count > 0 {
                put(&mut bytes, *sector, &images[count - 1]);
            }
        }
        if bytes.len() < self.live.len() && random.below(2) == 0 {
            // The length can reach the disk before the bytes.
            bytes.resize(self.live.len(), 0);
        }
        bytes
    }
}

fn put(bytes: &mut Vec<u8>, sector: usize, image: &[u8]) {
    let end = sector * SECTOR_BYTES + image.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[end - image.len()..end].copy_from_slice(image);
}

impl NameChange {
    fn dir(&self) -> &Path {
        let (NameChange::Add(path, _) | NameChange::Remove(path) | NameChange::Rename(path, _)) =
            self;
        path.parent().unwrap_or(Path::new(""))
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, FileNumber>) {
        match self {
            NameChange::Add(path, number) => {
                names.insert(path, number);
            }
            NameChange::Remove(path) => {
                names.remove(&path);
            }
            NameChange::Rename(from, to) => {
                if let Some(number) = names.remove(&from) {
                    names.insert(to, number);
                }
            }
        }
    }
}

impl State {
    fn new_number(&mut self) -> FileNumber {
        self.next += 1;
        FileNumber(self.next)
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn file(&mut self, id: FileId) -> io::Result<&mut FileBytes> {
        let (number, _) = self.open.get(&id).ok_or(io::ErrorKind::NotFound)?;
        self.files.get_mut(number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used_bytes(&self) -> u64 {
        self.files.values().map(|file| file.live.len() as u64).sum()
    }

    fn drop_nameless(&mut self) {
        let mut kept: BTreeSet<FileNumber> = self.names.values().copied().collect();
        kept.extend(self.durable_names.values());
        kept.extend(self.open.values().map(|(number, _)| number));
        self.files.retain(|number, _| kept.contains(number));
    }

    fn one_in(&mut self, count: u32) -> bool {
        count > 0 && self.random.below(u64::from(count)) == 0
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FileId> {
        let mut state = self.state();
        if mode == OpenMode::Create {
            if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let number = state.new_number();
            state.files.insert(number, FileBytes::default());
            state.change_name(NameChange::Add(path.to_path_buf(), number));
        }
        let number = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let id = FileId(state.new_number().0);
        state.open.insert(id, (number, mode));
        Ok(id)
    }

    fn close(&self, file: FileId) {
        self.state().open.remove(&file);
    }

    fn len(&self, file: FileId) -> io::Result<u64> {
        Ok(self.state().file(file)?.live.len() as u64)
    }

    fn read_at(&self, file: FileId, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state();
        let live = &state.file(file)?.live;
        let from = live.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
        let count = buf.len().min(live.len() - from);
        buf[..count].copy_from_slice(&live[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, file: FileId, buf: &[u8], offset: u64) -> io::Result<usize> {
        let state = &mut *self.state();
        if state.open.get(&file).is_some_and(|(_, mode)| *mode == OpenMode::Read) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if state.one_in(state.faults.fail_write_one_in) {
            return Err(io::Error::other("the double's disk failed a write"));
        }
        let mut count = buf.len();
        if count > 1 && state.one_in(state.faults.short_write_one_in) {
            count = 1 + state.random.below(count as u64 - 1) as usize;
        }
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let room = state.faults.capacity_bytes.saturating_sub(state.used_bytes());
        let file = state.file(file)?;
        let most = (file.live.len() as u64).saturating_add(room).saturating_sub(offset as u64);
        count = count.min(usize::try_from(most).unwrap_or(usize::MAX));
        if count == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write(offset, &buf[..count]);
        Ok(count)
    }

    fn sync_data(&self, file: FileId) -> io::Result<()> {
        let state = &mut *self.state();
        let fails = state.one_in(state.faults.fail_sync_one_in);
        let (number, _) = *state.open.get(&file).ok_or(io::ErrorKind::NotFound)?;
        let file = state.files.get_mut(&number).ok_or(io::ErrorKind::NotFound)?;
        if fails {
            // As after a real one: the system forgets that these bytes never got there.
            file.durable = file.survivors(&mut state.random, Fate::Some);
            file.unsynced.clear();
            return Err(io::Error::other("the double's disk failed a sync"));
        }
        file.sync();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        assert_eq!(from.parent(), to.parent(), "files are renamed within a folder");
        state.change_name(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let here = state.names.keys().filter(|path| path.parent() == Some(dir));
        let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        Ok(here.filter_map(name).collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.state().dirs.insert(dir.to_path_buf());
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        if state.one_in(state.faults.fail_sync_one_in) {
            return Err(io::Error::other("the double's disk failed a sync"));
        }
        let changes = std::mem::take(&mut state.unsynced_names);
        for change in changes {
            if change.dir() == dir {
                change.apply(&mut state.durable_names);
            } else {
                state.unsynced_names.push(change);
            }
        }
        state.drop_nameless();
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.state();
        Ok(state.faults.capacity_bytes.saturating_sub(state.used_bytes()))
    }

    fn fresh_salt(&self) -> io::Result<u64> {
        Ok(self.state().random.next())
    }
}
