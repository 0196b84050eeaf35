//! summary.json: the results of a run, with the same bytes for the same scenario and seed.

use serde_json::{Map, Value, json};

use sim_core::{Bytes, Category, Time};

use crate::analyse::{Accuracy, Assumption, KvBytes, Memory, PointReport, RunReport, SystemReport, Use};
use crate::attention::AttentionView;
use crate::breakdown::Breakdown;
use crate::clustering::Clustering;
use crate::error::ReportError;
use crate::prefill::{PrefillReport, PrefillShape};
use crate::stopped::{Stopped, Why};

/// The schema that this version writes.
pub const SCHEMA: &str = "pimscope/summary/1";

/// summary.json as text.
pub fn to_json(run: &RunReport) -> String {
    pretty(&to_value(run))
}

/// summary.json as a value.
pub fn to_value(run: &RunReport) -> Value {
    let assumptions = run.assumptions.iter();
    let assumptions = assumptions.map(|a| json!({ "key": a.key, "value": a.value, "why": a.why }));
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("schema", json!(SCHEMA));
    put("scenario", json!(run.scenario));
    put("scenario_sha256", json!(run.scenario_sha256));
    put("seed", json!(run.seed));
    // Only where it is so: a whole run has neither key.
    if let Some(at) = &run.stopped {
        put("partial", json!(true));
        put("stopped", stopped(at));
    }
    put("assumptions", assumptions.collect());
    put("systems", run.systems.iter().map(system).collect());
    put("points", run.points.iter().map(point).collect());
    Value::Object(map)
}

fn stopped(stopped: &Stopped) -> Value {
    json!({
        "why": stopped.why.key(),
        "system": stopped.system,
        "point": stopped.point,
        "simulated_ps": stopped.at.ps(),
        "not_run": stopped.not_run,
    })
}

/// An element of `points`.
pub fn point(point: &PointReport) -> Value {
    json!({
        "keys": Value::Object(point.keys.iter().cloned().collect()),
        "systems": point.systems.iter().map(system).collect::<Vec<_>>(),
    })
}

/// A number, or a list where sequences differ.
fn context(report: &SystemReport) -> Value {
    if report.lengths.is_empty() { json!(report.context) } else { json!(report.lengths) }
}

/// An element of `systems`.
pub fn system(report: &SystemReport) -> Value {
    let steps: Vec<u64> = report.step_latency.iter().map(|time| time.ps()).collect();
    let busy = report.busy.iter().map(|(name, time)| (name, time.ps()));
    let memory = &report.memory;
    let kv = &memory.kv_bytes;
    let (packed, paged) = kv.compression();
    let mut value = json!({
        "name": report.name,
        "decode": {
            "batch": report.batch,
            "context": context(report),
            "tokens": report.tokens,
            "latency_ps": report.latency().ps(),
            "step_latency_ps": steps,
            "tokens_per_s": report.tokens_per_second(),
            "breakdown_ps": breakdown(&report.breakdown),
            "communication_share": report.breakdown.communication_share(),
            "host_communication_share": report.breakdown.host_communication_share(),
            "busy_ps": sums(busy, |a, b| a + b),
            "communication_busy_share": report.communication_busy_share(),
            "host_communication_busy_share": report.host_communication_busy_share(),
            "attention": {
                "layers": report.attention.layers,
                "layer_ps": report.attention.per_layer().ps(),
                "latency_ps": report.attention.breakdown.total().ps(),
                "breakdown_ps": breakdown(&report.attention.breakdown),
            },
            "step_breakdown_ps": report.step_breakdown.iter().map(breakdown).collect::<Vec<_>>(),
        },
        "prefill": report.prefill.as_ref().map(prefill),
        "memory": {
            "gpu": memory_use(memory.gpu),
            "pim": memory_use(memory.pim),
            "host": memory_use(memory.host),
            "kv_bytes_per_token": memory.kv_bytes_per_token,
            "kv_bytes": { "tokens": kv.tokens, "fp16": kv.plain, "packed": kv.packed, "paged": kv.paged },
            "kv_compression": { "packed": packed, "paged": paged },
            "kv_tokens_that_fit": memory.kv_tokens_that_fit,
            "spilled": memory.spilled,
            "placement": memory.placement,
        },
        "pim_commands": commands(&report.pim_commands),
        "energy_pj": (!report.energy_pj.is_empty())
            .then(|| sums(report.energy_pj.iter().map(|(name, energy)| (name, *energy)), |a, b| a + b)),
        "utilisation": sums(report.utilisation.iter().map(|(name, part)| (name, *part)), f64::max),
        "notes": report.notes,
    });
    // Only where it is so: a decode does not have the key.
    if let Some(kernel) = &report.kernel {
        value["kernel"] = json!(kernel);
    }
    // Only where attention's share of it is known.
    if !report.attention_energy_pj.is_empty() {
        let parts = report.attention_energy_pj.iter().map(|(name, energy)| (name, *energy));
        value["attention_energy_pj"] = sums(parts, |a, b| a + b);
    }
    // Only where it was asked for.
    if let (Some(accuracy), Some(map)) = (&report.accuracy, value.as_object_mut()) {
        map.insert("accuracy".to_owned(), of_accuracy(accuracy));
    }
    value
}

