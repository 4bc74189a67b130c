//! What can become of a log that no crash leaves: bytes changed, files cut, lost, doubled, renamed, or of
//! another log. The tests of this store walk these images, and so do those of whatever reads logs.

use crate::model::Image;

/// A log with one thing wrong.
#[derive(Debug, Clone)]
pub struct Damaged {
    /// What was done, for a test's message.
    pub what: String,
    /// The file it was done to.
    pub file: String,
    /// What is left of the files after the damage.
    pub image: Image,
}

impl Damaged {
    fn new(what: impl Into<String>, file: &str, image: Image) -> Self {
        Self { what: what.into(), file: file.into(), image }
    }
}

/// The size of a file's header, in bytes.
const HEADER: usize = 512;

/// The names of the segments, in order.
#[must_use]
pub fn segments(image: &Image) -> Vec<String> {
    named(image, ".log")
}

fn named(image: &Image, ending: &str) -> Vec<String> {
    image.keys().filter(|name| name.ends_with(ending)).cloned().collect()
}

/// The offsets of the frames in a segment, walked by the lengths that docs/FORMAT.md specifies.
#[must_use]
pub fn frames(segment: &[u8]) -> Vec<usize> {
    let mut frames = Vec::new();
    let mut at = HEADER;
    loop {
        let left = 512 - at % 512;
        at += if left < 20 { left } else { 0 };
        let Some(&[a, b, c, mask]) = segment.get(at..at + 4) else { return frames };
        if mask == 0 {
            return frames;
        }
        frames.push(at);
        let len = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        at += (20 + len).next_multiple_of(8);
    }
}

/// Where the entries of a segment end.
#[must_use]
pub fn end(segment: &[u8]) -> usize {
    let Some(last) = frames(segment).pop() else { return HEADER };
    let len =
        segment[last..last + 3].iter().rev().fold(0, |len, byte| len << 8 | usize::from(*byte));
    last + (20 + len).next_multiple_of(8)
}

fn changed(whole: &Image, change: impl FnOnce(&mut Image)) -> Image {
    let mut image = whole.clone();
    change(&mut image);
    image
}

/// One byte of a file changed.
///
/// # Panics
/// If the file has no such byte.
#[must_use]
pub fn flipped(whole: &Image, file: &str, byte: usize, change: u8) -> Damaged {
    let image = changed(whole, |image| image.get_mut(file).expect("it is there")[byte] ^= change);
    Damaged::new(format!("byte {byte} of {file}, changed by {change:#x}"), file, image)
}

/// Every byte of history, changed in three ways each: the lowest bit, the highest, and to zero. `step`
/// above 1 leaves out what is between.
pub fn of_history(whole: &Image, step: usize) -> impl Iterator<Item = Damaged> + '_ {
    segments(whole).into_iter().flat_map(move |file| {
        let bytes = &whole[&file];
        (0..end(bytes)).step_by(step).flat_map(move |byte| {
            let changes = [0x01, 0x80, bytes[byte]].into_iter().filter(|change| *change != 0);
            let file = file.clone();
            changes.map(move |change| flipped(whole, &file, byte, change))
        })
    })
}

/// Every byte of the files with this ending.
pub fn of_files<'a>(
    whole: &'a Image,
    ending: &str,
    step: usize,
) -> impl Iterator<Item = Damaged> + 'a {
    named(whole, ending).into_iter().flat_map(move |file| {
        let bytes = (0..whole[&file].len()).step_by(step);
        bytes.map(move |byte| flipped(whole, &file, byte, 0x40))
    })
}

/// Every byte of the space that is reserved behind the entries.
pub fn of_reserved_space(whole: &Image, step: usize) -> impl Iterator<Item = Damaged> + '_ {
    segments(whole).into_iter().flat_map(move |file| {
        let bytes = &whole[&file];
        let space = (end(bytes)..bytes.len()).step_by(step);
        space.map(move |byte| flipped(whole, &file, byte, 0x40))
    })
}

/// Every segment but the newest, cut at every length short of its entries.
pub fn older_cut(whole: &Image, step: usize) -> impl Iterator<Item = Damaged> + '_ {
    let mut files = segments(whole);
    files.pop();
    files.into_iter().flat_map(move |file| {
        let lengths = (0..end(&whole[&file])).step_by(step);
        lengths.map(move |length| cut(whole, &file, length))
    })
}

/// The newest segment, cut at every length: a crash leaves such a file too.
pub fn newest_cut(whole: &Image, step: usize) -> impl Iterator<Item = (usize, Damaged)> + '_ {
    let file = segments(whole).pop().unwrap_or_default();
    let lengths = (0..whole.get(&file).map_or(0, Vec::len)).step_by(step);
    lengths.map(move |length| (length, cut(whole, &file, length)))
}

