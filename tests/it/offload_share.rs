//! How much of a decode step is PCIe when the KV cache lives in host memory?
//!
//! In a serial schedule the share of transfers is 1 / (1 + (`BW_link` / `BW_hbm`) (1 + W / KV)), with W bytes of weights
//! and KV bytes of cache read in a step; an A100 with PCIe 4 reaches 26 GB/s and 1.61 TB/s.

use reports::{SystemReport, Time};
use workloads::ModelConfig;

use crate::common::shipped;

const LINK: f64 = 26e9;
const HBM: f64 = 1610e9;

/// A point of the sweep.
#[derive(Debug)]
struct Point {
    model: ModelConfig,
    llama_2: bool,
    prefetch: u32,
    batch: u32,
    context: u64,
    report: &'static SystemReport,
}

impl Point {
    fn weights(&self) -> f64 {
        self.model.streamed_weight_bytes(self.batch, 2) as f64
    }

    fn kv(&self) -> f64 {
        (self.model.kv_bytes_per_token(2) * u64::from(self.batch) * self.context) as f64
    }

    fn closed_form(&self) -> f64 {
        1.0 / (1.0 + LINK / HBM * (1.0 + self.weights() / self.kv()))
    }

    fn exposed(&self) -> f64 {
        self.report.breakdown.communication_share()
    }

    fn busy(&self) -> f64 {
        self.report.communication_busy_share()
    }

    fn name(&self) -> String {
        let model = if self.llama_2 { "Llama-2-7B" } else { "Llama-3.1-8B" };
        format!("{model}, prefetch {}, {} tokens", self.prefetch, self.context)
    }
}

fn points() -> Vec<Point> {
    let run = shipped("offload-share");
    assert_eq!(run.systems.len(), run.loaded.points.len());
    let points = run.loaded.points.iter().zip(&run.systems);
    points
        .map(|((keys, scenario), system)| Point {
            model: ModelConfig::from_json(&scenario.model.text).unwrap(),
            llama_2: keys[0].1.as_str().unwrap().contains("llama-2-7b"),
            prefetch: scenario.systems[0].kv.prefetch,
            batch: scenario.workload.batch,
            context: scenario.workload.context,
            report: &system.report,
        })
        .collect()
}

fn of_prefetch(prefetch: u32) -> Vec<Point> {
    let points: Vec<Point> = points().into_iter().filter(|point| point.prefetch == prefetch).collect();
    assert_eq!(points.len(), 18, "two models at nine contexts");
    points
}

#[test]
fn does_the_share_without_prefetch_follow_the_closed_form() {
    for point in of_prefetch(0) {
        let (share, expected) = (point.exposed(), point.closed_form());
        assert!((share - expected).abs() < 0.03, "{}: {share:.4}, closed form {expected:.4}", point.name());
    }
}

#[track_caller]
fn llama_2_at(context: u64) -> Point {
    of_prefetch(0).into_iter().find(|point| point.llama_2 && point.context == context).unwrap()
}

#[test]
fn is_a_long_cache_almost_all_pcie() {
    let point = llama_2_at(32_768);
    assert_eq!(point.batch, 16);
    assert!((0.95..=0.986).contains(&point.exposed()), "{}", point.exposed());
    // The host's link and nothing else.
    assert!((point.report.breakdown.host_communication_share() - point.exposed()).abs() < 1e-12);
}

#[test]
fn is_a_short_cache_not() {
    let point = llama_2_at(188);
    assert_eq!(u64::from(point.batch) * point.context, 3_008);
    assert!(point.exposed() < 0.90, "{}", point.exposed());
}

#[test]
fn does_the_share_grow_with_the_context() {
    let points = of_prefetch(0);
    for pair in points.windows(2).filter(|pair| pair[0].llama_2 == pair[1].llama_2) {
        assert!(pair[0].context < pair[1].context);
        assert!(pair[0].exposed() < pair[1].exposed(), "{} and {}", pair[0].name(), pair[1].name());
    }
}

#[test]
fn is_what_is_exposed_also_busy() {
    for point in points() {
        let (exposed, busy) = (point.exposed(), point.busy());
        assert!(exposed > 0.0 && exposed <= busy && busy <= 1.0, "{}: {exposed} {busy}", point.name());
    }
}

#[test]
fn are_both_shares_the_same_where_transfers_and_kernels_take_turns() {
    for point in of_prefetch(0) {
        // Only the append runs beside a kernel.
        let hidden = point.busy() - point.exposed();
        assert!(hidden < 0.01, "{}: {hidden}", point.name());
    }
}

#[test]
fn does_a_prefetch_hide_transfers_or_kernels_and_never_cost_time() {
    for (serial, ahead) in of_prefetch(0).iter().zip(of_prefetch(1)) {
        assert_eq!((serial.llama_2, serial.context), (ahead.llama_2, ahead.context));
        let name = ahead.name();
        let (before, after) = (serial.report.latency(), ahead.report.latency());
        assert!(after <= before, "{name}: {before} without, {after} with");
        // The same bytes go over the same link.
        let (before, after) = (serial.report.communication_busy, ahead.report.communication_busy);
        let off = (after.ps() as f64 / before.ps() as f64 - 1.0).abs();
        assert!(off < 0.03, "{name}: busy for {before} without, {after} with");
        // Therefore the link is busy for a larger part of a shorter step.
        assert!(ahead.busy() >= serial.busy() - 1e-9, "{name}");
        // What overlaps cannot be shorter than the longer part, nor the serial step longer than both.
        assert!(ahead.report.latency() >= ahead.report.communication_busy, "{name}");
        let kernels = Time::from_ps(serial.report.latency().ps() - serial.report.communication_busy.ps());
        assert!(ahead.report.latency().ps() as f64 >= kernels.ps() as f64 * 0.99, "{name}: {kernels}");
    }
}

#[test]
fn do_the_two_shares_part_where_kernels_outlast_transfers() {
    let mut hidden = 0;
    for point in of_prefetch(1) {
        let transfers = point.kv() / LINK;
        let kernels = (point.weights() + point.kv()) / HBM;
        let (exposed, busy) = (point.exposed(), point.busy());
        if transfers > 2.0 * kernels {
            // The kernels hide: the link is the critical path, and works nearly all the time.
            assert!(exposed > 0.9 && busy > 0.9 && busy - exposed < 0.05, "{}: {exposed} {busy}", point.name());
        } else if transfers < kernels {
            // The transfers hide: little is exposed, and the link still works.
            hidden += 1;
            assert!(exposed < 0.1 && busy > 2.0 * exposed, "{}: {exposed} {busy}", point.name());
            assert!((busy - transfers / kernels).abs() < 0.15, "{}: {busy}", point.name());
        }
    }
    assert!(hidden > 0, "no point of the sweep hides its transfers");
}

#[test]
fn are_both_shares_shown_and_explained() {
    let run = shipped("offload-share");
    let table = reports::table::table(&run.report);
    for words in ["exposed", "busy", "communication on the critical path", "any transfer under way"] {
        assert!(table.contains(words), "the table does not say `{words}`");
    }
    let summary = reports::summary::to_value(&run.report);
    for point in summary["points"].as_array().unwrap() {
        let decode = &point["systems"][0]["decode"];
        let (exposed, busy) = (&decode["communication_share"], &decode["communication_busy_share"]);
        assert!(exposed.as_f64().unwrap() <= busy.as_f64().unwrap(), "{}", point["keys"]);
        let notes = point["systems"][0]["notes"].to_string();
        assert!(notes.contains("exposed") && notes.contains("busy"), "{notes}");
    }
}
