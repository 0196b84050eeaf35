//! trace.json: a run in the Chrome trace-event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.
//!
//! One process per system, one thread per actor (and one more for each job that an actor does beside others: slices of a
//! thread must nest), a complete event per span (a begin event where a stopped run left it open), and arrows along the critical path of each token. Times are microseconds
//! with six exact decimals, which is picoseconds. Format: "Trace Event Format", Google, 2016.

use std::io::{self, Write};

use serde_json::{Value, json};
use sim_core::{Span, SpanId, Time};

use crate::analyse::{SystemInput, SystemReport};
use crate::critical_path::Part;
use crate::lanes::lanes;
use crate::stopped;
use crate::text::actor_name;

/// Writes trace.json for the systems of a run.
pub fn write(out: &mut dyn Write, systems: &[(&SystemInput, &SystemReport)]) -> io::Result<()> {
    out.write_all(b"{\"displayTimeUnit\":\"ns\",")?;
    if let Some(note) = stopped::note(systems.iter().map(|(_, report)| *report)) {
        write!(out, "\"otherData\":{{\"partial\":{}}},", json!(note))?;
    }
    out.write_all(b"\"traceEvents\":[")?;
    let mut events = Events { out, first: true, arrows: 0 };
    for (process, (input, report)) in (1..).zip(systems) {
        events.system(process, input, report)?;
    }
    events.out.write_all(b"\n]}\n")
}

struct Events<'a> {
    out: &'a mut dyn Write,
    first: bool,
    /// How many arrows there are; each needs a number of its own in the whole file.
    arrows: u64,
}

impl Events<'_> {
    fn event(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(if self.first { b"\n" } else { b",\n" })?;
        self.first = false;
        self.out.write_all(text.as_bytes())
    }

    fn metadata(&mut self, name: &str, process: usize, thread: usize, value: &Value) -> io::Result<()> {
        let key = if name.ends_with("sort_index") { "sort_index" } else { "name" };
        let event = json!({ "ph": "M", "name": name, "pid": process, "tid": thread, "args": { key: value } });
        self.event(&event.to_string())
    }

    fn system(&mut self, process: usize, input: &SystemInput, report: &SystemReport) -> io::Result<()> {
        self.metadata("process_name", process, 0, &json!(input.name))?;
        self.metadata("process_sort_index", process, 0, &json!(process))?;
        let mut spans: Vec<&Span> = input.spans.iter().chain(&input.open).collect();
        spans.sort_unstable_by_key(|span| (span.id.actor, span.start, span.end, span.id.number));
        // Name and thread of each span, for the arrows.
        let mut threads: Vec<(SpanId, usize, Time)> = Vec::with_capacity(spans.len());
        let mut first_thread = 1;
        for jobs in spans.chunk_by(|a, b| a.id.actor == b.id.actor) {
            let lanes = lanes(jobs.iter().map(|span| (span.start, span.end)));
            let count = lanes.iter().max().map_or(0, |last| last + 1);
            let name = actor_name(&input.actors, jobs[0].id.actor.index());
            for lane in 0..count {
                let thread = first_thread + lane;
                let name = if lane == 0 { name.clone() } else { format!("{name} ({})", lane + 1) };
                self.metadata("thread_name", process, thread, &json!(name))?;
                self.metadata("thread_sort_index", process, thread, &json!(thread))?;
            }
            for (span, lane) in jobs.iter().zip(lanes) {
                threads.push((span.id, first_thread + lane, span.start));
                self.span(process, first_thread + lane, span)?;
            }
            first_thread += count;
        }
        threads.sort_unstable();
        for path in &report.critical_path {
            // The time that a later job waits is this job's own and has its arrow from where it is left for good.
            let mut jobs: Vec<SpanId> = path.iter().filter(|s| s.part != Part::Signal).map(|s| s.span).collect();
            jobs.dedup();
            for pair in jobs.windows(2) {
                self.arrow(process, &threads, pair[0], pair[1])?;
            }
        }
        Ok(())
    }

    fn span(&mut self, process: usize, thread: usize, span: &Span) -> io::Result<()> {
        let cause = span.cause.map_or(Value::Null, |id| json!(id.to_string()));
        let held_by = span.held_by.map_or(Value::Null, |id| json!(id.to_string()));
        let args = json!({
            "span": span.id.to_string(),
            "category": span.category.key(),
            "token": span.tag.step,
            "layer": span.tag.layer,
            "bytes": span.bytes,
            "operations": span.operations,
            "ready_ps": span.ready.ps(),
            "launch_ps": span.launch.ps(),
            "signal_ps": span.signal.ps(),
            "cause": cause,
            "held_by": held_by,
        });
        // A job that was under way when the run was stopped begins and does not end.
        let (phase, duration) = if span.end == Time::MAX {
            ("B", String::new())
        } else {
            ("X", format!("\"dur\":{},", microseconds(span.end - span.start)))
        };
        self.event(&format!(
            "{{\"ph\":\"{phase}\",\"pid\":{process},\"tid\":{thread},\"ts\":{},{duration}\"name\":{},\"cat\":\"{}\",\"args\":{args}}}",
            microseconds(span.start),
            json!(span.kind),
            span.category.key(),
        ))
    }

    fn arrow(&mut self, process: usize, threads: &[(SpanId, usize, Time)], from: SpanId, to: SpanId) -> io::Result<()> {
        let find = |id| threads.binary_search_by_key(&id, |&(id, ..)| id).ok().map(|i| threads[i]);
        let (Some((_, leave, left)), Some((_, enter, entered))) = (find(from), find(to)) else {
            return Ok(());
        };
        self.arrows += 1;
        let id = self.arrows;
        // Both ends are bound to the slice that begins at their time; at its end a slice is no longer open.
        let at = [("s", "", leave, left), ("f", ",\"bp\":\"e\"", enter, entered)];
        for (phase, bind, thread, time) in at {
            self.event(&format!(
                "{{\"ph\":\"{phase}\"{bind},\"id\":{id},\"pid\":{process},\"tid\":{thread},\"ts\":{},\"name\":\"critical path\",\"cat\":\"critical path\"}}",
                microseconds(time),
            ))?;
        }
        Ok(())
    }
}

/// Microseconds as an exact decimal.
fn microseconds(time: Time) -> String {
    format!("{}.{:06}", time.ps() / 1_000_000, time.ps() % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_picosecond_kept() {
        assert_eq!(microseconds(Time::from_ps(1)), "0.000001");
        assert_eq!(microseconds(Time::from_ps(u64::MAX)), "18446744073709.551615");
    }
}