fn of_accuracy(accuracy: &Accuracy) -> Value {
    json!({
        "codec": accuracy.codec,
        "tensors": accuracy.tensors,
        "heads": accuracy.heads,
        "context": accuracy.context,
        "bits_per_element": accuracy.bits_per_element,
        "error": accuracy.error,
        "cosine": accuracy.cosine,
    })
}

/// By name, as everything in the file.
fn commands(commands: &[(String, u64, f64)]) -> Value {
    let entry =
        |(name, count, picojoules): &(String, u64, f64)| (name.clone(), json!({ "count": count, "pj": picojoules }));
    Value::Object(commands.iter().map(entry).collect())
}

fn read_accuracy(at: &Place<'_>) -> Result<Accuracy, ReportError> {
    Ok(Accuracy {
        codec: at.get("codec")?.text()?,
        tensors: at.get("tensors")?.text()?,
        heads: at.get("heads")?.whole()?,
        context: at.get("context")?.whole()?,
        bits_per_element: at.get("bits_per_element")?.float()?,
        error: at.get("error")?.float()?,
        cosine: at.get("cosine")?.float()?,
    })
}

fn prefill(report: &PrefillReport) -> Value {
    let PrefillShape { tokens, longest, groups, chunks, chunk_tokens, assignment: _ } = report.shape;
    json!({
        "tokens": tokens,
        "longest": longest,
        "groups": groups,
        "chunks": chunks,
        "chunk_tokens": chunk_tokens,
        "latency_ps": report.latency().ps(),
        "done_ps": report.done.ps(),
        "tokens_per_s": report.tokens_per_second(),
        "breakdown_ps": breakdown(&report.breakdown),
        "communication_share": report.breakdown.communication_share(),
        "gpu_layer_ps": report.gpu_layers.iter().map(|time| time.ps()).collect::<Vec<_>>(),
        "busy_ps": sums(report.busy.iter().map(|(name, time)| (name, time.ps())), |a, b| a + b),
        "clustering": report.clustering.as_ref().map(clustering),
    })
}

fn clustering(report: &Clustering) -> Value {
    let list = |times: &[Time]| times.iter().map(|time| time.ps()).collect::<Vec<_>>();
    json!({
        "hidden": report.hidden(),
        "margin_ps": report.margin(),
        "layers_until_again": report.again,
        "margin_until_again_ps": report.margin_again(),
        "layer_margin_ps": report.margins().collect::<Vec<_>>(),
        "waited_ps": report.waited.ps(),
        "after_first_token_ps": report.after_first_token.ps(),
        "layer_ps": list(&report.layers),
        "gpu_layer_ps": list(&report.gpu_layers),
        "phases_ps": sums(report.phases.iter().map(|(name, time)| (name, time.ps())), |a, b| a + b),
        "waiting_ps": report.waiting.ps(),
    })
}

fn optional(at: &Place<'_>) -> Result<Option<u32>, ReportError> {
    if at.value.is_null() { Ok(None) } else { at.whole().map(Some) }
}

