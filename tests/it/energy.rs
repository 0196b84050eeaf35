//! Do the parts of the energy add up, and does each come from where it should?

use reports::Time;

use crate::common::{Run, SMALL, SystemRun, load_text, of_kind, try_run};

fn run(overrides: &[&str]) -> Run {
    try_run(load_text(SMALL, overrides)).unwrap()
}

fn part(system: &SystemRun, name: &str) -> f64 {
    let found = system.report.energy_pj.iter().find(|(part, _)| part == name);
    found.unwrap_or_else(|| panic!("{} has no {name}", system.input.name)).1
}

/// Picojoules of a power over the whole run.
fn over(system: &SystemRun, watts: f64) -> f64 {
    let end = system.input.spans.iter().map(|span| span.end).max().unwrap_or_default();
    watts * end.ps() as f64
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} pJ, not {expected} pJ");
}

#[test]
fn do_the_parts_add_up() {
    for system in &run(&[]).systems {
        let parts: f64 = system.input.energy_pj.iter().map(|(_, energy)| energy).sum();
        close(part(system, "total"), parts);
        assert!(system.input.energy_pj.iter().all(|(_, energy)| *energy >= 0.0 && energy.is_finite()));
        // Commands are the energy of PIM but for standby.
        let commands: f64 = system.input.pim_commands.iter().map(|(_, _, energy)| energy).sum();
        let pim: f64 = system.input.energy_pj.iter().filter(|(name, _)| name.starts_with("pim.")).map(|(_, e)| e).sum();
        close(commands, pim - part(system, "pim.standby"));
    }
}

#[test]
fn what_is_taken_at_all_times_is_taken_over_the_whole_run() {
    for system in &run(&[]).systems {
        // H100: 70 W, five stacks of 2.1 and 0.67 W. Two sockets of 105 W, 1024 GiB of 44.4 and 11.5 mW.
        close(part(system, "gpu.idle"), over(system, 70.0));
        close(part(system, "gpu.memory.standby"), over(system, 10.5));
        close(part(system, "gpu.memory.refresh"), over(system, 3.35));
        close(part(system, "host.cpu.idle"), over(system, 210.0));
        close(part(system, "host.dram.standby"), over(system, 45.465_6));
        close(part(system, "host.dram.refresh"), over(system, 11.776));
    }
}

#[test]
fn an_idle_pim_stack_takes_standby_and_refresh() {
    let run = run(&[]);
    let attacc = run.system("attacc");
    // 16 channels of two ranks: between 48 and 66 mW each.
    let standby = part(attacc, "pim.standby");
    assert!((over(attacc, 1.536)..over(attacc, 2.112)).contains(&standby), "{standby}");
    // A refresh of a channel takes 163.8 nJ every 5070 cycles of 769 ps; the last interval is not over.
    let refresh = part(attacc, "pim.refresh");
    let all = over(attacc, 16.0 * 163.8e-9 / (5_070.0 * 769e-12));
    assert!(refresh <= all && refresh > 0.95 * all, "{refresh} of {all}");
    let of_gpu = run.system("gpu");
    close(part(of_gpu, "pim.standby") + part(of_gpu, "pim.refresh"), 0.0);
    assert!(of_gpu.input.pim_commands.is_empty());
}

#[test]
fn cores_take_more_while_they_work() {
    let run = run(&[]);
    for system in &run.systems {
        let busy = |kinds: &dyn Fn(&str) -> bool| -> Time {
            let name = |span: &reports::Span| system.input.actors[span.id.actor.index()].clone();
            let spans = system.input.spans.iter().filter(|span| kinds(&name(span)));
            spans.fold(Time::ZERO, |sum, span| sum + span.end.since(span.start))
        };
        // Kernels of a stream, and of the host's cores, are one after the other. 700 W less 70, 96.2 + 158.3 at the peaks, 13.85.
        let kernels = busy(&|name| name == "gpu0.stream").ps() as f64;
        let active = part(system, "gpu.active") / kernels;
        assert!((361.0..362.5).contains(&active), "{active} W");
        close(part(system, "host.cpu.active"), 490.0 * busy(&|name| name == "host.worker").ps() as f64);
    }
    assert!(part(run.system("cpu-attention"), "host.cpu.active") > 0.0);
    close(part(run.system("gpu"), "host.cpu.active"), 0.0);
}

