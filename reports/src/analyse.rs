//! What a run hands over, and what is made of it.

use serde_json::Value;
use sim_core::{Bytes, Category, Meter, Span, Time};

use crate::attention::{self, AttentionView};
use crate::breakdown::{Breakdown, share};
use crate::commands::Commands;
use crate::critical_path::{Segment, critical_path};
use crate::error::ReportError;
use crate::laws;
use crate::prefill::{PrefillReport, PrefillShape};
use crate::run_info::Execution;
use crate::stopped::Stopped;

/// What one system's simulation leaves.
#[derive(Clone, Debug, Default)]
pub struct SystemInput {
    /// The system's name in the scenario. May hold any character.
    pub name: String,
    /// Sequences decoded at once.
    pub batch: u32,
    /// Cached tokens that the last step reads, in the longest sequence.
    pub context: u64,
    /// The same of each sequence, the oldest first, where they differ; empty where all are equal.
    pub lengths: Vec<u64>,
    /// What was processed before the first token; `None` where the cache was there already.
    pub prefill: Option<PrefillShape>,
    /// What the one kernel is that was run, for people; `None` for a decode. Its end is the one token.
    pub kernel: Option<String>,
    /// The actors' names, by actor index.
    pub actors: Vec<String>,
    /// What the actors did, ordered by (end, actor, number). A span of kind `token` and step i marks the end of token i,
    /// step 0 that of the prefill.
    pub spans: Vec<Span>,
    /// Commands of the PIM channels, where they were asked for.
    pub commands: Commands,
    /// Where the run was stopped: the jobs that were under way, ordered by (actor, number), without an end.
    pub open: Vec<Span>,
    /// Where the run was stopped: the simulated time, which every job of `spans` ended before. `None` for a whole run.
    pub stopped: Option<Time>,
    /// Resources and what they counted during the whole run.
    pub meters: Vec<(String, Meter)>,
    /// What the memories hold.
    pub memory: Memory,
    /// Parts of the energy of the whole run, in picojoules, without the total. Empty where it is not known.
    pub energy_pj: Vec<(String, f64)>,
    /// The same of attention alone, as [`crate::attention`] has its time; empty where part of the run's went elsewhere
    /// (prompts, a kernel, a run that was stopped).
    pub attention_energy_pj: Vec<(String, f64)>,
    /// Commands of the PIM stacks: how many, and the picojoules that they took.
    pub pim_commands: Vec<(String, u64, f64)>,
    /// What its KV codec does to attention, where the scenario asks for it.
    pub accuracy: Option<Accuracy>,
    /// Sentences for people: what was chosen, spilled, refused.
    pub notes: Vec<String>,
    /// Messages that the kernel delivered.
    pub events: u64,
    /// How it was executed, for run.json.
    pub execution: Execution,
}

/// The use of the memories at the end of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Plain memory of the GPUs; `None` where there is no GPU.
    pub gpu: Option<Use>,
    /// Memory with processing in it; `None` where there is none.
    pub pim: Option<Use>,
    /// DRAM of the host; `None` where there is no host.
    pub host: Option<Use>,
    /// Bytes of KV cache per token of one sequence, all layers, rounded up: packed as the codec stores them.
    pub kv_bytes_per_token: u64,
    /// The cache of the longest sequence.
    pub kv_bytes: KvBytes,
    /// The longest context at which the home would hold the cache of the whole batch, all sequences equally long.
    pub kv_tokens_that_fit: u64,
    /// Bytes that did not fit where the scenario wanted them and went elsewhere.
    pub spilled: u64,
    /// Sentences: how much of what lies where.
    pub placement: Vec<String>,
}

impl Memory {
    /// The memories that there are, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Use)> {
        let all = [("gpu", self.gpu), ("pim", self.pim), ("host", self.host)];
        all.into_iter().filter_map(|(name, memory)| Some((name, memory?)))
    }
}

/// The KV cache of one sequence in all layers, wherever it lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KvBytes {
    /// Its tokens.
    pub tokens: u64,
    /// Bytes in FP16.
    pub plain: u64,
    /// Bytes under the codec, packed.
    pub packed: u64,
    /// Bytes under the codec in whole words and pages of HBM.
    pub paged: u64,
}

