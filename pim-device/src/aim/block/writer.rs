//! Writes the programs of [`super`], operator by operator.

use super::{AimBlock, AimGemv, BlockShape};
use crate::aim::error::AimError;
use crate::aim::program::{Accesses, AimProgram, Channels, Instruction, Ordered, Target};
use crate::aim::spec::AimSpec;
use crate::command::Command;

/// Tokens for which K and V have room where the context is shorter, as the traces have it.
const CACHE_TOKENS: u64 = 4_096;

/// The row of the table of the activation function: beside those that hold data.
const TABLE: u64 = 1 << 29;

/// Which row of every bank holds what, or the first of its rows.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    input: u64,
    input_copy: u64,
    norm: u64,
    query_weights: u64,
    key_weights: u64,
    value_weights: u64,
    query: u64,
    key: u64,
    keys: u64,
    scores: u64,
    values: u64,
    output_weights: u64,
    sum_copy: u64,
    ffn_norm: u64,
    gate_weights: u64,
    up_weights: u64,
    gate: u64,
    down_weights: u64,
    end: u64,
}

/// Writes a program.
pub(super) struct Writer {
    shape: BlockShape,
    context: u64,
    /// Channels of a block, blocks of the device.
    channels: u64,
    blocks: u64,
    /// Banks of a channel and of its bank groups, banks of the block.
    banks: u64,
    group: u64,
    block_banks: u64,
    /// Elements of an access and of a row.
    granule: u64,
    row: u64,
    accumulators: u64,
    rows: Rows,
    program: AimProgram,
}

/// How a vector lies in the banks: `length` elements in each of `places` places.
#[derive(Clone, Copy)]
struct Spread {
    length: u64,
    places: u64,
}

impl Writer {
    /// The program of a block.
    pub(super) fn block(block: &AimBlock, device: &AimSpec) -> Result<AimProgram, AimError> {
        let mut writer = Self::new(block, device);
        writer.rows = writer.allocate();
        writer.fits(device)?;
        Ok(writer.write())
    }

    /// The program of the embedding and the LM head.
    pub(super) fn embedding(block: &AimBlock, device: &AimSpec, vocabulary: u64) -> Result<AimProgram, AimError> {
        let mut writer = Self::new(block, device);
        let hidden = block.shape.hidden;
        let (embedding, head) = (writer.matrix(vocabulary, hidden), writer.matrix(hidden, vocabulary));
        writer.rows = Rows {
            input: 0,
            input_copy: 1,
            norm: 2,
            query_weights: 3,
            output_weights: 3 + embedding,
            ..Rows::default()
        };
        writer.rows.end = 3 + embedding + head;
        writer.fits(device)?;
        Ok(writer.write_embedding(vocabulary))
    }

    /// The program of a matrix alone, on all channels.
    pub(super) fn gemv(gemv: &AimGemv, device: &AimSpec) -> Result<AimProgram, AimError> {
        let shape = BlockShape { hidden: gemv.inputs, ffn: gemv.outputs, heads: 1, kv_heads: 1, head_dim: gemv.inputs };
        let mut writer = Self::new(&AimBlock::new(shape, 1, u64::from(device.organisation.channels)), device);
        writer.rows.end = writer.matrix(gemv.inputs, gemv.outputs);
        writer.fits(device)?;
        for _ in 0..gemv.batch {
            writer.program.phase("gemv");
            writer.multiply(0, gemv.inputs, gemv.outputs, false);
        }
        Ok(writer.program)
    }

    /// Whether the rows are enough.
    fn fits(&self, device: &AimSpec) -> Result<(), AimError> {
        let (needed, rows) = (self.rows.end, u64::from(device.organisation.rows));
        if needed > rows { Err(AimError::Capacity { needed, rows }) } else { Ok(()) }
    }

