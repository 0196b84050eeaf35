//! Attention of one new token over the KV cache of each unit, on one channel.
//!
//! ```text
//! rows   append | PREA SETM | score h0 | score h1 | context h0 | score h2 | context h1 | context h2 | SETM
//! moves                     q0 q1      | S0 .. SFM0  S1 ..  P0 | O0       | ..                       O2
//! ```
//! A *head* is one pass over a unit: one query head, or all of a group under [`GqaPolicy::SharedPass`]. The softmax of
//! a head runs while the MACs of the next head's scores do, if there is a next head.
//!
//! Per head, with N tokens per partition and C chunks (see [`Layout`]), as in the bank mode of AttAcc:
//! 4 C WRGB load the query; C N MACAB make the scores, and every 16 tokens of the partitions 8 MVSB take them to the
//! buffer die; softmax; 8 ceil(tokens / 256) MVGB bring the probabilities back; C N MACAB over V, and 8 MVSB after
//! each chunk. A move carries a granule in each pseudo-channel: 8 of them are 16 x 16 scores of 2 bytes.
//! A shared pass of g queries moves g times as much. The maximum and the sum that merging a partial softmax needs are
//! 8 bytes per head, and left out.
//!
//! Assumptions: queries and probabilities are double-buffered beside the banks, so that those of the next head can
//! arrive while a head is multiplied.

use crate::command::{Address, Command};
use crate::device::{DeviceSpec, GqaPolicy};
use crate::organisation::Level;
use crate::program::{Instruction, Program, Token};
use crate::stack::Layout;

/// One (sequence, KV head) of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionUnit {
    /// Tokens that are attended to, the new one included.
    pub tokens: u64,
    /// Query heads that share this KV head.
    pub query_heads: u32,
}

/// The channel is in PIM mode.
const MODE: Token = Token(0);
/// The query of a head is in the GEMV buffers.
const QUERY: Token = Token(1);
/// 16 more scores per partition are made.
const SCORES: Token = Token(2);
/// Softmax of a head is done.
const SOFTMAX: Token = Token(3);
/// The probabilities of a head are in the GEMV buffers.
const PROBABILITIES: Token = Token(4);
/// One more chunk of a head's output is made.
const CONTEXT: Token = Token(5);
/// All output has left the banks.
const OUTPUT: Token = Token(6);

/// One pass over a unit.
#[derive(Clone, Copy)]
struct Head {
    layout: Layout,
    tokens: u64,
    queries: u32,
    /// First row of K; V follows.
    row: u64,
}

impl Head {
    /// Moves in one round over the ranks and bank groups of a pseudo-channel, and scores that they carry.
    fn groups(&self, granule: u32) -> u64 {
        self.layout.tokens.div_ceil(u64::from(granule))
    }
}

/// The program of decode attention for all units of one channel, the append of the new token included.
///
/// Units without tokens or queries need nothing; a list without any gives the empty program. The appended token is
/// the last of the unit: its K is C columns in each of the 4 banks of its partition (ACT, C WR, PRE per bank, one row
/// more where the columns straddle), its V one column in each of C rows of the same banks.
pub fn attention(device: &DeviceSpec, head_dim: u32, units: &[AttentionUnit]) -> Program {
    let mut heads = Vec::new();
    let mut rows = Rows::new(device.organisation.columns);
    let mut next_row = 0;
    for unit in units {
        let layout = Layout::new(device, unit.tokens, head_dim);
        if layout.macs() == 0 || unit.query_heads == 0 {
            continue;
        }
        append(device, &layout, unit.tokens, next_row, &mut rows.code);
        let (passes, queries) = match device.gqa {
            GqaPolicy::Serial => (unit.query_heads, 1),
            GqaPolicy::SharedPass => (1, unit.query_heads),
        };
        let tokens = unit.tokens;
        let row = next_row;
        heads.extend((0..passes).map(|_| Head { layout, tokens, queries, row }));
        next_row += 2 * layout.rows();
    }
    if heads.is_empty() {
        return Program::default();
    }
    rows.code.extend([Instruction::Close, Instruction::Mode, Instruction::Post(MODE)]);
    let mut moves = Moves::new(device);
    moves.code.push(Instruction::Wait(MODE));
    moves.query(&heads[0]);
    for (i, head) in heads.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| &heads[i]);
        rows.score(head, moves.granule);
        if let Some(before) = before {
            rows.context(before);
        }
        if let Some(next) = heads.get(i + 1) {
            moves.query(next);
        }
        moves.score(head, before);
        if let Some(before) = before {
            let last = i + 1 == heads.len();
            moves.context(before, last.then_some(head));
        }
    }
    if let Some(last) = heads.last() {
        rows.context(last);
        if heads.len() == 1 {
            moves.probabilities(last);
        }
        moves.context(last, None);
    }
    moves.code.push(Instruction::Post(OUTPUT));
    rows.code.extend([Instruction::Wait(OUTPUT), Instruction::Mode]);
    Program::assembled(device, rows.code, moves.code)
}

