//! A second engine that steps cycle by cycle and looks at nothing but the present: slow, and with none of the closed
//! forms, the turns between streams or the late bookkeeping of refresh of the real one. Both issue the same commands.

use std::collections::{BTreeMap, VecDeque};

use pim_device::command::Bus;
use pim_device::constraint::{Constraint, RESULTS};
use pim_device::{
    Address, AttentionUnit, Command, DeviceSpec, Engine, ExecutionMode, GqaPolicy, Instruction, Issued,
    MultiBankActivation, Parameter, PeLevel, Program, attention,
};
use proptest::prelude::*;

use crate::common::{device, units};
use crate::random::Draw;

/// A stream with its loops written out.
pub(crate) fn unrolled(code: &[Instruction]) -> VecDeque<Instruction> {
    let mut flat = VecDeque::new();
    let mut place = 0;
    while place < code.len() {
        if let Instruction::Loop { times, length } = code[place] {
            let end = place + 1 + length as usize;
            let body = unrolled(&code[place + 1..end]);
            for _ in 0..times {
                flat.extend(&body);
            }
            place = end;
        } else {
            flat.push_back(code[place]);
            place += 1;
        }
    }
    flat
}

pub(crate) struct Oracle<'d> {
    device: &'d DeviceSpec,
    rules: Vec<Constraint>,
    pub(crate) now: u64,
    history: BTreeMap<(usize, u32), Vec<u64>>,
    pub(crate) trace: Vec<Issued>,
    pub(crate) used: [bool; 2],
    /// Open rows of the sets, and so many ordinary banks.
    open: Vec<Option<u32>>,
    ordinary: u32,
    pub(crate) due: u64,
    pub(crate) blocked_until: u64,
    /// Sets to be opened again after a forced refresh.
    reopen: VecDeque<(usize, u32)>,
    /// When the last of them is.
    opened_again: Option<u64>,
    /// MACs done of the run at hand.
    macs: u32,
    tokens: [VecDeque<u64>; 8],
    buffer_free: u64,
    register: u32,
}

impl<'d> Oracle<'d> {
    pub(crate) fn new(device: &'d DeviceSpec) -> Self {
        Self {
            device,
            rules: device.constraints(),
            now: 0,
            history: BTreeMap::new(),
            trace: Vec::new(),
            used: [false; 2],
            open: vec![None; device.pe.sets(&device.organisation).len()],
            ordinary: 0,
            due: u64::from(device.timing.get(Parameter::Refi)),
            blocked_until: 0,
            reopen: VecDeque::new(),
            opened_again: None,
            macs: 0,
            tokens: Default::default(),
            buffer_free: 0,
            register: 0,
        }
    }

    pub(crate) fn can(&self, command: Command, address: Address) -> bool {
        !self.used[usize::from(command.bus() == Bus::Column)]
            && self.rules.iter().enumerate().all(|(i, constraint)| {
                let node = self.device.organisation.node(constraint.level, address);
                let least = u64::from(constraint.latency.cycles(|parameter| self.device.cycles(parameter)));
                let before = self.history.get(&(i, node)).map_or(&[][..], Vec::as_slice);
                let counted = before.len().checked_sub(usize::from(constraint.window));
                !constraint.following.contains(&command)
                    || counted.is_none_or(|place| self.now >= before[place] + least)
            })
    }

    pub(crate) fn issue(&mut self, command: Command, address: Address) -> bool {
        if !self.can(command, address) {
            return false;
        }
        for (i, constraint) in self.rules.iter().enumerate() {
            if constraint.preceding.contains(&command) {
                let node = self.device.organisation.node(constraint.level, address);
                self.history.entry((i, node)).or_default().push(self.now);
            }
        }
        self.used[usize::from(command.bus() == Bus::Column)] = true;
        let cycle = self.now;
        self.trace.push(Issued { cycle, command, address, column: None });
        true
    }

