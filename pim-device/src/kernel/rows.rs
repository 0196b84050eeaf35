//! Builds row streams: MACs over consecutive places of a layout, rows opened as they are needed.
//!
//! ```text
//! banks        open | 32 MACs | close, open | 32 MACs | close
//! bank groups  open 0, open 1 | MACs 0 | first MACs of 1, close 0, open 2, other MACs of 1 | ...
//! buffer die   open 0 .. 31 | 992 MACs in turn | 32 MACs, closing and opening behind them | 32 MACs as rows open | ...
//! ```
//! A PE of a bank waits for its own bank, so rows come one after the other. PEs of bank groups and of the buffer die
//! work on one bank while others change rows. The order of commands in the stream is that of the cycles at which they
//! could be issued, so that none holds back the next.

use std::collections::VecDeque;
use std::ops::Range;

use crate::device::{DeviceSpec, PeLevel};
use crate::program::{Instruction, Token};
use crate::timing::Parameter;

/// Cycles of the commands that decide about the order.
#[derive(Clone, Copy, Debug)]
struct Cycles {
    gap: u64,
    rtp: u64,
    rp: u64,
    rcd: u64,
    faw: u64,
    ranks: u64,
}

/// A pass but for its first row: MACs, group, queries and post.
type Pass = (u64, u64, u32, Token);

/// Builds the row stream.
pub(crate) struct Rows {
    pub(crate) code: Vec<Instruction>,
    pe: PeLevel,
    sets: u64,
    columns: u64,
    cycles: Cycles,
    /// The next MAC's number, counted from the first of the open rows; 0 while nothing is open.
    next: u64,
    /// MACs that are yet to come, up to where rows are closed.
    left: u64,
    queries: u32,
    /// On the buffer die, while rows change: closings and openings that are yet to come with the cycles at which they could
    /// be issued, the cycle of each set's opening, and that of the next MAC.
    changes: VecDeque<(u64, Instruction)>,
    opened: Vec<u64>,
    clock: u64,
    /// Passes so far, and where their code is.
    passes: Vec<(Pass, Range<usize>)>,
}

impl Rows {
    pub(crate) fn new(device: &DeviceSpec) -> Self {
        let organisation = &device.organisation;
        let cycles = |parameter| u64::from(device.cycles(parameter));
        Self {
            code: Vec::new(),
            pe: device.pe,
            sets: device.pe.sets(organisation).len().max(1) as u64,
            columns: u64::from(organisation.columns.max(1)),
            cycles: Cycles {
                gap: cycles(device.pe.commands().gap).max(1),
                rtp: cycles(Parameter::RtpL),
                rp: cycles(Parameter::Rp),
                rcd: cycles(Parameter::RcdRd),
                faw: cycles(Parameter::Faw),
                ranks: u64::from(organisation.ranks.max(1)),
            },
            next: 0,
            left: 0,
            queries: 1,
            changes: VecDeque::new(),
            opened: Vec::new(),
            clock: 0,
            passes: Vec::new(),
        }
    }

    /// MACs after which the pattern of rows begins again.
    fn period(&self) -> u64 {
        self.columns * self.sets
    }

    /// `macs` MACs from the row `row` on, with `post` after every `group` of them and after the last, then closes.
    pub(crate) fn pass(&mut self, row: u64, macs: u64, group: u64, queries: u32, post: Token) {
        self.code.push(Instruction::Row(row as u32));
        // Passes that differ in nothing but their first row have the same code. It is never taken out again.
        let pass = (macs, group, queries, post);
        if let Some((_, code)) = self.passes.iter().find(|(known, _)| *known == pass) {
            self.code.extend_from_within(code.clone());
            return;
        }
        let begin = self.code.len();
        self.build(macs, group, queries, post);
        self.passes.push((pass, begin..self.code.len()));
    }

