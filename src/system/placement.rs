//! Which bytes lie in which memory: weights, activations, buffers and the KV cache with its overflow.

use std::ops::Range;

use host_gpu::Ledger;
use pim_device::kernel::pq::{self, PqShape};
use pim_device::{DeviceSpec, kv_rows};
use sim_core::{Bytes, Rate};
use workloads::Lengths;
use workloads::kv::packing::Pages;
use workloads::kv::{self, KvDemand, KvPlacement, SpillUnit};

use super::cache::Cache;
use super::channels::{self, ChannelClass, Channels, Turn};
use super::{Figures, Job, SystemError, prefill};
use crate::scenario::{Attention, Home, KvChoice, Overflow, Pipeline, SystemSpec, Workload};

/// The longest context of a scenario.
const MOST_TOKENS: u64 = 1 << 24;

/// The host, where it is the memory that is full.
const HOST: &str = "the host";

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Placement {
    /// What the scenario says of the KV cache.
    pub choice: KvChoice,
    /// The GPU's memory.
    pub gpu: Ledger,
    /// The host's memory.
    pub host: Ledger,
    /// The PIM stacks.
    pub pim: Option<Ledger>,
    /// The cache in its home; `None` where the home is the host.
    resident: Option<KvPlacement>,
    /// Bytes that are kept for activations.
    pub activations: u64,
    /// Sequences of the batch.
    batch: u32,
    /// What the cache weighs and costs.
    pub cache: Cache,
    /// Sequences that go through attention together, in the order in which the GPU takes them.
    pub groups: Vec<Range<u32>>,
    /// How far a group goes by itself.
    pub pipeline: Pipeline,
    /// Bytes read from the weights in every step.
    streamed_weights: u64,
    /// Sequences whose prompts go from layer to layer together, where that was decided before the PIM stacks were filled.
    pub prompts: Vec<Range<u32>>,
    /// Sequences that are in the same of [`Self::groups`] and of [`Self::prompts`].
    cells: Vec<Range<u32>>,
    /// How units lie in a PIM channel.
    pim_slots: Option<Slots>,
    /// The PIM channels by what they get; their "layers" are the cells of each layer, see [`Self::slots`].
    pub classes: Vec<ChannelClass>,
    /// (sequence, KV head) units of each stack, by the cells of each layer.
    pub stack_units: Vec<Vec<u32>>,
    /// Tokens of each of them; none without a prefill.
    pub stack_lengths: Vec<Vec<Lengths>>,
}

impl Placement {
    /// Places the run's final state, the largest.
    pub fn of(spec: &SystemSpec, figures: &Figures, job: &Job<'_>) -> Result<Self, SystemError> {
        let mut refused = match Self::attempt(spec, figures, job) {
            Err(error @ SystemError::KvDoesNotFit { .. }) => error,
            Ok(mut placement) => {
                placement.deal_channels(figures, job);
                return Ok(placement);
            }
            Err(error) => return Err(error),
        };
        // Home and host together hold more than either: the longest context that both take is found by trying.
        if let SystemError::KvDoesNotFit { home, tokens_that_fit, .. } = &mut refused
            && spec.kv.home != Home::Host
            && home == HOST
        {
            let fits = |context| {
                let lengths = job.workload.lengths.capped(context);
                let workload = Workload { context, lengths, ..job.workload.clone() };
                Self::attempt(spec, figures, &Job { workload: &workload, ..job.clone() }).is_ok()
            };
            // The run's own steps need as many tokens.
            *tokens_that_fit = most(u64::from(job.workload.new_tokens), job.workload.context, fits);
        }
        Err(refused)
    }

