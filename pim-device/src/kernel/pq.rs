//! Attention over, and clustering of, a product-quantised KV cache on one channel of a device with [`crate::PqFigures`].
//!
//! A *unit* is a (sequence, KV head). Its head dimension d is cut into m sub-vectors; sub-vector j of every token lies
//! in bank j of the unit, as an index into the K centroids of that sub-vector. Units stand side by side in a channel; as
//! many as its banks hold make a *wave*, whose banks all do the same all-bank commands. A wave is as long as its longest
//! unit.
//!
//! The first `sinks` tokens and the newest `window` are exact: FP16, in a row of their own. A token that leaves the
//! window is quantised.
//!
//! `docs/AQPIM.md` walks through a small program command by command.

mod append;
mod attention;
mod build;
mod clustering;
mod in_bank;
mod layout;

use crate::device::{DeviceSpec, PeLevel};
use crate::program::Program;

use layout::Layout;
pub use layout::WaveRows;

/// How a KV head is quantised. All fields are configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PqShape {
    /// Elements of a key or value (d).
    pub head_dim: u32,
    /// Sub-vectors (m), each of d/m elements.
    pub subvectors: u32,
    /// Centroids of a sub-vector (K).
    pub centroids: u32,
    /// Bits of a stored index; an index never lies in two granules: 28 of 9 bits in 32 B, 16 of 16 bits.
    pub index_bits: u32,
    /// First tokens that stay exact.
    pub sinks: u32,
    /// Newest tokens that stay exact.
    pub window: u32,
    /// Quantised tokens that share a codebook; 0 for all. Longer sequences have several codebooks, each with a table of its
    /// own for every query.
    pub book_tokens: u32,
}

impl PqShape {
    /// AQPIM's defaults: 32 sub-vectors of 512 centroids, 9-bit indices, 8 sinks and 32 window tokens.
    pub const fn aqpim(head_dim: u32) -> Self {
        Self { head_dim, subvectors: 32, centroids: 512, index_bits: 9, sinks: 8, window: 32, book_tokens: 0 }
    }

    /// The width of an index that just holds K centroids.
    pub const fn packed_bits(centroids: u32) -> u32 {
        let bits = u32::BITS - centroids.saturating_sub(1).leading_zeros();
        if bits == 0 { 1 } else { bits }
    }
}

/// One (sequence, KV head) of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PqUnit {
    /// Tokens that are attended to, the new one included; for clustering those of the prompt.
    pub tokens: u64,
    /// Query heads that share this KV head.
    pub query_heads: u32,
}

/// A part of clustering that is a span of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// `kv-write`: K and V into the banks; `init`: first centroids and exact tokens; `dc`: distances to the buffer die and
    /// assignments back (CA, while distances arrive); `weights`: importance weights into the banks; `cc`: centroids.
    pub kind: &'static str,
    /// What is done.
    pub program: Program,
}

/// Why a shape or a list of units cannot be worked on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PqError {
    /// The device has no [`DeviceSpec::pq`], or its PEs are not beside the banks.
    #[error("{device} has no look-up in its bank PEs")]
    Device {
        /// Its name.
        device: String,
    },
    /// m does not divide d, or is zero.
    #[error("{subvectors} sub-vectors do not divide a head dimension of {head_dim}")]
    SubVectors {
        /// m.
        subvectors: u32,
        /// d.
        head_dim: u32,
    },
    /// A unit has more sub-vectors than there are banks for it.
    #[error("{subvectors} sub-vectors need more than the {banks} banks that a channel has for them")]
    Banks {
        /// m.
        subvectors: u32,
        /// Banks of a channel, or half of them where K and V lie apart.
        banks: u32,
    },
    /// A sub-vector is neither a part nor a multiple of what a PE multiplies at once.
    #[error("sub-vectors of {elements} elements do not fit the {lanes} lanes of a bank PE")]
    Lanes {
        /// d/m.
        elements: u32,
        /// Lanes of a PE.
        lanes: u32,
    },
    /// K is below 2 or above 65,536.
    #[error("{centroids} centroids: 2 to 65536 are possible")]
    Centroids {
        /// K.
        centroids: u32,
    },
    /// An index does not hold K, or is wider than 16 bits.
    #[error("an index of {bits} bits does not fit {centroids} centroids: {least} to 16 bits are possible")]
    IndexBits {
        /// Bits of an index.
        bits: u32,
        /// K.
        centroids: u32,
        /// The fewest bits.
        least: u32,
    },
    /// The table of inner products is larger than a row, so that look-ups would leave the open row.
    #[error("a table of {centroids} centroids takes {bytes} B, more than a row of {row} B")]
    Table {
        /// K.
        centroids: u32,
        /// Bytes of the table.
        bytes: u64,
        /// Bytes of a bank's row.
        row: u64,
    },
    /// The sums of one query's output do not leave a register for indices.
    #[error("a register file of {registers} registers is too small; {least} are needed")]
    Registers {
        /// [`PqFigures::register_file`](crate::PqFigures::register_file).
        registers: u32,
        /// The fewest.
        least: u32,
    },
    /// A figure is out of its range.
    #[error("{figure} = {value} is not possible: {least} to {most}")]
    Figure {
        /// Its name.
        figure: &'static str,
        /// Its value.
        value: u32,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// Tokens split over banks go with `values = "reconstruct"` and `mapping = "together"` only.
    #[error("`reduction = \"in-bank\"` needs `values = \"reconstruct\"` and `mapping = \"together\"`")]
    InBank,
    /// A unit has fewer tokens than sinks.
    #[error("a sequence of {tokens} tokens is shorter than its {sinks} sinks")]
    Sinks {
        /// Tokens of the unit.
        tokens: u64,
        /// Sinks.
        sinks: u32,
    },
    /// The units take more rows than a bank has.
    #[error("the units take {rows} rows of the {most} of a bank")]
    Rows {
        /// Rows.
        rows: u64,
        /// Rows of a bank.
        most: u64,
    },
}

