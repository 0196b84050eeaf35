//! The request traces of AttAcc's attention kernel, as its trace generators write them: one head on each channel, two
//! iterations over the heads side by side, and some oddities. Slices of requests lose their remainder, and the context
//! phase of the second head replays the first.

use pim_device::Command;
use pim_device::controller::fifo_pim::{Fan, Request, Splits};

use super::address::{self, BANK, CHANNEL, COLUMN, GROUP, RANK, ROW};

/// Heads side by side: one on each channel.
const CHANNELS: u64 = 16;
/// V begins in row 8192.
const VALUES: u64 = 8_192 * ROW;
/// The longest sequence for which the generators lay out K and V, whatever the sequence is.
const LONGEST: u64 = 4_096;
/// Keys between two fences.
const KEYS_PER_STEP: u64 = 16;

/// Where the multipliers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Beside each bank.
    Bank,
    /// Beside each bank group.
    BankGroup,
    /// On the buffer die.
    Buffer,
}

impl Mode {
    pub(super) const NAMES: [(&str, Self); 3] =
        [("bank", Self::Bank), ("bg", Self::BankGroup), ("buffer", Self::Buffer)];

    pub(super) const fn mac(self) -> Command {
        match self {
            Self::Bank => Command::MacAb,
            Self::BankGroup => Command::MacSb,
            Self::Buffer => Command::MacPb,
        }
    }
}

/// Configuration: one attention kernel of one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) mode: Mode,
    /// Keys and values of a head.
    pub(super) tokens: u64,
    /// Elements of a key.
    pub(super) head_dimension: u64,
    /// Heads times requests.
    pub(super) heads: u64,
    /// Bytes of an element.
    pub(super) element: u64,
}

impl Shape {
    /// MACs of channel 0: scores and context of a head in each iteration.
    pub(super) fn macs(&self) -> u64 {
        let first = Heads::new(self, 0);
        let iterations = self.heads.div_ceil(CHANNELS);
        2 * first.lane_keys.saturating_mul(first.chunks).saturating_mul(iterations)
    }
}

/// Offsets of a list of requests: a number with one digit for each place of the layout, the least first. The last one has
/// no end.
#[derive(Clone, Copy, Debug)]
struct Grid([(u64, u64); 4]);

/// The last digit.
const NO_END: u64 = u64::MAX;

impl Grid {
    /// From (how many, bytes) of each digit, the least first.
    fn new<const N: usize>(digits: [(u64, u64); N]) -> Self {
        let mut all = [(NO_END, 0); 4];
        all[..N].copy_from_slice(&digits);
        Self(all)
    }

    /// The offset of a request and its digits.
    fn at(&self, mut index: u64) -> Counter {
        let mut counter = Counter { offset: 0, digits: [0; 4] };
        for (digit, (count, bytes)) in counter.digits.iter_mut().zip(self.0) {
            *digit = index % count;
            counter.offset += *digit * bytes;
            index /= count;
        }
        counter
    }

    /// No offset of the first `count` requests is larger.
    fn largest(&self, count: u64) -> u64 {
        let mut rest = count.saturating_sub(1);
        let mut sum: u64 = 0;
        for (count, bytes) in self.0 {
            sum = sum.saturating_add(rest.min(count - 1).saturating_mul(bytes));
            rest /= count;
        }
        sum
    }
}

/// A request of a [`Grid`].
#[derive(Clone, Copy, Debug)]
struct Counter {
    offset: u64,
    digits: [u64; 4],
}

impl Counter {
    /// Goes on to the next request.
    #[inline]
    fn step(&mut self, grid: &Grid) {
        let (count, bytes) = grid.0[0];
        self.digits[0] += 1;
        self.offset += bytes;
        if self.digits[0] == count {
            self.carry(grid);
        }
    }