impl KvBytes {
    /// How many times smaller than FP16: packed, and in words and pages.
    pub fn compression(&self) -> (f64, f64) {
        let of = |bytes: u64| if bytes == 0 { 1.0 } else { self.plain as f64 / bytes as f64 };
        (of(self.packed), of(self.paged))
    }
}

/// How full a memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Bytes in use.
    pub used: Bytes,
    /// Bytes in all.
    pub capacity: Bytes,
}

/// What a system's KV codec does to the output of attention, measured on a model's own keys, values and queries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accuracy {
    /// The codec with its parameters, as it was measured.
    pub codec: String,
    /// What it was measured on.
    pub tensors: String,
    /// Heads over which the mean is taken.
    pub heads: u64,
    /// Stored tokens.
    pub context: u64,
    /// Stored bits for each element of K and V.
    pub bits_per_element: f64,
    /// Mean relative error of the output.
    pub error: f64,
    /// Mean cosine between the exact output and the codec's.
    pub cosine: f64,
}

/// A figure that no source gives, and why it is what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumption {
    /// The key of the scenario that sets it.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Why.
    pub why: String,
}

/// What is reported of one system.
#[derive(Clone, Debug, Default)]
pub struct SystemReport {
    /// The system's name in the scenario.
    pub name: String,
    /// Sequences decoded at once.
    pub batch: u32,
    /// Cached tokens that the last step reads, in the longest sequence.
    pub context: u64,
    /// The same of each sequence, the oldest first, where they differ; empty where all are equal.
    pub lengths: Vec<u64>,
    /// What the one kernel is that was run, for people; `None` for a decode.
    pub kernel: Option<String>,
    /// Tokens generated per sequence.
    pub tokens: u32,
    /// What came before the tokens; `None` where the cache was there already.
    pub prefill: Option<PrefillReport>,
    /// How long each token took.
    pub step_latency: Vec<Time>,
    /// The critical path of each token by category; adds up to its latency.
    pub step_breakdown: Vec<Breakdown>,
    /// All tokens together.
    pub breakdown: Breakdown,
    /// Attention alone, layer by layer.
    pub attention: AttentionView,
    /// How long each actor was busy: the union of its spans during the decode. Only actors that did anything.
    pub busy: Vec<(String, Time)>,
    /// How long any transfer was under way during the decode, hidden or not: the union of `start + launch .. end` of all
    /// communication spans.
    pub communication_busy: Time,
    /// The same for PCIe and CXL alone.
    pub host_communication_busy: Time,
    /// The critical path of each token, in the order of time. Empty in a report read back from summary.json.
    pub critical_path: Vec<Vec<Segment>>,
    /// The actors' names, by actor index. Empty in a report read back from summary.json.
    pub actors: Vec<String>,
    /// What the memories hold.
    pub memory: Memory,
    /// Energy of the whole run in picojoules: `total` first, then the parts.
    pub energy_pj: Vec<(String, f64)>,
    /// The same of attention alone, `total` first, as [`crate::attention`] has its time; empty where part of the run's went elsewhere
    /// (prompts, a kernel, a run that was stopped).
    pub attention_energy_pj: Vec<(String, f64)>,
    /// Commands of the PIM stacks: how many, and the picojoules that they took.
    pub pim_commands: Vec<(String, u64, f64)>,
    /// Resources and the part of their peak that they reached over the whole run, 0 to 1.
    pub utilisation: Vec<(String, f64)>,
    /// What its KV codec does to attention, where the scenario asks for it.
    pub accuracy: Option<Accuracy>,
    /// Sentences for people.
    pub notes: Vec<String>,
    /// Messages that the kernel delivered (for run.json: another way to run the same system may need fewer).
    pub events: u64,
    /// The simulated time at which the run was stopped. The latencies are then of the tokens that were finished,
    /// everything of the whole run is up to this time, and the energy is that of the finished jobs. `None` for a whole
    /// run.
    pub stopped: Option<Time>,
}

impl SystemReport {
    /// Picojoules of a token step of the whole batch, as the latency is; `None` where it is not known, or part of the run's went into
    /// the prompts, or into a token that was not finished.
    pub fn energy_per_step(&self) -> Option<f64> {
        let (_, total) = self.energy_pj.first()?;
        (self.stopped.is_none() && self.prefill.is_none()).then(|| total / f64::from(self.tokens.max(1)))
    }