    /// The longest context of all sequences alike at which nothing has to leave the home.
    pub fn tokens_that_fit(spec: &SystemSpec, figures: &Figures, job: &Job<'_>) -> u64 {
        let refusing = SystemSpec { kv: KvChoice { overflow: Overflow::Refuse, ..spec.kv.clone() }, ..spec.clone() };
        let mut least = u64::from(job.workload.new_tokens);
        let fits = |context| {
            let lengths = Lengths::equal(job.workload.batch, context);
            let workload = Workload { context, lengths, ..job.workload.clone() };
            Self::attempt(&refusing, figures, &Job { workload: &workload, ..job.clone() }).is_ok()
        };
        // Some codecs take no fewer tokens than they keep exact, so the search begins where there is something.
        if fits(job.workload.context) {
            least = job.workload.context;
        }
        match most(least, MOST_TOKENS + 1, fits) {
            tokens if tokens > least || fits(least) => tokens,
            _ => 0,
        }
    }

    /// All but which channel holds which heads, which a search for the longest context need not know.
    fn attempt(spec: &SystemSpec, figures: &Figures, job: &Job<'_>) -> Result<Self, SystemError> {
        let (model, workload) = (job.model, job.workload);
        let mut gpu = Ledger::new("the GPU's memory", figures.gpu.capacity);
        let host = Ledger::new("the host's memory", figures.host.capacity);
        gpu.take("weights", Bytes(model.weight_bytes(job.dtype_bytes)))?;
        // Assumption: two sets of the largest operator's activations, one read and one written.
        let graph = job.operators(workload.new_tokens);
        let activations = graph.operators().map(|operator| operator.activation_bytes).max().unwrap_or(0);
        let activations = activations.saturating_mul(2).max(prefill::least_workspace(job, spec.kv.home));
        gpu.take("activations", Bytes(activations))?;
        let size = spec.pipeline_group.max(1);
        let starts = (0..workload.batch).step_by(size as usize);
        let groups: Vec<Range<u32>> = starts.map(|from| from..(from + size).min(workload.batch)).collect();
        // A channel's programs are those of whole cells.
        let there = activations.saturating_add(gpu.free().0);
        let prompts = if spec.kv.home == Home::Pim { prefill::groups(job, there, true) } else { Vec::new() };
        let mut placement = Self {
            choice: spec.kv.clone(),
            gpu,
            host,
            pim: None,
            resident: None,
            activations,
            batch: workload.batch,
            cache: Cache::new(model, &spec.kv),
            cells: cells(&groups, &prompts),
            pim_slots: None,
            prompts,
            groups,
            pipeline: spec.pipeline,
            streamed_weights: model.streamed_weight_bytes(workload.batch, job.dtype_bytes),
            classes: Vec::new(),
            stack_units: Vec::new(),
            stack_lengths: Vec::new(),
        };
        match spec.kv.home {
            Home::Gpu => placement.place_on_gpu(job)?,
            Home::Pim => placement.place_on_pim(figures, job)?,
            Home::Host => {}
        }
        placement.place_on_host(job)?;
        Ok(placement)
    }

    fn demand(&self, job: &Job<'_>) -> KvDemand {
        KvDemand::new(job.model, self.choice.codec.get(), &job.workload.lengths)
    }

    /// Bytes of the buffers that hold fetched KV: one for the layer in use and one for each prefetched, and one for the
    /// tokens that the layer in use has chosen.
    fn buffers(&self, job: &Job<'_>, resident: Option<&KvPlacement>) -> u64 {
        if self.choice.attention == Attention::Cpu {
            return 0;
        }
        let lengths = &job.workload.lengths;
        let host = |layer| self.cache.bytes(&split(resident, layer, lengths).1);
        let largest = (0..job.model.layers).map(host).max().unwrap_or(0);
        let chosen = self.cache.chosen_bytes(lengths);
        largest.saturating_mul(u64::from(self.choice.prefetch) + 1).saturating_add(chosen)
    }

    fn take_buffers(&mut self, job: &Job<'_>) -> Result<(), SystemError> {
        let bytes = self.buffers(job, self.resident.as_ref());
        let purpose = format!("{} buffers for fetched KV of one layer each", self.choice.prefetch + 1);
        Ok(self.gpu.take(purpose, Bytes(bytes))?)
    }