    /// The least digit has come to its end.
    fn carry(&mut self, grid: &Grid) {
        for digit in 0..self.digits.len() - 1 {
            let (count, bytes) = grid.0[digit];
            if self.digits[digit] < count {
                return;
            }
            self.offset -= count * bytes;
            self.digits[digit] = 0;
            self.digits[digit + 1] += 1;
            self.offset += grid.0[digit + 1].1;
        }
    }
}

/// Part of a list of requests, each fanned over the first channels.
#[derive(Clone, Copy, Debug)]
struct Piece {
    command: Option<Command>,
    base: u64,
    grid: Grid,
    channels: u64,
    /// Lines of the trace: a request has one for each channel.
    from: u64,
    to: u64,
}

impl Piece {
    /// `count` requests to the first `channels` channels.
    const fn new(command: Option<Command>, base: u64, grid: Grid, channels: u64, count: u64) -> Self {
        Self { command, base, grid, channels, from: 0, to: count * channels }
    }

    /// Requests `first..last` only.
    const fn requests(self, first: u64, last: u64) -> Self {
        Self { from: first * self.channels, to: last * self.channels, ..self }
    }

    /// Slice `index` of `slices` equal ones, rounded down: the rest is lost.
    fn slice(self, index: u64, slices: u64) -> Self {
        let lines = (self.to - self.from) / slices;
        let from = self.from + index * lines;
        Self { from, to: from + lines, ..self }
    }
}

/// The lists of one iteration: a head on each of the first channels.
#[derive(Clone, Copy, Debug)]
struct Heads {
    mode: Mode,
    channels: u64,
    /// Base addresses.
    keys: u64,
    values: u64,
    /// Keys of a lane, pieces of a key in a lane, granules of probabilities, steps of the score phase.
    lane_keys: u64,
    chunks: u64,
    words: u64,
    steps: u64,
}

impl Heads {
    fn new(shape: &Shape, iteration: u64) -> Self {
        let per_granule = COLUMN / shape.element;
        let (lanes, banks_of_a_key) = match shape.mode {
            Mode::Bank => (16, 4),
            Mode::BankGroup => (16, 1),
            Mode::Buffer => (2, 1),
        };
        let pitch = (LONGEST * shape.head_dimension).div_ceil(64);
        let lane_keys = shape.tokens.div_ceil(lanes);
        Self {
            mode: shape.mode,
            channels: CHANNELS.min(shape.heads - iteration * CHANNELS),
            keys: iteration * pitch,
            values: iteration * pitch + VALUES,
            lane_keys,
            chunks: shape.head_dimension.div_ceil(banks_of_a_key * per_granule),
            words: shape.tokens.div_ceil(lanes * per_granule),
            steps: lane_keys.div_ceil(KEYS_PER_STEP),
        }
    }

    /// A piece whose outermost digit is `outer`.
    fn list<const N: usize>(&self, command: Command, base: u64, digits: [(u64, u64); N]) -> Piece {
        let count = digits.iter().map(|(count, _)| count).product();
        Piece::new(Some(command), base, Grid::new(digits), self.channels, count)
    }

    /// The queries into the GEMV buffers.
    fn queries(&self) -> Piece {
        match self.mode {
            Mode::Bank => self.list(Command::WrGb, self.keys, [(self.chunks, 1), (4, BANK)]),
            Mode::BankGroup | Mode::Buffer => self.list(Command::WrGb, self.keys, [(self.chunks, 1)]),
        }
    }

    /// All MACs over keys or values.
    fn macs(&self, base: u64) -> Piece {
        let grid = match self.mode {
            Mode::Bank => Grid::new([(NO_END, COLUMN)]),
            Mode::BankGroup => Grid::new([(32, COLUMN), (4, BANK), (NO_END, ROW)]),
            Mode::Buffer => Grid::new([(8, GROUP), (4, BANK), (32, COLUMN), (NO_END, ROW)]),
        };
        Piece::new(Some(self.mode.mac()), base, grid, self.channels, self.lane_keys * self.chunks)
    }

