//! The layout in which a token's look-ups happen in one bank.
//!
//! Tokens are split over the m banks of a unit, token t in bank t mod m with the indices of all its sub-vectors. Every bank
//! needs all m tables of a query: each bank makes that of its sub-vector, they are gathered on the buffer die and given to
//! all banks, a row for each. It also holds the codebooks of V of all sub-vectors, a row for each channel.
//!
//! Sums of tokens stay in registers while the sub-vectors pass, so that a block has as many tokens as these registers hold.
//! What is left of the register file holds indices, of one sub-vector or several.

use super::build::Build;
use super::layout::Layout;
use crate::command::Command;
use crate::program::Instruction;

/// In choosing the size of a block: a change of rows takes as long as so many columns (nRTPL + nRP + nRCDRD over nCCDAB).
const ROW_CHANGE: u32 = 8;

/// How tokens of a bank are cut into blocks. Columns of a bank's row; the indices of a block begin in a row of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    /// Tokens of a block.
    pub(super) tokens: u32,
    /// Sub-vectors whose indices are read at once.
    pub(super) together: u32,
    /// Reads that find their indices in one row.
    pub(super) reads_per_row: u32,
    /// Rows of a block.
    rows: u32,
}

impl Split {
    /// For `visits` visits of a row for each sub-vector: the block that takes the fewest columns and changes of rows for a
    /// token. `registers(tokens)` are those that hold sums.
    fn best(layout: &Layout, visits: u32, registers: impl Fn(u32) -> u32) -> Self {
        let subvectors = layout.shape.subvectors;
        let lookups = layout.figures.lookups_per_column;
        let mut best: Option<(u64, Self)> = None;
        for granules in 1.. {
            let tokens = granules * layout.granule;
            let columns = tokens.div_ceil(layout.indices);
            let free = layout.figures.register_file.saturating_sub(registers(tokens)).min(layout.columns);
            let together = (free / columns).min(subvectors);
            // One granule always fits: the shape was checked.
            if together == 0 && best.is_some() {
                break;
            }
            let together = together.max(1);
            let reads = subvectors.div_ceil(together);
            let reads_per_row = (layout.columns / (together * columns)).max(1);
            let split = Self { tokens, together, reads_per_row, rows: reads.div_ceil(reads_per_row) };
            let cost = u64::from(reads * ROW_CHANGE + subvectors * columns)
                + u64::from(visits * subvectors) * u64::from(ROW_CHANGE + tokens.div_ceil(lookups));
            // Costs of blocks of different lengths compare by their tokens.
            let better = best.is_none_or(|(least, other)| cost * u64::from(other.tokens) < least * u64::from(tokens));
            if better {
                best = Some((cost, split));
            }
        }
        best.map_or(Self { tokens: 1, together: 1, reads_per_row: 1, rows: 1 }, |(_, split)| split)
    }

    /// For K: a sum for each token.
    pub(super) fn keys(layout: &Layout) -> Self {
        Self::best(layout, 1, |tokens| tokens.div_ceil(layout.granule))
    }

    /// For V: a sum for each element of the output.
    pub(super) fn values(layout: &Layout) -> Self {
        let sums = layout.shape.head_dim.div_ceil(layout.granule);
        Self::best(layout, layout.value_passes(), |_| sums)
    }

    /// Rows of the indices of so many tokens of a bank.
    pub(super) fn rows(&self, tokens: u64) -> u64 {
        tokens.div_ceil(u64::from(self.tokens)) * u64::from(self.rows)
    }

