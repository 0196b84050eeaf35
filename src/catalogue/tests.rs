//! Tests of the catalogue's files: they are data that nothing else reads strictly.

use super::*;
use crate::catalogue::entry::Assumption;
use sim_core::{Bytes, Time};

fn strict() -> Catalogue {
    Catalogue::strict().unwrap()
}

#[test]
fn every_file_reads_and_nothing_is_lost() {
    assert_eq!(strict().entries, Catalogue::embedded().entries);
    for kind in Kind::ALL {
        assert!(strict().of(kind).any(|entry| entry.simulated), "no {kind}");
    }
}

#[test]
fn every_figure_that_the_simulator_reads_is_there_and_fits() {
    for entry in &strict().entries {
        if !entry.simulated {
            continue;
        }
        for field in FigureField::of(entry.kind) {
            if !field.fits(entry) {
                continue;
            }
            let key = field.key;
            let at = format!("{} {key}", entry.name);
            if field.optional && entry.get(key).is_none() {
                continue;
            }
            let figure = entry.get(key).unwrap_or_else(|| panic!("{at} is missing"));
            match field.shape {
                Shape::Quantity { dimension, zero } => {
                    let quantity = figure.quantity(dimension).unwrap_or_else(|why| panic!("{at}: {why}"));
                    assert!(zero || !quantity.is_zero(), "{at}");
                }
                Shape::Integer { least, most } => {
                    assert!((least..=most).contains(&entry.integer(key).unwrap()), "{at}");
                }
                Shape::Flag => assert!(entry.flag(key).is_ok(), "{at}"),
                Shape::Word(words) => assert!(words.contains(&entry.text(key).unwrap()), "{at}"),
                Shape::Device(kind) => {
                    let device = strict().find(kind, entry.text(key).unwrap()).cloned();
                    assert!(device.is_ok_and(|device| device.simulated), "{at}");
                }
            }
        }
    }
}

#[test]
fn no_key_stands_twice_and_no_name_means_two_things() {
    let catalogue = strict();
    for kind in Kind::ALL {
        let mut names: Vec<_> = catalogue.of(kind).flat_map(Entry::names).map(str::to_lowercase).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{kind}");
    }
    for entry in &catalogue.entries {
        let mut keys: Vec<_> = entry.figures.iter().map(|figure| &figure.key).collect();
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count, "{}", entry.name);
    }
}

#[test]
fn every_figure_has_a_source_and_a_kind() {
    for entry in &strict().entries {
        for figure in &entry.figures {
            assert!(figure.source.len() > 3, "{} {}", entry.name, figure.key);
            assert_ne!(figure.kind, FigureKind::Scenario, "{} {}", entry.name, figure.key);
        }
    }
}

#[test]
fn figures_of_the_reference_are_still_there() {
    // Renamed, or given in the units that the simulator needs; everything else keeps its key.
    let ours = strict();
    let gpu = ours.find(Kind::Gpu, "H100-SXM-80GB").unwrap();
    assert_eq!(gpu.get("mem_capacity_sold").unwrap().written(), "80 GB");
    assert_eq!(gpu.get("h2d_pinned").unwrap().written(), "51 GB/s");
    let gpu = ours.find(Kind::Gpu, "H100-PCIe-80GB").unwrap();
    assert_eq!(gpu.get("tdp").unwrap().kind, FigureKind::Unverified);
}

#[track_caller]
fn check(kind: Kind, name: &str, expected: &str) {
    let found = Catalogue::embedded().find(kind, name);
    assert_eq!(found.map(|entry| entry.name.as_str()), Ok(expected), "{name}");
}

#[test]
fn aliases_and_either_case_are_understood() {
    check(Kind::Gpu, "H100", "H100-SXM-80GB");
    check(Kind::Gpu, "a100-80", "A100-SXM-80GB");
    check(Kind::Gpu, " h200-sxm-141gb ", "H200-SXM-141GB");
    check(Kind::Cpu, "xeon-8480+", "Xeon-8480+");
    check(Kind::Cpu, "Xeon-8470", "Xeon-8470-SPR");
    check(Kind::Cpu, "EPYC-Milan/Rome(7V12)", "EPYC-7V12");
    check(Kind::Link, "PCIe 5.0 x16", "PCIe5x16");
    check(Kind::Link, "gen5x16", "PCIe5x16");
    check(Kind::Link, "NVLink4(H100/H200)", "NVLink4");
    check(Kind::Pim, "HBM3-PIM-bank", "hbm3-pim-bank");
    check(Kind::Pim, "GDDR6-AiM", "gddr6-aim");
}

