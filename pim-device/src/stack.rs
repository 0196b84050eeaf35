//! What the KV cache of one KV head takes of a channel.

use crate::device::DeviceSpec;

/// How K and V of one (sequence, KV head) lie in a channel, and how many commands it takes to go over them.
///
/// Every bank group of the channel is a *partition* that holds every 16th token, token t in partition t mod 16. The
/// banks of a partition split the head dimension, a granule of 16 elements at a time, in `chunks` columns. K stores the
/// chunks of a token side by side (column number `token x chunks + chunk`), V the tokens of a chunk (column number
/// `chunk x tokens + token`), so that a MAC run over K makes whole scores and one over V a whole part of the output.
/// The columns fill rows of their own, K first, then V.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bank groups among which tokens are split.
    pub partitions: u32,
    /// Tokens of the fullest partition.
    pub tokens: u64,
    /// Columns per token.
    pub chunks: u32,
    /// Columns of a row.
    pub columns: u32,
}

impl Layout {
    /// Of `tokens` tokens with `head_dim` elements per key and value.
    pub fn new(device: &DeviceSpec, tokens: u64, head_dim: u32) -> Self {
        let organisation = &device.organisation;
        let partitions = organisation.nodes(crate::organisation::Level::BankGroup).max(1);
        let span = device.elements_per_granule() * organisation.banks.max(1);
        Self {
            partitions,
            tokens: tokens.div_ceil(u64::from(partitions)),
            chunks: head_dim.div_ceil(span),
            columns: organisation.columns.max(1),
        }
    }

    /// MACAB commands of one pass over K, or V.
    pub fn macs(&self) -> u64 {
        self.tokens * u64::from(self.chunks)
    }

    /// All-bank rows of K, or V, padding included.
    pub fn rows(&self) -> u64 {
        self.macs().div_ceil(u64::from(self.columns))
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
