//! Attention of one new token over the KV cache of each unit, on one channel.
//!
//! ```text
//! rows   append | PREA SETM | score h0 | score h1 | context h0 | score h2 | context h1 | context h2 | SETM
//! moves                     q0 q1      | S0 .. SFM0  S1 ..  P0 | O0       | ..                       O2
//! ```
//! A *head* is one pass over a unit: one query head, or all of a group under [`GqaPolicy::SharedPass`]. The softmax of
//! a head runs while the MACs of the next head's scores do, if there is a next head.
//!
//! Per head, with N tokens per partition and C chunks (see [`Layout`]), as in AttAcc; here for PEs of banks, in brackets of
//! bank groups and on the buffer die:
//! 4 C (C, C) WRGB load the query; C N MACs make the scores, and every 16 tokens of the partitions 8 (8, 1) MVSB take
//! them to the buffer die; softmax; 8 (8, 1) x ceil(tokens / 256 (256, 32)) MVGB bring the probabilities back; C N MACs over
//! V, and 8 (2, 1) MVSB after each chunk. A move carries a granule in each pseudo-channel: 8 of them are 16 x 16 scores
//! of 2 bytes.
//! A shared pass of g queries moves g times as much. A unit may be split over channels by tokens, see [`split`].
//!
//! Assumptions: queries and probabilities are double-buffered beside the banks, so that those of the next head can
//! arrive while a head is multiplied.

use super::rows::{Rows, repeat};
use crate::command::{Address, Command};
use crate::device::{DeviceSpec, GqaPolicy, PeLevel};
use crate::organisation::Organisation;
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
    let whole = units.iter().map(|&unit| AttentionPart { unit, appends: true });
    attention_of_parts(device, head_dim, &whole.collect::<Vec<_>>())
}

/// What one channel holds of a unit that is split over channels by tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionPart {
    /// The channel's tokens; every query head of the group attends to them.
    pub unit: AttentionUnit,
    /// Whether the new token is among them, as the last one.
    pub appends: bool,
}

impl AttentionPart {
    /// Bytes of the maximum and the sum of a part's softmax, for each query head, 4 each. They are in the buffer die's
    /// softmax unit and leave with the part's output, without a command of their own.
    pub const PARTIAL_BYTES: u64 = 8;

    /// Bytes that a part gives for its query heads: output and what merging needs.
    ///
    /// The merge is the reader's: it fetches so much of every part, instead of one output, and adds the parts up with their
    /// weights (about 4 operations for each element of each part).
    pub fn output_bytes(&self, device: &DeviceSpec, head_dim: u32) -> u64 {
        let output = u64::from(head_dim) * u64::from(device.element);
        u64::from(self.unit.query_heads) * (output + Self::PARTIAL_BYTES)
    }
}

/// Splits a unit over `channels` channels by tokens, the parts as equal as whole rounds of the partitions let them be. The
/// last part has the new token. Fewer parts than channels where there are not enough tokens.
///
/// ```
/// use pim_device::{AttentionUnit, DeviceSpec, kernel::attention::split};
/// let unit = AttentionUnit { tokens: 1_000, query_heads: 1 };
/// let parts = split(&DeviceSpec::hbm3_pim_bank(), unit, 4);
/// // 63 rounds of 16 partitions: 16, 16, 16 and 15, of which the last is not full.
/// let tokens: Vec<u64> = parts.iter().map(|part| part.unit.tokens).collect();
/// assert_eq!(tokens, [256, 256, 256, 232]);
/// ```
pub fn split(device: &DeviceSpec, unit: AttentionUnit, channels: u32) -> Vec<AttentionPart> {
    let partitions = u64::from(device.pe.partitions(&device.organisation).max(1));
    let rounds = unit.tokens.div_ceil(partitions);
    let channels = u64::from(channels.max(1)).min(rounds);
    let mut left = unit.tokens;
    let mut parts: Vec<AttentionPart> = (0..channels)
        .map(|channel| {
            let own = rounds / channels + u64::from(channel < rounds % channels);
            let tokens = left.min(own * partitions);
            left -= tokens;
            AttentionPart { unit: AttentionUnit { tokens, ..unit }, appends: false }
        })
        .collect();
    if let Some(last) = parts.last_mut() {
        last.appends = true;
    }
    parts
}

