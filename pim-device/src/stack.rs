//! What the KV cache of one KV head takes of a channel.

use crate::device::DeviceSpec;

/// How K and V of one (sequence, KV head) lie in a channel, and how many commands it takes to go over them.
///
/// Every [partition](crate::PeLevel::partitions) holds every n-th token, token t in partition t mod n. K stores the chunks
/// of a token side by side (MAC number `token x chunks + chunk`), V the tokens of a chunk (MAC number
/// `chunk x tokens + token`), so that a MAC run over K makes whole scores and one over V a whole part of the output.
/// K fills rows of its own, then V.
///
/// | PEs | partitions | banks that share a token | where MAC number i is |
/// |---|---|---|---|
/// | of banks | 16 bank groups | 4 | column i mod 32 |
/// | of bank groups | 16 bank groups | 1 | column i mod 32, bank i / 32 mod 4 |
/// | on the buffer die | 2 pseudo-channels | 1 | rank and bank group i mod 8, bank i / 8 mod 4, column i / 32 mod 32 |
///
/// Source: the trace generators of the AttAcc simulator, which place K and V likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Parts of the channel among which tokens are split.
    pub partitions: u32,
    /// Tokens of the fullest partition.
    pub tokens: u64,
    /// MACs per token.
    pub chunks: u32,
    /// Columns of a row.
    pub columns: u32,
    /// Sets of banks that data fill in turn.
    pub sets: u32,
    /// Columns that they fill in one set before they go on in the next.
    pub in_turn: u32,
}

/// Where a MAC is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Row, counted from the first of K or V.
    pub row: u64,
    /// Set of banks.
    pub set: u32,
}

impl Layout {
    /// Of `tokens` tokens with `head_dim` elements per key and value.
    pub fn new(device: &DeviceSpec, tokens: u64, head_dim: u32) -> Self {
        let organisation = &device.organisation;
        let partitions = device.pe.partitions(organisation).max(1);
        let span = device.elements_per_granule() * device.pe.banks_per_token(organisation).max(1);
        Self {
            partitions,
            tokens: tokens.div_ceil(u64::from(partitions)),
            chunks: head_dim.div_ceil(span),
            columns: organisation.columns.max(1),
            sets: device.pe.sets(organisation).len().max(1) as u32,
            in_turn: device.pe.columns_in_turn(organisation).max(1),
        }
    }

    /// MAC commands of one pass over K, or V.
    pub fn macs(&self) -> u64 {
        self.tokens * u64::from(self.chunks)
    }

    /// MACs of a row in all sets.
    pub fn row_macs(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.sets)
    }

    /// Rows of all banks that K, or V, takes, padding included.
    pub fn rows(&self) -> u64 {
        self.macs().div_ceil(self.row_macs())
    }

    /// Activations of one pass over K, or V.
    pub fn activations(&self) -> u64 {
        let rest = self.macs() % self.row_macs();
        let sets = u64::from(self.sets);
        let partly = if self.in_turn == 1 { rest.min(sets) } else { rest.div_ceil(u64::from(self.columns)) };
        self.macs() / self.row_macs() * sets + partly
    }

    /// Where MAC number `mac` is.
    pub fn spot(&self, mac: u64) -> Spot {
        let set = mac / u64::from(self.in_turn) % u64::from(self.sets);
        Spot { row: mac / self.row_macs(), set: set as u32 }
    }
}

/// All-bank rows of a channel that K and V of one unit occupy, padding included.
///
/// ```
/// use pim_device::{DeviceSpec, kv_rows};
/// assert_eq!(kv_rows(&DeviceSpec::hbm3_pim_bank(), 32_000, 128), 250);
/// ```
pub fn kv_rows(device: &DeviceSpec, tokens: u64, head_dim: u32) -> u64 {
    2 * Layout::new(device, tokens, head_dim).rows()
}
