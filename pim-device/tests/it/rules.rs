//! What the rule set `jedec` does where the AttAcc simulator does otherwise, point by point.

use std::collections::BTreeSet;

use pim_device::timing::hbm3;
use pim_device::{Command, DeviceSpec, Issued, MultiBankActivation, Parameter, PowerLimit, attention, kv_rows};

use crate::common::{run, trace, units};

const BANK: &str = "hbm3-pim-bank";
const BANK_GROUP: &str = "hbm3-pim-bg";
const BUFFER: &str = "hbm3-pim-buffer";

fn named(name: &str) -> DeviceSpec {
    DeviceSpec::by_name(name).unwrap()
}

fn attended(device: &DeviceSpec, tokens: &[u64]) -> Vec<Issued> {
    trace(device, &attention(device, 128, &units(tokens, 1)), 0).1
}

/// The least cycles from a command to the next of another kind, over a trace.
fn least(trace: &[Issued], from: Command, to: Command) -> Option<u64> {
    let mut before = None;
    let mut shortest: Option<u64> = None;
    for issued in trace {
        if issued.command == to
            && let Some(before) = before
        {
            let gap = issued.cycle - before;
            shortest = Some(shortest.map_or(gap, |known| known.min(gap)));
        }
        if issued.command == from {
            before = Some(issued.cycle);
        }
    }
    shortest
}

/// AttAcc checks a constraint only down to the scope of the command that waits, so that precharge and refresh of a channel
/// wait for nothing that a rank or a bank has to wait for: there PREA comes 4 cycles after MACSB, REFab 1 after PREA.
#[test]
fn precharge_and_refresh_wait_for_all_levels() {
    for (name, mac) in [(BANK, Command::MacAb), (BANK_GROUP, Command::MacSb), (BUFFER, Command::MacPb)] {
        let trace = attended(&named(name), &[16_384]);
        assert_eq!(least(&trace, mac, Command::PreA), Some(8), "{name}"); // nRTPL
        assert_eq!(least(&trace, Command::PreA, Command::RefAb), Some(19), "{name}"); // nRP
    }
    // REFab to activation: nRFC.
    assert_eq!(least(&attended(&named(BANK), &[16_384]), Command::RefAb, Command::ActAb), Some(456));
    assert_eq!(least(&attended(&named(BANK_GROUP), &[16_384]), Command::RefAb, Command::ActSb), Some(456));
    assert_eq!(least(&attended(&named(BUFFER), &[16_384]), Command::RefAb, Command::ActPb), Some(456));
}

/// In AttAcc a refresh waits until the MACs leave a gap. Rows of bank groups and of the buffer die overlap and leave none.
#[test]
fn a_refresh_is_late_by_eight_intervals_at_most() {
    for name in [BANK_GROUP, BUFFER] {
        let trace = attended(&named(name), &[20_000]);
        let first = trace.iter().position(|issued| issued.command == Command::RefAb).unwrap();
        // Due at 5070, postponed eight times: nine are made up for, one right after the other.
        assert!((9 * 5_070 + 19..9 * 5_070 + 60).contains(&trace[first].cycle), "{name}");
        let refreshes = trace[first..].iter().filter(|issued| issued.command == Command::RefAb);
        let cycles: Vec<u64> = refreshes.map(|issued| issued.cycle).collect();
        assert!(cycles.len() > 9, "{name}: {cycles:?}");
        assert!(cycles.windows(2).take(8).all(|pair| pair[1] - pair[0] == 456), "{name}: {cycles:?}");
    }
    // Rows of banks do not overlap: a refresh waits for the end of a row.
    let trace = attended(&named(BANK), &[8_192]);
    let refresh = trace.iter().find(|issued| issued.command == Command::RefAb).unwrap();
    assert!((5_070..5_070 + 232).contains(&refresh.cycle));
}

