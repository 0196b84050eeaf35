//! Where units, codebooks, indices and exact tokens lie in a channel.
//!
//! ```text
//! pseudo-channel      0                       1
//! bank groups    0 1 2 3 4 5 6 7         0 1 2 3 4 5 6 7        (of both ranks)
//! m = 32         unit 0                  unit 1                 4 sub-vectors in each bank group
//! m = 16         unit 0  | unit 2        unit 1  | unit 3
//! m = 64         unit 0, sub-vectors 0 .. 31 and 32 .. 63
//! ```
//! A unit stays in one pseudo-channel where it can, so that one move brings probabilities to all its banks.

use super::{PqError, PqShape, able};
use crate::device::{DeviceSpec, PqFigures, PqMapping, PqReduction};
use crate::organisation::Level;

/// All-bank rows of one wave, by what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaveRows {
    /// Codebooks of K and V, of every window.
    pub codebook: u64,
    /// Indices of K and V, in whole pages of a row.
    pub indices: u64,
    /// Exact tokens, K and V.
    pub exact: u64,
}

impl WaveRows {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.codebook + self.indices + self.exact
    }
}

/// A checked shape on a device, in columns and rows of a bank. Everything here is of one bank unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) shape: PqShape,
    pub(super) figures: PqFigures,
    /// Units of a wave.
    pub(super) units: u32,
    /// Places of a round of moves that results of a wave's units come from: pairs of bank groups, one in each
    /// pseudo-channel.
    pub(super) places: u32,
    /// Moves at each place that carry a granule of every bank.
    pub(super) banks_per_group: u32,
    /// Moves at each place that carry a granule of sums.
    pub(super) sums_per_group: u32,
    /// Units that share a pseudo-channel.
    pub(super) units_per_pseudo_channel: u32,
    /// Banks of a unit in one pseudo-channel.
    pub(super) banks_per_unit: u32,
    /// Elements of a sub-vector (d/m).
    pub(super) elements: u32,
    /// Elements of a granule: FP16 values of a column.
    pub(super) granule: u32,
    /// Columns of a row.
    pub(super) columns: u32,
    /// Indices in a granule.
    pub(super) indices: u32,
    /// Sides that a command works on at once: K and V where they lie apart.
    pub(super) sides: u32,
}

