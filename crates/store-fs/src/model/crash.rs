//! What a crash may leave of a trace of changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Image};

const SECTOR: usize = 512;

/// What may be on the medium after some changes.
#[derive(Default)]
struct Medium {
    files: Vec<File>,
    /// The names that are certain.
    names: BTreeMap<String, usize>,
    /// The changes of names since their directory was synced.
    renaming: Vec<Change>,
    /// Those of them that a failed sync should have kept: never certain.
    unkept: usize,
}

#[derive(Default)]
struct File {
    /// As it can be read before the crash.
    seen: Vec<u8>,
    /// The lengths that it may have; the certain one first.
    lengths: Vec<usize>,
    /// What each sector may hold, where that is not certain; the certain contents first.
    sectors: BTreeMap<usize, Vec<Vec<u8>>>,
    /// What is certain, but for [`sectors`](Self::sectors).
    certain: Vec<u8>,
    /// The sectors that the next sync writes.
    dirty: BTreeSet<usize>,
    /// How many sectors the file had at its last sync, or its first failed one: beyond them it grew.
    grown_from: usize,
    /// The sectors by which the file grew in a sync that failed: whatever is written there later, and
    /// synced, may still read as it did before.
    forgotten: BTreeSet<usize>,
}

/// Writes `bytes` at `offset`, with zeros before them if the file is shorter.
pub(super) fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

/// A sector of a file, filled up with zeros.
fn sector(bytes: &[u8], number: usize) -> Vec<u8> {
    let begin = (number * SECTOR).min(bytes.len());
    let end = (begin + SECTOR).min(bytes.len());
    let mut sector = bytes[begin..end].to_vec();
    sector.resize(SECTOR, 0);
    sector
}

impl File {
    fn certain(bytes: &[u8]) -> Self {
        Self {
            seen: bytes.to_vec(),
            lengths: vec![bytes.len()],
            certain: bytes.to_vec(),
            grown_from: bytes.len().div_ceil(SECTOR),
            ..Self::default()
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.seen, offset, bytes);
        let length = self.seen.len();
        if !self.lengths.contains(&length) {
            self.lengths.push(length);
        }
        for number in offset / SECTOR..(offset + bytes.len()).div_ceil(SECTOR) {
            let certain = sector(&self.certain, number);
            let versions = self.sectors.entry(number).or_insert_with(|| vec![certain]);
            let version = sector(&self.seen, number);
            if !versions.contains(&version) {
                versions.push(version);
            }
            self.dirty.insert(number);
        }
    }

    fn sync(&mut self) {
        self.lengths = vec![self.seen.len()];
        for number in std::mem::take(&mut self.dirty) {
            if !self.forgotten.contains(&number) {
                self.sectors.remove(&number);
                put(&mut self.certain, number * SECTOR, &sector(&self.seen, number));
            }
        }
        self.grown_from = self.seen.len().div_ceil(SECTOR);
    }

    fn fail_to_sync(&mut self) {
        let grown = self.dirty.split_off(&self.grown_from);
        self.forgotten.extend(grown);
        self.dirty.clear();
    }
}

