//! Who holds how much of a memory. What does not fit is refused (law 5).

use sim_core::Bytes;

/// A memory was asked for more than it has left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{memory} has {free} of {capacity} left, too little for {purpose} ({needed}){}", held(holders))]
pub struct OutOfMemory {
    /// Which memory.
    pub memory: String,
    /// What for.
    pub purpose: String,
    /// How much.
    pub needed: Bytes,
    /// How much is left.
    pub free: Bytes,
    /// How much there is.
    pub capacity: Bytes,
    /// What holds the rest.
    pub holders: Vec<(String, Bytes)>,
}

fn held(holders: &[(String, Bytes)]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let list: Vec<String> = holders.iter().map(|(purpose, bytes)| format!("{purpose} {bytes}")).collect();
    format!("; it holds {}", list.join(", "))
}

/// The books of one memory.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Configuration.
    name: String,
    capacity: Bytes,
    /// State.
    holders: Vec<(String, Bytes)>,
}

impl Ledger {
    /// An empty memory.
    pub fn new(name: impl Into<String>, capacity: Bytes) -> Self {
        Self { name: name.into(), capacity, holders: Vec::new() }
    }

    /// How much there is.
    pub const fn capacity(&self) -> Bytes {
        self.capacity
    }

    /// How much is taken.
    pub fn used(&self) -> Bytes {
        self.holders.iter().map(|(_, bytes)| *bytes).sum()
    }

    /// How much is left.
    pub fn free(&self) -> Bytes {
        Bytes(self.capacity.0.saturating_sub(self.used().0))
    }

    /// What holds how much.
    pub fn holders(&self) -> &[(String, Bytes)] {
        &self.holders
    }

    /// Takes `needed` for `purpose`, or refuses and changes nothing.
    pub fn take(&mut self, purpose: impl Into<String>, needed: Bytes) -> Result<(), OutOfMemory> {
        let purpose = purpose.into();
        let free = self.free();
        if needed > free {
            let (memory, holders) = (self.name.clone(), self.holders.clone());
            return Err(OutOfMemory { memory, purpose, needed, free, capacity: self.capacity, holders });
        }
        if needed > Bytes(0) {
            self.holders.push((purpose, needed));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_5_a_memory_is_never_fuller_than_it_is_large() {
        let mut memory = Ledger::new("gpu0", Bytes(100));
        for (needed, fits) in [(60, true), (41, false), (40, true), (1, false), (0, true)] {
            assert_eq!(memory.take("x", Bytes(needed)).is_ok(), fits, "{needed}");
            assert!(memory.used() <= memory.capacity());
        }
    }

    #[test]
    fn a_refusal_says_who_holds_the_rest() {
        let mut memory = Ledger::new("gpu0", Bytes(3 << 30));
        memory.take("weights", Bytes(2 << 30)).unwrap();
        let error = memory.take("KV cache", Bytes(5 << 30)).unwrap_err();
        let expected =
            "gpu0 has 1.00 GiB of 3.00 GiB left, too little for KV cache (5.00 GiB); it holds weights 2.00 GiB";
        assert_eq!(error.to_string(), expected);
    }
}
