//! report.html: a run on one page that needs no other file.
//!
//! The figures stand in the page as SVG. Their neutral colours follow the reader's light or dark mode by style rules on
//! the colour attributes that [`palette`] fixes; the hues of the categories stay.

use sim_core::Category;

use crate::analyse::{PointReport, RunReport, SystemReport};
use crate::critical_path::{Part, Segment};
use crate::energy;
use crate::figure::palette::{self, hex};
use crate::prefill::PrefillReport;
use crate::sweep::{self, Column};
use crate::table::{ENERGY_GROUPS, plain};
use crate::text::{actor_name, escape, percent, significant};

/// Figures as SVG text; those that are there are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures<'a> {
    /// breakdown.svg.
    pub breakdown: Option<&'a str>,
    /// latency.svg.
    pub latency: Option<&'a str>,
    /// share.svg.
    pub share: Option<&'a str>,
    /// timeline.svg.
    pub timeline: Option<&'a str>,
    /// energy.svg.
    pub energy: Option<&'a str>,
    /// accuracy.svg.
    pub accuracy: Option<&'a str>,
    /// prefill.svg.
    pub prefill: Option<&'a str>,
    /// prefill-timeline.svg.
    pub prefill_timeline: Option<&'a str>,
}

/// Segments listed per system.
const LONGEST: usize = 20;

/// The page as text.
pub fn page(run: &RunReport, figures: &Figures<'_>) -> String {
    let scenario = escape(&run.scenario);
    let mut page = Page {
        text: format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{scenario} - pimscope</title>\n\
             <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n",
            figure_style()
        ),
    };
    page.put(&format!("<h1>{scenario}</h1>\n"));
    page.put(&format!("<p class=\"quiet\">seed {}", run.seed));
    if !run.scenario_sha256.is_empty() {
        page.put(&format!(", scenario <code>{}</code>", escape(&run.scenario_sha256)));
    }
    page.put("</p>\n");
    if let Some(stopped) = &run.stopped {
        page.put(&format!(
            "<p class=\"partial\" role=\"note\" style=\"{PARTIAL}\">{}</p>\n",
            escape(&stopped.sentence())
        ));
    }
    if !run.systems.is_empty() {
        page.systems(&run.systems);
    }
    page.figure("Where the time of the prefill goes", figures.prefill);
    page.figure("Where the time goes", figures.breakdown);
    page.figure("Where the energy goes", figures.energy);
    page.energy(run);
    if !run.points.is_empty() {
        page.points(&run.points);
    }
    page.figure("Latency over the sweep", figures.latency);
    page.figure("Communication over the sweep", figures.share);
    page.figure("Error against time and memory", figures.accuracy);
    page.figure("The prefill", figures.prefill_timeline);
    let kernels = SystemReport::are_kernels(&run.systems);
    page.figure(if kernels { "The kernel" } else { "The last token" }, figures.timeline);
    page.critical_paths(&run.systems);
    page.notes(&run.systems);
    page.assumptions(run);
    page.put(DEFINITIONS);
    page.put("</main>\n</body>\n</html>\n");
    page.text
}

struct Page {
    text: String,
}

impl Page {
    fn put(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    fn figure(&mut self, heading: &str, svg: Option<&str>) {
        if let Some(svg) = svg {
            let label = escape(heading);
            // A figure is read aloud as its heading; the numbers stand in the tables.
            let svg = svg.trim().replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1);
            self.put(&format!("<h2>{label}</h2>\n<figure>\n{svg}\n</figure>\n"));
        }
    }

    /// A table row: a heading and cells.
    fn row(&mut self, class: &str, heading: &str, cells: impl Iterator<Item = String>) {
        self.put(&format!("<tr class=\"{class}\"><th scope=\"row\">{heading}</th>"));
        for cell in cells {
            let cell = escape(&with_units(&cell));
            // A codec is long, and has no spaces to break its line at.
            let cell = if class == "long" { cell.replace(',', ",<wbr>") } else { cell };
            self.put(&format!("<td>{cell}</td>"));
        }
        self.put("</tr>\n");
    }

