//! Writes every report of systems that were made up, to look at: `cargo run -p reports --example gallery -- DIR`.

mod made_up;

use std::error::Error;
use std::path::PathBuf;

use reports::{Assumption, Category, PointReport, RunInfo, RunReport, SystemInput, analyse, csv, figure, files, html};
use reports::{perfetto, run_info, summary, table, trace_view};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "out/gallery".to_owned()));
    let inputs = [
        made_up::offload("gpu-offload", 2, 4, Category::CommunicationPcie, 2_000),
        made_up::offload(
            "gpu-offload over CXL <3.0> & \"friends\", with a long name 長い名前",
            2,
            4,
            Category::CommunicationCxl,
            300,
        ),
        made_up::pim("attacc", 2, 4, 8, 60),
        made_up::pim("aqpim", 2, 12, 64, 14),
    ];
    let systems = inputs.iter().map(analyse).collect::<Result<Vec<_>, _>>()?;
    let mut run = RunReport {
        scenario: "Mistral-7B, 32k context: offload, AttAcc, AQPIM".to_owned(),
        scenario_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        seed: 1,
        assumptions: vec![
            Assumption {
                key: "pim.lookups_per_column".to_owned(),
                value: json!(16),
                why: "the paper gives the table's size but not how many entries one column access reads; one per byte lane"
                    .to_owned(),
            },
            Assumption {
                key: "host.dram_capacity".to_owned(),
                value: json!("1 TiB"),
                why: "no source gives it".to_owned(),
            },
        ],
        systems,
        points: Vec::new(),
        stopped: None,
    };
    let pairs: Vec<_> = inputs.iter().zip(&run.systems).collect();
    let breakdown = figure::breakdown::svg(&run.systems)?;
    let timeline = figure::timeline::svg(&pairs)?;
    files::write_whole(&directory.join("trace.json"), |out| perfetto::write(out, &pairs))?;
    let spans = directory.join("spans.csv");
    files::write_whole(&spans, |out| {
        let mut writer = csv::SpanWriter::new(out)?;
        for input in &inputs {
            writer.system("", &input.name, &input.actors, &input.spans)?;
        }
        writer.finish()
    })?;
    let figures = html::Figures { breakdown: Some(&breakdown), timeline: Some(&timeline), ..html::Figures::default() };
    files::write_text(&directory.join("report.html"), &html::page(&run, &figures))?;
    files::write_text(&directory.join("summary.json"), &summary::to_json(&run))?;
    files::write_text(&directory.join("run.json"), &run_info::to_json(&RunInfo::default()))?;
    files::write_text(&directory.join("breakdown.svg"), &breakdown)?;
    files::write_text(&directory.join("timeline.svg"), &timeline)?;
    println!("{}", table::table(&run));

    let mut shown = 0;
    let filter = trace_view::Filter { critical_path: true, ..trace_view::Filter::default() };
    trace_view::lines(csv::SpanReader::open(&spans)?, &filter, &mut |line| {
        shown += 1;
        if shown < 20 {
            println!("{line}");
        }
        Ok(())
    })?;

    run.points = sweep()?;
    run.systems.clear();
    let many: Vec<_> = run.points.iter().flat_map(|point| point.systems.clone()).collect();
    let breakdown = figure::breakdown::svg(&many)?;
    let share = figure::share::svg(&run.points)?;
    let latency = figure::latency::svg(&run.points)?;
    let figures = html::Figures {
        breakdown: Some(&breakdown),
        latency: latency.as_deref(),
        share: share.as_deref(),
        ..html::Figures::default()
    };
    files::write_text(&directory.join("sweep.html"), &html::page(&run, &figures))?;
    files::write_text(&directory.join("many.svg"), &breakdown)?;
    files::write_text(&directory.join("share.svg"), &share.unwrap_or_default())?;
    files::write_text(&directory.join("latency.svg"), &latency.unwrap_or_default())?;
    println!("{}", table::table(&run));
    Ok(())
}

fn sweep() -> Result<Vec<PointReport>, Box<dyn Error>> {
    let mut points = Vec::new();
    for codec in ["fp16", "pq"] {
        for context in [2_048_u64, 4_096, 8_192, 16_384, 32_768, 65_536] {
            let fetch = context / if codec == "pq" { 160 } else { 20 };
            let inputs: [SystemInput; 2] = [
                made_up::offload("gpu-offload", 1, 2, Category::CommunicationPcie, fetch),
                made_up::pim("attacc", 1, 2, 4, fetch / 8),
            ];
            points.push(PointReport {
                keys: vec![("kv.codec".to_owned(), json!(codec)), ("workload.context".to_owned(), json!(context))],
                systems: inputs.iter().map(analyse).collect::<Result<_, _>>()?,
            });
        }
    }
    Ok(points)
}
