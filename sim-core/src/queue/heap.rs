//! The front of the pending-event set: a heap of four children per node whose top is replaced, not removed.
//!
//! An actor that handles a message usually sends one. So [`Heap::take`] only leaves the top vacant, and the next push
//! sinks from there: one walk instead of two. Four siblings lie side by side in one [`Group`], absent ones carry
//! [`Key::NEVER`], so a walk checks one bound per level and never how many siblings there are.

use crate::time::Time;

use super::{Entry, Key};

/// The four children of one node.
#[derive(Clone, Debug)]
struct Group {
    keys: [Key; 4],
    slots: [u32; 4],
}

impl Group {
    const VACANT: Self = Self { keys: [Key::NEVER; 4], slots: [0; 4] };

    /// Which of the four comes first. Two semi-finals and a final, without branches.
    #[inline]
    fn earliest(&self) -> usize {
        let keys = &self.keys;
        let left = usize::from(keys[1].before(keys[0]));
        let right = 2 + usize::from(keys[3].before(keys[2]));
        if keys[right].before(keys[left]) { right } else { left }
    }
}

/// Node 0 is the top. The children of node `i` are `groups[i]`, so node `i > 0` is number `(i - 1) % 4` of
/// `groups[(i - 1) / 4]`.
#[derive(Debug)]
pub(super) struct Heap {
    top: Entry,
    /// There is no top: it was taken, and what is below has not moved up.
    vacant: bool,
    groups: Vec<Group>,
    /// How many entries there are in the groups.
    nodes: usize,
    /// Entries that came at once: what a large set pours in. They never enter the groups, so that each costs a comparison
    /// and not a walk.
    run: Run,
    /// How many entries there are below the top, in the groups and in the run.
    below: usize,
}

/// Entries in the order in which they leave.
#[derive(Debug)]
struct Run {
    /// As they came; empty but while a run is made.
    arrived: Vec<Entry>,
    ordered: Vec<Entry>,
    /// How many have left.
    left: usize,
    /// By digit of the time, where the next entry goes.
    starts: Vec<u32>,
}

/// More entries than this of one digit are sorted by comparison.
const CROWD: u32 = 24;

impl Run {
    const fn new() -> Self {
        Self { arrived: Vec::new(), ordered: Vec::new(), left: 0, starts: Vec::new() }
    }

    #[inline]
    fn first(&self) -> Option<&Entry> {
        self.ordered.get(self.left)
    }

    #[inline]
    fn advance(&mut self) {
        self.left += 1;
    }

    /// Puts what has arrived in order, whose times are from `first` to `last`. A digit each is nearly an order where times
    /// are spread out, and insertion does the rest.
    fn settle(&mut self, first: u64, last: u64) {
        let Self { arrived, ordered, left, starts } = self;
        *left = 0;
        let digit_bits = arrived.len().checked_ilog2().unwrap_or(0);
        let shift = (u64::BITS - (last - first).leading_zeros()).saturating_sub(digit_bits);
        let digit = |entry: &Entry| ((entry.key.time().ps() - first) >> shift) as usize;
        starts.clear();
        starts.resize(1 << digit_bits, 0);
        for entry in &*arrived {
            starts[digit(entry)] += 1;
        }
        if starts.iter().any(|count| *count > CROWD) {
            std::mem::swap(ordered, arrived);
            arrived.clear();
            ordered.sort_unstable_by_key(|entry| entry.key);
            return;
        }
        let mut next = 0;
        for start in &mut *starts {
            next += std::mem::replace(start, next);
        }
        let filler = Entry { key: Key::NEVER, slot: 0 };
        ordered.resize(arrived.len(), filler);
        for entry in arrived.drain(..) {
            let start = &mut starts[digit(&entry)];
            ordered[*start as usize] = entry;
            *start += 1;
        }
        for next in 1..ordered.len() {
            let entry = ordered[next];
            let mut at = next;
            while at > 0 && entry.key.before(ordered[at - 1].key) {
                ordered[at] = ordered[at - 1];
                at -= 1;
            }
            ordered[at] = entry;
        }
    }

    /// Takes out what has not left.
    fn drain(&mut self) -> Vec<Entry> {
        let rest = self.ordered[self.left..].to_vec();
        self.left = self.ordered.len();
        rest
    }
}

/// A group takes 80 bytes for four entries.
#[cfg(test)]
pub(super) const BYTES_PER_ENTRY: usize = size_of::<Group>() / 4;

impl Heap {
    pub(super) const fn new() -> Self {
        Self {
            top: Entry { key: Key::NEVER, slot: 0 },
            vacant: true,
            groups: Vec::new(),
            nodes: 0,
            run: Run::new(),
            below: 0,
        }
    }

    /// How many entries there are, a vacant top counted as one.
    pub(super) const fn len(&self) -> usize {
        self.below + 1
    }

    /// The first entry's key, or [`Key::NEVER`].
    pub(super) fn first(&mut self) -> Key {
        if self.vacant {
            if self.below == 0 {
                return Key::NEVER;
            }
            self.refill();
        }
        self.top.key
    }

    /// Takes the first entry, where it is due at `last` or before, and leaves its place vacant.
    #[inline]
    pub(super) fn take_until(&mut self, last: Time) -> Option<Entry> {
        if self.vacant {
            if self.below == 0 {
                return None;
            }
            self.refill();
        }
        if self.top.key.time() > last {
            return None;
        }
        self.vacant = true;
        Some(self.top)
    }

