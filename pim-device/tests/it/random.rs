//! Random devices and programs.

use pim_device::{
    Address, Command, DeviceSpec, Instruction, MultiBankActivation, Parameter, PeLevel, PowerBudget, Program, Token,
};

/// Draws of one case (splitmix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % u64::from(n.max(1))) as u32
    }

    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }
}

/// HBM3-PIM of any kind with some of its timing changed.
pub(crate) fn device(draw: &mut Draw) -> DeviceSpec {
    let mut device = DeviceSpec::hbm3_pim_bank();
    device.pe = [PeLevel::Bank, PeLevel::BankGroup, PeLevel::BufferDie][draw.below(3) as usize];
    if device.pe == PeLevel::Bank && draw.below(3) > 0 {
        device.pq = DeviceSpec::by_name("hbm3-aqpim").and_then(|device| device.pq);
    }
    if draw.below(3) == 0 {
        device.multi_bank_activation = MultiBankActivation::Staggered;
    }
    device.softmax_passes = draw.below(4);
    let mut change = |parameter, low, high| {
        if draw.below(2) == 0 {
            device.timing = device.timing.clone().with(parameter, draw.between(low, high));
        }
    };
    change(Parameter::CcdAb, 1, 12);
    change(Parameter::CcdSb, 1, 12);
    change(Parameter::CcdS, 1, 4);
    change(Parameter::CcdL, 1, 9);
    change(Parameter::Bl, 1, 4);
    change(Parameter::RcdRd, 1, 40);
    change(Parameter::RcdWr, 1, 40);
    change(Parameter::Rtw, 1, 30);
    change(Parameter::WtrL, 1, 20);
    change(Parameter::Wr, 1, 30);
    change(Parameter::Rp, 1, 40);
    change(Parameter::Ras, 1, 90);
    change(Parameter::Rc, 1, 120);
    change(Parameter::RtpL, 1, 20);
    change(Parameter::Faw, 4, 120);
    change(Parameter::Rfc, 1, 600);
    change(Parameter::Cl, 1, 60);
    let interval = draw.between(1, 8) * draw.between(200, 1_500);
    let refresh = device.timing.get(Parameter::Rfc).min(interval / 3);
    device.timing = device.timing.clone().with(Parameter::Refi, interval).with(Parameter::Rfc, refresh);
    if draw.below(4) == 0 {
        let stack = PowerBudget::least(&device) + u64::from(draw.below(80_000)) * 1_000;
        device.power = Some(PowerBudget { stack, queries: draw.between(1, 3) });
    }
    device
}

/// Both streams of a part of a program. Parts follow each other in both streams alike, so none waits for a later one.
type Part = (Vec<Instruction>, Vec<Instruction>);

fn count(draw: &mut Draw) -> u32 {
    if draw.below(6) == 0 { draw.between(1, 900) } else { draw.between(1, 40) }
}

/// A column command of a PE that works on a product-quantised cache.
fn column(draw: &mut Draw, count: u32) -> Instruction {
    match draw.below(4) {
        0 => Instruction::Mac { set: 0, sets: 1, count, queries: draw.between(1, 3) },
        1 => Instruction::Column { command: Command::RdReg, count, queries: 0 },
        2 => Instruction::Column { command: Command::WrReg, count, queries: 0 },
        _ => Instruction::Column { command: Command::Ret, count, queries: draw.below(3) },
    }
}

/// Opens a row of all banks, by the register or by its number.
fn opening(draw: &mut Draw, code: &mut Vec<Instruction>) {
    if draw.below(2) == 0 {
        code.push(Instruction::OpenAt(draw.below(1_000)));
    } else {
        if draw.below(3) == 0 {
            code.push(Instruction::Step(draw.below(5).cast_signed() - 2));
        }
        code.push(Instruction::Open(0));
    }
}

/// Column commands whose results go to the move stream through a few registers, given back when they were moved.
fn registers(draw: &mut Draw, there: Token, back: Token) -> Part {
    let (times, free) = (draw.between(1, 40), draw.between(1, 3));
    let mut rows = Vec::new();
    opening(draw, &mut rows);
    let group = draw.between(1, 3);
    rows.extend([Instruction::Loop { times, length: 3 }, Instruction::Wait(back), column(draw, group)]);
    rows.extend([Instruction::Post(there), Instruction::Close(0)]);
    rows.extend(vec![Instruction::Wait(back); free as usize]);
    let mut moves = vec![Instruction::Post(back); free as usize];
    moves.extend([
        Instruction::Loop { times, length: 4 },
        Instruction::Wait(there),
        Instruction::Move { command: Command::MvSum, count: draw.between(1, 33) },
        Instruction::Free(back),
        Instruction::Buffer { operations: u64::from(draw.below(2_000)) },
    ]);
    (rows, moves)
}