    fn new(block: &AimBlock, device: &AimSpec) -> Self {
        let banks = u64::from(device.organisation.banks_per_channel());
        Self {
            shape: block.shape,
            context: block.context,
            channels: block.channels,
            blocks: u64::from(device.organisation.channels) / block.channels,
            banks,
            group: u64::from(device.organisation.banks),
            block_banks: block.channels * banks,
            granule: u64::from(device.elements_per_granule()),
            row: u64::from(device.elements_per_row()),
            accumulators: u64::from(device.accumulators.max(2)),
            rows: Rows::default(),
            program: AimProgram::new(),
        }
    }

    /// Rows of a bank that a matrix takes.
    const fn matrix(&self, input: u64, output: u64) -> u64 {
        output.div_ceil(self.block_banks) * input.div_ceil(self.row)
    }

    /// Gives everything rows of its own.
    fn allocate(&self) -> Rows {
        let BlockShape { hidden, ffn, heads, kv_heads, head_dim } = self.shape;
        let mut end = 0;
        let mut take = |rows: u64| {
            end += rows;
            end - rows
        };
        let matrix = |input, output| self.matrix(input, output);
        let tokens = self.context.max(CACHE_TOKENS);
        let small = 1;
        Rows {
            input: take(small),
            input_copy: take(small),
            norm: take(small),
            query_weights: take(matrix(hidden, heads * head_dim)),
            key_weights: take(matrix(hidden, kv_heads * head_dim)),
            value_weights: take(matrix(hidden, kv_heads * head_dim)),
            query: take(small),
            key: take(small),
            keys: take(tokens.div_ceil(self.block_banks) * self.key_rows()),
            scores: take(tokens.div_ceil(self.row) * self.scores_per_place()),
            values: take(tokens.div_ceil(self.row) * self.heads_per_channel() * (head_dim / self.banks)),
            output_weights: take(matrix(heads * head_dim, hidden)),
            sum_copy: take(small),
            ffn_norm: take(small),
            gate_weights: take(matrix(hidden, ffn)),
            up_weights: take(matrix(hidden, ffn)),
            gate: take(self.spread(ffn, self.group).length.div_ceil(self.row)),
            down_weights: take(matrix(ffn, hidden)),
            end: take(0),
        }
    }

    /// Rows of a bank that the keys of a token take.
    const fn key_rows(&self) -> u64 {
        (self.shape.kv_heads * self.shape.head_dim).div_ceil(self.row)
    }

    const fn heads_per_channel(&self) -> u64 {
        self.shape.kv_heads.div_ceil(self.channels)
    }

    /// Heads whose scores share a bank group.
    const fn scores_per_place(&self) -> u64 {
        self.shape.heads.div_ceil(self.block_banks / self.group)
    }

    /// A vector over every `stride`-th bank of the block.
    const fn spread(&self, elements: u64, stride: u64) -> Spread {
        let length = elements.div_ceil(self.block_banks / stride);
        Spread { length, places: elements.div_ceil(length) }
    }

    fn accesses(&self, elements: u64) -> u32 {
        elements.div_ceil(self.granule) as u32
    }

    /// A command to all blocks, from the first column on.
    fn order(&mut self, command: Command, columns: u32, bank: u64, row: u64) {
        self.order_from(command, (0, columns), bank, row);
    }

    /// A command to all blocks, on so many columns from this one on.
    fn order_from(&mut self, command: Command, (column, columns): (u32, u32), bank: u64, row: u64) {
        let channels = Channels { first: 0, count: (self.blocks * self.channels) as u8 };
        let ordered = Ordered { command, columns, column, channels, bank: bank as u8, row: row as u32 };
        self.program.push(Instruction::Ordered(ordered));
    }

    /// The banks that are numbered `banks` in a block, in all blocks.
    fn targets(&self, banks: impl Iterator<Item = u64>) -> Vec<Target> {
        let blocks = self.blocks;
        let target = |bank: u64, block: u64| Target {
            channel: (bank / self.banks + block * self.channels) as u8,
            bank: (bank % self.banks) as u8,
        };
        banks
            .flat_map(|bank| (0..blocks).map(move |block| (bank, block)))
            .map(|(bank, block)| target(bank, block))
            .collect()
    }