    pub(crate) fn result(&self, command: Command) -> u64 {
        let line = RESULTS.iter().find(|(commands, _)| commands.contains(&command));
        let latency = line.map_or(1, |(_, latency)| latency.cycles(|parameter| self.device.cycles(parameter)));
        self.now + u64::from(latency)
    }

    fn overdue(&self) -> bool {
        self.now >= self.due + 8 * u64::from(self.device.timing.get(Parameter::Refi))
    }

    /// True while refresh keeps the row stream off.
    pub(crate) fn refresh(&mut self, head: Option<&Instruction>) -> bool {
        let closed = self.open.iter().all(Option::is_none) && self.ordinary == 0;
        if closed && self.due <= self.now {
            let late = self.overdue();
            if self.issue(Command::RefAb, Address::default()) {
                self.due += u64::from(self.device.timing.get(Parameter::Refi));
                if late {
                    self.blocked_until = self.now + u64::from(self.device.timing.get(Parameter::Rfc));
                }
            }
            return true;
        }
        if !self.reopen.is_empty() {
            self.open_again();
            return true;
        }
        // The row bus is the refresh's until all rows are open. A column command waits for what the table says: its own row.
        let column = matches!(head, Some(Instruction::Mac { .. } | Instruction::Column { .. }));
        if Some(self.now) <= self.opened_again && !column {
            return true;
        }
        let closing = matches!(head, Some(Instruction::Close(_) | Instruction::CloseAll));
        if self.overdue() && self.open.iter().any(Option::is_some) && !closing {
            if self.issue(Command::PreA, Address::default()) {
                let open = self.open.iter_mut().enumerate();
                self.reopen = open.filter_map(|(set, row)| row.take().map(|row| (set, row))).collect();
            }
            return true;
        }
        false
    }

    /// Once the first row can be opened again all follow, each as soon as it can be.
    fn open_again(&mut self) {
        let (now, used) = (self.now, self.used);
        let activate = self.device.pe.commands().activate;
        while let Some(&(set, row)) = self.reopen.front() {
            if self.issue(activate, Address { row, ..self.set(set) }) {
                self.open[set] = Some(row);
                self.reopen.pop_front();
                self.opened_again = Some(self.now);
            } else if self.open.iter().all(Option::is_none) {
                break;
            }
            self.now += 1;
            self.used[0] = false;
        }
        (self.now, self.used) = (now, [used[0] || self.opened_again >= Some(now), used[1]]);
    }

    fn set(&self, set: usize) -> Address {
        self.device.pe.sets(&self.device.organisation)[set]
    }