    /// Picojoules of the attention of all layers in a token step; `None` where they are not known apart.
    pub fn attention_energy_per_step(&self) -> Option<f64> {
        let (_, total) = self.attention_energy_pj.first()?;
        Some(total / f64::from(self.tokens.max(1)))
    }

    /// The share of the energy that goes to parts whose names begin with `group` and a dot.
    pub fn energy_share(&self, group: &str) -> f64 {
        let total = self.energy_pj.first().map_or(0.0, |(_, energy)| *energy);
        let of = |name: &str| name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
        let part: f64 = self.energy_pj.iter().filter(|(name, _)| of(name)).map(|(_, energy)| energy).sum();
        if total > 0.0 { part / total } else { 0.0 }
    }

    /// The latency of the whole decode.
    pub fn latency(&self) -> Time {
        self.breakdown.total()
    }

    /// Whether these are all runs of one kernel each, so that nothing is a token's.
    pub(crate) fn are_kernels<'a>(systems: impl IntoIterator<Item = &'a Self>) -> bool {
        let mut systems = systems.into_iter().peekable();
        systems.peek().is_some() && systems.all(|system| system.kernel.is_some())
    }

    /// The prefill as if it were all there is, without a token, for the figures that show either.
    pub(crate) fn of_prefill(&self) -> Option<Self> {
        let prefill = self.prefill.as_ref()?;
        Some(Self {
            name: self.name.clone(),
            breakdown: prefill.breakdown,
            critical_path: if prefill.critical_path.is_empty() {
                Vec::new()
            } else {
                vec![prefill.critical_path.clone()]
            },
            stopped: self.stopped,
            ..Self::default()
        })
    }

    /// Whether tokens were to be decoded, and not only prompts to be processed.
    pub fn decodes(&self) -> bool {
        self.tokens > 0 || self.prefill.is_none()
    }

    /// The mean latency of a token (TPOT), rounded down to a picosecond.
    pub fn latency_per_token(&self) -> Time {
        Time::from_ps(self.latency().ps() / u64::from(self.tokens.max(1)))
    }

    /// Batch, context and tokens, or the kernel, for people.
    pub fn shape(&self) -> String {
        if let Some(kernel) = &self.kernel {
            return kernel.clone();
        }
        let Self { batch, context, tokens, .. } = self;
        match self.lengths.iter().min() {
            Some(shortest) => format!("{batch}, {shortest} to {context}, {tokens}"),
            None => format!("{batch}, {context}, {tokens}"),
        }
    }

    /// Tokens per second of the whole batch.
    pub fn tokens_per_second(&self) -> f64 {
        let seconds = self.latency().seconds();
        if seconds > 0.0 { f64::from(self.batch) * f64::from(self.tokens) / seconds } else { 0.0 }
    }

    /// The part of the decode with any transfer under way, hidden or not, 0 to 1.
    pub fn communication_busy_share(&self) -> f64 {
        share(self.communication_busy, self.latency())
    }

    /// The part of the decode with a transfer over PCIe or CXL under way, hidden or not, 0 to 1.
    pub fn host_communication_busy_share(&self) -> f64 {
        share(self.host_communication_busy, self.latency())
    }
}

/// One point of a sweep.
#[derive(Clone, Debug, Default)]
pub struct PointReport {
    /// The swept keys and their values here.
    pub keys: Vec<(String, Value)>,
    /// The systems with these values.
    pub systems: Vec<SystemReport>,
}

/// All that summary.json and the page show.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// The scenario's name.
    pub scenario: String,
    /// SHA-256 of the resolved scenario as canonical JSON, in hexadecimal.
    pub scenario_sha256: String,
    /// The seed of the random streams.
    pub seed: u64,
    /// Figures that no source gives.
    pub assumptions: Vec<Assumption>,
    /// The systems of a run without a sweep.
    pub systems: Vec<SystemReport>,
    /// The points of a sweep.
    pub points: Vec<PointReport>,
    /// Where the run was cut short, if it was.
    pub stopped: Option<Stopped>,
}