    fn build(&mut self, macs: u64, group: u64, queries: u32, post: Token) {
        (self.next, self.left, self.queries) = (0, macs, queries);
        let group = group.max(1);
        // Groups and rows begin together every so many MACs. The first such period has nothing before it and the last
        // nothing after it; those between are alike.
        let period = group / gcd(group, self.period()) * self.period();
        let periods = macs / period;
        // Where a group takes many rows, the loop is within the group.
        if group < 4 * self.period() && periods > 3 {
            self.groups(period, group, post);
            let begin = self.code.len();
            self.groups(period, group, post);
            let body = self.code.split_off(begin);
            repeat(&mut self.code, periods - 2, &body);
            self.skip((periods - 3) * period);
        }
        self.groups(self.left, group, post);
    }

    fn skip(&mut self, macs: u64) {
        self.next += macs;
        self.left -= macs;
    }

    fn groups(&mut self, mut macs: u64, group: u64, post: Token) {
        while macs > 0 {
            let here = macs.min(group);
            self.macs(here);
            self.code.push(Instruction::Post(post));
            macs -= here;
            if self.left == 0 {
                self.close();
            }
        }
    }

    fn mac(&mut self, set: u64, sets: u64, count: u64) {
        if count > 0 {
            let (set, sets, count, queries) = (set as u8, sets as u8, count as u32, self.queries);
            self.code.push(Instruction::Mac { set, sets, count, queries });
        }
    }

    /// The next `count` MACs. Behind the first row of a pass and before its last one, all rows are alike.
    fn macs(&mut self, mut count: u64) {
        let period = self.period();
        if count / period > 3 {
            if self.next < period {
                self.some(period);
                count -= period;
            }
            let times = count.min(self.left - period) / period;
            let begin = self.code.len();
            self.some(period);
            let body = self.code.split_off(begin);
            repeat(&mut self.code, times, &body);
            self.skip((times - 1) * period);
            count -= times * period;
        }
        self.some(count);
    }

    fn some(&mut self, mut count: u64) {
        while count > 0 {
            let done = match self.pe {
                PeLevel::Bank => self.bank(count),
                PeLevel::BankGroup => self.bank_group(count),
                PeLevel::BufferDie => self.buffer(count),
            };
            self.skip(done);
            count -= done;
        }
    }

    /// Up to `count` MACs of a row of all banks. A full row stays open until the next one is needed, so that a post can
    /// follow its last MAC.
    fn bank(&mut self, count: u64) -> u64 {
        let column = self.next % self.columns;
        if column == 0 {
            if self.next > 0 {
                self.code.push(Instruction::Close(0));
            }
            self.code.push(Instruction::Open(0));
        }
        let here = count.min(self.columns - column);
        self.mac(0, 1, here);
        here
    }

    /// Up to `count` MACs of a bank of each bank group. The bank before is closed, and the row of the next one opened,
    /// once its last MAC is nRTP ago: so many MACs into this bank.
    fn bank_group(&mut self, count: u64) -> u64 {
        let column = self.next % self.columns;
        let bank = self.next / self.columns;
        let set = bank % self.sets;
        let change = self.cycles.rtp.div_ceil(self.cycles.gap).min(self.columns - 1);
        if column == 0 && bank == 0 {
            self.code.push(Instruction::Open(0));
        }
        if column == change || (column == 0 && change == 0) {
            if bank > 0 {
                self.code.push(Instruction::Close(((bank - 1) % self.sets) as u8));
            }
            // MACs in this bank that are left, the next one included.
            if self.left > self.columns - column {
                self.code.push(Instruction::Open(((bank + 1) % self.sets) as u8));
            }
        }
        let until = if column < change { change } else { self.columns };
        let here = count.min(until - column);
        self.mac(set, 1, here);
        here
    }

    /// Up to `count` MACs of a row in one bank of each pseudo-channel after the other.
    fn buffer(&mut self, count: u64) -> u64 {
        let (row, place) = (self.next / self.period(), self.next % self.period());
        let set = place % self.sets;
        let last = self.period() - self.sets;
        if place == 0 && row == 0 {
            self.change_rows(false, self.left.min(self.sets));
        }
        if place >= last {
            // The last round of the row.
            if set == 0 && self.left > self.sets {
                self.change_rows(true, (self.left - self.sets).min(self.sets));
            }
            self.change_until(self.clock);
            self.mac(set, 1, 1);
            self.clock += self.cycles.gap;
            return 1;
        }
        if !self.changes.is_empty() {
            // The first round: as rows open.
            self.clock = self.clock.max(self.opened[set as usize] + self.cycles.rcd);
            self.change_until(self.clock);
            self.mac(set, 1, 1);
            self.clock += self.cycles.gap;
            return 1;
        }
        let here = count.min(last - place);
        let here = match set {
            0 if here >= self.sets => here / self.sets * self.sets,
            0 => here,
            _ => here.min(self.sets - set),
        };
        self.mac(set, here.min(self.sets), here);
        here
    }