    /// Issues the first command of the row stream, or passes over what takes no time; false where it has to wait.
    fn row_step(&mut self, stream: &mut VecDeque<Instruction>, result: &mut u64, ready: &mut u64) -> bool {
        let Some(head) = stream.front() else { return false };
        let at = Address::default();
        let row = self.register;
        let commands = self.device.pe.commands();
        let command = match head {
            Instruction::Row(row) => {
                self.register = *row;
                None
            }
            Instruction::Step(rows) => {
                self.register = self.register.wrapping_add_signed(*rows);
                None
            }
            Instruction::Post(token) => {
                self.tokens[usize::from(token.0)].push_back(*result);
                None
            }
            Instruction::Free(token) => {
                self.tokens[usize::from(token.0)].push_back(*ready);
                None
            }
            Instruction::Wait(token) => {
                let line = &mut self.tokens[usize::from(token.0)];
                if line.front().is_none_or(|&cycle| cycle > self.now) {
                    return false;
                }
                *ready = (*ready).max(line.pop_front().unwrap_or_default());
                None
            }
            Instruction::OpenAt(row) => Some((commands.activate, Address { row: *row, ..at })),
            Instruction::Column { command, .. } => {
                let waiting = self.reopen.front().map(|&(_, row)| row);
                Some((*command, Address { row: self.open[0].or(waiting).unwrap_or_default(), ..at }))
            }
            Instruction::Open(set) => {
                let set = usize::from(*set);
                Some((commands.activate, Address { row, ..self.set(set) }))
            }
            Instruction::Mac { set, sets, .. } => {
                let set = usize::from(*set) + (self.macs % u32::from(*sets)) as usize;
                // While refresh is forced the row comes back before the MAC goes.
                let waiting = self.reopen.iter().find(|(other, _)| *other == set).map(|&(_, row)| row);
                let row = self.open[set].or(waiting).unwrap_or_default();
                Some((commands.mac, Address { row, ..self.set(set) }))
            }
            Instruction::Close(set) => {
                let set = usize::from(*set);
                Some((commands.precharge, self.set(set)))
            }
            Instruction::CloseAll => Some((Command::PreA, at)),
            Instruction::Mode => Some((Command::SetM, at)),
            Instruction::Ordinary(command, address) => Some((*command, *address)),
            Instruction::OrdinaryInRow(command, address) => Some((*command, Address { row, ..*address })),
            other => panic!("{other:?}"),
        };
        let Some((command, address)) = command else {
            stream.pop_front();
            return true;
        };
        let head = *head;
        if self.refresh(Some(&head)) || !self.issue(command, address) {
            return false;
        }
        *result = self.result(command);
        *ready = self.now;
        match (command, head) {
            (_, Instruction::OpenAt(row)) => self.open[0] = Some(row),
            (_, Instruction::Open(set)) => {
                let set = usize::from(set);
                self.open[set] = Some(row);
                self.register = self.register.wrapping_add(u32::from(set + 1 == self.open.len()));
            }
            (_, Instruction::Close(set)) => self.open[usize::from(set)] = None,
            (Command::PreA, _) => {
                self.open.fill(None);
                self.ordinary = 0;
            }
            (Command::Act, _) => self.ordinary += 1,
            (Command::Pre, _) => self.ordinary -= 1,
            _ => {}
        }
        if let Instruction::Mac { count, .. } | Instruction::Column { count, .. } = head {
            self.macs += 1;
            if self.macs < count {
                return true;
            }
            self.macs = 0;
        }
        stream.pop_front();
        true
    }

    fn move_step(
        &mut self,
        stream: &mut VecDeque<Instruction>,
        place: &mut u32,
        result: &mut u64,
        ready: &mut u64,
    ) -> bool {
        let Some(head) = stream.front().copied() else {
            return false;
        };
        match head {
            Instruction::Post(token) => self.tokens[usize::from(token.0)].push_back(*result),
            Instruction::Wait(token) => {
                let line = &mut self.tokens[usize::from(token.0)];
                if line.front().is_none_or(|&cycle| cycle > self.now) {
                    return false;
                }
                *ready = (*ready).max(line.pop_front().unwrap_or_default());
            }
            Instruction::Free(token) => self.tokens[usize::from(token.0)].push_back(*ready),
            Instruction::Move { count: 0, .. } => {}
            _ if self.overdue() || self.now < self.blocked_until => return false,
            Instruction::Move { command, count } => {
                let ranks = self.device.organisation.ranks;
                let spot = *place % (ranks * self.device.organisation.bank_groups);
                let address =
                    Address { rank: (spot % ranks) as u8, bank_group: (spot / ranks) as u8, ..Address::default() };
                let address =
                    if [Command::WrGb, Command::MvBc].contains(&command) { Address::default() } else { address };
                if !self.issue(command, address) {
                    return false;
                }
                *result = self.result(command);
                *ready = self.now + 1;
                *place += 1;
                if *place < count {
                    return true;
                }
            }
            Instruction::Softmax { elements } => {
                if !self.issue(Command::Sfm, Address::default()) {
                    return false;
                }
                self.buffer_free = self.buffer_free.max(self.now) + self.device.softmax_cycles(elements).0.max(1);
                *result = self.buffer_free;
                *ready = self.now + 1;
            }
            Instruction::Buffer { operations } => {
                if !self.issue(Command::Bpe, Address::default()) {
                    return false;
                }
                let start = self.buffer_free.max(self.now).max(*result);
                self.buffer_free = start + self.device.buffer_cycles(operations).0.max(1);
                *result = self.buffer_free;
                *ready = self.now + 1;
            }
            other => panic!("{other:?}"),
        }
        *place = 0;
        stream.pop_front();
        true
    }
}

