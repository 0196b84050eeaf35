//! Which bytes lie in which memory: weights, activations, buffers and the KV cache with its overflow.

use host_gpu::Ledger;
use pim_device::kv_rows;
use sim_core::{Bytes, Rate};
use workloads::OperatorGraph;
use workloads::kv::{self, KvDemand, KvPlacement, SpillUnit};

use super::{Figures, Job, SystemError};
use crate::scenario::{Attention, Home, KvChoice, Overflow, SystemSpec, Workload};

/// The host, where it is the memory that is full.
const HOST: &str = "the host";

/// Sequences and how many tokens of each: a part of one layer's KV cache at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Sequences.
    pub sequences: u32,
    /// Cached tokens of each, the new one included where it belongs to this part.
    pub tokens: u64,
}

impl Part {
    /// Sequences times tokens.
    pub fn total(self) -> u64 {
        u64::from(self.sequences) * self.tokens
    }

    /// Whether there is nothing.
    pub fn is_empty(self) -> bool {
        self.total() == 0
    }
}

/// PIM channels that get the same number of heads in every layer, so that one actor can stand for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelClass {
    /// How many channels.
    pub channels: u32,
    /// (sequence, KV head) units of each channel, by layer.
    pub units: Vec<u32>,
}

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
        let refused = match Self::attempt(spec, figures, job) {
            Err(SystemError::KvDoesNotFit { home, batch, context, needed, capacity, .. })
                if spec.kv.home != Home::Host && home == HOST =>
            {
                (home, batch, context, needed, capacity)
            }
            done => return done,
        };
        // Home and host together hold more than either: the longest context that both take is found by trying.
        let fits = |context| {
            let workload = Workload { context, ..*job.workload };
            Self::attempt(spec, figures, &Job { workload: &workload, ..job.clone() }).is_ok()
        };
        let (mut low, mut high) = (u64::from(job.workload.new_tokens), job.workload.context);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        let (home, batch, context, needed, capacity) = refused;
        Err(SystemError::KvDoesNotFit { home, batch, context, needed, capacity, tokens_that_fit: low })
    }

    fn attempt(spec: &SystemSpec, figures: &Figures, job: &Job<'_>) -> Result<Self, SystemError> {
        let (model, workload) = (job.model, job.workload);
        let token_layer_bytes = model.kv_bytes_per_token_layer(job.dtype_bytes);
        let mut gpu = Ledger::new("the GPU's memory", figures.gpu.capacity);
        let host = Ledger::new("the host's memory", figures.host.capacity);
        gpu.take("weights", Bytes(model.weight_bytes(job.dtype_bytes)))?;
        // Assumption: two sets of the largest operator's activations, one read and one written.
        let graph = OperatorGraph::decode(model, job.step(workload.new_tokens));
        let activations = graph.operators().map(|operator| operator.activation_bytes).max().unwrap_or(0);
        gpu.take("activations", Bytes(activations.saturating_mul(2)))?;
        let mut placement = Self {
            choice: spec.kv,
            gpu,
            host,
            pim: None,
            resident: None,
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
        KvDemand::new(job.model, &kv::Fp16, job.workload.batch, job.workload.context)
    }

    /// Bytes of the buffers that hold fetched KV: one for the layer in use and one for each prefetched.
    fn buffers(&self, job: &Job<'_>, resident: Option<&KvPlacement>) -> u64 {
        if self.choice.attention == Attention::Cpu {
            return 0;
        }
        let host = |layer| split(resident, self.batch, layer, job.workload.context).1.total();
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
            let placed = kv::place(demand, capacity, overflow, unit)
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
        let channels = u64::from(pim.stacks) * u64::from(device.channels_per_stack());
        let (rows, row_bytes) = (device.channel_rows(), device.row_bytes().0);
        let all = Bytes(channels * rows * row_bytes);
        let mut ledger = Ledger::new("the PIM stacks", all);
        let heads = u64::from(model.kv_heads);
        let mut demand = Self::demand(job);
        let unit_rows = |tokens| kv_rows(device, tokens, model.head_dim).max(1);
        demand.unit_bytes = heads * unit_rows(demand.tokens) * row_bytes;
        // A head stays whole in its channel, so every channel holds whole heads only.
        let head_units = demand.units() * heads;
        let usable = Bytes(channels * (rows / unit_rows(demand.tokens)) * unit_rows(demand.tokens) * row_bytes);
        let of_tokens = |tokens| {
            (channels * head_units.div_ceil(channels) * unit_rows(tokens) * row_bytes).div_ceil(demand.units().max(1))
        };
        let fits = Bytes(demand.total_bytes()) <= usable;
        let placed = match (fits, overflow(&self.choice), spill_unit(&self.choice)) {
            (false, kv::Overflow::Refuse, _) => {
                let full = KvDemand { unit_bytes: u64::MAX / demand.units().max(1), ..demand };
                let tokens = match kv::place_with(full, all, kv::Overflow::Refuse, SpillUnit::Tokens, &of_tokens) {
                    Ok(_) => demand.tokens,
                    Err(error) => error.tokens_that_fit_per_sequence,
                };
                return Err(refused(&stacks(pim.stacks), job, Bytes(demand.total_bytes()), usable, tokens));
            }
            (false, overflow, SpillUnit::Tokens) => {
                kv::place_with(demand, all, overflow, SpillUnit::Tokens, &of_tokens)
            }
            (_, overflow, unit) => kv::place(demand, usable, overflow, unit),
        };
        let placed = placed
            .map_err(|e| refused(&stacks(pim.stacks), job, e.needed, e.capacity, e.tokens_that_fit_per_sequence))?;
        ledger.take("KV cache", Bytes(placed.resident_bytes))?;
        let units: Vec<u64> = placed.resident_sequences.iter().map(|&n| u64::from(n) * heads).collect();
        let by_channel = spread(&units, channels as usize);
        self.stack_units = (0..pim.stacks as usize)
            .map(|stack| {
                // Channel c is a channel of stack c mod stacks, so that a few heads more do not fall on one stack.
                let own = by_channel.iter().skip(stack).step_by(pim.stacks as usize);
                own.fold(vec![0; units.len()], |sum: Vec<u32>, channel| {
                    sum.iter().zip(channel).map(|(a, b)| a + b).collect()
                })
            })
            .collect();
        self.classes = classes(by_channel);
        self.pim = Some(ledger);
        self.resident = Some(placed);
        self.take_buffers(job)
    }

    /// What is not in its home lies in pinned host memory.
    fn place_on_host(&mut self, job: &Job<'_>) -> Result<(), SystemError> {
        let tokens: u64 = (0..job.model.layers).map(|layer| self.split(layer, job.workload.context).1.total()).sum();
        let needed = Bytes(tokens.saturating_mul(self.token_layer_bytes));
        if self.host.free() < needed {
            let all = u64::from(self.batch) * u64::from(job.model.layers) * self.token_layer_bytes;
            let fit = self.host.free().0 / all.max(1);
            return Err(refused(HOST, job, needed, self.host.free(), fit));
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

    /// The parts of a layer's cache that are in the home and in the host when a step reads `context` tokens.
    pub fn split(&self, layer: u32, context: u64) -> (Part, Part) {
        split(self.resident.as_ref(), self.batch, layer, context)
    }

    /// Whether each sequence is in two places, so that partial softmaxes must be merged.
    pub fn is_split(&self, layer: u32, context: u64) -> bool {
        let (home, host) = self.split(layer, context);
        !home.is_empty() && !host.is_empty() && home.sequences + host.sequences > self.batch
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
fn split(resident: Option<&KvPlacement>, batch: u32, layer: u32, context: u64) -> (Part, Part) {
    let Some(placed) = resident else {
        return (Part::default(), Part { sequences: batch, tokens: context });
    };
    let kept = placed.resident_sequences.get(layer as usize).copied().unwrap_or(0);
    match placed.split_tokens {
        None => {
            (Part { sequences: kept, tokens: context }, Part { sequences: batch - kept.min(batch), tokens: context })
        }
        Some(tokens) => (
            Part { sequences: kept, tokens: context.min(tokens) },
            Part { sequences: batch, tokens: context.saturating_sub(tokens) },
        ),
    }
}

/// Units of each channel by layer: each layer goes round the channels from where the last one stopped.
fn spread(units: &[u64], channels: usize) -> Vec<Vec<u32>> {
    let mut by_channel = vec![Vec::with_capacity(units.len()); channels];
    let mut next = 0;
    for &count in units {
        let (each, more) = (count / channels as u64, (count % channels as u64) as usize);
        for (channel, list) in by_channel.iter_mut().enumerate() {
            let place = (channel + channels - next) % channels;
            list.push((each + u64::from(place < more)) as u32);
        }
        next = (next + more) % channels;
    }
    by_channel
}

/// Channels with the same units in every layer, together; in the order of their first channel.
fn classes(by_channel: Vec<Vec<u32>>) -> Vec<ChannelClass> {
    let mut classes: Vec<ChannelClass> = Vec::new();
    for units in by_channel {
        match classes.iter_mut().find(|class| class.units == units) {
            Some(class) => class.channels += 1,
            None => classes.push(ChannelClass { channels: 1, units }),
        }
    }
    classes
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
    let (batch, context) = (job.workload.batch, job.workload.context);
    SystemError::KvDoesNotFit { home: home.to_owned(), batch, context, needed, capacity, tokens_that_fit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_spread_evenly_over_the_channels() {
        let by_channel = spread(&[5, 5, 5], 4);
        let sums: Vec<u32> = by_channel.iter().map(|units| units.iter().sum()).collect();
        assert_eq!(sums, [4, 4, 4, 3]);
        assert_eq!(by_channel[0], [2, 1, 1]);
        assert_eq!(by_channel[1], [1, 2, 1]);
    }

    #[test]
    fn channels_with_equal_heads_are_one_class() {
        let classes = classes(spread(&[128, 128], 64));
        assert_eq!(classes, [ChannelClass { channels: 64, units: vec![2, 2] }]);
    }
}