    fn access(&mut self, write: bool, row: u64, elements: u64, targets: Vec<Target>) {
        let columns = self.accesses(elements);
        self.program.push(Instruction::Access(Accesses { write, row: row as u32, columns, targets }));
    }

    /// Writes or reads a vector that lies in bank `offset` of every `stride`.
    fn vector(&mut self, write: bool, row: u64, spread: Spread, (stride, offset): (u64, u64)) {
        let targets = self.targets((0..spread.places).map(|place| place * stride + offset));
        self.access(write, row, spread.length, targets);
    }

    /// Copies the product of every bank group to where it is the second operand of the next one.
    fn copy_products(&mut self, from: u64, to: u64, columns: u32) {
        for group in 0..self.banks / self.group {
            self.order(Command::RdCp, columns, group * self.group + 2, from);
            self.order(Command::WrCp, columns, group * self.group + 1, to);
        }
    }

    /// The first `columns` columns of `row` times the global buffer or the neighbour bank, with one accumulator: set, sum, read.
    fn sum(&mut self, columns: u32, row: u64) {
        self.sum_from((0, columns), row);
    }

    /// The same from a column on.
    fn sum_from(&mut self, columns: (u32, u32), row: u64) {
        self.order(Command::WrMac, 1, 0, 0);
        self.order_from(Command::MacAb, columns, 0, row);
        self.order(Command::RdMac, 1, 0, 0);
    }

    /// The product of a matrix and a vector.
    fn multiply(&mut self, weights: u64, input: u64, output: u64, activation: bool) {
        let outputs = output.div_ceil(self.block_banks);
        let pieces = input.div_ceil(self.row);
        // Results of the activation function take accumulators too.
        let most = if activation { self.accumulators / 2 } else { self.accumulators };
        let rounds = outputs.div_ceil(most);
        let each = outputs.div_ceil(rounds);
        for piece in 0..pieces {
            let columns = self.accesses((input - piece * self.row).min(self.row));
            self.order(Command::WrGb, columns, 0, 0);
            for round in 0..rounds {
                let outputs = round * each..((round + 1) * each).min(outputs);
                for _ in outputs.clone() {
                    self.order(Command::WrMac, 1, 0, 0);
                }
                for output in outputs.clone() {
                    self.order(Command::MacAb, columns, 0, weights + output * pieces + piece);
                }
                if activation && piece + 1 == pieces {
                    for _ in outputs.clone() {
                        self.order(Command::Af, 1, 0, TABLE);
                        self.order(Command::RdAf, 1, 0, 0);
                    }
                }
                for _ in outputs {
                    self.order(Command::RdMac, 1, 0, 0);
                }
            }
        }
    }

    /// RMSNorm of what lies in `rows`: of neighbour banks, of bank groups, and of the weights.
    fn rms_norm(&mut self, (pairs, groups, weights): (u64, u64, u64), operands: [u64; 2]) {
        let pair = self.spread(self.shape.hidden, 2);
        for offset in [0, 1] {
            self.vector(true, pairs, pair, (2, offset));
        }
        self.normalise((pairs, groups, weights), &operands);
    }

    /// RMSNorm of what is in the banks already; `operands` are written to the bank groups.
    fn normalise(&mut self, (pairs, groups, weights): (u64, u64, u64), operands: &[u64]) {
        let pair = self.spread(self.shape.hidden, 2);
        self.sum(self.accesses(pair.length), pairs);
        let spread = self.spread(self.shape.hidden, self.group);
        let columns = self.accesses(spread.length);
        for &offset in operands {
            self.vector(true, groups, spread, (self.group, offset));
        }
        self.order(Command::EwMul, columns, 0, groups);
        self.copy_products(groups, weights, columns);
        self.order(Command::EwMul, columns, 0, weights);
        self.vector(false, weights, spread, (self.group, 2));
        self.program.push(Instruction::Barrier);
    }