/// [`attention`] over parts of units. What a part gives is [`AttentionPart::output_bytes`].
pub fn attention_of_parts(device: &DeviceSpec, head_dim: u32, parts: &[AttentionPart]) -> Program {
    let mut heads = Vec::new();
    let mut rows = Rows::new(device);
    let mut next_row = 0;
    for AttentionPart { unit, appends } in parts {
        let layout = Layout::new(device, unit.tokens, head_dim);
        if layout.macs() == 0 || unit.query_heads == 0 {
            continue;
        }
        if *appends {
            append(device, &layout, unit.tokens, next_row, &mut rows.code);
        }
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
    rows.code.extend([Instruction::CloseAll, Instruction::Mode, Instruction::Post(MODE)]);
    let mut moves = Moves::new(device);
    moves.code.push(Instruction::Wait(MODE));
    moves.query(&heads[0]);
    for (i, head) in heads.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| &heads[i]);
        score(&mut rows, head, moves.granule);
        if let Some(before) = before {
            context(&mut rows, before);
        }
        if i == 1 {
            // Heads have about as much code each, however long they are.
            rows.code.reserve(rows.code.len() * (heads.len() - 1));
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
        context(&mut rows, last);
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
    // (row, set, columns written in it): neighbouring columns of one row share an activation.
    let mut segments: Vec<(u64, u32, u32)> = Vec::new();
    let key = (0..chunks).map(|chunk| (first_row, place * chunks + chunk));
    let value = (0..chunks).map(|chunk| (first_row + layout.rows(), chunk * layout.tokens + place));
    for (base, mac) in key.chain(value) {
        let spot = layout.spot(mac);
        let row = base + spot.row;
        match segments.last_mut() {
            Some((last, set, count)) if (*last, *set) == (row, spot.set) => *count += 1,
            _ => segments.push((row, spot.set, 1)),
        }
    }
    let sets = device.pe.sets(organisation);
    let banks = |row: u64, set: u32| -> Vec<Address> {
        let row = row as u32;
        match device.pe {
            PeLevel::Bank => {
                (0..organisation.banks).map(|b| Address::of_partition(organisation, partition, b, row)).collect()
            }
            PeLevel::BankGroup => vec![Address::of_partition(organisation, partition, set, row)],
            PeLevel::BufferDie => {
                let at = sets.get(set as usize).copied().unwrap_or_default();
                vec![Address { pseudo_channel: partition as u8, row, ..at }]
            }
        }
    };
    // Segments in different banks are written side by side.
    let mut segments = segments.as_slice();
    while !segments.is_empty() {
        let apart = |n: &usize| (0..*n).all(|i| segments[..i].iter().all(|other| other.1 != segments[i].1));
        let together = (1..=segments.len()).take_while(apart).last().unwrap_or(1);
        let (now, later) = segments.split_at(together);
        let all: Vec<Address> = now.iter().flat_map(|&(row, set, _)| banks(row, set)).collect();
        code.extend(all.iter().map(|&address| Instruction::Ordinary(Command::Act, address)));
        let most = now.iter().map(|&(_, _, count)| count).max().unwrap_or(0);
        for column in 0..most {
            let written = now.iter().filter(|&&(_, _, count)| column < count);
            let written = written.flat_map(|&(row, set, _)| banks(row, set));
            code.extend(written.map(|address| Instruction::Ordinary(Command::Wr, address)));
        }
        code.extend(all.iter().map(|&address| Instruction::Ordinary(Command::Pre, address)));
        segments = later;
    }
}

/// The scores of a head: a post after every `granule` tokens of the partitions.
fn score(rows: &mut Rows, head: &Head, granule: u32) {
    rows.code.push(Instruction::Wait(QUERY));
    let group = u64::from(granule) * u64::from(head.layout.chunks);
    rows.pass(head.row, head.layout.macs(), group, head.queries, SCORES);
}

/// The output of a head: a post after every chunk.
fn context(rows: &mut Rows, head: &Head) {
    rows.code.push(Instruction::Wait(PROBABILITIES));
    rows.pass(head.row + head.layout.rows(), head.layout.macs(), head.layout.tokens, head.queries, CONTEXT);
}

/// Builds the move stream.
struct Moves {
    code: Vec<Instruction>,
    /// Elements of a granule: tokens per partition whose scores are moved at once.
    granule: u32,
    /// Moves of one round: a granule of every partition, those of all pseudo-channels at once.
    round: u32,
    /// Moves that take a chunk of the output out.
    output: u32,
    /// Banks that share the head dimension.
    banks: u32,
    partitions: u64,
}

impl Moves {
    fn new(device: &DeviceSpec) -> Self {
        let organisation = &device.organisation;
        let partitions = device.pe.partitions(organisation);
        let round = partitions / organisation.pseudo_channels.max(1);
        Self {
            code: Vec::new(),
            granule: device.elements_per_granule(),
            round,
            output: output_moves(device.pe, organisation).min(round),
            banks: device.pe.banks_per_token(organisation),
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
        let count = self.output * head.queries;
        let take = [Instruction::Wait(CONTEXT), Instruction::Move { command: Command::MvSb, count }];
        let chunks = u64::from(head.layout.chunks);
        let first = if last.is_some() { chunks / 2 } else { chunks };
        repeat(&mut self.code, first, &take);
        if let Some(last) = last {
            self.probabilities(last);
        }
        repeat(&mut self.code, chunks - first, &take);
    }
}

/// Moves that take a chunk of the output out: as many as the trace generators of AttAcc have in each mode.
const fn output_moves(pe: PeLevel, organisation: &Organisation) -> u32 {
    match pe {
        PeLevel::Bank => organisation.ranks * organisation.bank_groups,
        PeLevel::BankGroup => organisation.ranks,
        PeLevel::BufferDie => 1,
    }
}