fn row(draw: &mut Draw, sets: u32, pq: bool) -> Vec<Instruction> {
    if pq && draw.below(3) > 0 {
        let mut code = Vec::new();
        opening(draw, &mut code);
        for _ in 0..draw.between(1, 4) {
            let count = count(draw);
            code.push(column(draw, count));
        }
        code.push(Instruction::Close(0));
        return code;
    }
    let set = draw.below(sets) as u8;
    let mac =
        |draw: &mut Draw, set, sets| Instruction::Mac { set, sets, count: count(draw), queries: draw.between(1, 3) };
    match draw.below(4) {
        // Two sets, the second opened while the first is multiplied.
        0 if sets > 1 => {
            let other = (set + 1) % sets as u8;
            let (first, second) = (mac(draw, set, 1), mac(draw, other, 1));
            vec![
                Instruction::Open(set),
                Instruction::Open(other),
                first,
                Instruction::Close(set),
                second,
                Instruction::Close(other),
            ]
        }
        // Some sets in turn.
        1 if sets > 1 => {
            let some = if draw.below(2) == 0 { sets } else { draw.between(1, sets) } as u8;
            let run = mac(draw, 0, some);
            let mut code: Vec<Instruction> = (0..some).map(Instruction::Open).collect();
            code.push(run);
            code.extend((0..some).map(Instruction::Close));
            code
        }
        2 if draw.below(3) == 0 => vec![Instruction::Open(set), Instruction::Close(set)],
        _ => vec![Instruction::Open(set), mac(draw, set, 1), Instruction::Close(set)],
    }
}

fn moves(draw: &mut Draw, pq: bool) -> Instruction {
    let all = [Command::MvSb, Command::MvGb, Command::WrGb, Command::MvSum, Command::MvBc];
    let command = all[draw.below(if pq { 5 } else { 3 }) as usize];
    let count = if draw.below(8) == 0 { draw.between(200, 3_000) } else { draw.between(0, 24) };
    Instruction::Move { command, count }
}

/// Tells the other stream of the last command's result, or of its issue.
fn post(draw: &mut Draw, token: Token) -> Instruction {
    if draw.below(3) == 0 { Instruction::Free(token) } else { Instruction::Post(token) }
}

fn part(draw: &mut Draw, sets: u32, pq: bool, depth: u32) -> Part {
    let (there, back) = (Token(draw.below(3) as u8), Token(3 + draw.below(3) as u8));
    if pq && draw.below(4) == 0 {
        return registers(draw, there, back);
    }
    let softmax = match draw.below(if pq { 2 } else { 1 }) {
        0 => Instruction::Softmax { elements: u64::from(draw.between(0, 4_000)) },
        _ => Instruction::Buffer { operations: u64::from(draw.between(0, 9_000)) },
    };
    match draw.below(if depth > 0 { 10 } else { 7 }) {
        0 => (row(draw, sets, pq), vec![]),
        1 | 2 => {
            // The post is behind the last MAC, or behind the precharge.
            let mut rows = row(draw, sets, pq);
            let place = rows.len() - draw.below(2) as usize;
            rows.insert(place, post(draw, there));
            (rows, vec![Instruction::Wait(there), moves(draw, pq)])
        }
        3 => {
            let mut rows = vec![Instruction::Wait(back)];
            rows.extend(row(draw, sets, pq));
            (rows, vec![moves(draw, pq), post(draw, back)])
        }
        4 => (vec![], vec![if draw.below(2) == 0 { softmax } else { moves(draw, pq) }]),
        5 => {
            // There and back while a row is open.
            let mut rows = row(draw, sets, pq);
            let place = rows.len() - 1;
            rows.splice(place..place, [post(draw, there), Instruction::Wait(back)]);
            let answer = if draw.below(3) == 0 { softmax } else { moves(draw, pq) };
            (rows, vec![Instruction::Wait(there), answer, post(draw, back)])
        }
        6 => (vec![Instruction::Row(draw.below(1_000))], vec![]),
        _ => {
            let times = draw.between(2, 60);
            let (rows, moves) = parts(draw, sets, pq, depth - 1);
            let wrap = |code: Vec<Instruction>, times: u32| {
                let length = code.len() as u32;
                let mut all = vec![Instruction::Loop { times, length }];
                all.extend(code);
                all
            };
            // The move stream's loop may be in two.
            let first = draw.below(times);
            let mut two = wrap(moves.clone(), first);
            two.extend(wrap(moves, times - first));
            (wrap(rows, times), two)
        }
    }
}