/// Makes the report of one system. Linear in the spans but for sorting.
///
/// # Errors
/// [`ReportError::LawBroken`] for law 1 (see [`critical_path`]) and law 5 (see [`laws::check_memory`]);
/// [`ReportError::NoToken`] where no token was generated by a run that was not stopped.
pub fn analyse(input: &SystemInput) -> Result<SystemReport, ReportError> {
    let mut critical_path = critical_path(&input.name, &input.actors, &input.spans)?;
    laws::check_memory(&input.name, &input.memory)?;
    if critical_path.is_empty() && input.stopped.is_none() {
        return Err(ReportError::NoToken { system: input.name.clone() });
    }
    // The first mark is that of the prefill, where there is one.
    let prompts = (input.prefill.is_some() && !critical_path.is_empty()).then(|| critical_path.remove(0));
    let prefill = PrefillReport::of(input, prompts);
    let begin = prefill.as_ref().map_or(Time::ZERO, PrefillReport::latency);
    let mut breakdown = Breakdown::default();
    let mut step_breakdown = Vec::with_capacity(critical_path.len());
    for path in &critical_path {
        let mut step = Breakdown::default();
        for segment in path {
            step.add(segment.category, segment.duration());
        }
        breakdown += step;
        step_breakdown.push(step);
    }
    let end = begin + breakdown.total();
    let communication_busy = transfers(&input.spans, (begin, end), Category::is_communication);
    let host_communication_busy = transfers(&input.spans, (begin, end), Category::is_host_communication);
    // A prefetch for a token that is never generated may end after the last token, and the meters have counted it.
    let last = || input.spans.iter().map(|span| span.end).max().unwrap_or_default();
    let elapsed = input.stopped.unwrap_or_else(last);
    let utilisation = input.meters.iter().map(|(name, meter)| (name.clone(), meter.utilisation(elapsed)));
    let with_total = |parts: &[(String, f64)]| -> Vec<(String, f64)> {
        // What is not known has no total either, and the sum of nothing would be -0.
        if parts.is_empty() {
            return Vec::new();
        }
        let total = parts.iter().map(|(_, energy)| energy).sum();
        std::iter::once(("total".to_owned(), total)).chain(parts.iter().cloned()).collect()
    };
    Ok(SystemReport {
        name: input.name.clone(),
        batch: input.batch,
        context: input.context,
        lengths: input.lengths.clone(),
        kernel: input.kernel.clone(),
        tokens: critical_path.len() as u32,
        prefill,
        step_latency: step_breakdown.iter().map(Breakdown::total).collect(),
        step_breakdown,
        breakdown,
        attention: attention::view(&input.spans, &critical_path),
        busy: busy(input, begin, end),
        communication_busy,
        host_communication_busy,
        critical_path,
        actors: input.actors.clone(),
        memory: input.memory.clone(),
        energy_pj: with_total(&input.energy_pj),
        attention_energy_pj: with_total(&input.attention_energy_pj),
        pim_commands: input.pim_commands.clone(),
        accuracy: input.accuracy.clone(),
        utilisation: utilisation.collect(),
        notes: input.notes.clone(),
        events: input.events,
        stopped: input.stopped,
    })
}

/// Per actor the union of its spans, from `begin` to `end`.
pub(crate) fn busy(input: &SystemInput, begin: Time, end: Time) -> Vec<(String, Time)> {
    let within = |time: Time| time.clamp(begin, end);
    let mut spans: Vec<(usize, Time, Time)> =
        input.spans.iter().map(|span| (span.id.actor.index(), within(span.start), within(span.end))).collect();
    spans.sort_unstable();
    let actors = spans.chunk_by(|a, b| a.0 == b.0).map(|spans| {
        let name = crate::text::actor_name(&input.actors, spans[0].0);
        (name, union(spans.iter().map(|&(_, from, to)| (from, to))))
    });
    actors.filter(|(_, time)| *time > Time::ZERO).collect()
}

/// The union of the bodies of the chosen spans, from `begin` to `end`. Launches are left out, as on the critical path.
fn transfers(spans: &[Span], (begin, end): (Time, Time), chosen: fn(Category) -> bool) -> Time {
    let within = |time: Time| time.clamp(begin, end);
    let bodies = spans.iter().filter(|span| chosen(span.category));
    let mut bodies: Vec<(Time, Time)> =
        bodies.map(|span| (within(span.start + span.launch), within(span.end))).collect();
    bodies.sort_unstable();
    union(bodies.into_iter())
}

/// How much time intervals cover that come in the order of their beginnings.
fn union(intervals: impl Iterator<Item = (Time, Time)>) -> Time {
    let (mut covered, mut until) = (Time::ZERO, Time::ZERO);
    for (from, to) in intervals {
        covered += to - from.max(until);
        until = until.max(to);
    }
    covered
}