    /// Rotary embedding of query and key.
    fn rotary(&mut self) {
        let BlockShape { hidden, heads, kv_heads, .. } = self.shape;
        let group = heads / kv_heads;
        let Spread { length, places } = self.spread(hidden, self.group);
        let (query, key) = (self.rows.query, self.rows.key);
        // Twice as long: pairs of elements, each with a sine and a cosine.
        let of = |length: u64| Spread { length: length * 2, places };
        let operands = [(query, of(length)), (key, of(length / group))];
        for (row, spread) in operands {
            self.vector(true, row, spread, (self.group, 1));
        }
        self.order(Command::EwMul, (hidden / self.granule) as u32, 0, query);
        self.order(Command::EwMul, (hidden / group / self.granule) as u32, 0, key);
        for (row, spread) in operands {
            self.vector(true, row, spread, (self.group, 2));
        }
    }

    /// Puts the new key and value into the cache.
    fn append(&mut self) {
        let newest = self.context - 1;
        let rows = self.key_rows();
        let first = self.rows.keys + newest / self.block_banks * rows;
        for row in first..first + rows {
            for target in self.targets(std::iter::once(newest % self.block_banks)) {
                self.access(true, row, self.row, vec![target]);
            }
        }
        let row = newest.div_ceil(self.row).saturating_sub(1);
        for head in 0..self.heads_per_channel() {
            for part in 0..self.shape.head_dim / self.banks {
                for channel in 0..self.channels {
                    if channel * self.heads_per_channel() + head >= self.shape.kv_heads {
                        break;
                    }
                    let row = self.value_row(head, part, row) as u32;
                    let channels = Channels { first: channel as u8, count: 1 };
                    let column = (newest % self.row / self.granule) as u32;
                    let ordered = Ordered { command: Command::WrAb, columns: 1, column, channels, bank: 0, row };
                    self.program.push(Instruction::Ordered(ordered));
                }
            }
        }
    }

    /// The row of the values of a head: 16 elements of it, 1024 tokens.
    fn value_row(&self, head: u64, part: u64, tokens: u64) -> u64 {
        let pieces = self.context.max(CACHE_TOKENS).div_ceil(self.row);
        self.rows.values + (head * (self.shape.head_dim / self.banks) + part) * pieces + tokens
    }

    /// The product of queries and keys.
    fn score(&mut self) {
        let BlockShape { heads, kv_heads, head_dim, .. } = self.shape;
        let columns = self.accesses(head_dim);
        for piece in 0..self.key_rows() {
            for token in 0..self.context.div_ceil(self.block_banks) {
                for _ in 0..heads / kv_heads {
                    self.order(Command::WrGb, self.accesses(self.row), 0, 0);
                    // The heads of a token lie side by side.
                    for head in 0..(self.row / head_dim) as u32 {
                        self.sum_from((head * columns, columns), self.rows.keys + token * self.key_rows() + piece);
                    }
                }
            }
        }
    }

    /// How many tokens each row of scores has.
    fn score_rows(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let (context, row) = (self.context, self.row);
        (0..context.div_ceil(row)).map(move |piece| (piece, (context - piece * row).min(row)))
    }

    /// Writes or reads all scores, in bank `offset` of the bank group of their head.
    fn scores(&mut self, write: bool, offset: u64) {
        let pieces = self.context.div_ceil(self.row);
        let each = self.scores_per_place();
        for (piece, tokens) in self.score_rows() {
            for head in 0..each {
                let places = (0..self.block_banks / self.group)
                    .take_while(|place| place * each + head < self.shape.heads)
                    .map(|place| place * self.group + offset);
                let targets = self.targets(places);
                self.access(write, self.rows.scores + head * pieces + piece, tokens, targets);
            }
        }
    }

    /// One scaling of all scores: operands in, product out.
    fn scale_scores(&mut self) {
        self.scores(true, 0);
        self.scores(true, 1);
        let pieces = self.context.div_ceil(self.row);
        for head in 0..self.scores_per_place() {
            for (piece, tokens) in self.score_rows() {
                self.order(Command::EwMul, self.accesses(tokens), 0, self.rows.scores + head * pieces + piece);
            }
        }
        self.scores(false, 2);
        self.program.push(Instruction::Barrier);
    }