    /// The MACs of a step of the score phase.
    fn score(&self, step: u64) -> Piece {
        let first = KEYS_PER_STEP * step;
        let last = (first + KEYS_PER_STEP).min(self.lane_keys);
        self.macs(self.keys).requests(first * self.chunks, last * self.chunks)
    }

    /// The MACs of a step of the context phase.
    fn context(&self, step: u64) -> Piece {
        self.macs(self.values).requests(step * self.lane_keys, (step + 1) * self.lane_keys)
    }

    /// Scores to the softmax buffer.
    fn score_results(&self) -> Piece {
        match self.mode {
            Mode::Bank | Mode::BankGroup => self.list(Command::MvSb, self.keys, [(2, RANK), (4, GROUP)]),
            Mode::Buffer => self.list(Command::MvSb, self.keys, [(1, 0)]),
        }
    }

    fn softmax(&self) -> Piece {
        self.list(Command::Sfm, 0, [(1, 0)])
    }

    /// Probabilities to the GEMV buffers.
    fn probabilities(&self) -> Piece {
        match self.mode {
            Mode::Bank | Mode::BankGroup => {
                self.list(Command::MvGb, self.values, [(self.words, 1), (4, GROUP), (2, RANK)])
            }
            Mode::Buffer => self.list(Command::MvGb, self.values, [(self.words, 1)]),
        }
    }

    /// A part of the context to the buffer die.
    fn context_results(&self) -> Piece {
        match self.mode {
            Mode::Bank => self.list(Command::MvSb, self.values, [(2, RANK), (4, BANK)]),
            Mode::BankGroup => self.list(Command::MvSb, self.values, [(2, RANK)]),
            Mode::Buffer => self.list(Command::MvSb, self.values, [(1, 0)]),
        }
    }
}

/// A whole trace.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pieces: Vec<Piece>,
}

impl Trace {
    /// The trace of a kernel; `None` where its addresses leave the channel.
    pub(super) fn new(shape: &Shape) -> Option<Self> {
        let mut trace = Self { pieces: Vec::new() };
        let iterations: Vec<Heads> =
            (0..shape.heads.div_ceil(CHANNELS)).map(|iteration| Heads::new(shape, iteration)).collect();
        let mut pairs = iterations.chunks_exact(2);
        for (number, pair) in pairs.by_ref().enumerate() {
            trace.pair(&pair[0], &pair[1], number == 0);
        }
        for last in pairs.remainder() {
            trace.alone(last);
        }
        let within = |piece: &Piece| {
            let requests = piece.to.div_ceil(piece.channels);
            piece.base.saturating_add(piece.grid.largest(requests)) < CHANNEL
        };
        trace.pieces.iter().all(within).then_some(trace)
    }

    /// Every channel waits for what came before it, those without a head too.
    fn fence(&mut self) {
        self.pieces.push(Piece::new(None, 0, Grid::new([(1, 0)]), CHANNELS, 1));
    }

    /// Steps of MACs, each with the results of the step before and whatever `beside` adds; one more for the last results.
    fn steps(
        &mut self,
        steps: u64,
        macs: impl Fn(u64) -> Piece,
        results: Piece,
        mut beside: impl FnMut(u64, &mut Vec<Piece>),
    ) {
        for step in 0..=steps {
            if step < steps {
                self.pieces.push(macs(step));
            }
            if step > 0 {
                self.pieces.push(results);
            }
            beside(step, &mut self.pieces);
            if step < steps {
                self.fence();
            }
        }
    }