    /// Goes over the indices of `tokens` tokens of a bank: `begin` at each block, `visit` for each sub-vector, `end`.
    fn over(
        &self,
        build: &mut Build<'_>,
        row: u64,
        tokens: u64,
        mut block: impl FnMut(&mut Build<'_>, u32, &mut dyn FnMut(&mut Build<'_>, &mut dyn FnMut(&mut Build<'_>, u32))),
    ) {
        build.close();
        build.rows.push(Instruction::Row(row as u32));
        let split = *self;
        let mut one = |build: &mut Build<'_>, tokens: u32| {
            block(build, tokens, &mut |build, visit| split.reads(build, tokens, visit));
        };
        let whole = tokens / u64::from(split.tokens);
        build.repeated(whole, |build| one(build, split.tokens));
        let left = (tokens % u64::from(split.tokens)) as u32;
        if left > 0 {
            one(build, left);
            build.close();
        }
    }

    fn reads(&self, build: &mut Build<'_>, tokens: u32, visit: &mut dyn FnMut(&mut Build<'_>, u32)) {
        let subvectors = build.layout.shape.subvectors;
        let columns = tokens.div_ceil(build.layout.indices);
        for (read, first) in (0..subvectors).step_by(self.together as usize).enumerate() {
            let last = (first + self.together).min(subvectors);
            build.close();
            if !(read as u32).is_multiple_of(self.reads_per_row) {
                // The register counts up with each opening; this row is not done yet.
                build.rows.push(Instruction::Step(-1));
            }
            build.rows.push(Instruction::Open(0));
            build.column(Command::RdReg, columns * (last - first), 0);
            build.rows.push(Instruction::Close(0));
            for subvector in first..last {
                visit(build, subvector);
            }
        }
    }
}

/// Gives a row of a value for each centroid, another in each bank, to all banks of its unit: that of bank j to row
/// `to` + j `stride`.
pub(super) fn share(build: &mut Build<'_>, units: u32, from: u64, to: u64, stride: u32) {
    let layout = build.layout;
    let all = layout.take_all(units);
    let columns = layout.table_columns();
    build.goto(from);
    for _ in 0..columns {
        build.room();
        build.column(Command::RdReg, 1, 0);
        build.made(all, 1);
    }
    build.close();
    build.wait_for_buffer();
    build.rows.push(Instruction::Row(to as u32));
    build.repeated(u64::from(layout.shape.subvectors), |build| {
        build.rows.push(Instruction::Open(0));
        let mut left = columns;
        while left > 0 {
            let here = layout.figures.register_file.min(left);
            build.factors(units, here);
            build.column(Command::WrReg, here, 0);
            build.used();
            left -= here;
        }
        build.rows.push(Instruction::Close(0));
        if stride > 1 {
            build.rows.push(Instruction::Step(stride.cast_signed() - 1));
        }
    });
}

/// The scores of the quantised tokens of a codebook: tables to all banks, then look-ups.
pub(super) fn score(build: &mut Build<'_>, units: u32, indices: u64, tokens: u64, queries: u32) {
    let layout = build.layout;
    let tables = |query: u32| layout.scratch() + u64::from(query * layout.table_rows());
    let all = layout.take_all(units);
    for query in 0..queries {
        share(build, units, tables(query), tables(query) + 1, 1);
    }
    let own = tokens.div_ceil(u64::from(layout.shape.subvectors));
    let lookups = layout.figures.lookups_per_column;
    Split::keys(layout).over(build, indices, own, |build, tokens, reads| {
        reads(build, &mut |build, subvector| {
            for query in 0..queries {
                build.goto(tables(query) + 1 + u64::from(subvector));
                build.column(Command::Ret, tokens.div_ceil(lookups), 0);
            }
        });
        for _ in 0..tokens.div_ceil(layout.granule) {
            build.room();
            build.made(all, queries);
        }
    });
}

/// The share of the quantised tokens of a codebook in the output.
pub(super) fn values(build: &mut Build<'_>, units: u32, (codebook, indices): (u64, u64), tokens: u64, queries: u32) {
    let layout = build.layout;
    let own = tokens.div_ceil(u64::from(layout.shape.subvectors));
    let lookups = layout.figures.lookups_per_column;
    // Behind the rows of the bank's own sub-vector.
    let books = codebook + u64::from(layout.elements);
    Split::values(layout).over(build, indices, own, |build, tokens, reads| {
        // Every bank has tokens of its own.
        build.factors_of_banks(units, tokens.div_ceil(layout.granule) * queries);
        reads(build, &mut |build, subvector| {
            for pass in 0..layout.value_passes() {
                build.goto(books + u64::from(subvector * layout.elements + pass));
                build.column(Command::Ret, tokens.div_ceil(lookups), queries);
            }
        });
        build.used();
    });
}