    /// What stays on the GPU shrinks as the buffers for the rest grow: repeated until both agree.
    fn place_on_gpu(&mut self, job: &Job<'_>) -> Result<(), SystemError> {
        let demand = self.demand(job);
        let (overflow, unit) = (overflow(&self.choice), spill_unit(&self.choice));
        let mut buffers = 0;
        loop {
            let capacity = Bytes(self.gpu.free().0.saturating_sub(buffers));
            let placed = kv::place(demand.clone(), capacity, overflow, unit)
                .map_err(|error| refused("the GPU", job, error.needed, capacity, error.tokens_that_fit_per_sequence))?;
            let needed = self.buffers(job, Some(&placed));
            if needed <= buffers {
                self.gpu.take("KV cache", Bytes(placed.resident_bytes))?;
                self.resident = Some(placed);
                return self.take_buffers(job);
            }
            buffers = needed;
        }
    }

    fn place_on_pim(&mut self, figures: &Figures, job: &Job<'_>) -> Result<(), SystemError> {
        let Some(pim) = &figures.pim else {
            let known = "a system with `pim`".to_owned();
            return Err(SystemError::Unknown { what: "KV home", name: "pim".to_owned(), known });
        };
        let (model, device) = (job.model, &pim.device);
        let count = u64::from(pim.stacks) * u64::from(device.channels_per_stack());
        let row_bytes = device.row_bytes().0;
        let all = Bytes(count * device.channel_rows() * row_bytes);
        let mut ledger = Ledger::new("the PIM stacks", all);
        // Of the prompts that are clustered at the same time.
        let together = self.prompts.iter().map(ExactSizeIterator::len).max().unwrap_or(0) as u64;
        let units = (together * u64::from(model.kv_heads)).div_ceil(count.max(1));
        let prompt = if together > 0 { job.lengths(0).longest() } else { 0 };
        let slots = Slots::of(device, &self.cache, &job.workload.lengths, (units, prompt))?;
        // What a unit has of a row.
        let (rows, row_bytes) = (slots.rows, row_bytes / slots.units_per_row);
        let unit_rows = |tokens| slots.unit_rows(device, tokens);
        let channels = Channels { turn: self.turn(model.kv_heads, &slots, count), ..slots.channels(count, &unit_rows) };
        let unit_bytes = |tokens| u64::from(model.kv_heads) * unit_rows(tokens) * row_bytes;
        let lengths = &job.workload.lengths;
        let demand = KvDemand::with(model.layers, model.kv_heads, lengths, &unit_bytes);
        let whole = |units| KvPlacement::whole_units(demand.clone(), units);
        // Of equal lengths each unit bears its part of the channels that have a head fewer than others.
        let fullest = (demand.units() * u64::from(model.kv_heads)).div_ceil(count) * count;
        let cut_bytes = |tokens| {
            if lengths.is_equal() {
                (fullest * unit_rows(tokens) * row_bytes).div_ceil(demand.units().max(1))
            } else {
                unit_bytes(tokens)
            }
        };
        let cut = |tokens| KvPlacement::cut_to(demand.clone(), tokens, &cut_bytes);
        // A head stays whole in its channel: what fits is found by dealing the heads.
        let fits = |placed: &KvPlacement| {
            placed.resident_bytes <= all.0 && channels::fits(&self.slot_lengths(placed, job), model.kv_heads, channels)
        };
        let units_that_fit = || most(0, demand.units(), |units| fits(&whole(units)));
        let tokens_that_fit = || most(0, lengths.longest(), |tokens| fits(&cut(tokens)));
        let mut placed = whole(demand.units());
        if !fits(&placed) {
            placed = match (overflow(&self.choice), spill_unit(&self.choice)) {
                (kv::Overflow::Refuse, _) => {
                    let needed = Bytes(demand.total_bytes());
                    let rows_used = rows - rows % unit_rows(lengths.longest());
                    let usable = if lengths.is_equal() {
                        count * rows_used * slots.units_per_row * row_bytes
                    } else {
                        whole(units_that_fit()).resident_bytes
                    };
                    return Err(refused(&stacks(pim.stacks), job, needed, Bytes(usable), tokens_that_fit()));
                }
                (_, SpillUnit::Sequences) => whole(units_that_fit()),
                (_, SpillUnit::Tokens) => match tokens_that_fit() {
                    0 => whole(0),
                    tokens => cut(tokens),
                },
            };
        }
        ledger.take("KV cache", Bytes(placed.resident_bytes))?;
        if slots.shared > 0 && placed.resident_bytes > 0 {
            let what = if prompt > 0 { "tables, and a layer's prompts under clustering" } else { "tables of queries" };
            ledger.take(what, Bytes(count * slots.shared * device.row_bytes().0))?;
        }
        self.pim = Some(ledger);
        self.resident = Some(placed);
        self.pim_slots = Some(slots);
        self.take_buffers(job)
    }