#[test]
fn an_unknown_name_gets_the_nearest() {
    let unknown = Catalogue::embedded().find(Kind::Gpu, "H100-SMX-80GB").unwrap_err();
    assert_eq!(unknown.nearest.as_deref(), Some("H100-SXM-80GB"));
    assert!(unknown.all.contains(&"L40S".to_owned()));
    assert_eq!(Catalogue::embedded().find(Kind::Gpu, "zzzz").unwrap_err().nearest, None);
}

#[test]
fn figures_come_in_their_types() {
    let catalogue = Catalogue::embedded();
    let gpu = catalogue.find(Kind::Gpu, "H100").unwrap();
    assert_eq!(gpu.bytes("mem_capacity"), Ok(Bytes(80 << 30)));
    assert_eq!(gpu.time("launch_interval_graph"), Ok(Time::from_ns(1_300)));
    let share = gpu.fraction("stream_fraction").unwrap();
    assert_eq!(gpu.bandwidth("mem_bw_peak").unwrap().times(share), sim_core::Rate(2_900_000_000_000));
    assert_eq!(gpu.integer("hbm_stacks"), Ok(5));
    let cpu = catalogue.find(Kind::Cpu, "Xeon-8480+").unwrap();
    assert_eq!(cpu.bandwidth("mem_bw_peak"), Ok(sim_core::Rate(307_200_000_000)));
    assert_eq!(cpu.operations_per_second("fp16"), Ok(sim_core::Rate(4_000_000_000_000)));
    assert_eq!(cpu.time("flag_latency"), Ok(Time::from_ns(545)));
    let pim = catalogue.find(Kind::Pim, "hbm3-pim-bank").unwrap();
    assert_eq!(pim.flag("power_limit"), Ok(true));
    assert_eq!(pim.text("gqa"), Ok("serial"));
    let missing = gpu.time("nothing").unwrap_err();
    assert_eq!(missing.to_string(), "`H100-SXM-80GB` has no figure `nothing` in the catalogue");
    let unfit = gpu.bytes("mem_bw_peak").unwrap_err();
    assert_eq!(
        unfit.to_string(),
        "`mem_bw_peak` of `H100-SXM-80GB`: that is a bandwidth; an amount of memory is wanted"
    );
}

#[test]
fn assumptions_are_those_that_the_simulator_reads() {
    let gpu = Catalogue::embedded().find(Kind::Gpu, "H100").unwrap();
    let keys: Vec<_> = gpu.assumptions().into_iter().map(|Assumption { key, .. }| key).collect();
    assert_eq!(
        keys,
        [
            "launch_interval_stream",
            "launch_interval_graph",
            "usable_fraction",
            "copy_setup",
            "copy_engines",
            "idle_power",
            "mac_energy",
            "mem_standby",
            "mem_refresh"
        ]
    );
    let mut own = gpu.clone();
    own.set("copy_engines", 3.into(), "");
    assert_eq!(own.integer("copy_engines"), Ok(3));
    assert_eq!(own.assumptions().len(), keys.len() - 1);
}

#[test]
fn lists_print() {
    for word in ["gpus", "cpus", "links", "pim", "models", "codecs"] {
        insta::assert_snapshot!(format!("list_{word}"), list(word).unwrap());
    }
    insta::assert_snapshot!("list_pim_entry", list_entry("pim", "hbm3-pim-bank").unwrap());
    assert!(!list("scenarios").unwrap().is_empty());
    // The list says `kernels only` of them.
    for entry in Catalogue::embedded().of(Kind::Pim).filter(|entry| !entry.simulated) {
        assert!(entry.why_not.as_ref().is_some_and(|why| why.contains("`pim-kernel`")), "{}", entry.name);
    }
    assert!(list_entry("gpus", "b200").unwrap().contains("unverified"));
}

#[test]
fn what_cannot_be_listed_is_said() {
    assert_eq!(
        list("gpu").unwrap_err().to_string(),
        "there is no list `gpu`: did you mean `gpus`?; lists: gpus, cpus, links, pim, models, scenarios, codecs"
    );
    assert!(list_entry("gpus", "H1000").unwrap_err().to_string().contains("did you mean `H100`?"));
    assert!(matches!(list_entry("codecs", "fp16"), Err(ListError::NoFigures { .. })));
    assert!(matches!(list_entry("fish", "cod"), Err(ListError::NoList { .. })));
}
