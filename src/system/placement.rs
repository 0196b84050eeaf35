//! Which bytes lie in which memory: weights, activations, buffers and the KV cache with its overflow.

use host_gpu::Ledger;
use pim_device::kv_rows;
use sim_core::{Bytes, Rate};
use workloads::Lengths;
use workloads::kv::{self, KvDemand, KvPlacement, SpillUnit};

use super::channels::{self, ChannelClass, Channels};
use super::{Figures, Job, SystemError, prefill};
use crate::scenario::{Attention, Home, KvChoice, Overflow, SystemSpec, Workload};

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
    /// Bytes of a token's K and V in one layer.
    token_layer_bytes: u64,
    /// Bytes read from the weights in every step.
    streamed_weights: u64,
    /// The PIM channels by what they get.
    pub classes: Vec<ChannelClass>,
    /// (sequence, KV head) units of each stack, by layer.
    pub stack_units: Vec<Vec<u32>>,
}

impl Placement {
    /// Places the run's final state, the largest.
    pub fn of(spec: &SystemSpec, figures: &Figures, job: &Job<'_>) -> Result<Self, SystemError> {
        let mut refused = match Self::attempt(spec, figures, job) {
            Err(error @ SystemError::KvDoesNotFit { .. }) => error,
            done => return done,
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

    fn attempt(spec: &SystemSpec, figures: &Figures, job: &Job<'_>) -> Result<Self, SystemError> {
        let (model, workload) = (job.model, job.workload);
        let token_layer_bytes = model.kv_bytes_per_token_layer(job.dtype_bytes);
        let mut gpu = Ledger::new("the GPU's memory", figures.gpu.capacity);
        let host = Ledger::new("the host's memory", figures.host.capacity);
        gpu.take("weights", Bytes(model.weight_bytes(job.dtype_bytes)))?;
        // Assumption: two sets of the largest operator's activations, one read and one written.
        let graph = job.operators(workload.new_tokens);
        let activations = graph.operators().map(|operator| operator.activation_bytes).max().unwrap_or(0);
        let activations = activations.saturating_mul(2).max(prefill::least_workspace(job, spec.kv.home));
        gpu.take("activations", Bytes(activations))?;
        let mut placement = Self {
            choice: spec.kv,
            gpu,
            host,
            pim: None,
            resident: None,
            activations,
            batch: workload.batch,
            token_layer_bytes,
            streamed_weights: model.streamed_weight_bytes(workload.batch, job.dtype_bytes),
            classes: Vec::new(),
            stack_units: Vec::new(),
        };
        match spec.kv.home {
            Home::Gpu => placement.place_on_gpu(job)?,
            Home::Pim => placement.place_on_pim(figures, job)?,
            Home::Host => {}
        }
        placement.place_on_host(job)?;
        Ok(placement)
    }

    fn demand(job: &Job<'_>) -> KvDemand {
        // The one codec of this version; the registry has it under this name.
        KvDemand::new(job.model, &kv::Fp16, &job.workload.lengths)
    }

    /// Bytes of the buffers that hold fetched KV: one for the layer in use and one for each prefetched.
    fn buffers(&self, job: &Job<'_>, resident: Option<&KvPlacement>) -> u64 {
        if self.choice.attention == Attention::Cpu {
            return 0;
        }
        let host = |layer| split(resident, layer, &job.workload.lengths).1.total();
        let largest = (0..job.model.layers).map(host).max().unwrap_or(0);
        largest.saturating_mul(self.token_layer_bytes).saturating_mul(u64::from(self.choice.prefetch) + 1)
    }

    fn take_buffers(&mut self, job: &Job<'_>) -> Result<(), SystemError> {
        let bytes = self.buffers(job, self.resident.as_ref());
        let purpose = format!("{} buffers for fetched KV of one layer each", self.choice.prefetch + 1);
        Ok(self.gpu.take(purpose, Bytes(bytes))?)
    }

    /// What stays on the GPU shrinks as the buffers for the rest grow: repeated until both agree.
    fn place_on_gpu(&mut self, job: &Job<'_>) -> Result<(), SystemError> {
        let demand = Self::demand(job);
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
        let (rows, row_bytes) = (device.channel_rows(), device.row_bytes().0);
        let all = Bytes(count * rows * row_bytes);
        let mut ledger = Ledger::new("the PIM stacks", all);
        let unit_rows = |tokens| kv_rows(device, tokens, model.head_dim).max(1);
        let channels = Channels { count: count as usize, rows, unit_rows: &unit_rows };
        let unit_bytes = |tokens| u64::from(model.kv_heads) * unit_rows(tokens) * row_bytes;
        let lengths = &job.workload.lengths;
        let demand = KvDemand::with(model.layers, model.kv_heads, lengths, &unit_bytes);
        // A head stays whole in its channel: what fits is found by dealing the heads.
        let deal = |placed: &KvPlacement| {
            let layers: Vec<Lengths> = (0..model.layers).map(|layer| placed.split(layer, lengths).0).collect();
            channels::deal(&layers, model.kv_heads, channels)
        };
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
        let fits = |placed: &KvPlacement| placed.resident_bytes <= all.0 && deal(placed).is_some();
        let units_that_fit = || most(0, demand.units(), |units| fits(&whole(units)));
        let tokens_that_fit = || most(0, lengths.longest(), |tokens| fits(&cut(tokens)));
        let mut placed = whole(demand.units());
        if !fits(&placed) {
            placed = match (overflow(&self.choice), spill_unit(&self.choice)) {
                (kv::Overflow::Refuse, _) => {
                    let needed = Bytes(demand.total_bytes());
                    let rows_used = rows - rows % unit_rows(lengths.longest());
                    let usable = if lengths.is_equal() {
                        count * rows_used * row_bytes
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
        let by_channel = deal(&placed).unwrap_or_default();
        self.stack_units = channels::by_stack(&by_channel, model.layers as usize, pim.stacks as usize);
        self.classes = channels::classes(by_channel);
        self.pim = Some(ledger);
        self.resident = Some(placed);
        self.take_buffers(job)
    }

    /// What is not in its home lies in pinned host memory.
    fn place_on_host(&mut self, job: &Job<'_>) -> Result<(), SystemError> {
        let lengths = &job.workload.lengths;
        let tokens: u64 = (0..job.model.layers).map(|layer| self.split(layer, lengths).1.total()).sum();
        let needed = Bytes(tokens.saturating_mul(self.token_layer_bytes));
        if self.host.free() < needed {
            let layer_bytes = u64::from(job.model.layers).saturating_mul(self.token_layer_bytes);
            let free = self.host.free();
            let fits = |tokens| lengths.capped(tokens).total().saturating_mul(layer_bytes) <= free.0;
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

    /// The parts of a layer's cache that are in the home and in the host when a step reads so many tokens of each
    /// sequence.
    pub fn split(&self, layer: u32, lengths: &Lengths) -> (Lengths, Lengths) {
        split(self.resident.as_ref(), layer, lengths)
    }

    /// How many sequences are in two places in a layer, so that partial softmaxes must be merged.
    pub fn merged(&self, layer: u32, lengths: &Lengths) -> u32 {
        let (home, host) = self.split(layer, lengths);
        (home.sequences() + host.sequences()).saturating_sub(self.batch)
    }

    /// How many tokens of a unit in the home there are when its sequence has `tokens`.
    pub fn resident_tokens(&self, tokens: u64) -> u64 {
        self.resident.as_ref().and_then(|placed| placed.split_tokens).map_or(tokens, |kept| kept.min(tokens))
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
        if self.uses_host() {
            notes.push(
                "Energy leaves out host DRAM and CPU cores (no source): too low here, do not compare it with systems \
                 that keep the KV cache on the package."
                    .to_owned(),
            );
        }
        notes
    }
}

/// The parts in the home and in the host.
fn split(resident: Option<&KvPlacement>, layer: u32, lengths: &Lengths) -> (Lengths, Lengths) {
    resident.map_or_else(|| (Lengths::default(), lengths.clone()), |placed| placed.split(layer, lengths))
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
