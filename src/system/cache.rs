//! What a system's KV cache weighs and costs under its codec: bytes of a sequence in a layer, and the work of a step.
//!
//! A codec counts for one KV head; here it is all KV heads of some sequences. Bytes are packed, as they lie in a memory
//! that is read in streams (GPU and host); PIM stacks have rows of their own (`placement`).

use pim_device::kernel::pq::PqShape;
use sim_core::Rate;
use workloads::kv::{CodecCost, HeadShape, Pq};
use workloads::{Lengths, ModelConfig};

use super::figures::GpuFigures;
use crate::scenario::{CodecChoice, KvChoice};

/// A cache of one layer.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The codec.
    pub codec: CodecChoice,
    /// One KV head and its query heads.
    pub head: HeadShape,
    /// KV heads.
    pub kv_heads: u64,
    /// How often what is read is read: once, or by each query head of a group by itself.
    readers: u64,
}

/// What a processor does in one kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes of the cache, read and written.
    pub bytes: u64,
    /// What the cores do.
    pub cost: CodecCost,
}

/// What it takes to store prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Of the processor that attends.
    pub near: Load,
    /// Of the host's cores.
    pub host: Load,
    /// Bytes that cross the link between them, both ways.
    pub link_bytes: u64,
}

impl Encoding {
    /// Bytes that come back where `raw` bytes of keys and values were sent.
    pub fn back(&self, raw: u64) -> u64 {
        self.link_bytes.saturating_sub(raw)
    }
}

impl Cache {
    /// The cache of a model.
    pub fn new(model: &ModelConfig, choice: &KvChoice) -> Self {
        let head = HeadShape { head_dim: model.head_dim, query_heads: model.query_heads_per_kv_head() };
        let readers = if choice.gqa_blind { u64::from(head.query_heads) } else { 1 };
        Self { codec: choice.codec.clone(), head, kv_heads: u64::from(model.kv_heads), readers }
    }

    /// The codes as PIM stacks have them; `None` for keys and values as they are.
    pub fn pq_shape(&self) -> Option<PqShape> {
        self.codec.get().as_pq().map(|pq| pq_shape(self.head.head_dim, pq))
    }

    /// Bytes in the home of one sequence of so many tokens.
    pub fn unit_bytes(&self, tokens: u64) -> u64 {
        self.codec.get().stored_bytes(self.head, tokens).saturating_mul(self.kv_heads)
    }

    /// Bytes that lie in the host's memory beside that.
    pub fn aside_bytes(&self, tokens: u64) -> u64 {
        self.codec.get().host_bytes(self.head, tokens).saturating_mul(self.kv_heads)
    }

    /// Bytes in the homes of some sequences.
    pub fn bytes(&self, part: &Lengths) -> u64 {
        part.sum(|tokens| self.unit_bytes(tokens))
    }

    /// Bytes that are fetched to attend to some sequences whose cache is not with the GPU; each query head fetches for
    /// itself where it is blind.
    pub fn fetch_bytes(&self, tokens: u64) -> u64 {
        self.unit_bytes(tokens).saturating_mul(self.readers)
    }

    /// Bytes of the tokens that a step chooses and fetches.
    pub fn chosen_bytes(&self, part: &Lengths) -> u64 {
        part.sum(|tokens| self.codec.get().attend(self.head, tokens).link_bytes)
            .saturating_mul(self.kv_heads)
            .saturating_mul(self.readers)
    }

    /// Whether a step chooses which tokens it fetches.
    pub fn chooses(&self) -> bool {
        // More than a codec keeps in any case.
        self.codec.get().host_bytes(self.head, 1) > 0
    }

    /// The choice of the tokens to fetch.
    pub fn choose(&self, part: &Lengths) -> Load {
        self.load(part, |tokens| self.codec.get().choose(self.head, tokens))
    }

    /// Attention over some sequences, without the choice.
    pub fn attend(&self, part: &Lengths) -> Load {
        let codec = self.codec.get();
        self.load(part, |tokens| codec.attend(self.head, tokens).near.minus(codec.choose(self.head, tokens)))
    }

    /// The store of prompts, in each place where there is work.
    pub fn encode(&self, part: &Lengths) -> Encoding {
        let once = Self { readers: 1, ..self.clone() };
        let of = |tokens| self.codec.get().prefill(self.head, tokens);
        Encoding {
            near: once.load(part, |tokens| of(tokens).near),
            host: once.load(part, |tokens| of(tokens).host),
            link_bytes: part.sum(|tokens| of(tokens).link_bytes).saturating_mul(self.kv_heads),
        }
    }

    /// The store of the newest token of some sequences.
    pub fn append(&self, part: &Lengths) -> Load {
        let once = Self { readers: 1, ..self.clone() };
        once.load(part, |tokens| self.codec.get().append(self.head, tokens).near)
    }

    /// Bytes of the newest token that are written to the memory that holds the cache.
    pub fn append_bytes(&self, part: &Lengths) -> u64 {
        self.append(part).cost.write_bytes
    }

    /// Bytes of the newest token that go to the host in any case.
    pub fn append_aside(&self, part: &Lengths) -> u64 {
        part.sum(|tokens| self.codec.get().append(self.head, tokens).link_bytes).saturating_mul(self.kv_heads)
    }

    fn load(&self, part: &Lengths, of: impl Fn(u64) -> CodecCost) -> Load {
        let mut cost = CodecCost::default();
        for group in part.groups() {
            cost = cost.plus(of(group.tokens).times(u64::from(group.sequences)));
        }
        cost = cost.times(self.kv_heads);
        cost.read_bytes = cost.read_bytes.saturating_mul(self.readers);
        Load { bytes: cost.read_bytes.saturating_add(cost.write_bytes), cost }
    }
}

impl Load {
    /// Both in one kernel.
    pub fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), cost: self.cost.plus(other.cost) }
    }

    /// Operations as long as the GPU's cores take for them. Look-ups and scattered additions go through shared memory;
    /// an addition that comes with a look-up is done beside it.
    pub fn operations(&self, gpu: &GpuFigures) -> u64 {
        let irregular = self.cost.lookups.max(self.cost.adds);
        self.cost.flops.saturating_add(scaled(irregular, gpu.operations, gpu.lookups))
    }

    /// Operations of the host's cores, which are not given look-ups.
    pub fn host_operations(&self) -> u64 {
        self.cost.flops.saturating_add(self.cost.adds)
    }
}

/// What a device is told of a codec's parameters.
pub fn pq_shape(head_dim: u32, pq: &Pq) -> PqShape {
    PqShape {
        head_dim,
        subvectors: pq.sub_vectors,
        centroids: pq.centroids,
        index_bits: pq.index_bits(),
        sinks: pq.sinks,
        window: pq.recent,
        book_tokens: pq.window,
    }
}

/// `count x to / from`, rounded up.
fn scaled(count: u64, to: Rate, from: Rate) -> u64 {
    let all = u128::from(count) * u128::from(to.0);
    u64::try_from(all.div_ceil(u128::from(from.0.max(1)))).unwrap_or(u64::MAX)
}