/// In AttAcc softmax takes no time and may come before its scores have moved; probabilities come 2 cycles after them.
#[test]
fn softmax_waits_for_its_scores_and_takes_its_time() {
    for name in [BANK, BANK_GROUP, BUFFER] {
        let device = named(name);
        let trace = attended(&device, &[128]);
        let at = |command| trace.iter().position(|issued| issued.command == command).unwrap();
        let (softmax, first) = (at(Command::Sfm), at(Command::MvGb));
        let mut scores = trace[..softmax].iter().filter(|issued| issued.command == Command::MvSb);
        assert_eq!(scores.clone().count(), if name == BUFFER { 4 } else { 8 }, "{name}");
        // nCL + nBL
        assert_eq!(trace[softmax].cycle - scores.next_back().unwrap().cycle, 21, "{name}");
        assert_eq!(trace[first].cycle - trace[softmax].cycle, device.softmax_cycles(128).0, "{name}");
    }
}

/// In AttAcc ordinary accesses and MACs do not see each other. Here the append of the new token is over, its rows closed and
/// the mode switched before the first row is opened for MACs.
#[test]
fn pim_commands_wait_for_ordinary_accesses_and_the_mode_switch() {
    for name in [BANK, BANK_GROUP, BUFFER] {
        let device = named(name);
        let commands = device.pe.commands();
        let trace = attended(&device, &[1_000]);
        let write = trace.iter().rfind(|issued| issued.command == Command::Wr).unwrap();
        let modes: Vec<u64> =
            trace.iter().filter(|issued| issued.command == Command::SetM).map(|issued| issued.cycle).collect();
        let pim = |issued: &&Issued| [commands.activate, commands.mac].contains(&issued.command);
        let (first, last) = (trace.iter().find(pim).unwrap(), trace.iter().rfind(pim).unwrap());
        // nCWL + nBL + nWR to the precharge, nRP to the switch, nMOD to what follows.
        assert!(modes[0] >= write.cycle + 6 + 2 + 21 + 19, "{name}");
        assert!(first.cycle >= modes[0] + 20, "{name}");
        assert!(modes[1] > last.cycle, "{name}");
    }
}

/// AttAcc's traces lose commands beyond 32768 tokens, and the second head of a pair replays the first.
#[test]
fn every_head_has_all_its_commands_and_its_own_rows() {
    for name in [BANK, BANK_GROUP, BUFFER] {
        let device = named(name);
        let one = attention(&device, 128, &units(&[70_000], 1)).commands();
        let two = attention(&device, 128, &units(&[70_000, 70_000], 1)).commands();
        for command in [Command::WrGb, Command::MvSb, Command::MvGb, Command::Sfm, device.pe.commands().mac] {
            assert_eq!(two[command], 2 * one[command], "{name} {command}");
        }
        let partitions = u64::from(device.pe.partitions(&device.organisation));
        let moves = partitions / 2;
        assert_eq!(one[Command::MvGb], 70_000_u64.div_ceil(partitions * 16) * moves, "{name}");

        let rows = |tokens: &[u64]| -> BTreeSet<u32> {
            let trace = attended(&device, tokens);
            let opened = trace.iter().filter(|issued| issued.command == device.pe.commands().activate);
            opened.map(|issued| issued.address.row).collect()
        };
        let all = 2 * kv_rows(&device, 5_000, 128);
        assert_eq!(rows(&[5_000, 5_000]), (0..all as u32).collect(), "{name}");
    }
}

/// With the limit the MACs of banks and bank groups are 6 cycles apart, without it 4; those of the buffer die 2 in any case.
#[test]
fn the_power_limit_is_the_gap_between_macs() {
    for (name, limited, unlimited) in [(BANK, 6, 4), (BANK_GROUP, 6, 4), (BUFFER, 2, 2)] {
        for (power, gap) in [(PowerLimit::On, limited), (PowerLimit::Off, unlimited)] {
            let device = named(name).with_timing(hbm3::gbps_5_2(power));
            let mac = device.pe.commands().mac;
            assert_eq!(least(&attended(&device, &[4_096]), mac, mac), Some(gap), "{name} {power:?}");
        }
    }
}