    /// The product of probabilities and values.
    fn attend(&mut self) {
        let BlockShape { heads, kv_heads, head_dim, .. } = self.shape;
        for head in 0..self.heads_per_channel() {
            for _ in 0..heads / kv_heads {
                for (piece, tokens) in self.score_rows() {
                    let columns = self.accesses(tokens);
                    self.order(Command::WrGb, columns, 0, 0);
                    for part in 0..head_dim / self.banks {
                        self.sum(columns, self.value_row(head, part, piece));
                    }
                }
            }
        }
    }

    /// The products of the gated activation: gate x sigmoid(gate) x up.
    fn activate(&mut self) {
        let whole = self.spread(self.shape.ffn, self.group);
        let mut pieces = Vec::new();
        let mut left = self.shape.ffn;
        // What does not fit a row of every bank group is done in a second one.
        for row in self.rows.gate.. {
            let here = left.min(self.block_banks / self.group * self.row);
            if here == 0 {
                break;
            }
            let spread = if here == self.shape.ffn { whole } else { self.spread(here, self.group) };
            pieces.push((row, spread));
            left -= here;
        }
        let stage = |writer: &mut Self, offsets: &[u64]| {
            for &offset in offsets {
                for &(row, spread) in &pieces {
                    writer.vector(true, row, spread, (writer.group, offset));
                }
            }
            for &(row, spread) in &pieces {
                writer.order(Command::EwMul, writer.accesses(spread.length), 0, row);
            }
        };
        stage(self, &[0, 1]);
        for &(row, spread) in &pieces {
            self.copy_products(row, row, self.accesses(spread.length));
        }
        stage(self, &[0]);
        for &(row, spread) in &pieces {
            self.vector(false, row, spread, (self.group, 2));
        }
        self.program.push(Instruction::Barrier);
    }

    fn write_embedding(mut self, vocabulary: u64) -> AimProgram {
        let (hidden, rows) = (self.shape.hidden, self.rows);
        self.program.phase("embedding");
        self.multiply(rows.query_weights, vocabulary, hidden, false);
        self.program.phase("norm");
        self.normalise((rows.input, rows.input_copy, rows.norm), &[1]);
        self.program.phase("lm-head");
        self.multiply(rows.output_weights, hidden, vocabulary, false);
        self.program
    }

    fn write(mut self) -> AimProgram {
        let BlockShape { hidden, ffn, heads, kv_heads, head_dim } = self.shape;
        let rows = self.rows;
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        self.program.phase("attention-norm");
        self.rms_norm((rows.input, rows.input_copy, rows.norm), [0, 1]);
        self.program.phase("qkv-projection");
        self.multiply(rows.query_weights, hidden, queries, false);
        self.multiply(rows.key_weights, hidden, keys, false);
        self.multiply(rows.value_weights, hidden, keys, false);
        self.program.phase("rotary");
        self.rotary();
        self.program.phase("kv-append");
        self.append();
        self.program.phase("score");
        self.score();
        self.program.phase("softmax");
        self.scale_scores();
        self.scale_scores();
        self.program.phase("context");
        self.attend();
        self.program.phase("output-projection");
        self.multiply(rows.output_weights, queries, hidden, false);
        self.program.phase("ffn-norm");
        self.program.push(Instruction::Elsewhere);
        self.rms_norm((rows.sum_copy, rows.sum_copy, rows.ffn_norm), [1, 0]);
        self.program.phase("gate-up-projection");
        self.multiply(rows.gate_weights, hidden, ffn, true);
        self.multiply(rows.up_weights, hidden, ffn, false);
        self.program.phase("activation");
        self.activate();
        self.program.phase("down-projection");
        self.multiply(rows.down_weights, ffn, hidden, false);
        self.program.push(Instruction::Elsewhere);
        self.program
    }
}
