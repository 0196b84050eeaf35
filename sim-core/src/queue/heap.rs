//! The front of the pending-event set: a heap of four children per node whose top is replaced, not removed.
//!
//! An actor that handles a message usually sends one. So [`Heap::take`] only leaves the top vacant, and the next push
//! sinks from there: one walk instead of two. Four siblings lie side by side in one [`Group`], absent ones carry
//! [`Key::NEVER`], so a walk checks one bound per level and never how many siblings there are.

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
    /// [`Key::NEVER`] while vacant.
    top: Entry,
    groups: Vec<Group>,
    /// How many entries there are below the top.
    below: usize,
}

/// A group takes 80 bytes for four entries.
#[cfg(test)]
pub(super) const BYTES_PER_ENTRY: usize = size_of::<Group>() / 4;

impl Heap {
    pub(super) const fn new() -> Self {
        Self { top: Entry { key: Key::NEVER, slot: 0 }, groups: Vec::new(), below: 0 }
    }

    /// How many entries there are, a vacant top counted as one.
    pub(super) const fn len(&self) -> usize {
        self.below + 1
    }

    /// The first entry's key, or [`Key::NEVER`]. Fills a vacant top from the end of the heap.
    #[inline]
    pub(super) fn first(&mut self) -> Key {
        if self.top.key == Key::NEVER && self.below > 0 {
            self.refill();
        }
        self.top.key
    }

    /// The slot of the entry whose key [`Self::first`] has just given; leaves the top vacant.
    #[inline]
    pub(super) fn take(&mut self) -> u32 {
        self.top.key = Key::NEVER;
        self.top.slot
    }

    /// Whether the next push replaces the top.
    #[inline]
    pub(super) fn is_vacant(&self) -> bool {
        self.top.key == Key::NEVER
    }

    /// Puts an entry in the place of the vacant top.
    #[inline]
    pub(super) fn replace(&mut self, entry: Entry) {
        if self.below == 0 {
            self.top = entry;
        } else {
            self.sink(entry);
        }
    }

    fn refill(&mut self) {
        self.below -= 1;
        let (group, place) = (self.below / 4, self.below % 4);
        let siblings = &mut self.groups[group];
        let entry = Entry { key: siblings.keys[place], slot: siblings.slots[place] };
        siblings.keys[place] = Key::NEVER;
        if place == 0 {
            self.groups.truncate(group);
        }
        self.replace(entry);
    }

    /// Moves the vacancy down from the top to where `entry` belongs.
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
    pub(super) fn push(&mut self, entry: Entry) {
        let mut node = self.below + 1;
        self.below = node;
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

    /// Empties the heap and gives what was in it, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<Entry> {
        let below = self.groups.iter().flat_map(|group| group.keys.into_iter().zip(group.slots));
        let all = below.map(|(key, slot)| Entry { key, slot }).chain([self.top]);
        let entries = all.filter(|entry| entry.key != Key::NEVER).collect();
        *self = Self { groups: std::mem::take(&mut self.groups), ..Self::new() };
        self.groups.clear();
        entries
    }
}