/// Four activations of a rank in nFAW: an all-bank row takes 123 cycles more. A bank of each bank group is just four of a
/// rank, and its row is opened while another is multiplied; on the buffer die one bank of a rank is opened at a time.
#[test]
fn staggered_activation_costs_where_many_banks_open_at_once() {
    for name in [BANK, BANK_GROUP, BUFFER] {
        let provisioned = named(name);
        let mut staggered = provisioned.clone();
        staggered.multi_bank_activation = MultiBankActivation::Staggered;
        let program = attention(&provisioned, 128, &units(&[2_048], 1));
        let (slow, fast) = (run(&staggered, &program), run(&provisioned, &program));
        // A longer program meets more refreshes.
        let refreshes = slow.commands[Command::RefAb] - fast.commands[Command::RefAb];
        let more = slow.end - fast.end - refreshes * 456;
        match name {
            // 16 rows.
            BANK => assert_eq!(more, 16 * 123),
            // The first row of K and of V: three nRRDS, and 2 that its third MAC waits behind the next row's opening (nFAW).
            BANK_GROUP => assert_eq!(more, 2 * (6 + 2)),
            _ => assert_eq!(more, 0),
        }
    }
}

/// One head of dimension 128: device, power limit, tokens, cycles of AttAcc, cycles here with provisioned and with staggered
/// activation. The table of docs/MODELS.md.
///
/// AttAcc's cycles: its own simulator at its head, one head on one stack, run by us.
const TABLE: [(&str, PowerLimit, u64, u64, u64, u64); 18] = [
    (BANK, PowerLimit::On, 128, 273, 623, 869),
    (BANK, PowerLimit::On, 2_048, 3_810, 4_465, 6_889),
    (BANK, PowerLimit::On, 32_768, 68_259, 71_806, 105_819),
    (BANK, PowerLimit::Off, 128, 213, 563, 809),
    (BANK, PowerLimit::Off, 2_048, 2_818, 3_473, 5_897),
    (BANK, PowerLimit::Off, 32_768, 50_178, 54_110, 88_790),
    (BANK_GROUP, PowerLimit::On, 128, 822, 1_199, 1_215),
    (BANK_GROUP, PowerLimit::On, 2_048, 13_403, 13_988, 14_004),
    (BANK_GROUP, PowerLimit::On, 32_768, 220_211, 221_519, 221_653),
    (BANK_GROUP, PowerLimit::Off, 128, 570, 947, 971),
    (BANK_GROUP, PowerLimit::Off, 2_048, 8_837, 9_701, 9_713),
    (BANK_GROUP, PowerLimit::Off, 32_768, 148_045, 148_620, 148_694),
    (BUFFER, PowerLimit::On, 128, 2_094, 2_595, 2_595),
    (BUFFER, PowerLimit::On, 2_048, 36_415, 37_808, 37_808),
    (BUFFER, PowerLimit::On, 32_768, 583_679, 600_631, 600_631),
    (BUFFER, PowerLimit::Off, 128, 2_094, 2_595, 2_595),
    (BUFFER, PowerLimit::Off, 2_048, 36_415, 37_808, 37_808),
    (BUFFER, PowerLimit::Off, 32_768, 583_679, 600_631, 600_631),
];

#[test]
fn the_difference_to_attacc_is_the_documented_one() {
    for (name, power, tokens, attacc, provisioned, staggered) in TABLE {
        let mut device = named(name).with_timing(hbm3::gbps_5_2(power));
        let program = attention(&device, 128, &units(&[tokens], 1));
        let ours = run(&device, &program).end;
        device.multi_bank_activation = MultiBankActivation::Staggered;
        let other = run(&device, &program).end;
        assert_eq!((ours, other), (provisioned, staggered), "{name} {power:?} {tokens} {attacc}");
    }
}

/// Refresh of the presets: what a head of a million tokens loses to it is what the interval says.
#[test]
fn refresh_takes_its_share_in_every_mode() {
    for name in [BANK, BANK_GROUP, BUFFER] {
        let device = named(name);
        let execution = run(&device, &attention(&device, 128, &units(&[1 << 20], 1)));
        let refreshes = execution.commands[Command::RefAb];
        let due = execution.end / u64::from(device.timing.get(Parameter::Refi));
        assert!((due - 9..=due).contains(&refreshes), "{name}: {refreshes} of {due}");
    }
}