    /// Exposed and busy, in all and over PCIe and CXL.
    fn communication(&mut self, systems: &[SystemReport]) {
        let exposed = |s: &SystemReport| decoded(s, percent(s.breakdown.communication_share()));
        self.row("strong", "communication, exposed", systems.iter().map(exposed));
        let busy = |s: &SystemReport| decoded(s, percent(s.communication_busy_share()));
        self.row("", "communication, busy", systems.iter().map(busy));
        let exposed = |s: &SystemReport| decoded(s, percent(s.breakdown.host_communication_share()));
        self.row("", "host communication, exposed", systems.iter().map(exposed));
        let busy = |s: &SystemReport| decoded(s, percent(s.host_communication_busy_share()));
        self.row("", "host communication, busy", systems.iter().map(busy));
    }

    fn systems(&mut self, systems: &[SystemReport]) {
        let kernels = SystemReport::are_kernels(systems);
        let heading = if kernels { "Latency" } else { "Latency per token" };
        self.put(&format!("<h2>{heading}</h2>\n<div class=\"wide\"><table class=\"systems\">\n<thead><tr><td></td>"));
        for system in systems {
            self.put(&format!("<th scope=\"col\">{}</th>", escape(&system.name)));
        }
        self.put("</tr></thead>\n<tbody>\n");
        if systems.iter().any(|s| s.prefill.is_some()) {
            self.prefill(systems);
        }
        if kernels {
            self.row("strong", "latency", systems.iter().map(|s| s.latency().to_string()));
            self.row("", "kernel", systems.iter().map(SystemReport::shape));
        } else {
            self.row(
                "strong",
                "latency per token",
                systems.iter().map(|s| decoded(s, s.latency_per_token().to_string())),
            );
            let rate = |s: &SystemReport| decoded(s, significant(s.tokens_per_second()));
            self.row("", "tokens per second", systems.iter().map(rate));
            self.row("", "batch, context, tokens", systems.iter().map(SystemReport::shape));
        }
        for category in Category::ALL {
            if systems.iter().any(|s| s.breakdown.get(category).ps() > 0) {
                let heading = format!("{} {category}", swatch(category));
                let cell = |s: &SystemReport| match s.breakdown.get(category).ps() {
                    0 => "–".to_owned(),
                    _ => percent(s.breakdown.share(category)),
                };
                self.row("", &heading, systems.iter().map(cell));
            }
        }
        if systems.iter().any(|s| s.kernel.is_none() || s.communication_busy.ps() > 0) {
            self.communication(systems);
        }
        if systems.iter().any(|s| s.attention.layers > 0) {
            self.row("", "attention of a layer", systems.iter().map(|s| s.attention.per_layer().to_string()));
            let inside = |s: &SystemReport| percent(s.attention.breakdown.communication_share());
            self.row("", "communication in it", systems.iter().map(inside));
        }
        for (label, name) in [("GPU memory", "gpu"), ("PIM memory", "pim"), ("host memory", "host")] {
            let find = |s: &SystemReport| s.memory.iter().find(|(n, _)| *n == name).map(|(_, memory)| memory);
            if systems.iter().any(|s| find(s).is_some()) {
                let cell = |s: &SystemReport| {
                    find(s).map_or_else(|| "–".to_owned(), |m| format!("{} of {}", m.used, m.capacity))
                };
                self.row("", label, systems.iter().map(cell));
            }
        }
        if systems.iter().any(|s| s.memory.kv_tokens_that_fit > 0) {
            self.row("", "context that fits, tokens", systems.iter().map(|s| s.memory.kv_tokens_that_fit.to_string()));
        }
        if systems.iter().any(|s| s.memory.kv_bytes.packed != s.memory.kv_bytes.plain) {
            let ratio = |s: &SystemReport| {
                let (packed, paged) = s.memory.kv_bytes.compression();
                format!("{packed:.2}, {paged:.2} in pages")
            };
            self.row("", "KV cache, times smaller than FP16", systems.iter().map(ratio));
        }
        if systems.iter().any(|s| s.energy_pj.iter().any(|(_, energy)| *energy > 0.0)) {
            let energy = |s: &SystemReport| {
                s.energy_per_step().map_or_else(|| "–".to_owned(), |energy| format!("{} mJ", significant(energy / 1e9)))
            };
            self.row("strong", if kernels { "energy" } else { "energy per token step" }, systems.iter().map(energy));
            // All of a kernel's is PIM's.
            let groups = if kernels { &[][..] } else { &ENERGY_GROUPS[..] };
            for &(label, group) in groups {
                if systems.iter().any(|s| s.energy_share(group) > 0.0) {
                    let share = |s: &SystemReport| match s.energy_share(group) {
                        share if share > 0.0 && s.stopped.is_none() => percent(share),
                        _ => "–".to_owned(),
                    };
                    self.row("", label, systems.iter().map(share));
                }
            }
        }
        if systems.iter().any(|s| s.accuracy.is_some()) {
            let error = |s: &SystemReport| s.accuracy.as_ref().map_or("–".to_owned(), |a| percent(a.error));
            self.row("", "error of attention's output", systems.iter().map(error));
            let codec = |s: &SystemReport| s.accuracy.as_ref().map_or("–".to_owned(), |a| a.codec.clone());
            self.row("long", "measured with", systems.iter().map(codec));
        }
        self.put("</tbody></table></div>\n");
    }