/// Writes K and V of the last token in ordinary mode.
fn append(device: &DeviceSpec, layout: &Layout, tokens: u64, first_row: u64, code: &mut Vec<Instruction>) {
    let organisation = &device.organisation;
    let token = tokens.saturating_sub(1);
    let partition = (token % u64::from(layout.partitions)) as u32;
    let place = token / u64::from(layout.partitions);
    let chunks = u64::from(layout.chunks);
    let columns = u64::from(layout.columns);
    // (row, columns written in it): neighbouring columns of one row share an activation.
    let mut segments: Vec<(u64, u32)> = Vec::new();
    let key = (0..chunks).map(|chunk| (first_row, place * chunks + chunk));
    let value = (0..chunks).map(|chunk| (first_row + layout.rows(), chunk * layout.tokens + place));
    for (base, column) in key.chain(value) {
        let row = base + column / columns;
        match segments.last_mut() {
            Some((last, count)) if *last == row => *count += 1,
            _ => segments.push((row, 1)),
        }
    }
    for (row, count) in segments {
        let bank = |bank| Address::of_partition(organisation, partition, bank, row as u32);
        let banks = organisation.banks;
        code.extend((0..banks).map(|b| Instruction::Ordinary(Command::Act, bank(b))));
        for _ in 0..count {
            code.extend((0..banks).map(|b| Instruction::Ordinary(Command::Wr, bank(b))));
        }
        code.extend((0..banks).map(|b| Instruction::Ordinary(Command::Pre, bank(b))));
    }
}

/// Builds the row stream.
struct Rows {
    code: Vec<Instruction>,
    columns: u64,
    /// MACs already in the open row; `None` while it is closed.
    column: Option<u64>,
}

impl Rows {
    fn new(columns: u32) -> Self {
        Self { code: Vec::new(), columns: u64::from(columns.max(1)), column: None }
    }

    /// `count` MACs, opening rows as they are needed. A full row stays open until the next one is needed, so that a
    /// post can follow its last MAC.
    fn macs(&mut self, mut count: u64, queries: u32) {
        let mac = |count: u64| Instruction::Mac { count: count as u32, queries };
        while count > 0 {
            let column = match self.column {
                Some(column) if column < self.columns => column,
                Some(_) if count / self.columns > 1 => {
                    let times = count / self.columns;
                    let row = [Instruction::Close, Instruction::Open, mac(self.columns)];
                    repeat(&mut self.code, times, &row);
                    count -= times * self.columns;
                    continue;
                }
                open => {
                    if open.is_some() {
                        self.code.push(Instruction::Close);
                    }
                    self.code.push(Instruction::Open);
                    0
                }
            };
            let here = count.min(self.columns - column);
            self.code.push(mac(here));
            self.column = Some(column + here);
            count -= here;
        }
    }

    fn close(&mut self) {
        if self.column.take().is_some() {
            self.code.push(Instruction::Close);
        }
    }

    /// The scores of a head: a post after every `granule` tokens of the partitions.
    fn score(&mut self, head: &Head, granule: u32) {
        self.code.extend([Instruction::Wait(QUERY), Instruction::Row(head.row as u32)]);
        let macs = head.layout.macs();
        let group = u64::from(granule) * u64::from(head.layout.chunks);
        // Groups and rows begin together every so many MACs.
        let period = group / gcd(group, self.columns) * self.columns;
        let mut part = Self::new(head.layout.columns);
        part.groups(period, group, head.queries);
        repeat(&mut self.code, macs / period, &part.code);
        let mut rest = Self::new(head.layout.columns);
        rest.groups(macs % period, group, head.queries);
        self.code.append(&mut rest.code);
    }

    fn groups(&mut self, mut macs: u64, group: u64, queries: u32) {
        while macs > 0 {
            let here = macs.min(group);
            self.macs(here, queries);
            self.code.push(Instruction::Post(SCORES));
            macs -= here;
        }
        self.close();
    }

