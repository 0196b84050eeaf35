//! The far part of a large pending-event set: messages by the highest digit in which their time differs from the present.
//!
//! A radix heap (Ahuja, Mehlhorn, Orlin, Tarjan: "Faster algorithms for the shortest path problem", J. ACM 37, 1990) with
//! digits of eight bits. Bucket (level, digit) holds the times that agree with [`Radix::current`] above `level` and have
//! `digit` there. The lowest bucket of the lowest level comes first; it is spread over the level below until it is small
//! enough for the front heap, which puts it in order. So a message moves at most once per level.
//! The order of equal times is the heap's business: nothing here depends on the order of arrival.
//!
//! Messages lie in the buckets themselves, so that a large set is only ever read and written in sequence: a slot apart
//! for each of a million messages would be a place in memory that is in no cache when its turn comes.

use std::mem;

use super::{Key, Tie};
use crate::actor::ActorId;
use crate::time::Time;

/// Bits per digit.
const BITS: u32 = 8;
const DIGITS: usize = 1 << BITS;
const LEVELS: usize = u64::BITS.div_ceil(BITS) as usize;
/// Messages per chunk.
const CHUNK: usize = 64;
/// Words of a level's bitmap.
const WORDS: usize = DIGITS / 64;

/// A message that is far off.
// Time and tie apart: a key of 128 bits would be aligned to 16 bytes.
#[derive(Debug)]
pub(super) struct Far<M> {
    time: u64,
    tie: Tie,
    /// The receiver of `message`; where there is none, the slot in which it waits.
    place: u32,
    message: Option<M>,
}

/// What a far entry stands for.
pub(super) enum Content<M> {
    /// A message and its receiver.
    Message(ActorId, M),
    /// The slot of a message that can be cancelled, and so stays where its handle says.
    Slot(u32),
}

impl<M> Far<M> {
    pub(super) fn new(key: Key, content: Content<M>) -> Self {
        let (place, message) = match content {
            Content::Message(to, message) => (to.index() as u32, Some(message)),
            Content::Slot(slot) => (slot, None),
        };
        Self { time: key.time().ps(), tie: key.tie(), place, message }
    }

    #[inline]
    pub(super) fn open(self) -> (Key, Content<M>) {
        let content = match self.message {
            Some(message) => Content::Message(ActorId::from_index(self.place as usize), message),
            None => Content::Slot(self.place),
        };
        (Key::new(Time::from_ps(self.time), self.tie), content)
    }

    /// Whether the message waits elsewhere.
    pub(super) const fn is_slot(&self) -> bool {
        self.message.is_none()
    }
}

/// A part of a bucket: of a capacity of [`CHUNK`], or of none.
type Chunk<M> = Vec<Far<M>>;

/// Buckets are lists of chunks from one pool, so that memory follows the number of messages and not the sum of all
/// buckets' largest sizes.
#[derive(Debug)]
struct Bucket<M> {
    /// What is being filled. An empty bucket has no room here, which makes its first message ask for some.
    open: Chunk<M>,
    /// The chunks that are full.
    full: Vec<Chunk<M>>,
}

impl<M> Bucket<M> {
    const EMPTY: Self = Self { open: Vec::new(), full: Vec::new() };

    const fn len(&self) -> usize {
        self.full.len() * CHUNK + self.open.len()
    }
}

/// What a message takes up here, in bytes.
#[cfg(test)]
pub(super) const fn bytes_per_entry<M>() -> usize {
    // An allocation has a header of 16 bytes.
    size_of::<Far<M>>() + (size_of::<Chunk<M>>() + 16).div_ceil(CHUNK)
}

#[derive(Debug)]
pub(super) struct Radix<M> {
    /// Chunks that are empty. The one last emptied is used next, while it is in the cache.
    spare: Vec<Chunk<M>>,
    buckets: Vec<[Bucket<M>; DIGITS]>,
    /// Bit `digit` of `occupied[level]`: the bucket is not empty.
    occupied: [[u64; WORDS]; LEVELS],
    /// Bit `level`: the level is not empty.
    levels: u32,
    /// No message is earlier.
    current: u64,
    len: usize,
}