    /// Every part of the energy of a token step, and of attention alone, with the power that is only assumed.
    fn energy(&mut self, run: &RunReport) {
        let systems: Vec<&SystemReport> = run.systems.iter().filter(|s| energy::of_step(s).is_some()).collect();
        let Some(first) = systems.first() else { return };
        let unit = if SystemReport::are_kernels(&run.systems) { "mJ" } else { "mJ for each token step" };
        self.put(&format!(
            "<h2>Energy by part</h2>\n<div class=\"wide\"><table class=\"systems\">\n<thead><tr><td>{unit}</td>"
        ));
        for system in &systems {
            self.put(&format!("<th scope=\"col\">{}</th>", escape(&system.name)));
        }
        self.put("</tr></thead>\n<tbody>\n");
        let millijoules = |parts: &[(String, f64)], name: &str, tokens: u32| {
            let found = parts.iter().find(|(part, _)| part == name).map(|(_, energy)| *energy);
            found
                .filter(|energy| *energy > 0.0)
                .map_or_else(|| "–".to_owned(), |energy| significant(energy / 1e9 / f64::from(tokens.max(1))))
        };
        for (name, _) in &first.energy_pj {
            if systems.iter().any(|s| s.energy_pj.iter().any(|(part, energy)| part == name && *energy > 0.0)) {
                let class = if name == "total" { "strong" } else { "" };
                self.row(class, &escape(name), systems.iter().map(|s| millijoules(&s.energy_pj, name, s.tokens)));
            }
        }
        let idle = |groups: Option<[f64; energy::GROUPS.len()]>| {
            groups.map_or_else(|| "–".to_owned(), |groups| percent(energy::idle_share(&groups)))
        };
        self.row("", "idle, standby, refresh", systems.iter().map(|s| idle(energy::of_step(s))));
        if systems.iter().any(|s| energy::of_attention(s).is_some()) {
            for (name, _) in &first.attention_energy_pj {
                let of = |s: &&SystemReport| millijoules(&s.attention_energy_pj, name, s.tokens);
                if systems.iter().any(|s| of(s) != "–") {
                    let total = name == "total";
                    let heading =
                        if total { "attention alone".to_owned() } else { format!("attention: {}", escape(name)) };
                    self.row(if total { "strong" } else { "" }, &heading, systems.iter().map(of));
                }
            }
            self.row("", "attention: idle, standby, refresh", systems.iter().map(|s| idle(energy::of_attention(s))));
        }
        self.put("</tbody></table></div>\n");
        let idle = [
            "idle_power",
            "mem_standby",
            "mem_refresh",
            "dram_standby",
            "dram_refresh",
            "standby_open",
            "standby_closed",
            "energy_refresh",
        ];
        let of_idle = |key: &str| key.rsplit('.').next().is_some_and(|last| idle.contains(&last));
        let mut assumed: Vec<String> = Vec::new();
        for assumption in run.assumptions.iter().filter(|assumption| of_idle(&assumption.key)) {
            let text = format!("<code>{}</code> {}", escape(&assumption.key), escape(&plain(&assumption.value)));
            if !assumed.contains(&text) {
                assumed.push(text);
            }
        }
        if !assumed.is_empty() {
            self.put(&format!(
                "<p class=\"quiet\">Idle power that is an assumption: {}. Reasons below.</p>\n",
                assumed.join(", ")
            ));
        }
    }

