//! Arbitrary bytes as a segment directory: opening never panics, whoever refuses modifies nothing,
//! and what is yielded leads from the base to the head by its chain.
//!
//! The bytes are instructions for building a directory, so that a fuzzer soon gets past the
//! checksums: files with any contents, and sound files with any part of them changed.

use payonce_core::{Entry, Event, EventSource, EventStore, Head, LedgerId, LogHash, UnixMillis};
use payonce_store_fs::{
    FsReader, FsStore, Options,
    model::{Image, ModelDisk},
};

use crate::format::{self, Frame, SegmentHeader};

const OPTIONS: Options = {
    let mut options = Options::DEFAULT;
    options.segment_bytes = 2 << 10;
    options.preallocate_bytes = 512;
    options.reserve_bytes = 0;
    options
};

/// Reads the instructions; zero once they are used up.
struct Instructions<'a>(&'a [u8]);

impl Instructions<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        // Mostly small, sometimes as large as can be.
        match self.byte() {
            byte @ 0..=0xf7 => u64::from(byte),
            byte => u64::MAX >> ((0xff - byte) * 9),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }
}

/// A directory under construction, and where the log that was built so far ends.
struct Builder {
    image: Image,
    head: Head,
    /// The segment that frames are added to, and its header.
    newest: Option<(String, SegmentHeader)>,
}

impl Builder {
    fn build(mut instructions: Instructions<'_>) -> Image {
        let head = Head::genesis(LedgerId::from_bytes([3; 32]));
        let mut builder = Self { image: Image::new(), head, newest: None };
        builder.segment(0);
        while !instructions.0.is_empty() {
            builder.step(&mut instructions);
        }
        if let Some((name, _)) = &builder.newest {
            let segment = builder.image.entry(name.clone()).or_default();
            segment.resize(segment.len().next_multiple_of(512), 0);
        }
        builder.image
    }

    fn step(&mut self, instructions: &mut Instructions<'_>) {
        match instructions.byte() % 10 {
            0..=2 => self.entry(instructions),
            3 => {
                let previous = self
                    .newest
                    .as_ref()
                    .map_or(0, |(_, header)| header.last_seq_before.wrapping_add(1));
                self.segment(previous);
            }
            4 => self.odd_segment(instructions),
            5 => self.odd_frame(instructions),
            6 => self.snapshot(instructions),
            7 => self.change(instructions),
            8 => self.cut(instructions),
            _ => {
                let name = format!("{:020}{}", instructions.number(), ending(instructions.byte()));
                self.image.insert(name, instructions.bytes());
            }
        }
    }

    /// A sound entry that continues the log.
    fn entry(&mut self, instructions: &mut Instructions<'_>) {
        let Some((name, header)) = &self.newest else { return };
        let count = 1 + usize::from(instructions.byte() % 60);
        let Ok(entry) = Entry::new(self.head, 1, UnixMillis(0), &vec![Event::Recovered; count])
        else {
            return;
        };
        let relative = |seq: u64| seq.wrapping_sub(header.last_seq_before) as u32;
        let vouched = relative(self.head.seq).saturating_sub(u32::from(instructions.byte() % 3));
        let bytes = entry.bytes().to_vec();
        let frame = Frame { seq: relative(entry.first_seq()), vouched, entry: bytes };
        let mask = instructions.byte().max(1);
        let segment = self.image.entry(name.clone()).or_default();
        format::push(segment, header.salt, mask, &frame);
        self.head = entry.after();
    }

    /// A sound segment that continues the log.
    fn segment(&mut self, previous: u64) {
        let header = SegmentHeader {
            salt: self.head.seq.wrapping_mul(0x1234_5678_9abc_def1),
            last_seq_before: self.head.seq,
            chain_before: *self.head.chain.as_bytes(),
            ledger: [3; 32],
            previous,
        };
        let name = format!("{:020}.log", self.head.seq + 1);
        self.image.insert(name.clone(), format::segment_header(&header));
        self.newest = Some((name, header));
    }

    /// A segment whose checksum is right and whose fields are anything.
    fn odd_segment(&mut self, instructions: &mut Instructions<'_>) {
        let header = SegmentHeader {
            salt: instructions.number(),
            last_seq_before: instructions.number(),
            chain_before: [instructions.byte(); 32],
            ledger: [instructions.byte() & 3; 32],
            previous: instructions.number(),
        };
        let name = format!("{:020}.log", header.last_seq_before.wrapping_add(1));
        self.image.insert(name.clone(), format::segment_header(&header));
        if instructions.byte() & 1 == 1 {
            self.head.seq = header.last_seq_before.min(u64::MAX / 2);
            self.head.chain = LogHash::from_bytes(header.chain_before);
            self.newest = Some((name, header));
        }
    }