    /// How layers are turned against each other where prompts go from layer to layer in several groups.
    fn turn(&self, heads: u32, slots: &Slots, channels: u64) -> Turn {
        let side_by_side = slots.units_per_row.max(1);
        let bundles = |cell: &Range<u32>| (cell.len() as u64 * u64::from(heads)).div_ceil(side_by_side);
        let all: u64 = self.cells.iter().map(bundles).sum();
        let first = self.prompts.first().map_or(0, |group| group.end);
        let group: u64 = self.cells.iter().filter(|cell| cell.end <= first).map(bundles).sum();
        // Layers that leave channels over go on from there as it is.
        let turned = self.prompts.len() > 1 && channels > 0 && all.is_multiple_of(channels);
        Turn { cells: self.cells.len(), channels: if turned { (group % channels) as usize } else { 0 } }
    }

    /// What the cells of each layer have in the home.
    fn slot_lengths(&self, placed: &KvPlacement, job: &Job<'_>) -> Vec<Lengths> {
        let of = |layer, group| group_split(Some(placed), layer, group, &job.workload.lengths).0;
        (0..job.model.layers).flat_map(|layer| self.cells.iter().map(move |group| of(layer, group))).collect()
    }

    /// Which channel holds which heads of what lies in PIM stacks.
    fn deal_channels(&mut self, figures: &Figures, job: &Job<'_>) {
        let (Some(pim), Some(slots), Some(placed)) = (&figures.pim, &self.pim_slots, &self.resident) else { return };
        let count = u64::from(pim.stacks) * u64::from(pim.device.channels_per_stack());
        let unit_rows = |tokens| slots.unit_rows(&pim.device, tokens);
        let layers = self.slot_lengths(placed, job);
        let heads = job.model.kv_heads;
        let channels = Channels { turn: self.turn(heads, slots, count), ..slots.channels(count, &unit_rows) };
        let by_channel = channels::deal(&layers, heads, channels).unwrap_or_default();
        let stacks = pim.stacks as usize;
        self.stack_units = channels::by_stack(&by_channel, layers.len(), stacks);
        if !self.prompts.is_empty() {
            self.stack_lengths = channels::lengths_by_stack(&by_channel, layers.len(), stacks);
        }
        self.classes = channels::classes(by_channel);
    }