    /// Plans to close all sets, each once its last MAC is nRTP ago, and to open the next row in `open` of them, four of a
    /// rank in a window. The clock begins with the first of the last MACs, or the first opening.
    fn change_rows(&mut self, close: bool, open: u64) {
        let Cycles { gap, rtp, rp, faw, ranks, .. } = self.cycles;
        let mut changes = Vec::new();
        self.opened.clear();
        for set in 0..self.sets {
            let closed = if close { gap * set + rtp } else { 0 };
            if close {
                changes.push((closed, Instruction::Close(set as u8)));
            }
            if set < open {
                let precharged = if close { closed + rp } else { 0 };
                let first = if close { rtp + rp } else { 0 };
                let opened = precharged.max(first + set / (4 * ranks) * faw);
                changes.push((opened, Instruction::Open(set as u8)));
                self.opened.push(opened);
            }
        }
        changes.sort_by_key(|&(cycle, _)| cycle);
        self.changes = changes.into();
        self.clock = 0;
    }

    /// Closings and openings up to this cycle.
    fn change_until(&mut self, cycle: u64) {
        while let Some(&(_, change)) = self.changes.front().filter(|&&(at, _)| at <= cycle) {
            self.code.push(change);
            self.changes.pop_front();
        }
    }

    /// Closes what a pass leaves open.
    fn close(&mut self) {
        if self.next == 0 {
            return;
        }
        let last = self.next - 1;
        match self.pe {
            PeLevel::Bank => self.code.push(Instruction::Close(0)),
            PeLevel::BankGroup => {
                let (bank, column) = (last / self.columns, last % self.columns);
                let change = self.cycles.rtp.div_ceil(self.cycles.gap).min(self.columns - 1);
                // The bank before is still open where the pass ends before it would be closed.
                if bank > 0 && column < change {
                    self.code.push(Instruction::Close(((bank - 1) % self.sets) as u8));
                }
                self.code.push(Instruction::Close((bank % self.sets) as u8));
            }
            PeLevel::BufferDie => {
                self.change_until(u64::MAX);
                let in_row = last % self.period() + 1;
                self.code.extend((0..in_row.min(self.sets)).map(|set| Instruction::Close(set as u8)));
            }
        }
        self.next = 0;
    }
}

/// Appends `body` `times` times, as a loop where that is shorter.
pub(crate) fn repeat(code: &mut Vec<Instruction>, times: u64, body: &[Instruction]) {
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

/// The layout of a pass has as many activations as it opens rows.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::stack::Layout;

    #[test]
    fn a_pass_opens_and_closes_what_its_layout_says() {
        for (_, device) in crate::device::DEVICES {
            let device = device();
            for tokens in [1, 15, 16, 17, 100, 513, 2_048, 5_000, 40_000] {
                let layout = Layout::new(&device, tokens, 128);
                for group in [1, 16, 128, layout.macs()] {
                    let mut rows = Rows::new(&device);
                    rows.pass(0, layout.macs(), group, 1, Token(0));
                    let posts = layout.macs().div_ceil(group);
                    let waits = [Instruction::Loop { times: posts as u32, length: 1 }, Instruction::Wait(Token(0))];
                    let program = Program::new(&device, rows.code, waits.to_vec()).unwrap();
                    let (commands, of) = (program.commands(), device.pe.commands());
                    let name = format!("{} {tokens} {group}", device.name);
                    assert_eq!(commands[of.mac], layout.macs(), "{name}");
                    assert_eq!(commands[of.activate], layout.activations(), "{name}");
                    assert_eq!(commands[of.precharge], layout.activations(), "{name}");
                    let mut engine = crate::Engine::new(&device);
                    engine.run(&program, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
                }
            }
        }
    }
}