impl Medium {
    fn after(start: &Image, trace: &[Change]) -> Self {
        let mut medium = Self::default();
        for (name, bytes) in start {
            medium.names.insert(name.clone(), medium.files.len());
            medium.files.push(File::certain(bytes));
        }
        for change in trace {
            medium.apply(change);
        }
        medium
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Written { file, offset, bytes } => self.files[*file].write(*offset, bytes),
            Change::Synced { file } => self.files[*file].sync(),
            Change::SyncFailed { file } => self.files[*file].fail_to_sync(),
            Change::NamesSyncFailed => self.unkept = self.renaming.len(),
            Change::NamesSynced => self.sync_names(),
            Change::Created { .. } => {
                self.files.push(File::certain(&[]));
                self.renaming.push(change.clone());
            }
            Change::Renamed { .. } | Change::Removed { .. } => self.renaming.push(change.clone()),
        }
    }

    /// Makes the changes of names certain, but for those that a failed sync should have kept. One of
    /// these that comes before a certain change of the same names matters no more.
    fn sync_names(&mut self) {
        let certain = self.renaming.split_off(self.unkept);
        for change in &certain {
            rename(&mut self.names, change);
        }
        let touched: Vec<&String> = certain.iter().flat_map(named).collect();
        self.renaming.retain(|change| named(change).iter().all(|name| !touched.contains(name)));
        self.unkept = self.renaming.len();
    }

    /// How many possibilities each uncertain thing has: names, then lengths and sectors, file by
    /// file, of the files that may have a name.
    fn choices(&self) -> Vec<usize> {
        let names = self.renaming.iter().map(|_| 2);
        let files = self.files.iter().flat_map(|file| {
            [file.lengths.len()].into_iter().chain(file.sectors.values().map(Vec::len))
        });
        names.chain(files).collect()
    }

    /// The image of one choice for each of [`choices`](Self::choices).
    fn image(&self, chosen: &[usize]) -> Image {
        let (renaming, mut rest) = chosen.split_at(self.renaming.len());
        let mut names = self.names.clone();
        for (change, chosen) in self.renaming.iter().zip(renaming) {
            if *chosen == 1 {
                rename(&mut names, change);
            }
        }
        let mut contents = Vec::new();
        for file in &self.files {
            let (length, sectors) = rest.split_first().expect("a choice for each");
            let mut bytes = file.certain.clone();
            for ((number, versions), chosen) in file.sectors.iter().zip(sectors) {
                put(&mut bytes, number * SECTOR, &versions[*chosen]);
            }
            bytes.resize(file.lengths[*length], 0);
            contents.push(bytes);
            rest = &sectors[file.sectors.len()..];
        }
        names.into_iter().map(|(name, file)| (name, contents[file].clone())).collect()
    }
}

/// The names that a change of names is about.
fn named(change: &Change) -> Vec<&String> {
    match change {
        Change::Created { name, .. } | Change::Removed { name } => vec![name],
        Change::Renamed { from, to, .. } => vec![from, to],
        _ => unreachable!("only changes of names are kept"),
    }
}

/// Applies one change of names by itself: whatever else of the unsynced ones took effect.
fn rename(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Created { name, file } => {
            names.insert(name.clone(), *file);
        }
        Change::Renamed { from, to, file } => {
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Change::Removed { name } => {
            names.remove(name);
        }
        _ => unreachable!("only changes of names are kept"),
    }
}

/// The distinct images that a crash after `trace` may leave.
pub(super) fn images(start: &Image, trace: &[Change], most: usize) -> Vec<Image> {
    let medium = Medium::after(start, trace);
    let choices = medium.choices();
    let total = choices.iter().try_fold(1_usize, |total, count| total.checked_mul(*count));
    let chosen = match total {
        Some(total) if total <= most => (0..total).map(|nth| nth_choice(&choices, nth)).collect(),
        _ => some_choices(&choices, most),
    };
    let images: BTreeSet<Image> = chosen.iter().map(|chosen| medium.image(chosen)).collect();
    images.into_iter().collect()
}

fn nth_choice(choices: &[usize], mut nth: usize) -> Vec<usize> {
    let digit = |count: &usize| {
        let digit = nth % count;
        nth /= count;
        digit
    };
    choices.iter().map(digit).collect()
}

/// Nothing, everything, one thing only, everything but one, everything up to one, and then at
/// random, the same at every run.
fn some_choices(choices: &[usize], most: usize) -> Vec<Vec<usize>> {
    let all: Vec<usize> = choices.iter().map(|count| count - 1).collect();
    let none = vec![0; choices.len()];
    let mut chosen = vec![none.clone(), all.clone()];
    for at in 0..choices.len() {
        let (mut only, mut but) = (none.clone(), all.clone());
        only[at] = all[at];
        but[at] = 0;
        let up_to = [&all[..at], &none[at..]].concat();
        chosen.extend([only, but, up_to]);
    }
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    while chosen.len() < most {
        let mut draw = |count: &usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random >> 33).expect("31 bits") % count
        };
        chosen.push(choices.iter().map(&mut draw).collect());
    }
    chosen.truncate(most);
    chosen
}