fn read_clustering(at: &Place<'_>) -> Result<Option<Clustering>, ReportError> {
    if at.value.is_null() {
        return Ok(None);
    }
    let time = |at: Place<'_>| Ok(Time::from_ps(at.whole()?));
    Ok(Some(Clustering {
        phases: at.get("phases_ps")?.map(time)?,
        waiting: time(at.get("waiting_ps")?)?,
        layers: at.get("layer_ps")?.list(time)?,
        gpu_layers: at.get("gpu_layer_ps")?.list(time)?,
        waited: time(at.get("waited_ps")?)?,
        again: optional(&at.get("layers_until_again")?)?,
        after_first_token: time(at.get("after_first_token_ps")?)?,
    }))
}

fn read_prefill(at: &Place<'_>) -> Result<Option<PrefillReport>, ReportError> {
    if at.value.is_null() {
        return Ok(None);
    }
    let time = |at: Place<'_>| Ok(Time::from_ps(at.whole()?));
    let clustering = read_clustering(&at.get("clustering")?)?;
    let phases = clustering.iter().flat_map(|clustering| &clustering.phases);
    let assignment = phases.filter(|(kind, _)| kind == "ca").map(|(_, time)| *time).sum();
    Ok(Some(PrefillReport {
        shape: PrefillShape {
            tokens: at.get("tokens")?.whole()?,
            longest: at.get("longest")?.whole()?,
            groups: at.get("groups")?.whole()?,
            chunks: at.get("chunks")?.whole()?,
            chunk_tokens: at.get("chunk_tokens")?.whole()?,
            assignment,
        },
        breakdown: read_total(at)?,
        done: time(at.get("done_ps")?)?,
        gpu_layers: at.get("gpu_layer_ps")?.list(time)?,
        clustering,
        busy: at.get("busy_ps")?.map(time)?,
        critical_path: Vec::new(),
    }))
}

/// A breakdown that adds up to the latency beside it.
fn read_total(at: &Place<'_>) -> Result<Breakdown, ReportError> {
    let breakdown = read_breakdown(&at.get("breakdown_ps")?)?;
    let latency = at.get("latency_ps")?;
    if latency.whole::<u64>()? != breakdown.total().ps() {
        let what = format!("it is {}, but the breakdown adds up to {}", latency.value, breakdown.total().ps());
        return Err(ReportError::SummaryFile { key: latency.key, what });
    }
    Ok(breakdown)
}

/// Reads summary.json, for merging the shards of a sweep and for resuming one. Critical paths, the actors' names and the
/// number of events are not in the file and come back empty.
///
/// # Errors
/// [`ReportError::SummaryFile`] with the key path and what was expected there.
pub fn read(text: &str) -> Result<RunReport, ReportError> {
    let value: Value = serde_json::from_str(text).map_err(|error| ReportError::SummaryFile {
        key: format!("line {}, column {}", error.line(), error.column()),
        what: error.to_string(),
    })?;
    let top = Place { value: &value, key: String::new() };
    let schema = top.get("schema")?;
    if schema.value != SCHEMA {
        return Err(schema.wrong(&format!("`{SCHEMA}`")));
    }
    let assumption = |at: Place<'_>| {
        Ok(Assumption {
            key: at.get("key")?.text()?,
            value: at.get("value")?.value.clone(),
            why: at.get("why")?.text()?,
        })
    };
    let stopped = match value.get("stopped") {
        Some(_) => Some(read_stopped(&top.get("stopped")?)?),
        None => None,
    };
    let mut run = RunReport {
        scenario: top.get("scenario")?.text()?,
        scenario_sha256: top.get("scenario_sha256")?.text()?,
        seed: top.get("seed")?.whole()?,
        assumptions: top.get("assumptions")?.list(assumption)?,
        systems: top.get("systems")?.list(|at| read_system(&at))?,
        points: top.get("points")?.list(|at| read_point(&at))?,
        stopped,
    };
    if let Some(stopped) = &run.stopped {
        // Systems run one after the other, so the last one is the one that was stopped.
        let systems = run.points.last_mut().map_or(&mut run.systems, |point| &mut point.systems);
        if let Some(system) = systems.last_mut() {
            system.stopped = Some(stopped.at);
        }
    }
    Ok(run)
}

fn read_stopped(at: &Place<'_>) -> Result<Stopped, ReportError> {
    let (why, point) = (at.get("why")?, at.get("point")?);
    Ok(Stopped {
        why: Why::from_key(&why.text()?).ok_or_else(|| why.wrong("until, max-events, max-wall or interrupt"))?,
        system: at.get("system")?.text()?,
        point: if point.value.is_null() { None } else { Some(point.text()?) },
        at: Time::from_ps(at.get("simulated_ps")?.whole()?),
        not_run: at.get("not_run")?.list(|at| at.text())?,
    })
}

