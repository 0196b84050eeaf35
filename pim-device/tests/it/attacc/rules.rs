//! Does every rule matter to some golden run?

use pim_device::PowerLimit;
use pim_device::timing::hbm3::gbps_5_2;

use super::golden::{Run, runs};
use super::oracle::{Broken, Oracle};

/// Whether the oracle issues every command of a run, with a rule broken.
fn is_exact(run: &Run, broken: Broken) -> bool {
    let timing = gbps_5_2(if run.limited { PowerLimit::On } else { PowerLimit::Off });
    let limit = run.end + 200;
    let ours = Oracle::new(&timing, run.refresh, broken).run(&run.trace, limit);
    ours.is_some_and(|(end, commands)| end == run.end && commands == run.commands)
}

/// The runs of less than 400 cycles that change when a rule is broken. Rule 3 is about refresh, rule 6 about PREPB: neither
/// is in these runs, and each has one of its own.
const CHANGED: [(u8, Broken, &[&str]); 7] = [
    (
        1,
        Broken::ScopeOfChecks,
        &[
            "bank_L128_dh128_nh1.pc",
            "bank_L128_dh128_nh1.npc",
            "bank_L128_dh128_nh17.npc",
            "bank_L128_dh64_nh1.pc",
            "mix_f09.pc",
            "mix_f12.pc",
            "mix_f22.pc",
            "mix_f32.pc",
            "mix_f52.pc",
        ],
    ),
    (
        2,
        Broken::AllBarriersAtOnce,
        &[
            "bank_L128_dh128_nh1.pc",
            "bank_L128_dh128_nh1.npc",
            "bank_L128_dh64_nh1.pc",
            "mix_f16.pc",
            "mix_f18.pc",
            "mix_f22.pc",
            "mix_f26.pc",
            "mix_f36.pc",
            "mix_f46.pc",
            "mix_f52.pc",
        ],
    ),
    (
        4,
        Broken::PassedOver,
        &[
            "syn_dram_rd_stream.pc",
            "syn_mac_rd_conflict.pc",
            "mix_f05.pc",
            "mix_f07.pc",
            "mix_f09.pc",
            "mix_f16.pc",
            "mix_f26.pc",
            "mix_f36.pc",
            "mix_f44.pc",
            "mix_f46.pc",
        ],
    ),
    (5, Broken::ActiveKeepsOpen, &["mix_f44.pc"]),
    (
        7,
        Broken::HitIsNext,
        &[
            "bank_L128_dh128_nh1.pc",
            "bank_L128_dh128_nh1.npc",
            "bank_L128_dh128_nh17.npc",
            "syn_mac_and_datamove.pc",
            "mix_f09.pc",
            "mix_f18.pc",
            "mix_f22.pc",
        ],
    ),
    (
        8,
        Broken::TurnsWhenReached,
        &["mix_f03.pc", "mix_f07.pc", "mix_f14.pc", "mix_f16.pc", "mix_f26.pc", "mix_f44.pc", "mix_f54.pc"],
    ),
    (9, Broken::ReadsOfWrites, &["mix_f26.pc", "mix_f46.pc"]),
];

#[test]
fn does_breaking_any_rule_break_a_golden_run() {
    let runs = runs(400);
    let broken = |broken: Broken| -> Vec<&str> {
        runs.iter().filter(|run| !is_exact(run, broken)).map(|run| run.name.as_str()).collect()
    };
    assert_eq!(broken(Broken::Nothing), Vec::<&str>::new());
    for (number, rule, changed) in CHANGED {
        assert_eq!(broken(rule), changed, "rule {number} broken ({rule:?})");
    }
}

#[track_caller]
fn check_one(name: &str, broken: Broken) {
    let runs = runs(u64::MAX);
    let run = runs.iter().find(|run| run.name == name).unwrap();
    assert!(is_exact(run, Broken::Nothing));
    assert!(!is_exact(run, broken));
}

#[test]
fn does_rule_3_matter_to_a_refresh_that_waits() {
    check_one("bank_L7168_dh128_nh1.pc", Broken::ClassOfWhatWaits);
}

#[test]
fn does_rule_6_matter_to_a_precharge_of_one_bank() {
    check_one("mix_f20.pc", Broken::PrechargeElsewhere);
}