    /// What is not in its home lies in pinned host memory.
    fn place_on_host(&mut self, job: &Job<'_>) -> Result<(), SystemError> {
        let lengths = &job.workload.lengths;
        let layers = u64::from(job.model.layers);
        let aside = |lengths: &Lengths| lengths.sum(|tokens| self.cache.aside_bytes(tokens)).saturating_mul(layers);
        let spilled = (0..job.model.layers).map(|layer| self.cache.bytes(&self.split(layer, lengths).1));
        let needed = Bytes(spilled.fold(aside(lengths), u64::saturating_add));
        if self.host.free() < needed {
            let free = self.host.free();
            let all = |lengths: &Lengths| self.cache.bytes(lengths).saturating_mul(layers);
            let home = u64::from(self.choice.home == Home::Host || aside(lengths) == 0);
            let fits = |tokens| {
                let capped = lengths.capped(tokens);
                (all(&capped) * home).saturating_add(aside(&capped)) <= free.0
            };
            return Err(refused(HOST, job, needed, free, most(0, lengths.longest(), fits)));
        }
        self.host.take("KV cache (pinned)", needed)?;
        if self.choice.attention == Attention::Cpu {
            let shape = job.attention(job.workload.new_tokens);
            let staging = shape.q_bytes + shape.kv_append_bytes + shape.output_bytes;
            self.host.take("staging of queries and outputs (pinned)", Bytes(staging))?;
        }
        if self.choice.home == Home::Host {
            self.take_buffers(job)?;
        }
        Ok(())
    }

    /// The places of some sequences of a layer among the "layers" of channels and stacks; the sequences are those of whole
    /// cells.
    pub fn slots(&self, layer: u32, sequences: &Range<u32>) -> Range<usize> {
        let first = layer as usize * self.cells.len();
        let before = self.cells.partition_point(|cell| cell.start < sequences.start);
        first + before..first + self.cells.partition_point(|cell| cell.start < sequences.end)
    }

    /// The same of a group of the decode steps.
    pub fn group_slots(&self, layer: u32, group: usize) -> Range<usize> {
        self.slots(layer, self.groups.get(group).unwrap_or(&(0..self.batch)))
    }

    /// [`Self::group_split`] of any sequences next to each other.
    pub fn range_split(&self, layer: u32, sequences: &Range<u32>, lengths: &Lengths) -> (Lengths, Lengths) {
        group_split(self.resident.as_ref(), layer, sequences, lengths)
    }

    /// The parts of the cache of a group of sequences in a layer that are in the home and in the host when a step reads so
    /// many tokens of each sequence of the batch.
    pub fn group_split(&self, layer: u32, group: usize, lengths: &Lengths) -> (Lengths, Lengths) {
        let all = 0..self.batch;
        group_split(self.resident.as_ref(), layer, self.groups.get(group).unwrap_or(&all), lengths)
    }

    /// The parts of a layer's cache that are in the home and in the host when a step reads so many tokens of each
    /// sequence.
    pub fn split(&self, layer: u32, lengths: &Lengths) -> (Lengths, Lengths) {
        split(self.resident.as_ref(), layer, lengths)
    }

    /// How many sequences of a group are in two places in a layer, so that partial softmaxes must be merged.
    pub fn merged(&self, layer: u32, group: usize, lengths: &Lengths) -> u32 {
        let (home, host) = self.group_split(layer, group, lengths);
        let size = self.groups.get(group).map_or(0, ExactSizeIterator::len) as u32;
        (home.sequences() + host.sequences()).saturating_sub(size)
    }

    /// Bytes of a cache of `tokens` tokens in all layers: in FP16, with the codec packed, and with the codec in whole
    /// words and pages of HBM; each with what the host holds beside it.
    pub fn bytes_of_sequence(&self, layers: u32, tokens: u64) -> [u64; 3] {
        let Cache { codec, head, kv_heads, .. } = &self.cache;
        let (codec, plain) = (codec.get(), kv::Codec::stored_bytes(&kv::Fp16, *head, tokens));
        let aside = codec.host_bytes(*head, tokens);
        let paged = codec.padded_bytes(*head, tokens, Pages::HBM);
        [plain, codec.stored_bytes(*head, tokens).saturating_add(aside), paged.saturating_add(aside)]
            .map(|bytes| bytes.saturating_mul(*kv_heads).saturating_mul(u64::from(layers)))
    }

    /// How many tokens of a unit in the home there are when its sequence has `tokens`.
    pub fn resident_tokens(&self, tokens: u64) -> u64 {
        self.resident.as_ref().and_then(|placed| placed.split_tokens).map_or(tokens, |kept| kept.min(tokens))
    }