fn read_point(at: &Place<'_>) -> Result<PointReport, ReportError> {
    let keys = at.get("keys")?;
    Ok(PointReport {
        keys: keys.map(|value| Ok(value.value.clone()))?,
        systems: at.get("systems")?.list(|at| read_system(&at))?,
    })
}

fn read_system(at: &Place<'_>) -> Result<SystemReport, ReportError> {
    let decode = at.get("decode")?;
    let memory = at.get("memory")?;
    let step_breakdown = decode.get("step_breakdown_ps")?.list(|at| read_breakdown(&at))?;
    let mut breakdown = Breakdown::default();
    for step in &step_breakdown {
        breakdown += *step;
    }
    let context = decode.get("context")?;
    let lengths = if context.value.is_array() { context.list(|at| at.whole())? } else { Vec::new() };
    let latency = decode.get("latency_ps")?;
    if latency.whole::<u64>()? != breakdown.total().ps() {
        let what = format!("it is {}, but the steps add up to {}", latency.value, breakdown.total().ps());
        return Err(ReportError::SummaryFile { key: latency.key, what });
    }
    // The shares are of whole picoseconds, far fewer than 2^53, so rounding gives back the number that was divided.
    let busy = |key| -> Result<Time, ReportError> {
        let part = decode.get(key)?.float()?;
        Ok(Time::from_ps((part * breakdown.total().ps() as f64).round() as u64))
    };
    Ok(SystemReport {
        name: at.get("name")?.text()?,
        batch: decode.get("batch")?.whole()?,
        context: lengths.iter().max().map_or_else(|| context.whole(), |&longest| Ok(longest))?,
        lengths,
        kernel: at.value.get("kernel").map(|_| at.get("kernel")?.text()).transpose()?,
        tokens: decode.get("tokens")?.whole()?,
        prefill: read_prefill(&at.get("prefill")?)?,
        step_latency: step_breakdown.iter().map(Breakdown::total).collect(),
        breakdown,
        step_breakdown,
        attention: read_attention(&decode.get("attention")?)?,
        busy: decode.get("busy_ps")?.map(|at| Ok(Time::from_ps(at.whole()?)))?,
        communication_busy: busy("communication_busy_share")?,
        host_communication_busy: busy("host_communication_busy_share")?,
        critical_path: Vec::new(),
        actors: Vec::new(),
        memory: Memory {
            gpu: read_use(&memory.get("gpu")?)?,
            pim: read_use(&memory.get("pim")?)?,
            host: read_use(&memory.get("host")?)?,
            kv_bytes_per_token: memory.get("kv_bytes_per_token")?.whole()?,
            kv_bytes: read_kv_bytes(&memory.get("kv_bytes")?)?,
            kv_tokens_that_fit: memory.get("kv_tokens_that_fit")?.whole()?,
            spilled: memory.get("spilled")?.whole()?,
            placement: memory.get("placement")?.list(|at| at.text())?,
        },
        energy_pj: match at.get("energy_pj")? {
            unknown if unknown.value.is_null() => Vec::new(),
            parts => parts.map(|at| at.float())?,
        },
        attention_energy_pj: match at.value.get("attention_energy_pj") {
            Some(_) => at.get("attention_energy_pj")?.map(|at| at.float())?,
            None => Vec::new(),
        },
        pim_commands: at
            .get("pim_commands")?
            .map(|at| Ok((at.get("count")?.whole()?, at.get("pj")?.float()?)))?
            .into_iter()
            .map(|(name, (count, picojoules))| (name, count, picojoules))
            .collect(),
        utilisation: at.get("utilisation")?.map(|at| at.float())?,
        accuracy: at.value.get("accuracy").map(|_| read_accuracy(&at.get("accuracy")?)).transpose()?,
        notes: at.get("notes")?.list(|at| at.text())?,
        events: 0,
        stopped: None,
    })
}

fn read_attention(at: &Place<'_>) -> Result<AttentionView, ReportError> {
    Ok(AttentionView { layers: at.get("layers")?.whole()?, breakdown: read_breakdown(&at.get("breakdown_ps")?)? })
}

