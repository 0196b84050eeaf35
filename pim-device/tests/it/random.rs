//! Random devices and programs.

use pim_device::{
    Command, DeviceSpec, Instruction, MultiBankActivation, Parameter, PeLevel, PowerBudget, Program, Token,
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

fn row(draw: &mut Draw, sets: u32) -> Vec<Instruction> {
    let set = draw.below(sets) as u8;
    let mac = |draw: &mut Draw, set, sets| Instruction::Mac {
        set,
        sets,
        count: if draw.below(6) == 0 { draw.between(1, 900) } else { draw.between(1, 40) },
        queries: draw.between(1, 3),
    };
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

fn moves(draw: &mut Draw) -> Instruction {
    let command = [Command::MvSb, Command::MvGb, Command::WrGb][draw.below(3) as usize];
    let count = if draw.below(8) == 0 { draw.between(200, 3_000) } else { draw.between(0, 24) };
    Instruction::Move { command, count }
}

fn part(draw: &mut Draw, sets: u32, depth: u32) -> Part {
    let (there, back) = (Token(draw.below(3) as u8), Token(3 + draw.below(3) as u8));
    let softmax = Instruction::Softmax { elements: u64::from(draw.between(0, 4_000)) };
    match draw.below(if depth > 0 { 10 } else { 7 }) {
        0 => (row(draw, sets), vec![]),
        1 | 2 => {
            // The post is behind the last MAC, or behind the precharge.
            let mut rows = row(draw, sets);
            let place = rows.len() - draw.below(2) as usize;
            rows.insert(place, Instruction::Post(there));
            (rows, vec![Instruction::Wait(there), moves(draw)])
        }
        3 => {
            let mut rows = vec![Instruction::Wait(back)];
            rows.extend(row(draw, sets));
            (rows, vec![moves(draw), Instruction::Post(back)])
        }
        4 => (vec![], vec![if draw.below(2) == 0 { softmax } else { moves(draw) }]),
        5 => {
            // There and back while a row is open.
            let mut rows = row(draw, sets);
            let place = rows.len() - 1;
            rows.splice(place..place, [Instruction::Post(there), Instruction::Wait(back)]);
            let answer = if draw.below(3) == 0 { softmax } else { moves(draw) };
            (rows, vec![Instruction::Wait(there), answer, Instruction::Post(back)])
        }
        6 => (vec![Instruction::Row(draw.below(1_000))], vec![]),
        _ => {
            let times = draw.between(2, 60);
            let (rows, moves) = parts(draw, sets, depth - 1);
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

fn parts(draw: &mut Draw, sets: u32, depth: u32) -> Part {
    let mut all = Part::default();
    for _ in 0..draw.between(1, 4) {
        let (rows, moves) = part(draw, sets, depth);
        all.0.extend(rows);
        all.1.extend(moves);
    }
    all
}

/// A random program of fewer than `most` commands.
pub(crate) fn program(draw: &mut Draw, device: &DeviceSpec, most: u64) -> Program {
    let sets = device.pe.sets(&device.organisation).len() as u32;
    loop {
        let (rows, moves) = parts(draw, sets, 3);
        let program = Program::new(device, rows, moves).expect("random programs are sound");
        if program.commands().total() < most {
            return program;
        }
    }
}