    /// Two iterations: while one head's MACs run, moves of the other do.
    fn pair(&mut self, a: &Heads, b: &Heads, first: bool) {
        self.pieces.push(a.queries());
        if first {
            // Opens the row.
            self.pieces.push(a.macs(a.keys).requests(0, 1));
        }
        self.fence();
        self.steps(
            a.steps,
            |step| a.score(step),
            a.score_results(),
            |step, pieces| {
                if step < a.steps {
                    pieces.push(b.queries().slice(step, a.steps));
                }
            },
        );
        let in_second_half = |list: Piece, step: u64, steps: u64| {
            (steps / 2..steps).contains(&step).then(|| list.slice(step - steps / 2, steps.div_ceil(2)))
        };
        self.steps(
            a.steps,
            |step| b.score(step),
            b.score_results(),
            |step, pieces| {
                pieces.extend((step == 0).then(|| a.softmax()));
                pieces.extend(in_second_half(a.probabilities(), step, a.steps));
            },
        );
        self.steps(
            a.chunks,
            |step| a.context(step),
            a.context_results(),
            |step, pieces| {
                pieces.extend((step == 0).then(|| b.softmax()));
                pieces.extend(in_second_half(b.probabilities(), step, a.chunks));
            },
        );
        // The second head's context is meant; the first one's is what the generators write.
        self.steps(a.chunks, |step| a.context(step), a.context_results(), |_, _| {});
    }

    /// An iteration without a partner.
    fn alone(&mut self, a: &Heads) {
        self.pieces.push(a.queries());
        self.fence();
        self.steps(a.steps, |step| a.score(step), a.score_results(), |_, _| {});
        self.pieces.push(a.softmax());
        self.pieces.push(a.probabilities());
        self.fence();
        self.steps(a.chunks, |step| a.context(step), a.context_results(), |_, _| {});
    }

    /// Requests of a kind over all channels.
    pub(super) fn count(&self, command: Command) -> u64 {
        let pieces = self.pieces.iter().filter(|piece| piece.command == Some(command));
        pieces.map(|piece| piece.to - piece.from).sum()
    }

    /// The channels at which a fan begins or ends.
    pub(super) fn splits(&self) -> Splits {
        let mut splits = Splits::default();
        for piece in self.pieces.iter().filter(|piece| piece.from < piece.to) {
            // All requests of a piece but the first and the last go to all channels.
            let (first, last) = (piece.from % piece.channels, (piece.to - 1) % piece.channels + 1);
            splits.insert(first as u8);
            splits.insert(last as u8);
            if piece.from / piece.channels != (piece.to - 1) / piece.channels {
                splits.insert(0);
                splits.insert(piece.channels as u8);
            }
        }
        splits
    }

    /// The requests, in order.
    pub(super) fn fans(&self) -> Fans<'_> {
        const NOTHING: Piece = Piece::new(None, 0, Grid([(NO_END, 0); 4]), CHANNELS, 0);
        let counter = Counter { offset: 0, digits: [0; 4] };
        Fans { rest: self.pieces.iter(), piece: &NOTHING, lines: 0, channel: 0, counter }
    }
}

/// The requests of a trace.
#[derive(Clone, Debug)]
pub(super) struct Fans<'a> {
    rest: std::slice::Iter<'a, Piece>,
    piece: &'a Piece,
    /// Lines of the piece that are left, the channel of the first of them, and its request.
    lines: u64,
    channel: u64,
    counter: Counter,
}

impl Fans<'_> {
    /// Begins the next piece that is not empty. Whether there is one.
    fn begin(&mut self) -> bool {
        for piece in self.rest.by_ref() {
            if piece.from < piece.to {
                self.piece = piece;
                self.lines = piece.to - piece.from;
                self.channel = piece.from % piece.channels;
                self.counter = piece.grid.at(piece.from / piece.channels);
                return true;
            }
        }
        false
    }
}

impl Iterator for Fans<'_> {
    type Item = Fan;

    #[inline]
    fn next(&mut self) -> Option<Fan> {
        if self.lines == 0 && !self.begin() {
            return None;
        }
        // A slice may begin and end between two channels of a request.
        let lines = (self.piece.channels - self.channel).min(self.lines);
        let (address, column) = address::decode(self.piece.base + self.counter.offset);
        let fan = Fan {
            request: Request { command: self.piece.command, address, column },
            channels: self.channel as u8..=(self.channel + lines - 1) as u8,
        };
        self.lines -= lines;
        self.channel = 0;
        self.counter.step(&self.piece.grid);
        Some(fan)
    }
}

#[cfg(test)]
mod tests;