/// A program that is being stepped through.
pub(crate) struct Stepping {
    rows: VecDeque<Instruction>,
    moves: VecDeque<Instruction>,
    row_result: u64,
    move_result: u64,
    row_ready: u64,
    move_ready: u64,
    place: u32,
}

impl Stepping {
    pub(crate) fn new(program: &Program, begin: u64) -> Self {
        let (rows, moves) = (unrolled(program.row_stream()), unrolled(program.move_stream()));
        Self { rows, moves, row_result: begin, move_result: begin, row_ready: begin, move_ready: begin, place: 0 }
    }

    /// When its last result is there, once both streams have ended.
    pub(crate) fn end(&self) -> Option<u64> {
        (self.rows.is_empty() && self.moves.is_empty()).then_some(self.row_result.max(self.move_result))
    }

    /// Does what can be done in the oracle's cycle.
    pub(crate) fn cycle(&mut self, oracle: &mut Oracle<'_>) {
        oracle.used = [false; 2];
        let mut refreshed = false;
        loop {
            while oracle.row_step(&mut self.rows, &mut self.row_result, &mut self.row_ready) {}
            // Refresh goes on while the row stream waits for a token, and when it has ended.
            if !refreshed {
                oracle.refresh(self.rows.front());
                refreshed = true;
            }
            // What a move stream posts without a move is there at once.
            if !oracle.move_step(&mut self.moves, &mut self.place, &mut self.move_result, &mut self.move_ready) {
                break;
            }
        }
        if self.rows.is_empty() && self.moves.is_empty() {
            // A stream may have waited to the end, and a softmax may outlast what was issued behind it.
            self.row_result = self.row_result.max(oracle.now).max(oracle.buffer_free);
        }
    }
}

fn step_through(device: &DeviceSpec, program: &Program) -> Vec<Issued> {
    let mut oracle = Oracle::new(device);
    let mut stepping = Stepping::new(program, 0);
    while stepping.end().is_none() {
        stepping.cycle(&mut oracle);
        oracle.now += 1;
        assert!(oracle.now < 10_000_000, "stuck");
    }
    let mut trace = oracle.trace;
    trace.sort_by_key(|issued| (issued.cycle, issued.command.bus() == Bus::Column));
    trace
}

#[track_caller]
pub(crate) fn check(device: &DeviceSpec, program: &Program) {
    let mut engine = Engine::new(device);
    engine.record();
    engine.run(program, 0).unwrap();
    let (mut ours, mut expected) = (engine.take_trace(), step_through(device, program));
    // On-time refreshes behind the row stream's last command belong to this program or to the next.
    for trace in [&mut ours, &mut expected] {
        // No rule knows columns: `traced.rs` looks at them.
        for issued in trace.iter_mut() {
            issued.column = None;
        }
        let last =
            trace.iter().rposition(|issued| issued.command.bus() == Bus::Row && issued.command != Command::RefAb);
        let mut place = 0;
        trace.retain(|issued| {
            place += 1;
            issued.command != Command::RefAb || last.is_some_and(|last| place <= last)
        });
    }
    let differ = ours.iter().zip(&expected).position(|(ours, expected)| ours != expected);
    if let Some(place) = differ {
        let from = place.saturating_sub(4);
        panic!("command {place}:\n{:?}\n{:?}", &ours[from..=place], &expected[from..=place]);
    }
    assert_eq!(ours.len(), expected.len());
}

#[test]
fn attention_is_the_same_cycle_by_cycle() {
    check(&device(), &attention(&device(), 128, &units(&[2_048], 2)));
    check(&device(), &attention(&device(), 64, &units(&[4_000, 100], 2)));
}

