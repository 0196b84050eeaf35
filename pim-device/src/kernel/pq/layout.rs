//! Where units, codebooks, indices and exact tokens lie in a channel.
//!
//! ```text
//! pseudo-channel      0                       1
//! bank groups    0 1 2 3 4 5 6 7         0 1 2 3 4 5 6 7        (of both ranks)
//! m = 32         unit 0  | unit 1        unit 0  | unit 1       4 sub-vectors in each bank group
//! m = 64         unit 0                  unit 0
//! m = 4          0 2 4 .. 14             1 3 5 .. 15
//! ```
//! A unit of several bank groups lies in both pseudo-channels, so that what leaves its banks has both data paths even where it
//! is alone in the channel.

use super::in_bank::Split;
use super::{PqError, PqShape, able};
use crate::command::Command;
use crate::device::{DeviceSpec, GqaPolicy, PqFigures, PqMapping, PqReduction, PqValues};
use crate::organisation::Level;

/// Query heads that can share a pass.
const SHARED: u32 = 16;

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
    /// Whether a unit lies in both pseudo-channels.
    spans: bool,
    pseudo_channels: u32,
    /// Moves of a round: pairs of bank groups, one of each pseudo-channel.
    pub(super) round: u32,
    /// Bank groups of a unit in one pseudo-channel, and units that share a bank group.
    groups: u32,
    units_per_group: u32,
    /// Banks of a unit in one pseudo-channel.
    banks: u32,
    /// Elements of a sub-vector (d/m).
    pub(super) elements: u32,
    /// Elements of a granule: FP16 values of a column.
    pub(super) granule: u32,
    /// Columns of a row.
    pub(super) columns: u32,
    /// Indices in a granule.
    pub(super) indices: u32,
    /// How often a command is given for both K and V: once where they lie apart and do the same at once.
    pub(super) sides: u32,
    /// The query heads of a group share a pass.
    pub(super) shared: bool,
    /// Rows of a bank.
    bank_rows: u64,
}