    /// The rows of the prefill, above those of the tokens.
    fn prefill(&mut self, systems: &[SystemReport]) {
        let of = |value: &dyn Fn(&PrefillReport) -> String| -> Vec<String> {
            systems.iter().map(|s| s.prefill.as_ref().map_or_else(|| "–".to_owned(), value)).collect()
        };
        self.row("strong", "time to first token", of(&|p| p.latency().to_string()).into_iter());
        self.row("", "prompt tokens per second", of(&|p| significant(p.tokens_per_second())).into_iter());
        self.row("", "prompt tokens, groups, chunks", of(&PrefillReport::cut).into_iter());
        for category in Category::ALL {
            if systems.iter().filter_map(|s| s.prefill.as_ref()).any(|p| p.breakdown.get(category).ps() > 0) {
                let heading = format!("{} {category}", swatch(category));
                let cell = |p: &PrefillReport| match p.breakdown.get(category).ps() {
                    0 => "–".to_owned(),
                    _ => percent(p.breakdown.share(category)),
                };
                self.row("", &heading, of(&cell).into_iter());
            }
        }
        self.row("", "GPU time of a layer", of(&|p| p.gpu_layer().to_string()).into_iter());
        self.row("", "K and V at home after", of(&|p| p.done.to_string()).into_iter());
        if systems.iter().filter_map(|s| s.prefill.as_ref()).any(|p| p.clustering.is_some()) {
            for (label, cell) in PrefillReport::clustering_rows() {
                if systems.iter().filter_map(|s| s.prefill.as_ref()).any(|p| cell(p) != "-") {
                    self.row("", &escape(label.trim()), of(&*cell).into_iter());
                }
            }
        }
        let energy = |s: &SystemReport| {
            let total = s.energy_pj.first();
            total.map_or_else(|| "–".to_owned(), |(_, total)| format!("{} J", significant(total / 1e12)))
        };
        self.row("", "energy of the whole run", systems.iter().map(energy));
    }

    fn points(&mut self, points: &[PointReport]) {
        self.put("<h2>Points of the sweep</h2>\n<div class=\"wide\"><table class=\"sweep\">\n<thead><tr>");
        let (columns, rows) = sweep::table(points);
        let text = |column: &Column| if column.text { " class=\"text\"" } else { "" };
        for column in &columns {
            self.put(&format!("<th scope=\"col\"{}>{}</th>", text(column), escape(&column.heading)));
        }
        self.put("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.put("<tr>");
            for (column, cell) in columns.iter().zip(row) {
                self.put(&format!("<td{}>{}</td>", text(column), escape(&cell)));
            }
            self.put("</tr>\n");
        }
        self.put("</tbody></table></div>\n");
        if columns.iter().any(|column| column.name == "exposed") {
            self.put(&format!("<p class=\"quiet\">{}</p>\n", escape(sweep::SHARES)));
        }
    }