/// Long enough for refreshes that cannot be postponed: 32 rows are opened again behind each, and MACs go on in those that are
/// open.
#[test]
fn attention_on_the_buffer_die_is_the_same_cycle_by_cycle() {
    let device = DeviceSpec::by_name("hbm3-pim-buffer").unwrap();
    check(&device, &attention(&device, 128, &units(&[6_000], 1)));
}

#[test]
fn forced_refreshes_are_the_same_cycle_by_cycle() {
    check(&device(), &crate::laws::mixed(&[(9_000, 40), (8_000, 3), (20_000, 100)]));
    // The row stream ends when a refresh is overdue, and moves are left.
    check(&device(), &crate::laws::mixed(&[(462, 0), (4_490, 0), (7_072, 40)]));
    check(&device(), &crate::laws::mixed(&[(7_604, 40)]));
    check(&device(), &crate::laws::mixed(&[(7_602, 40)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_mix_of_rows_and_moves_is_the_same_cycle_by_cycle(
        lengths in prop::collection::vec((1..9_000_u32, 0..60_u32), 1..5),
    ) {
        check(&device(), &crate::laws::mixed(&lengths));
    }

    #[test]
    fn any_attention_is_the_same_cycle_by_cycle(
        list in prop::collection::vec((1..700_u64, 1..4_u32), 1..4),
        head_dim in prop_oneof![Just(64_u32), Just(128), Just(192), Just(256)],
        shared in any::<bool>(),
        staggered in any::<bool>(),
        pe in prop_oneof![Just(PeLevel::Bank), Just(PeLevel::BankGroup), Just(PeLevel::BufferDie)],
    ) {
        let mut device = device();
        if shared {
            device.gqa = GqaPolicy::SharedPass;
        }
        device.pe = pe;
        if staggered {
            device.multi_bank_activation = MultiBankActivation::Staggered;
        }
        let list: Vec<_> = list
            .into_iter()
            .map(|(tokens, query_heads)| AttentionUnit { tokens, query_heads })
            .collect();
        check(&device, &attention(&device, head_dim, &list));
    }
}

/// A random program on a random device.
#[track_caller]
pub(crate) fn check_random(seed: u64) {
    let mut draw = Draw(seed);
    let device = crate::random::device(&mut draw);
    let program = crate::random::program(&mut draw, &device, 2_000);
    check(&device, &program);
}

/// Loops over ordinary rows, on a random device.
#[track_caller]
pub(crate) fn check_ordinary(seed: u64) {
    check_ordinary_before(seed, 40_000);
}

/// The same; the other program has fewer than `most` commands.
#[track_caller]
pub(crate) fn check_ordinary_before(seed: u64, most: u64) {
    let mut draw = Draw(seed);
    let device = crate::random::device(&mut draw);
    let program = crate::random::ordinary_program(&mut draw, &device);
    check(&device, &program);
    // And both ways of execution, before and behind another program.
    let other = crate::random::nested_program(&mut draw, &device, most);
    let begin = u64::from(draw.below(9_000));
    let [fast, single] = [ExecutionMode::FastForward, ExecutionMode::CommandByCommand].map(|mode| {
        let mut engine = Engine::new(&device).with_execution(mode);
        [(&program, begin), (&other, 0), (&program, 0), (&program, 1_000_000)]
            .map(|(program, arrival)| engine.run(program, arrival))
    });
    assert_eq!(fast, single);
}

/// Four rows are opened again behind a refresh under a power budget, by which a MAC waits for the last of them.
#[test]
fn rows_that_are_opened_again_under_a_budget_hold_back_macs() {
    check_random(8_659_933_759_058_428_521);
}

/// A refresh that could be postponed no more came between two rounds of a run of moves, and the gap that it made was taken for
/// the run's own.
#[test]
fn moves_behind_a_forced_refresh_are_as_close_as_before() {
    check_ordinary_before(9_000_473, u64::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_program_is_the_same_cycle_by_cycle(seed in any::<u64>()) {
        check_random(seed);
    }

    #[test]
    fn any_loop_over_ordinary_rows_is_the_same_cycle_by_cycle(seed in any::<u64>()) {
        check_ordinary(seed);
    }
}
