//! The far part of a large pending-event set: entries by the highest digit in which their time differs from the present.
//!
//! A radix heap (Ahuja, Mehlhorn, Orlin, Tarjan: "Faster algorithms for the shortest path problem", J. ACM 37, 1990) with
//! digits of eight bits. Bucket (level, digit) holds the times that agree with [`Radix::current`] above `level` and have
//! `digit` there. The lowest bucket of the lowest level comes first; it is spread over the level below until it is small
//! enough for the front heap, which puts it in order. So an entry moves at most once per level, and sequentially.
//! The order of equal times is the heap's business: nothing here depends on the order of arrival.

use super::heap::Heap;
use super::{Entry, Key};

/// Bits per digit.
const BITS: u32 = 8;
const DIGITS: usize = 1 << BITS;
const LEVELS: usize = u64::BITS.div_ceil(BITS) as usize;
/// Entries per chunk: with the link they fill four cache lines.
const CHUNK: usize = 12;
const NONE: u32 = u32::MAX;
/// Words of a level's bitmap.
const WORDS: usize = DIGITS / 64;

/// A part of a bucket. Buckets are lists of chunks from one pool, so that memory follows the number of entries and not
/// the sum of all buckets' largest sizes.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    keys: [Key; CHUNK],
    slots: [u32; CHUNK],
    next: u32,
}

impl Chunk {
    /// The first `filled` entries.
    fn entries(&self, filled: usize) -> impl Iterator<Item = Entry> {
        self.keys.iter().zip(&self.slots).take(filled).map(|(key, slot)| Entry { key: *key, slot: *slot })
    }
}

#[cfg(test)]
pub(super) const BYTES_PER_ENTRY: usize = size_of::<Chunk>().div_ceil(CHUNK);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The chunk that is being filled; the others are full.
    head: u32,
    /// Entries in that chunk.
    filled: u32,
    /// Entries in all chunks.
    count: u32,
}

impl Bucket {
    // A head that is "full" makes the first entry open a chunk, without a case of its own.
    const EMPTY: Self = Self { head: NONE, filled: CHUNK as u32, count: 0 };
}

#[derive(Debug)]
pub(super) struct Radix {
    chunks: Vec<Chunk>,
    /// First of the unused chunks.
    free: u32,
    buckets: Vec<[Bucket; DIGITS]>,
    /// Bit `digit` of `occupied[level]`: the bucket is not empty.
    occupied: [[u64; WORDS]; LEVELS],
    /// Bit `level`: the level is not empty.
    levels: u32,
    /// No entry is earlier.
    current: u64,
    len: usize,
}

impl Radix {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            free: NONE,
            buckets: vec![[Bucket::EMPTY; DIGITS]; LEVELS],
            occupied: [[0; WORDS]; LEVELS],
            levels: 0,
            current: 0,
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn current(&self) -> u64 {
        self.current
    }

    /// Moves the present on, to a time in the range that the front heap holds: every entry here stays where it is.
    pub(super) fn set_current(&mut self, current: u64) {
        self.current = current;
    }

    /// Adds an entry that is not earlier than the present.
    pub(super) fn push(&mut self, entry: Entry) {
        let time = entry.key.time().ps();
        // The lowest bit is set so that the present itself is on level 0; it changes no other level.
        let level = ((time ^ self.current) | 1).ilog2() / BITS;
        self.len += 1;
        self.put(level as usize, entry);
    }

    #[inline]
    fn put(&mut self, level: usize, entry: Entry) {
        let digit = (entry.key.time().ps() >> (level as u32 * BITS)) as usize % DIGITS;
        let bucket = &mut self.buckets[level][digit];
        if bucket.filled as usize == CHUNK {
            let next = bucket.head;
            if let Some(chunk) = self.chunks.get_mut(self.free as usize) {
                bucket.head = self.free;
                self.free = chunk.next;
                chunk.next = next;
            } else {
                bucket.head = self.chunks.len() as u32;
                self.chunks.push(Chunk { keys: [Key::NEVER; CHUNK], slots: [0; CHUNK], next });
            }
            bucket.filled = 0;
            self.occupied[level][digit / 64] |= 1 << (digit % 64);
            self.levels |= 1 << level;
        }
        let place = bucket.filled as usize;
        let chunk = &mut self.chunks[bucket.head as usize];
        chunk.keys[place] = entry.key;
        chunk.slots[place] = entry.slot;
        bucket.filled += 1;
        bucket.count += 1;
    }

    /// The lowest digit of a level that is not empty.
    fn lowest(&self, level: usize) -> usize {
        let words = &self.occupied[level];
        let word = words.iter().position(|word| *word != 0).unwrap_or(0);
        (word * 64 + words[word].trailing_zeros() as usize) % DIGITS
    }

    /// Takes a bucket out and hands its entries to `give`, a chunk of them at a time.
    fn empty(&mut self, level: usize, digit: usize, mut give: impl FnMut(&mut Self, &Chunk, usize)) {
        let bucket = std::mem::replace(&mut self.buckets[level][digit], Bucket::EMPTY);
        self.occupied[level][digit / 64] &= !(1 << (digit % 64));
        if self.occupied[level] == [0; WORDS] {
            self.levels &= !(1 << level);
        }
        let (mut head, mut filled) = (bucket.head, bucket.filled as usize);
        while let Some(place) = self.chunks.get_mut(head as usize) {
            let chunk = *place;
            // Freed first, so that the next chunk opened is this one, still in the cache.
            place.next = self.free;
            self.free = head;
            // The next chunk is anywhere in memory: its four cache lines come while this one is dealt with.
            if let Some(next) = self.chunks.get(chunk.next as usize) {
                std::hint::black_box(next.slots[0] | next.next | (next.keys[0].0 | next.keys[5].0) as u32);
            }
            give(self, &chunk, filled);
            (head, filled) = (chunk.next, CHUNK);
        }
    }

    /// Moves the earliest entries to the heap: a bucket of at most `most`, or one single time. Returns the last time
    /// that belongs to the heap from now on. `look` is shown the slots some time before their messages are needed.
    pub(super) fn pour(&mut self, most: usize, heap: &mut Heap, look: impl Fn(&[u32])) -> u64 {
        let mut level = self.levels.trailing_zeros() as usize;
        if level >= LEVELS {
            return u64::MAX;
        }
        loop {
            let digit = self.lowest(level);
            let shift = level as u32 * BITS;
            let inside = (1_u64 << shift) - 1;
            let below = (inside << BITS) | (DIGITS as u64 - 1);
            self.current = self.current & !below | (digit as u64) << shift;
            let count = self.buckets[level][digit].count as usize;
            if level == 0 || count <= most {
                self.len -= count;
                self.empty(level, digit, |_, chunk, filled| {
                    look(&chunk.slots[..filled]);
                    heap.pour(chunk.entries(filled));
                });
                heap.settle();
                return self.current | inside;
            }
            level -= 1;
            self.empty(level + 1, digit, |this, chunk, filled| {
                chunk.entries(filled).for_each(|entry| this.put(level, entry));
            });
        }
    }

    /// Empties every bucket.
    pub(super) fn drain(&mut self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.len);
        while self.levels != 0 {
            let level = self.levels.trailing_zeros() as usize;
            let digit = self.lowest(level);
            self.empty(level, digit, |_, chunk, filled| entries.extend(chunk.entries(filled)));
        }
        self.len = 0;
        entries
    }
}