impl Layout {
    pub(super) fn new(device: &DeviceSpec, shape: &PqShape) -> Result<Self, PqError> {
        let figures = able(device)?;
        let organisation = &device.organisation;
        let PqShape { head_dim, subvectors, centroids, index_bits, .. } = *shape;
        if subvectors == 0 || head_dim == 0 || !head_dim.is_multiple_of(subvectors) {
            return Err(PqError::SubVectors { subvectors, head_dim });
        }
        if !(2..=1 << 16).contains(&centroids) {
            return Err(PqError::Centroids { centroids });
        }
        let least = PqShape::packed_bits(centroids);
        if !(least..=16).contains(&index_bits) {
            return Err(PqError::IndexBits { bits: index_bits, centroids, least });
        }
        let granule = device.elements_per_granule();
        let (bytes, row) = (u64::from(centroids) * u64::from(device.element), organisation.page().0);
        if bytes > row {
            return Err(PqError::Table { centroids, bytes, row });
        }
        let elements = head_dim / subvectors;
        if !granule.is_multiple_of(elements) && !elements.is_multiple_of(granule) {
            return Err(PqError::Lanes { elements, lanes: granule });
        }
        let in_range = |figure, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(PqError::Figure { figure, value, most }) }
        };
        in_range("lookups_per_column", figures.lookups_per_column, 1, 1 << 10)?;
        in_range("result_registers", figures.result_registers, 1, 1 << 10)?;
        in_range("register_file", figures.register_file, 1, 1 << 10)?;
        in_range("value_passes", figures.value_passes, 0, elements)?;
        if figures.register_file < 4 {
            return Err(PqError::Registers { registers: figures.register_file, least: 4 });
        }

        // Bank groups of one pseudo-channel, and those of them that a side has.
        let groups = organisation.nodes(Level::BankGroup) / organisation.pseudo_channels.max(1);
        let sides = if figures.mapping == PqMapping::Apart { 2 } else { 1 };
        let own = groups / sides;
        let banks = organisation.banks.max(1);
        let pseudo_channels = organisation.pseudo_channels.max(1);
        let needed = subvectors.div_ceil(banks);
        let too_many = PqError::Banks { subvectors, banks: own * banks * pseudo_channels };
        // Banks of a group that one unit takes, units of a group, and groups of a unit in each pseudo-channel.
        let (units, units_per_pseudo_channel, banks_per_unit) = if subvectors < banks {
            let each = own * (banks / subvectors);
            (each * pseudo_channels, each, subvectors)
        } else if needed <= own {
            (own / needed * pseudo_channels, own / needed, subvectors)
        } else {
            let share = needed.div_ceil(pseudo_channels);
            if share > own {
                return Err(too_many);
            }
            (own / share, own / share, subvectors.div_ceil(pseudo_channels))
        };
        let sums = match figures.reduction {
            PqReduction::BankGroup if subvectors < banks => banks / subvectors,
            PqReduction::BankGroup => 1,
            PqReduction::Buffer | PqReduction::InBank => banks,
        };
        Ok(Self {
            shape: *shape,
            figures,
            units,
            places: groups,
            banks_per_group: banks,
            sums_per_group: sums,
            units_per_pseudo_channel,
            banks_per_unit,
            elements,
            granule,
            columns: organisation.columns.max(1),
            indices: (organisation.granule * 8 / index_bits).max(1),
            sides,
        })
    }

    /// Codebooks of so many quantised tokens.
    pub(super) fn books(&self, coded: u64) -> u64 {
        match self.shape.book_tokens {
            0 => u64::from(coded > 0),
            tokens => coded.div_ceil(u64::from(tokens)),
        }
    }

    /// Quantised tokens among so many.
    pub(super) fn coded(&self, tokens: u64) -> Result<u64, PqError> {
        let PqShape { sinks, window, .. } = self.shape;
        if tokens < u64::from(sinks) {
            return Err(PqError::Sinks { tokens, sinks });
        }
        Ok(tokens.saturating_sub(u64::from(sinks) + u64::from(window)))
    }

    /// Columns of a sub-vector's codebook, of K or of V.
    pub(super) fn book_columns(&self) -> u64 {
        (u64::from(self.shape.centroids) * u64::from(self.elements)).div_ceil(u64::from(self.granule))
    }

    /// Rows of a codebook of K: centroid after centroid.
    pub(super) fn book_rows(&self) -> u64 {
        self.book_columns().div_ceil(u64::from(self.columns))
    }

    /// Columns of the table of a query: an inner product for each centroid.
    pub(super) fn table_columns(&self) -> u64 {
        u64::from(self.shape.centroids.div_ceil(self.granule))
    }

    /// Rows of a codebook of V: a row for each channel of the sub-vector, so that a pass looks up in one row.
    pub(super) fn value_book_rows(&self) -> u64 {
        u64::from(self.elements)
    }

    /// Columns of so many tokens' indices.
    pub(super) fn index_columns(&self, coded: u64) -> u64 {
        coded.div_ceil(u64::from(self.indices))
    }

    /// Columns that the exact tokens' sub-vectors of K, or V, take.
    pub(super) fn exact_columns(&self, exact: u64) -> u64 {
        (exact * u64::from(self.elements)).div_ceil(u64::from(self.granule))
    }

    /// Rows of a wave of so many tokens.
    pub(super) fn rows(&self, tokens: u64) -> Result<WaveRows, PqError> {
        let coded = self.coded(tokens)?;
        let columns = u64::from(self.columns);
        // K and V side by side in a bank, or in banks of their own at the same rows.
        let per_side = |k: u64, v: u64| if self.sides == 1 { k + v } else { k.max(v) };
        let index = self.index_columns(coded).div_ceil(columns);
        let exact = u64::from(self.shape.sinks) + u64::from(self.shape.window);
        let exact_columns = self.exact_columns(exact.min(tokens));
        Ok(WaveRows {
            codebook: self.books(coded) * per_side(self.book_rows(), self.value_book_rows()),
            indices: per_side(index, index),
            exact: per_side(exact_columns, exact_columns).div_ceil(columns),
        })
    }

    /// Rows of scratch: a query's tables.
    pub(super) fn scratch_rows(&self) -> u64 {
        1
    }

    /// Rows of a prompt's K and V and their weights in a wave's banks.
    pub(super) fn raw_rows(&self, tokens: u64) -> u64 {
        let columns = u64::from(self.columns);
        let side = self.exact_columns(tokens).div_ceil(columns);
        let weights = tokens.div_ceil(u64::from(self.granule)).div_ceil(columns);
        if self.sides == 1 { 2 * side + weights } else { side + weights }
    }
}