#[test]
fn figures_of_the_scenario_count() {
    let plain = run(&[]);
    let changed = run(&[
        "system.attacc.pim.energy_cell=0.88 pJ",
        "system.attacc.host.idle_power=0 W",
        "system.gpu-offload.host.dram_energy=11 pJ",
    ]);
    let both = |system: &str, name: &str| (part(plain.system(system), name), part(changed.system(system), name));
    let (before, after) = both("attacc", "pim.cell");
    close(after, 2.0 * before);
    close(both("attacc", "host.cpu.idle").1, 0.0);
    let (before, after) = both("gpu-offload", "host.dram");
    assert!(before > 0.0);
    close(after, 2.0 * before);
    assert_eq!(plain.system("attacc").report.latency(), changed.system("attacc").report.latency());
}

#[test]
fn a_limit_in_watts_makes_attention_slower_and_keeps_the_stack_below_it() {
    let free = run(&[]);
    let limited = run(&["system.attacc.pim.power=8 W"]);
    let (free, limited) = (free.system("attacc"), limited.system("attacc"));
    assert!(limited.report.latency() > free.report.latency());
    let watts = |system: &SystemRun| {
        let busiest = of_kind(&system.input.spans, "attention").map(|span| span.end.since(span.start)).max().unwrap();
        let busy: Time =
            of_kind(&system.input.spans, "attention").fold(Time::ZERO, |sum, span| sum + span.end.since(span.start));
        let classes = of_kind(&system.input.spans, "attention").map(|span| span.id.actor).max();
        assert!(classes.is_some() && busiest > Time::ZERO);
        // What commands took, over the time in which any program ran.
        let pim: f64 = system.input.pim_commands.iter().map(|(_, _, energy)| energy).sum();
        pim / busy.ps() as f64
    };
    assert!(watts(limited) < watts(free), "{} {}", watts(limited), watts(free));
    assert!(watts(limited) < 8.0);
}

#[test]
fn accesses_and_programs_of_a_channel_take_turns() {
    let run = run(&[]);
    let system = run.system("attacc");
    let mut spans: Vec<_> = system
        .input
        .spans
        .iter()
        .filter(|span| system.input.actors[span.id.actor.index()].starts_with("pim.channels"))
        .collect();
    spans.sort_by_key(|span| (span.id.actor, span.start, span.end));
    for pair in spans.windows(2).filter(|pair| pair[0].id.actor == pair[1].id.actor) {
        assert!(pair[0].end <= pair[1].start, "{} and {} at once", pair[0].kind, pair[1].kind);
    }
    for kind in ["query-store", "attention", "output-load"] {
        let number = of_kind(&system.input.spans, kind).count();
        assert_eq!(number, of_kind(&system.input.spans, "attention").count(), "{kind}");
    }
    let store = of_kind(&system.input.spans, "query-store").next().unwrap();
    assert_eq!(store.category, reports::Category::CommunicationHbm);
    assert!(store.end > store.start);
}

#[test]
fn figures_that_do_not_go_together_are_named() {
    let notes = |sets: &[&str]| run(sets).system("gpu").input.notes.join("\n");
    let plain = notes(&[]);
    assert!(
        !plain.contains("gpu.tdp") && !plain.contains("host.tdp") && !plain.contains("attention_fraction"),
        "{plain}"
    );
    // 70 W, 96.2 W of memory, 1582.4 W of multiply-adds, five stacks of 2.77 W.
    let sets = ["gpu.mac_energy=3.2 pJ"];
    assert!(notes(&sets).contains("gpu.tdp is 700.0 W"), "{}", notes(&sets));
    assert!(notes(&sets).contains("peak take 1762.5 W"), "{}", notes(&sets));
    close(part(run(&sets).system("gpu"), "gpu.active"), 0.0);
    let found = notes(&["host.idle_power=400 W"]);
    assert!(found.contains("host.tdp is 350.0 W and host.idle_power 400.0 W"), "{found}");
    let found = notes(&["gpu.stream_fraction=0.5"]);
    assert!(found.contains("gpu.attention_fraction is 0.830 and gpu.stream_fraction 0.500"), "{found}");
}

#[test]
fn energy_of_stacks_does_not_stop_at_18_kilojoules() {
    // 64 bits of femtojoules hold 18 kJ: what four busy stacks take in four minutes.
    let cells = |figure: &str| part(run(&[&format!("pim.energy_cell={figure}")]).system("attacc"), "pim.cell");
    let plain = cells("0.44 pJ");
    assert!(plain > 0.0);
    close(cells("440000000 nJ"), plain * 1e12);
    let refresh = |figure: &str| part(run(&[&format!("pim.energy_refresh={figure}")]).system("attacc"), "pim.refresh");
    close(refresh("8190000000 nJ"), refresh("81.9 nJ") * 1e8);
}