    /// How many tokens of a unit, which holds `tokens` in its channel at the end of the run, are there when `to_come` tokens
    /// of its sequence are still to come. One that is cut has all of its part as soon as the prompt is longer than that
    /// (a sequence that becomes so within the last tokens counts as if it were so before).
    pub fn unit_tokens(&self, tokens: u64, to_come: u64) -> u64 {
        let placed = self.resident.as_ref();
        let cut = placed.and_then(|placed| Some((placed.split_tokens?, placed.demand.lengths.longest())));
        match cut {
            Some((kept, longest)) if tokens >= kept => kept.min(longest.saturating_sub(to_come)),
            _ => tokens.saturating_sub(to_come),
        }
    }

    /// Bytes of the cache that did not fit its home.
    pub fn spilled(&self) -> u64 {
        self.resident.as_ref().map_or(0, |placed| placed.spilled_bytes)
    }

    /// Whether any of the cache lies in the host's memory.
    pub fn uses_host(&self) -> bool {
        self.host.used() > Bytes(0)
    }

    /// How much of whom is where.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(placed) = &self.resident {
            let home = match self.choice.home {
                Home::Gpu => "GPU memory",
                Home::Pim => "PIM stacks",
                Home::Host => "host memory",
            };
            lines.push(format!("KV home {home}: {}", placed.describe()));
        } else {
            lines.push("KV home host memory: the host holds the whole KV cache.".to_owned());
        }
        for (name, ledger) in [("GPU", Some(&self.gpu)), ("PIM", self.pim.as_ref()), ("host", Some(&self.host))] {
            let Some(ledger) = ledger.filter(|ledger| ledger.used() > Bytes(0)) else { continue };
            let held: Vec<String> = ledger.holders().iter().map(|(what, bytes)| format!("{what} {bytes}")).collect();
            lines.push(format!("{name} memory: {}.", held.join(", ")));
        }
        lines
    }

    /// What a reader should know to read the numbers.
    pub fn notes(&self, figures: &Figures) -> Vec<String> {
        let gpu = &figures.gpu;
        let weights = self.streamed_weights;
        let at = |rate: Rate| format!("{} at {:.0} GB/s", rate.time_for(weights), rate.0 as f64 / 1e9);
        let mut notes = vec![format!(
            "Dense layers read {:.2} GB of weights for every token: {} reached by kernels ({} peak).",
            weights as f64 / 1e9,
            at(gpu.bandwidth),
            at(gpu.peak_bandwidth),
        )];
        if self.uses_host() && self.choice.attention != Attention::Cpu {
            notes.push(match self.choice.prefetch {
                0 => "KV is fetched on demand: transfers and kernels take turns, so the exposed and the busy share of \
                      communication are nearly the same."
                    .to_owned(),
                n => format!(
                    "KV is fetched {n} layer{} ahead: what overlaps is exposed only where it is the longer one, so the \
                     exposed share is near 100 % where transfers outlast kernels and near 0 % where they hide behind \
                     them. The busy share says how long the link really works.",
                    if n == 1 { "" } else { "s" }
                ),
            });
        }
        notes
    }
}

/// How units lie in the rows of a channel.
#[derive(Clone, Debug)]
struct Slots {
    /// Of a quantised cache.
    shape: Option<PqShape>,
    head_dim: u32,
    /// Units whose parts share a row, each in banks of its own.
    units_per_row: u64,
    /// Rows for units.
    rows: u64,
    /// Rows that all units share.
    shared: u64,
}