    fn critical_paths(&mut self, systems: &[SystemReport]) {
        if systems.iter().all(|system| system.critical_path.is_empty()) {
            return;
        }
        let of = if SystemReport::are_kernels(systems) { "" } else { " of the last token" };
        self.put(&format!("<h2>Critical path{of}</h2>\n"));
        for system in systems {
            let Some(path) = system.critical_path.last() else {
                continue;
            };
            let (from, to) = match (path.first(), path.last()) {
                (Some(first), Some(last)) => (first.from, last.to),
                _ => continue,
            };
            let mut longest: Vec<&Segment> = path.iter().collect();
            longest.sort_by_key(|segment| (std::cmp::Reverse(segment.duration()), segment.from));
            longest.truncate(LONGEST);
            self.put(&format!(
                "<details{}><summary>{}: the {} longest of {} segments, {} in all</summary>\n<div class=\"wide\">\
                 <table>\n<thead><tr><th scope=\"col\">actor, job</th><th scope=\"col\" class=\"text\">category</th>\
                 <th scope=\"col\" class=\"text\">part</th><th scope=\"col\">from</th><th scope=\"col\">takes</th>\
                 <th scope=\"col\">of the token</th></tr></thead>\n<tbody>\n",
                if systems.len() == 1 { " open" } else { "" },
                escape(&system.name),
                longest.len(),
                path.len(),
                to - from
            ));
            for segment in longest {
                let actor = actor_name(&system.actors, segment.span.actor.index());
                let heading = format!("{}, {}", escape(&actor), escape(segment.kind));
                let part = match segment.part {
                    Part::Signal => "its signal travels",
                    Part::Waiting => "waits for arbitration",
                    Part::Launch => "its launch",
                    Part::Body => "runs",
                };
                let share = segment.duration().ps() as f64 / (to - from).ps().max(1) as f64;
                self.put(&format!(
                    "<tr><th scope=\"row\">{heading}</th><td class=\"text\">{} {}</td><td class=\"text\">{part}</td>\
                     <td>{}</td><td>{}</td><td>{}</td></tr>\n",
                    swatch(segment.category),
                    segment.category,
                    segment.from - from,
                    segment.duration(),
                    escape(&percent(share)),
                ));
            }
            self.put("</tbody></table></div></details>\n");
        }
    }

    fn notes(&mut self, systems: &[SystemReport]) {
        let lines = |system: &SystemReport| -> Vec<String> {
            system.memory.placement.iter().chain(&system.notes).map(|line| escape(line)).collect()
        };
        if systems.iter().all(|system| lines(system).is_empty()) {
            return;
        }
        self.put("<h2>Notes</h2>\n");
        for system in systems {
            let lines = lines(system);
            if !lines.is_empty() {
                self.put(&format!("<h3>{}</h3>\n<ul>\n", escape(&system.name)));
                for line in lines {
                    self.put(&format!("<li>{line}</li>\n"));
                }
                self.put("</ul>\n");
            }
        }
    }

    fn assumptions(&mut self, run: &RunReport) {
        if run.assumptions.is_empty() {
            return;
        }
        self.put(
            "<h2>Assumptions</h2>\n<p>What no source gives. The figures of a device can be set in the scenario.</p>\n\
             <div class=\"wide\"><table class=\"points\">\n<thead><tr><th scope=\"col\">key</th>\
             <th scope=\"col\">value</th><th scope=\"col\">why</th></tr></thead>\n<tbody>\n",
        );
        for assumption in &run.assumptions {
            self.put(&format!(
                "<tr><th scope=\"row\"><code>{}</code></th><td class=\"value\">{}</td><td class=\"prose\">{}</td></tr>\n",
                escape(&assumption.key),
                escape(&plain(&assumption.value)),
                escape(&assumption.why)
            ));
        }
        self.put("</tbody></table></div>\n");
    }
}

/// Where many systems stand side by side lines are broken, but none between a number and its unit.
fn with_units(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for word in cell.split(' ') {
        if !text.is_empty() {
            let number = text.ends_with(|c: char| c.is_ascii_digit());
            let unit = word.len() <= 3
                && !word.starts_with(|c: char| c.is_ascii_digit())
                && !["x", "of", "to"].contains(&word);
            text.push(if number && unit { '\u{a0}' } else { ' ' });
        }
        text.push_str(word);
    }
    text
}

/// What is known only once a token is decoded.
fn decoded(system: &SystemReport, value: String) -> String {
    if system.tokens > 0 { value } else { "–".to_owned() }
}

fn swatch(category: Category) -> String {
    format!("<i style=\"background:{}\"></i>", hex(palette::colour(category)))
}