/// The program of decode attention for all units of one channel: the new token is appended, the one that leaves the window
/// quantised, every query head attends to the compressed and the exact tokens.
///
/// Waves follow each other, the longest units first. Units without tokens or queries need nothing; a list without any
/// gives the empty program. The output ends on the buffer die, as that of [`crate::attention`].
pub fn attention(device: &DeviceSpec, shape: &PqShape, units: &[PqUnit]) -> Result<Program, PqError> {
    let layout = Layout::new(device, shape)?;
    attention::program(device, &layout, units)
}

/// The programs that cluster the prompts of all units of one channel, in order of execution.
///
/// K and V arrive over the external interface (`kv-write`) and K tokens are the first centroids (`init`); then for each
/// iteration distances to all centroids go to the buffer die, whose minima go back as indices (`dc`), and centroids are averaged
/// anew (`cc`). The importance weights (`weights`) are written before the first `cc`: they exist only after the GPU's softmax of
/// the prompt's last rows.
pub fn clustering(
    device: &DeviceSpec,
    shape: &PqShape,
    units: &[PqUnit],
    iterations: u32,
) -> Result<Vec<Phase>, PqError> {
    let layout = Layout::new(device, shape)?;
    clustering::phases(device, &layout, units, iterations)
}

/// How many units the banks of a channel hold side by side.
pub fn units_per_wave(device: &DeviceSpec, shape: &PqShape) -> Result<u32, PqError> {
    Ok(Layout::new(device, shape)?.units)
}

/// All-bank rows that a wave takes in its units' own regions, by what they hold.
pub fn wave_rows(device: &DeviceSpec, shape: &PqShape, tokens: u64) -> Result<WaveRows, PqError> {
    Layout::new(device, shape)?.rows(tokens)
}

/// All-bank rows of a channel that `units` units of `tokens` tokens take, of whatever layers: codebooks, indices in whole
/// pages and exact tokens. The rows of the tables and the buffer region of the prefill ([`buffer_rows`]) are there once for
/// all layers and come on top.
pub fn rows(device: &DeviceSpec, shape: &PqShape, units: u64, tokens: u64) -> Result<u64, PqError> {
    let layout = Layout::new(device, shape)?;
    let waves = units.div_ceil(u64::from(layout.units));
    Ok(waves.saturating_mul(layout.rows(tokens)?.total()))
}

/// All-bank rows that a channel needs once, for all layers: scratch rows of tables and accumulators, and for the prefill of
/// `units` units of one layer the K and V of `tokens` prompt tokens with their weights. Decode may overwrite what the prefill
/// needs; pass no tokens where no prefill is simulated.
pub fn buffer_rows(device: &DeviceSpec, shape: &PqShape, units: u64, tokens: u64) -> Result<u64, PqError> {
    let layout = Layout::new(device, shape)?;
    let waves = units.div_ceil(u64::from(layout.units));
    Ok(layout.scratch_rows() + waves.saturating_mul(layout.raw_rows(tokens)))
}

/// Whether a device can do this at all.
fn able(device: &DeviceSpec) -> Result<crate::device::PqFigures, PqError> {
    device.pq.filter(|_| device.pe == PeLevel::Bank).ok_or_else(|| PqError::Device { device: device.name.clone() })
}