fn read_breakdown(at: &Place<'_>) -> Result<Breakdown, ReportError> {
    let mut breakdown = Breakdown::default();
    for category in Category::ALL {
        breakdown.add(category, Time::from_ps(at.get(category.key())?.whole()?));
    }
    Ok(breakdown)
}

fn read_kv_bytes(at: &Place<'_>) -> Result<KvBytes, ReportError> {
    Ok(KvBytes {
        tokens: at.get("tokens")?.whole()?,
        plain: at.get("fp16")?.whole()?,
        packed: at.get("packed")?.whole()?,
        paged: at.get("paged")?.whole()?,
    })
}

fn read_use(at: &Place<'_>) -> Result<Option<Use>, ReportError> {
    let used = Bytes(at.get("used")?.whole()?);
    let capacity = Bytes(at.get("capacity")?.whole()?);
    // A memory that is not there is written as zeros.
    Ok((capacity != Bytes(0)).then_some(Use { used, capacity }))
}

/// A value of the file and the path of its key.
struct Place<'a> {
    value: &'a Value,
    key: String,
}

impl<'a> Place<'a> {
    fn get(&self, key: &str) -> Result<Self, ReportError> {
        let dot = if self.key.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{key}", self.key);
        match self.value.get(key) {
            Some(value) => Ok(Self { value, key: path }),
            None => Err(ReportError::SummaryFile { key: path, what: "it is missing".to_owned() }),
        }
    }

    fn wrong(&self, expected: &str) -> ReportError {
        ReportError::SummaryFile {
            key: self.key.clone(),
            what: format!("it is {}, {expected} was expected", crate::text::shortened(&self.value.to_string(), 60)),
        }
    }

    fn text(&self) -> Result<String, ReportError> {
        self.value.as_str().map(str::to_owned).ok_or_else(|| self.wrong("a text"))
    }

    fn whole<T: TryFrom<u64>>(&self) -> Result<T, ReportError> {
        let number = self.value.as_u64().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.wrong("a whole number"))
    }

    fn float(&self) -> Result<f64, ReportError> {
        self.value.as_f64().ok_or_else(|| self.wrong("a number"))
    }

    fn list<T>(&self, read: impl Fn(Place<'a>) -> Result<T, ReportError>) -> Result<Vec<T>, ReportError> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let place = |(i, value)| Place { value, key: format!("{}[{i}]", self.key) };
        list.iter().enumerate().map(|item| read(place(item))).collect()
    }

    fn map<T>(&self, read: impl Fn(Place<'a>) -> Result<T, ReportError>) -> Result<Vec<(String, T)>, ReportError> {
        let map = self.value.as_object().ok_or_else(|| self.wrong("an object"))?;
        let entry = |(name, value): (&String, &'a Value)| {
            let key = format!("{}.{name}", self.key);
            Ok((name.clone(), read(Place { value, key })?))
        };
        map.iter().map(entry).collect()
    }
}

/// JSON for people: indented, with a newline at the end.
pub(crate) fn pretty(value: &Value) -> String {
    // The alternate form of a value is its pretty form and cannot fail.
    format!("{value:#}\n")
}

fn breakdown(breakdown: &Breakdown) -> Value {
    let entries = breakdown.iter().map(|(category, time)| (category.key().to_owned(), json!(time.ps())));
    Value::Object(entries.collect())
}

fn memory_use(memory: Option<Use>) -> Value {
    let memory = memory.unwrap_or_default();
    json!({ "used": memory.used.0, "capacity": memory.capacity.0 })
}

/// A JSON object in the order of first mention; what comes under the same name is combined, not lost.
fn sums<'a, T: Copy + serde::Serialize>(
    entries: impl Iterator<Item = (&'a String, T)>,
    combine: impl Fn(T, T) -> T,
) -> Value {
    let mut seen: Vec<(&String, T)> = Vec::new();
    let mut place = std::collections::BTreeMap::new();
    for (name, value) in entries {
        let at = *place.entry(name).or_insert(seen.len());
        match seen.get_mut(at) {
            Some((_, known)) => *known = combine(*known, value),
            None => seen.push((name, value)),
        }
    }
    Value::Object(seen.into_iter().map(|(name, value)| (name.clone(), json!(value))).collect())
}