fn parts(draw: &mut Draw, sets: u32, pq: bool, depth: u32) -> Part {
    let mut all = Part::default();
    for _ in 0..draw.between(1, 4) {
        let (rows, moves) = part(draw, sets, pq, depth);
        all.0.extend(rows);
        all.1.extend(moves);
    }
    all
}

/// A random program of fewer than `most` commands.
pub(crate) fn program(draw: &mut Draw, device: &DeviceSpec, most: u64) -> Program {
    let sets = device.pe.sets(&device.organisation).len() as u32;
    loop {
        let (rows, moves) = parts(draw, sets, device.pq.is_some(), 3);
        let program = Program::new(device, rows, moves).expect("random programs are sound");
        if program.commands().total() < most {
            return program;
        }
    }
}

/// A row opened in some banks, written and read there, and closed; by its number or by the row register.
fn ordinary_row(draw: &mut Draw, device: &DeviceSpec) -> Vec<Instruction> {
    let organisation = &device.organisation;
    let in_register = draw.below(3) > 0;
    let row = draw.below(1_000);
    let ordinary = |command, bank: u32| {
        let address = Address::of_partition(organisation, bank / organisation.banks, bank % organisation.banks, row);
        if in_register { Instruction::OrdinaryInRow(command, address) } else { Instruction::Ordinary(command, address) }
    };
    let mut banks: Vec<u32> = (0..draw.between(1, 6)).map(|_| draw.below(organisation.banks_per_channel())).collect();
    banks.sort_unstable();
    banks.dedup();
    let mut code: Vec<Instruction> = banks.iter().map(|&bank| ordinary(Command::Act, bank)).collect();
    for _ in 0..draw.below(20) {
        let bank = banks[draw.below(banks.len() as u32) as usize];
        code.push(ordinary(if draw.below(2) == 0 { Command::Wr } else { Command::Rd }, bank));
    }
    if draw.below(2) == 0 {
        code.push(Instruction::CloseAll);
    } else {
        code.extend(banks.iter().map(|&bank| ordinary(Command::Pre, bank)));
    }
    if draw.below(2) == 0 {
        code.push(Instruction::Step(draw.below(5).cast_signed() - 2));
    }
    code
}

/// A random row stream with loops over ordinary rows and over rows of MACs.
pub(crate) fn ordinary_program(draw: &mut Draw, device: &DeviceSpec) -> Program {
    let sets = device.pe.sets(&device.organisation).len() as u32;
    let mut code = Vec::new();
    for _ in 0..draw.between(1, 4) {
        let mut body = ordinary_row(draw, device);
        for _ in 0..draw.below(3) {
            let more = if draw.below(2) == 0 { ordinary_row(draw, device) } else { row(draw, sets, false) };
            body.extend(more);
        }
        code.push(Instruction::Loop { times: draw.between(1, 60), length: body.len() as u32 });
        code.extend(body);
    }
    Program::new(device, code, Vec::new()).expect("random programs are sound")
}

/// A random program of fewer than `most` commands, of loops in a loop that goes round often enough for refreshes to come at any of
/// its places.
pub(crate) fn nested_program(draw: &mut Draw, device: &DeviceSpec, most: u64) -> Program {
    let sets = device.pe.sets(&device.organisation).len() as u32;
    loop {
        let mut body = Part::default();
        for _ in 0..draw.between(1, 3) {
            let (rows, moves) = match draw.below(3) {
                0 => part(draw, sets, device.pq.is_some(), 0),
                _ => (row(draw, sets, device.pq.is_some()), Vec::new()),
            };
            let times = if draw.below(4) == 0 { 1 } else { draw.between(2, 30) };
            for (code, part) in [(&mut body.0, rows), (&mut body.1, moves)] {
                if !part.is_empty() {
                    code.push(Instruction::Loop { times, length: part.len() as u32 });
                    code.extend(part);
                }
            }
        }
        let times = draw.between(20, 400);
        let wrap = |code: Vec<Instruction>| {
            let mut all = vec![Instruction::Loop { times, length: code.len() as u32 }];
            all.extend(code);
            all
        };
        let program = Program::new(device, wrap(body.0), wrap(body.1)).expect("random programs are sound");
        if program.commands().total() < most {
            return program;
        }
    }
}