/// Rules that give the neutral colours of the figures the page's own.
fn figure_style() -> String {
    let pairs =
        [(palette::INK, "--ink"), (palette::MUTED, "--quiet"), (palette::GRID, "--line"), (palette::PAPER, "--paper")];
    let rule = |(colour, variable): (palette::Rgb, &str)| {
        let hex = hex(colour);
        format!("figure [fill=\"{hex}\"]{{fill:var({variable})}}figure [stroke=\"{hex}\"]{{stroke:var({variable})}}")
    };
    pairs.map(rule).join("\n") + "\n"
}

/// Beside the text, so that the page of a whole run has nothing of it.
const PARTIAL: &str =
    "border-left:.3rem solid var(--quiet);background:var(--stripe);padding:.5rem .75rem;overflow-wrap:anywhere";

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#22262a;--quiet:#5a5f67;--line:#dde0e4;--paper:#fff;--stripe:#f5f6f8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--quiet:#a3a9b2;--line:#363b42;--paper:#16191d;--stripe:#1d2126}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.5rem 0 .75rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem;overflow-wrap:anywhere}
p,ul,dl{max-width:46rem}
.quiet{color:var(--quiet);font-size:.85rem;margin:0;overflow-wrap:anywhere}
code{font:.9em ui-monospace,monospace}
figure{margin:0;overflow-x:auto}
figure svg{max-width:100%;height:auto;min-width:640px;display:block}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .75rem;text-align:right;vertical-align:top;white-space:nowrap}
thead td,thead th{border-bottom:2px solid var(--line)}
thead th{max-width:16rem;white-space:normal;overflow-wrap:break-word}
tbody tr{border-bottom:1px solid var(--line)}
tbody tr:hover{background:var(--stripe)}
th[scope=row]{text-align:left;font-weight:400}
th.text,td.text{text-align:left}
.systems td{white-space:normal}
td.value{white-space:normal;max-width:14rem}
.long td{white-space:normal;overflow-wrap:break-word;min-width:8rem;max-width:14rem}
td.prose{text-align:left;white-space:normal;min-width:18rem;max-width:40rem}
thead th:first-child,.points thead th,.points td{text-align:left}
tr.strong th,tr.strong td{font-weight:600}
i{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin-right:.35em}
details{margin:.5rem 0}
summary{cursor:pointer;padding:.25rem 0;overflow-wrap:anywhere}
dt{font-weight:600;margin-top:.6rem}dd{margin:0}
li{overflow-wrap:anywhere}
@media print{figure,.wide{overflow:visible}}
";

const DEFINITIONS: &str = "\
<h2>What the words mean</h2>
<dl>
<dt>exposed</dt><dd>Time on the critical path, the chain of jobs that decided when the token was done. The categories of
the critical path add up to the latency exactly, in picoseconds. Without exposed communication the token would be done
sooner, until another chain decides.</dd>
<dt>busy</dt><dd>The union of all transfers over the latency: how much of the time any transfer was under way, hidden
behind other work or not.</dd>
<dt>host communication</dt><dd>PCIe and CXL, without NVLink and the stacks' own interface.</dd>
<dt>waiting</dt><dd>Time in which a job waits for a resource counts as what held the resource. Only arbitration without
such a holder is <code>queue</code>.</dd>
<dt>compute</dt><dd>Includes reading one's own memory: a GPU its HBM, a PIM device its banks.</dd>
<dt>attention of a layer</dt><dd>The mean time on the critical path from the end of a layer's QKV projection to the
output of its attention.</dd>
<dt>energy of attention alone</dt><dd>What the jobs of a layer between its queries and its attention's output moved and
computed, and what is taken all the time while any layer's attention is under way.</dd>
<dt>launch</dt><dd>Dispatch, flags, mode switches and synchronisation.</dd>
</dl>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_a_number_stay_with_its_unit() {
        assert_eq!(with_units("32.00 MiB of 16.00 GiB"), "32.00\u{a0}MiB of 16.00\u{a0}GiB");
        assert_eq!(with_units("gemv 4096 x 4096, fp16"), "gemv 4096 x 4096, fp16");
        assert_eq!(with_units("16, 512 to 32664, 1"), "16, 512 to 32664, 1");
        assert_eq!(with_units("99.3 %"), "99.3\u{a0}%");
    }
}