impl<M> Radix<M> {
    pub(super) fn new() -> Self {
        Self {
            spare: Vec::new(),
            buckets: (0..LEVELS).map(|_| [const { Bucket::EMPTY }; DIGITS]).collect(),
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

    /// Moves the present on, to a time in the range that the front heap holds: every message here stays where it is.
    pub(super) fn set_current(&mut self, current: u64) {
        self.current = current;
    }

    /// Adds a message that is not earlier than the present.
    #[inline]
    pub(super) fn push(&mut self, entry: Far<M>) {
        // The lowest bit is set so that the present itself is on level 0; it changes no other level.
        let level = ((entry.time ^ self.current) | 1).ilog2() / BITS;
        self.len += 1;
        self.put(level as usize, entry);
    }

    #[inline]
    fn put(&mut self, level: usize, entry: Far<M>) {
        let digit = (entry.time >> (level as u32 * BITS)) as usize % DIGITS;
        let bucket = &mut self.buckets[level][digit];
        if bucket.open.len() == bucket.open.capacity() {
            self.make_room(level, digit);
        }
        self.buckets[level][digit].open.push(entry);
    }

    #[inline(never)]
    fn make_room(&mut self, level: usize, digit: usize) {
        let bucket = &mut self.buckets[level][digit];
        let room = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
        let full = mem::replace(&mut bucket.open, room);
        if full.is_empty() {
            self.occupied[level][digit / 64] |= 1 << (digit % 64);
            self.levels |= 1 << level;
        } else {
            bucket.full.push(full);
        }
    }

    /// The lowest digit of a level that is not empty.
    fn lowest(&self, level: usize) -> usize {
        let words = &self.occupied[level];
        let word = words.iter().position(|word| *word != 0).unwrap_or(0);
        (word * 64 + words[word].trailing_zeros() as usize) % DIGITS
    }

    /// Takes a bucket out and hands over its messages.
    #[inline]
    fn empty(&mut self, level: usize, digit: usize, mut give: impl FnMut(&mut Self, Far<M>)) {
        let bucket = mem::replace(&mut self.buckets[level][digit], Bucket::EMPTY);
        self.occupied[level][digit / 64] &= !(1 << (digit % 64));
        if self.occupied[level] == [0; WORDS] {
            self.levels &= !(1 << level);
        }
        let mut chunk = bucket.open;
        let mut others = bucket.full.into_iter();
        loop {
            // The next chunk is anywhere in memory: its cache lines come while this one is dealt with.
            let next = others.next();
            if let Some(next) = &next {
                std::hint::black_box(next.iter().step_by(2).fold(0, |all, entry| all | entry.time));
            }
            for entry in chunk.drain(..) {
                give(self, entry);
            }
            self.spare.push(chunk);
            let Some(next) = next else { break };
            chunk = next;
        }
    }

    /// Hands over the earliest messages: neighbouring buckets of at most `most` together, or one single time. Returns the
    /// first and the last time that this leaves to the receiver from now on; the last is the end of time where there is
    /// nothing.
    #[inline]
    pub(super) fn pour(&mut self, most: usize, mut give: impl FnMut(Far<M>)) -> (u64, u64) {
        let mut level = self.levels.trailing_zeros() as usize;
        if level >= LEVELS {
            return (self.current, u64::MAX);
        }
        while level > 0 {
            let digit = self.lowest(level);
            if self.buckets[level][digit].len() <= most {
                break;
            }
            self.advance(level, digit);
            level -= 1;
            self.empty(level + 1, digit, |this, entry| this.put(level, entry));
        }
        let inside = (1_u64 << (level as u32 * BITS)) - 1;
        let (mut first, mut poured) = (None, 0);
        loop {
            let digit = self.lowest(level);
            let count = self.buckets[level][digit].len();
            if let Some(first) = first
                && poured + count > most
            {
                return (first, self.current | inside);
            }
            self.advance(level, digit);
            let first = *first.get_or_insert(self.current);
            poured += count;
            self.len -= count;
            self.empty(level, digit, |_, entry| give(entry));
            if self.levels & 1 << level == 0 {
                return (first, self.current | inside);
            }
        }
    }

    /// Moves the present on to the start of a bucket.
    fn advance(&mut self, level: usize, digit: usize) {
        let shift = level as u32 * BITS;
        let below = (((1_u64 << shift) - 1) << BITS) | (DIGITS as u64 - 1);
        self.current = self.current & !below | (digit as u64) << shift;
    }

    /// Empties every bucket.
    pub(super) fn drain(&mut self) -> Vec<Far<M>> {
        let mut entries = Vec::with_capacity(self.len);
        while self.levels != 0 {
            let level = self.levels.trailing_zeros() as usize;
            let digit = self.lowest(level);
            self.empty(level, digit, |_, entry| entries.push(entry));
        }
        self.len = 0;
        entries
    }

    /// What it takes up, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let buckets = self.buckets.iter().flatten();
        let chunks = |bucket: &Bucket<M>| bucket.full.len() + usize::from(bucket.open.capacity() > 0);
        let lists: usize = buckets.clone().map(|bucket| bucket.full.capacity() * size_of::<Chunk<M>>()).sum();
        let chunks = buckets.clone().map(chunks).sum::<usize>() + self.spare.len();
        let spare = self.spare.capacity() * size_of::<Chunk<M>>();
        chunks * (CHUNK * size_of::<Far<M>>() + 16) + lists + spare + size_of_val(self.buckets.as_slice())
    }

    /// Every message or slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Far<M>> {
        let buckets = self.buckets.iter().flatten();
        buckets.flat_map(|bucket| bucket.full.iter().chain([&bucket.open])).flatten()
    }
}