    /// A frame whose checksums are right and whose fields are anything.
    fn odd_frame(&mut self, instructions: &mut Instructions<'_>) {
        let Some((name, header)) = &self.newest else { return };
        let (seq, vouched) = (instructions.number() as u32, instructions.number() as u32);
        let frame = Frame { seq, vouched, entry: instructions.bytes() };
        let segment = self.image.entry(name.clone()).or_default();
        format::push(segment, header.salt, instructions.byte(), &frame);
    }

    /// A snapshot or a base, at the head or anywhere.
    fn snapshot(&mut self, instructions: &mut Instructions<'_>) {
        let (mut seq, chain) = (self.head.seq, *self.head.chain.as_bytes());
        if instructions.byte().is_multiple_of(8) {
            seq = instructions.number();
        }
        let ending = if instructions.byte() & 1 == 0 { ".snap" } else { ".base" };
        let file = format::snapshot(seq, &chain, &[3; 32], &instructions.bytes());
        self.image.insert(format!("{seq:020}{ending}"), file);
    }

    fn file(&mut self, instructions: &mut Instructions<'_>) -> Option<&mut Vec<u8>> {
        let nth = usize::from(instructions.byte()) % self.image.len().max(1);
        self.image.values_mut().nth(nth)
    }

    fn change(&mut self, instructions: &mut Instructions<'_>) {
        let Some(file) = self.file(instructions) else { return };
        let at = usize::from(instructions.byte()) * 256 + usize::from(instructions.byte());
        if let Some(byte) = file.get_mut(at) {
            *byte ^= instructions.byte();
        }
    }

    fn cut(&mut self, instructions: &mut Instructions<'_>) {
        let Some(file) = self.file(instructions) else { return };
        let at = usize::from(instructions.byte()) * 16;
        if instructions.byte() & 1 == 0 {
            file.truncate(at);
        } else if let Some(rest) = file.get_mut(at..) {
            rest.fill(0);
        }
    }
}

fn ending(byte: u8) -> &'static str {
    [".log", ".snap", ".base", ".log.tmp", ".cut", ".txt"][usize::from(byte) % 6]
}

/// What a sound source yields must lead to its head; `None` if it says that it is damaged.
fn follow(source: &impl EventSource) -> Option<Head> {
    let base = source.base().ok()?.map(|base| base.at);
    let mut head = base.unwrap_or(Head::genesis(source.ledger_id()));
    source
        .replay(head.seq + 1, &mut |entry| {
            assert_eq!(entry.first_seq, head.seq + 1, "no seq is left out");
            let header = payonce_core::EntryHeader::read(entry.bytes).expect("checked");
            head = Head { seq: header.last_seq(), chain: head.chain.extend(entry.bytes) };
            std::ops::ControlFlow::Continue(())
        })
        .ok()?;
    assert_eq!(head, source.head().expect("open"), "the chain leads to the head");
    Some(head)
}

/// The body of the fuzz target; returns whether the directory held a log.
pub(crate) fn run(data: &[u8]) -> bool {
    let image = Builder::build(Instructions(data));
    let disk = ModelDisk::from_image(&image);
    let read = FsReader::open_on(&disk).ok().map(|reader| {
        let followed = follow(&reader);
        assert_eq!(reader.verify().is_ok(), followed.is_some(), "verify says what a replay says");
        reader.head().expect("open")
    });
    assert_eq!(disk.image(), image, "a reader modifies nothing");
    let Ok((mut store, _)) = FsStore::open_on(disk.clone(), OPTIONS) else {
        assert_eq!(disk.image(), image, "whoever refuses modifies nothing");
        return false;
    };
    let head = store.fence().expect("open").head;
    assert_eq!(read, Some(head), "reader and writer agree");
    let sound = follow(&store).is_some();
    if let Ok(entry) = Entry::new(head, 2, UnixMillis(0), &[Event::Recovered]) {
        let after = entry.after();
        if store.append(&[entry]).is_ok() {
            drop(store);
            let (store, report) = FsStore::open_on(disk, OPTIONS).expect("what it wrote itself");
            assert_eq!((store.head().expect("open"), report.cut), (after, None));
            assert_eq!(follow(&store).is_some(), sound);
        }
    }
    sound
}