    /// Whether there is nothing in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.vacant && self.below == 0
    }

    /// Whether the next push replaces the top.
    #[inline]
    pub(super) const fn is_vacant(&self) -> bool {
        self.vacant
    }

    /// Puts an entry in the place of the vacant top.
    #[inline]
    pub(super) fn replace(&mut self, entry: Entry) {
        self.vacant = false;
        if self.below == 0 {
            self.top = entry;
        } else {
            self.replace_below(entry);
        }
    }

    #[inline(never)]
    fn refill(&mut self) {
        self.below -= 1;
        self.vacant = false;
        if let Some(first) = self.run.first()
            && self.groups.first().is_none_or(|group| first.key.before(group.keys[group.earliest()]))
        {
            self.top = *first;
            self.run.advance();
            return;
        }
        self.nodes -= 1;
        let (group, place) = (self.nodes / 4, self.nodes % 4);
        let siblings = &mut self.groups[group];
        let entry = Entry { key: siblings.keys[place], slot: siblings.slots[place] };
        siblings.keys[place] = Key::NEVER;
        if place == 0 {
            self.groups.truncate(group);
        }
        self.sink(entry);
    }

    /// [`Self::replace`] where there is more.
    #[inline(never)]
    fn replace_below(&mut self, entry: Entry) {
        if self.run.first().is_some_and(|first| first.key.before(entry.key)) {
            // The earliest of the run or of the groups moves up, and the entry finds its place among the groups.
            self.refill();
            self.push(entry);
        } else {
            self.sink(entry);
        }
    }

    /// Moves the vacancy down from the top to where `entry` belongs in the groups.
    #[inline]
    fn sink(&mut self, entry: Entry) {
        let groups = self.groups.as_mut_slice();
        let Some(group) = groups.first() else {
            self.top = entry;
            return;
        };
        let mut place = group.earliest();
        if !group.keys[place].before(entry.key) {
            self.top = entry;
            return;
        }
        self.top = Entry { key: group.keys[place], slot: group.slots[place] };
        let mut above = 0;
        loop {
            let node = above * 4 + place + 1;
            let Some(group) = groups.get(node) else { break };
            let next = group.earliest();
            let (key, slot) = (group.keys[next], group.slots[next]);
            if !key.before(entry.key) {
                break;
            }
            groups[above].keys[place] = key;
            groups[above].slots[place] = slot;
            (above, place) = (node, next);
        }
        groups[above].keys[place] = entry.key;
        groups[above].slots[place] = entry.slot;
    }

    /// Adds an entry. The top must not be vacant.
    #[inline(never)]
    pub(super) fn push(&mut self, entry: Entry) {
        self.below += 1;
        self.nodes += 1;
        let mut node = self.nodes;
        if node % 4 == 1 {
            self.groups.push(Group::VACANT);
        }
        let groups = self.groups.as_mut_slice();
        loop {
            let (group, place) = ((node - 1) / 4, (node - 1) % 4);
            if group == 0 {
                if entry.key.before(self.top.key) {
                    groups[0].keys[place] = self.top.key;
                    groups[0].slots[place] = self.top.slot;
                    self.top = entry;
                } else {
                    groups[0].keys[place] = entry.key;
                    groups[0].slots[place] = entry.slot;
                }
                return;
            }
            let (above, beside) = ((group - 1) / 4, (group - 1) % 4);
            let (key, slot) = (groups[above].keys[beside], groups[above].slots[beside]);
            if !entry.key.before(key) {
                groups[group].keys[place] = entry.key;
                groups[group].slots[place] = entry.slot;
                return;
            }
            groups[group].keys[place] = key;
            groups[group].slots[place] = slot;
            node = group;
        }
    }

    /// Adds an entry wherever it belongs.
    pub(super) fn insert(&mut self, entry: Entry) {
        if self.is_vacant() {
            self.replace(entry);
        } else {
            self.push(entry);
        }
    }

    /// Adds an entry to the run, which is empty or was begun by this.
    #[inline]
    pub(super) fn pour(&mut self, entry: Entry) {
        self.run.arrived.push(entry);
        self.below += 1;
    }

    /// Puts the run in order, whose times are from `first` to `last`. To be called after [`Self::pour`], before anything
    /// else.
    pub(super) fn settle(&mut self, first: u64, last: u64) {
        self.run.settle(first, last);
        // The heap is empty, or has only messages from outside that are earlier than the buckets' present.
        debug_assert!(self.vacant || self.run.first().is_none_or(|first| self.top.key.before(first.key)));
    }

    /// What it takes up, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let run = (self.run.arrived.capacity() + self.run.ordered.capacity()) * size_of::<Entry>();
        self.groups.capacity() * size_of::<Group>() + self.run.starts.capacity() * size_of::<u32>() + run
    }

    /// Empties the heap and gives what was in it, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<Entry> {
        let mut entries = self.run.drain();
        let nodes =
            std::mem::take(&mut self.groups).into_iter().flat_map(|group| group.keys.into_iter().zip(group.slots));
        entries.extend(nodes.map(|(key, slot)| Entry { key, slot }).filter(|entry| entry.key != Key::NEVER));
        entries.extend((!self.vacant).then_some(self.top));
        (self.vacant, self.nodes, self.below) = (true, 0, 0);
        entries
    }
}