    /// The output of a head: a post after every chunk.
    fn context(&mut self, head: &Head) {
        self.code.extend([Instruction::Wait(PROBABILITIES), Instruction::Row((head.row + head.layout.rows()) as u32)]);
        for _ in 0..head.layout.chunks {
            self.macs(head.layout.tokens, head.queries);
            self.code.push(Instruction::Post(CONTEXT));
        }
        self.close();
    }
}

/// Builds the move stream.
struct Moves {
    code: Vec<Instruction>,
    /// Elements of a granule: tokens per partition whose scores are moved at once.
    granule: u32,
    /// Moves of one round: a granule of every bank group, those of all pseudo-channels at once.
    round: u32,
    /// Banks that share the head dimension.
    banks: u32,
    partitions: u64,
}

impl Moves {
    fn new(device: &DeviceSpec) -> Self {
        let organisation = &device.organisation;
        let partitions = organisation.nodes(Level::BankGroup);
        Self {
            code: Vec::new(),
            granule: device.elements_per_granule(),
            round: partitions / organisation.pseudo_channels.max(1),
            banks: organisation.banks,
            partitions: u64::from(partitions),
        }
    }

    fn query(&mut self, head: &Head) {
        let count = self.banks * head.layout.chunks * head.queries;
        let command = Command::WrGb;
        self.code.extend([Instruction::Move { command, count }, Instruction::Post(QUERY)]);
    }

    /// The probabilities' moves of a head.
    fn probability_moves(&self, head: &Head) -> u64 {
        let rounds = head.tokens.div_ceil(self.partitions * u64::from(self.granule));
        rounds * u64::from(self.round) * u64::from(head.queries)
    }

    /// Takes the scores of `head` to its softmax; in the second half of that, brings back the probabilities of the head
    /// before: its softmax is done by then in all but extreme cases, and its MACs come next.
    fn score(&mut self, head: &Head, before: Option<&Head>) {
        let groups = head.groups(self.granule);
        let count = self.round * head.queries;
        let take = [Instruction::Wait(SCORES), Instruction::Move { command: Command::MvSb, count }];
        match before {
            None => repeat(&mut self.code, groups, &take),
            Some(before) => {
                let (first, second) = (groups / 2, groups - groups / 2);
                repeat(&mut self.code, first, &take);
                self.code.push(Instruction::Wait(SOFTMAX));
                let all = self.probability_moves(before);
                // Every move is made: the first `all % second` groups take one more.
                let bring = |count: u64| Instruction::Move { command: Command::MvGb, count: count as u32 };
                let (more, less) = (all % second, second - all % second);
                repeat(&mut self.code, more, &[bring(all / second + 1), take[0], take[1]]);
                // The last slice ends with the post, before the last scores are taken.
                let slice = [bring(all / second), take[0], take[1]];
                repeat(&mut self.code, less - 1, &slice);
                self.code.extend([slice[0], Instruction::Post(PROBABILITIES), take[0], take[1]]);
            }
        }
        let elements = head.tokens * u64::from(head.queries);
        self.code.extend([Instruction::Softmax { elements }, Instruction::Post(SOFTMAX)]);
    }

    fn probabilities(&mut self, head: &Head) {
        let bring = Instruction::Move { command: Command::MvGb, count: self.probability_moves(head) as u32 };
        self.code.extend([Instruction::Wait(SOFTMAX), bring, Instruction::Post(PROBABILITIES)]);
    }

    /// Takes the output of `head`; half-way brings the probabilities of `last`, which no score phase follows.
    fn context(&mut self, head: &Head, last: Option<&Head>) {
        for chunk in 0..head.layout.chunks {
            if let Some(last) = last.filter(|_| chunk == head.layout.chunks / 2) {
                self.probabilities(last);
            }
            let count = self.round * head.queries;
            let command = Command::MvSb;
            self.code.extend([Instruction::Wait(CONTEXT), Instruction::Move { command, count }]);
        }
    }
}

/// Appends `body` `times` times, as a loop where that is shorter.
fn repeat(code: &mut Vec<Instruction>, times: u64, body: &[Instruction]) {
    let mut left = times;
    while left > 0 {
        // A loop counts in 32 bits; longer ones follow each other.
        let now = left.min(u64::from(u32::MAX));
        if now > 1 {
            code.push(Instruction::Loop { times: now as u32, length: body.len() as u32 });
        }
        code.extend_from_slice(body);
        left -= now;
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}