/// Moves that take something of every bank, or bank group, of a wave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Take {
    pub(super) command: Command,
    /// How many for one granule.
    pub(super) moves: u32,
    /// Places of a round that they go to.
    pub(super) places: u32,
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
            if (least..=most).contains(&value) { Ok(()) } else { Err(PqError::Figure { figure, value, least, most }) }
        };
        in_range("lookups_per_column", figures.lookups_per_column, 1, 1 << 10)?;
        in_range("result_registers", figures.result_registers, 1, 1 << 10)?;
        in_range("register_file", figures.register_file, 4, 1 << 10)?;
        in_range("value_passes", figures.value_passes, 0, elements)?;
        let in_bank = figures.reduction == PqReduction::InBank;
        if in_bank && (figures.values == PqValues::Accumulate || figures.mapping == PqMapping::Apart) {
            return Err(PqError::InBank);
        }
        if in_bank && figures.register_file <= head_dim.div_ceil(granule) {
            let least = head_dim.div_ceil(granule) + 1;
            return Err(PqError::Registers { registers: figures.register_file, least });
        }

        // Bank groups of one pseudo-channel, and those of them that a side has.
        let pseudo_channels = organisation.pseudo_channels.max(1);
        let round = organisation.nodes(Level::BankGroup) / pseudo_channels;
        let sides = if figures.mapping == PqMapping::Apart { 2 } else { 1 };
        let own = round / sides;
        let in_group = organisation.banks.max(1);
        let groups = subvectors.div_ceil(in_group);
        let spans = groups > 1 && pseudo_channels > 1;
        let units_per_group = (in_group / subvectors).max(1);
        let groups = if spans { groups.div_ceil(pseudo_channels) } else { groups };
        if groups > own {
            return Err(PqError::Banks { subvectors, banks: own * in_group * pseudo_channels });
        }
        let units = own / groups * units_per_group * if spans { 1 } else { pseudo_channels };
        Ok(Self {
            shape: *shape,
            figures,
            units,
            spans,
            pseudo_channels,
            round,
            groups,
            units_per_group,
            banks: if spans { subvectors.div_ceil(pseudo_channels) } else { subvectors },
            elements,
            granule,
            columns: organisation.columns.max(1),
            indices: (organisation.granule * 8 / index_bits).max(1),
            sides: if sides == 1 { 2 } else { 1 },
            shared: device.gqa == GqaPolicy::SharedPass,
            bank_rows: u64::from(organisation.rows),
        })
    }

    /// Query heads that a pass serves, and passes.
    pub(super) fn passes(&self, query_heads: u32) -> Result<(u32, u32), PqError> {
        let most = SHARED.min(self.figures.register_file);
        match self.shared {
            false => Ok((1, query_heads)),
            true if query_heads > most => {
                Err(PqError::Figure { figure: "query heads of a shared pass", value: query_heads, least: 1, most })
            }
            true => Ok((query_heads, 1)),
        }
    }

    /// Whether so many units have banks in every pseudo-channel.
    pub(super) fn spans_or_several(&self, units: u32) -> bool {
        self.spans || units > 1
    }

    /// Units of a pseudo-channel among so many of a wave.
    pub(super) fn side_by_side(&self, units: u32) -> u32 {
        if self.spans { units } else { units.div_ceil(self.pseudo_channels) }
    }

    /// Moves that take a granule of every bank of `units` units.
    pub(super) fn take_all(&self, units: u32) -> Take {
        let beside = self.side_by_side(units);
        let places = beside.div_ceil(self.units_per_group) * self.groups;
        Take { command: Command::MvSb, moves: beside * self.banks, places }
    }

    /// The same, of V's banks too where they do at once what those of K do.
    pub(super) fn take_sides(&self, units: u32) -> Take {
        let Take { command, moves, places } = self.take_all(units);
        let sides = if self.sides == 1 { 2 } else { 1 };
        Take { command, moves: moves * sides, places: places * sides }
    }

    /// Moves that take a granule of what is to be added over the sub-vectors of `units` units.
    pub(super) fn take_sums(&self, units: u32) -> Take {
        let all = self.take_all(units);
        match self.figures.reduction {
            PqReduction::BankGroup => {
                Take { command: Command::MvSum, moves: self.side_by_side(units) * self.groups, ..all }
            }
            PqReduction::Buffer | PqReduction::InBank => all,
        }
    }

    /// Elements that a number of moves carry.
    pub(super) fn carried(&self, moves: u64) -> u64 {
        moves * u64::from(self.pseudo_channels) * u64::from(self.granule)
    }

    /// Look-ups whose results fill whole granules, and how many.
    pub(super) fn group(&self) -> (u32, u32) {
        let divisor = gcd(self.figures.lookups_per_column, self.granule);
        (self.granule / divisor, self.figures.lookups_per_column / divisor)
    }

    /// Groups of results that a PE holds: what its result registers hold, or two groups where they are smaller.
    pub(super) fn credits(&self) -> u32 {
        let registers = self.figures.result_registers;
        (registers / self.group().1.max(1)).max(registers.min(2))
    }

    /// Passes over the value indices.
    pub(super) fn value_passes(&self) -> u32 {
        match self.figures.value_passes {
            0 => self.elements,
            passes => passes,
        }
    }

    /// Codebooks of so many quantised tokens, and how many each stands for.
    pub(super) fn books(&self, coded: u64) -> Vec<u64> {
        match u64::from(self.shape.book_tokens) {
            0 if coded == 0 => Vec::new(),
            0 => vec![coded],
            most => (0..coded.div_ceil(most)).map(|book| most.min(coded - book * most)).collect(),
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
    pub(super) fn book_columns(&self) -> u32 {
        (self.shape.centroids * self.elements).div_ceil(self.granule)
    }

    /// Rows of a codebook of K: centroid after centroid.
    pub(super) fn book_rows(&self) -> u32 {
        self.book_columns().div_ceil(self.columns)
    }

    /// Columns of the table of a query: an inner product for each centroid.
    pub(super) fn table_columns(&self) -> u32 {
        self.shape.centroids.div_ceil(self.granule)
    }

    /// Rows of a bank's codebook of V: a row for each channel of the sub-vector, so that a pass looks up in one row. All
    /// sub-vectors where tokens are split over banks.
    pub(super) fn value_book_rows(&self) -> u32 {
        match self.figures.reduction {
            PqReduction::InBank => self.elements + self.shape.head_dim,
            _ => self.elements,
        }
    }

    /// Rows of the indices of so many tokens that share a codebook, of K and of V.
    pub(super) fn index_rows(&self, coded: u64) -> (u64, u64) {
        if self.figures.reduction == PqReduction::InBank {
            let own = coded.div_ceil(u64::from(self.shape.subvectors));
            return (Split::keys(self).rows(own), Split::values(self).rows(own));
        }
        let rows = self.index_columns(coded).div_ceil(u64::from(self.columns));
        (rows, rows)
    }

    /// Columns of so many tokens' indices.
    pub(super) fn index_columns(&self, coded: u64) -> u64 {
        coded.div_ceil(u64::from(self.indices))
    }

    /// Columns that so many exact tokens' sub-vectors of K, or V, take.
    pub(super) fn exact_columns(&self, exact: u64) -> u64 {
        (exact * u64::from(self.elements)).div_ceil(u64::from(self.granule))
    }

    /// Where a wave of so many tokens has its regions.
    pub(super) fn map(&self, tokens: u64, base: u64) -> Result<Map, PqError> {
        let coded = self.coded(tokens)?;
        let books = self.books(coded);
        let apart = self.sides == 1;
        let mut next = base;
        let mut region = |key: u64, value: u64| {
            let at = (next, if apart { next } else { next + key });
            next += if apart { key.max(value) } else { key + value };
            at
        };
        let codebooks =
            books.iter().map(|_| region(u64::from(self.book_rows()), u64::from(self.value_book_rows()))).collect();
        let indices = books
            .iter()
            .map(|&tokens| {
                let (keys, values) = self.index_rows(tokens);
                region(keys, values)
            })
            .collect();
        // K and V of the exact tokens side by side in a row.
        let exact = tokens.min(u64::from(self.shape.sinks) + u64::from(self.shape.window));
        let exact_columns = self.exact_columns(exact) * u64::from(self.sides);
        let (exact_row, _) = region(exact_columns.div_ceil(u64::from(self.columns)), 0);
        Ok(Map { books, codebooks, indices, exact, exact_row, end: next })
    }

    /// Rows of a wave of so many tokens.
    pub(super) fn rows(&self, tokens: u64) -> Result<WaveRows, PqError> {
        let map = self.map(tokens, 0)?;
        let first_index = map.indices.first().map_or(map.exact_row, |&(row, _)| row);
        Ok(WaveRows { codebook: first_index, indices: map.exact_row - first_index, exact: map.end - map.exact_row })
    }

    /// Rows of tables of one query.
    pub(super) fn table_rows(&self) -> u32 {
        match self.figures.reduction {
            // The bank's own, and those of all sub-vectors.
            PqReduction::InBank => self.shape.subvectors + 1,
            _ => 1,
        }
    }

    /// Rows of scratch: tables of the queries of a pass; or sums of a codebook and of its weights, and the codebook of V
    /// centroid after centroid.
    pub(super) fn scratch_rows(&self) -> u64 {
        let queries = if self.shared { SHARED } else { 1 };
        u64::from(self.table_rows() * queries).max(u64::from(2 * self.book_rows() + 1))
    }

    /// The first row of scratch.
    pub(super) fn scratch(&self) -> u64 {
        self.bank_rows.saturating_sub(self.scratch_rows())
    }

    /// Refuses rows that would reach into the scratch.
    pub(super) fn check_rows(&self, rows: u64) -> Result<(), PqError> {
        let rows = rows.saturating_add(self.scratch_rows());
        if rows > self.bank_rows { Err(PqError::Rows { rows, most: self.bank_rows }) } else { Ok(()) }
    }

    /// How a prompt's K, or V, lies in a bank.
    pub(super) fn raw(&self) -> Raw {
        // Tokens that the registers hold at once, and as many as fill whole granules of indices.
        let held = (self.figures.register_file * self.granule / self.elements).max(1);
        let tokens = (held / self.indices * self.indices).max(self.indices);
        let columns = (tokens * self.elements).div_ceil(self.granule);
        Raw {
            tokens,
            piece: held.min(tokens),
            columns,
            blocks: (self.columns / columns).max(1),
            rows: columns.div_ceil(self.columns),
        }
    }

    /// Rows of so many neighbouring tokens' K, or V.
    pub(super) fn raw_part_rows(&self, tokens: u64) -> u64 {
        let raw = self.raw();
        tokens.div_ceil(u64::from(raw.tokens)).div_ceil(u64::from(raw.blocks)) * u64::from(raw.rows)
    }

    /// Parts of a prompt that lie in rows of their own: the tokens of each codebook, then the exact ones.
    pub(super) fn raw_parts(&self, tokens: u64) -> Vec<u64> {
        let exact = tokens.min(u64::from(self.shape.sinks) + u64::from(self.shape.window));
        let mut parts = self.books(tokens - exact);
        parts.push(exact);
        parts
    }

    /// Rows of a prompt's K, or V, in a wave's banks.
    pub(super) fn raw_side_rows(&self, tokens: u64) -> u64 {
        self.raw_parts(tokens).into_iter().map(|part| self.raw_part_rows(part)).sum()
    }

    /// Rows of the weights of so many tokens.
    pub(super) fn weight_rows(&self, tokens: u64) -> u64 {
        tokens.div_ceil(u64::from(self.granule)).div_ceil(u64::from(self.columns))
    }

    /// Rows of a prompt's K and V and their weights in a wave's banks.
    pub(super) fn raw_rows(&self, tokens: u64) -> u64 {
        u64::from(self.sides) * self.raw_side_rows(tokens) + self.weight_rows(tokens)
    }
}

/// Blocks of a prompt's tokens: as many as the registers hold, in whole granules of indices. A block begins in a row of its
/// own or ends in the row where it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    /// Tokens of a block.
    pub(super) tokens: u32,
    /// Tokens of it that the registers hold.
    pub(super) piece: u32,
    /// Columns of a block.
    pub(super) columns: u32,
    /// Blocks of a row, where it holds several.
    pub(super) blocks: u32,
    /// Rows of a block, where it needs several.
    pub(super) rows: u32,
}

/// Rows of a wave.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// Quantised tokens of each codebook.
    pub(super) books: Vec<u64>,
    /// First rows of each codebook of K and of V.
    pub(super) codebooks: Vec<(u64, u64)>,
    /// First rows of each codebook's indices of K and of V.
    pub(super) indices: Vec<(u64, u64)>,
    /// Exact tokens, and where they begin: K, then V behind it in the same rows.
    pub(super) exact: u64,
    pub(super) exact_row: u64,
    /// The first row behind the wave.
    pub(super) end: u64,
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}