fn cut(whole: &Image, file: &str, length: usize) -> Damaged {
    let image = changed(whole, |image| image.get_mut(file).expect("it is there").truncate(length));
    Damaged::new(format!("{file} is cut after {length} bytes"), file, image)
}

/// The newest segment with each of its sectors zeroed, alone and with all that follow. None of an image
/// without segments.
pub fn newest_zeroed(whole: &Image) -> impl Iterator<Item = Damaged> + '_ {
    let file = segments(whole).pop().unwrap_or_default();
    let size = whole.get(&file).map_or(0, Vec::len);
    (HEADER..size).step_by(512).flat_map(move |begin| {
        let file = file.clone();
        [(begin + 512).min(size), size].into_iter().map(move |stop| {
            let image = changed(whole, |image| {
                if let Some(bytes) = image.get_mut(&file) {
                    bytes[begin..stop].fill(0);
                }
            });
            Damaged::new(format!("{file} is zero from byte {begin} to {stop}"), &file, image)
        })
    })
}

/// Files that are lost, doubled, renamed, empty, or longer than they were. The log needs three segments.
///
/// # Panics
/// If it has fewer.
#[must_use]
pub fn of_names(whole: &Image) -> Vec<Damaged> {
    let files = segments(whole);
    let [first, second, .., newest] = &files[..] else { panic!("three segments: {files:?}") };
    let without = |gone: &[&str]| {
        changed(whole, |image| image.retain(|name, _| !gone.contains(&name.as_str())))
    };
    let copy = format!("copy of {second}");
    let doubled = changed(whole, |image| drop(image.insert(copy.clone(), whole[second].clone())));
    let renamed = changed(&doubled, |image| drop(image.remove(second)));
    let with = |change: fn(&mut Vec<u8>)| {
        changed(whole, |image| change(image.get_mut(second).expect("it is there")))
    };
    let mut images = vec![
        Damaged::new("the newest segment is missing", newest, without(&[newest])),
        Damaged::new("a segment in the middle is missing", second, without(&[second])),
        Damaged::new("a copy beside the segment", second, doubled),
        Damaged::new("a segment under another name", second, renamed),
        Damaged::new("a segment is empty", second, with(Vec::clear)),
        Damaged::new(
            "bytes after the end of a segment",
            second,
            with(|bytes| bytes.extend([7; 64])),
        ),
    ];
    let bases = named(whole, ".base");
    let mut gone: Vec<_> = bases.iter().map(String::as_str).collect();
    if bases.is_empty() {
        images.push(Damaged::new("the first segment is missing", first, without(&[first])));
    } else {
        // What it stands for may still lie there.
        gone.push(first);
        images.push(Damaged::new("the base is missing", &bases[0], without(&gone)));
    }
    // Only a snapshot still tells that there was more.
    let last = |name: &String| name[..20].parse::<u64>().unwrap_or(0);
    if named(whole, ".snap").iter().map(last).max() >= Some(last(newest)) {
        let image = without(&[newest, "newest"]);
        images.push(Damaged::new(
            "the newest segment and the record of it are missing",
            newest,
            image,
        ));
    }
    images
}

/// Files whose checksums are right and that are not this log's: of another ledger, of a newer program, of
/// another chain.
///
/// # Panics
/// If there is no second segment.
#[must_use]
pub fn of_origin(whole: &Image) -> Vec<Damaged> {
    let second = &segments(whole)[1];
    let mut images = vec![
        Damaged::new(
            "a segment of another ledger",
            second,
            sealed(whole, second, |header| header[64..96].fill(9)),
        ),
        Damaged::new(
            "a segment of a newer program",
            second,
            sealed(whole, second, |header| header[8] = 2),
        ),
    ];
    if whole.contains_key("newest") {
        let image = sealed(whole, "newest", |header| header[64..96].fill(9));
        images.push(Damaged::new("the record of another ledger", "newest", image));
        let flipped = flipped(whole, "newest", 20, 0x20).image;
        images.push(Damaged::new("a byte of the record of the newest segment", "newest", flipped));
    }
    if let Some(base) = named(whole, ".base").first() {
        let image = sealed(whole, base, |header| header[40] ^= 1);
        images.push(Damaged::new("a base of another chain", base, image));
    }
    images
}

/// A file with a header that was changed and sealed again, as somebody does who knows the format.
///
/// # Panics
/// If the file has no header.
#[must_use]
pub fn sealed(whole: &Image, file: &str, change: impl FnOnce(&mut [u8])) -> Image {
    changed(whole, |image| {
        let header = &mut image.get_mut(file).expect("it is there")[..HEADER];
        change(header);
        header[12..16].fill(0);
        let crc = crc32c::crc32c(header);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
    })
}

/// One of these by name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn find(images: &[Damaged], what: &str) -> Image {
    let found = images.iter().find(|damaged| damaged.what == what);
    found.unwrap_or_else(|| panic!("nothing is called {what:?}")).image.clone()
}