impl Slots {
    /// `prompts`: units of a channel that are clustered at the same time, and their tokens.
    fn of(device: &DeviceSpec, cache: &Cache, lengths: &Lengths, prompts: (u64, u64)) -> Result<Self, SystemError> {
        let (shape, head_dim) = (cache.pq_shape(), cache.head.head_dim);
        let Some(shape) = shape else {
            return Ok(Self { shape, head_dim, units_per_row: 1, rows: device.channel_rows(), shared: 0 });
        };
        let units_per_row = u64::from(pq::units_per_wave(device, &shape)?).max(1);
        // K and V of the layer that is clustered lie in the same rows for all layers. The cache is counted as at the end of
        // the run beside them, though decode could overwrite them.
        let shared = pq::buffer_rows(device, &shape, prompts.0, prompts.1)?;
        let rows = device.channel_rows().saturating_sub(shared);
        pq::wave_rows(device, &shape, lengths.shortest())?;
        Ok(Self { shape: Some(shape), head_dim, units_per_row, rows, shared })
    }

    /// `count` channels that are filled so.
    fn channels<'a>(&self, count: u64, unit_rows: &'a dyn Fn(u64) -> u64) -> Channels<'a> {
        let turn = Turn::default();
        Channels { count: count as usize, rows: self.rows, side_by_side: self.units_per_row, unit_rows, turn }
    }

    fn unit_rows(&self, device: &DeviceSpec, tokens: u64) -> u64 {
        let rows = match &self.shape {
            None => kv_rows(device, tokens, self.head_dim),
            // Fewer tokens than sinks have been refused; a cut to so few takes what the sinks take.
            Some(shape) => {
                pq::wave_rows(device, shape, tokens.max(u64::from(shape.sinks))).map_or(0, |rows| rows.total())
            }
        };
        rows.max(1)
    }
}

/// The parts in the home and in the host.
fn split(resident: Option<&KvPlacement>, layer: u32, lengths: &Lengths) -> (Lengths, Lengths) {
    resident.map_or_else(|| (Lengths::default(), lengths.clone()), |placed| placed.split(layer, lengths))
}

/// Sequences that no cut of either list divides.
fn cells(groups: &[Range<u32>], prompts: &[Range<u32>]) -> Vec<Range<u32>> {
    let mut cuts: Vec<u32> = groups.iter().chain(prompts).flat_map(|range| [range.start, range.end]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// The same of a group of its sequences.
fn group_split(
    resident: Option<&KvPlacement>,
    layer: u32,
    group: &Range<u32>,
    lengths: &Lengths,
) -> (Lengths, Lengths) {
    let slice = lengths.first(group.end).after(group.start);
    let Some(placed) = resident else { return (Lengths::default(), slice) };
    let kept = placed.resident_sequences.get(layer as usize).copied().unwrap_or(0).saturating_sub(group.start);
    match placed.split_tokens {
        None => (slice.first(kept), slice.after(kept)),
        Some(tokens) => (slice.first(kept).capped(tokens), slice.beyond(tokens)),
    }
}

/// The most, from `low` on and below `high`, of which `fits` holds; `low` where it holds of none.
pub(super) fn most(mut low: u64, mut high: u64, fits: impl Fn(u64) -> bool) -> u64 {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn stacks(count: u32) -> String {
    if count == 1 { "1 PIM stack".to_owned() } else { format!("{count} PIM stacks") }
}

fn overflow(choice: &KvChoice) -> kv::Overflow {
    match choice.overflow {
        Overflow::Host => kv::Overflow::Host,
        Overflow::Refuse => kv::Overflow::Refuse,
    }
}

fn spill_unit(choice: &KvChoice) -> SpillUnit {
    match choice.spill_unit {
        crate::scenario::SpillUnit::Sequences => SpillUnit::Sequences,
        crate::scenario::SpillUnit::Tokens => SpillUnit::Tokens,
    }
}

fn refused(home: &str, job: &Job<'_>, needed: Bytes, capacity: Bytes, tokens_that_fit: u64) -> SystemError {
    let (batch, context, shortest) = (job.workload.batch, job.workload.context, job.workload.lengths.shortest());
    SystemError::KvDoesNotFit { home: home.to_owned(), batch, context, shortest, needed, capacity, tokens_that_fit }
}
