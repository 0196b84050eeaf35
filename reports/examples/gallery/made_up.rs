//! Systems that were never simulated: jobs put on actors one after the other, with the rules that spans keep.

use reports::{Bytes, Category, KvBytes, Memory, Meter, Span, SpanId, SystemInput, Time, Use};
use sim_core::{ActorId, Context, Handle, Inspect, Rate, Simulation, Tag};

#[derive(Debug)]
struct Nobody;
impl Inspect for Nobody {}
impl<M: From<()>> Handle<(), M> for Nobody {
    fn handle(&mut self, (): (), _: &mut Context<'_, M>) {}
}
sim_core::system! {
    /// No actor acts here; the simulation only gives out their names.
    enum Node { Nobody(Nobody) accepts Nothing }
    enum Message { Nothing(()) }
}

/// Schedules jobs first come, first served.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) input: SystemInput,
    ids: Vec<ActorId>,
    numbers: Vec<u32>,
    /// When each actor is free, and whose job it did last.
    free: Vec<(Time, Option<SpanId>)>,
    pub(crate) tag: Tag,
}

/// What a job costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Job {
    pub(crate) launch: u64,
    pub(crate) body: u64,
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
}

impl Builder {
    pub(crate) fn new(name: &str, actors: &[&str]) -> Self {
        let mut simulation = Simulation::<Node>::new(1);
        Self {
            ids: actors.iter().map(|name| simulation.reserve::<Nobody>(*name).id()).collect(),
            numbers: vec![0; actors.len()],
            free: vec![(Time::ZERO, None); actors.len()],
            input: SystemInput {
                name: name.to_owned(),
                batch: 16,
                context: 32_000,
                actors: actors.iter().map(|&name| name.to_owned()).collect(),
                ..SystemInput::default()
            },
            tag: Tag { step: 1, layer: None },
        }
    }

    /// A job after others, the news of each of which takes `signal` ps. Times are in ps.
    pub(crate) fn job(
        &mut self,
        actor: usize,
        kind: &'static str,
        category: Category,
        after: &[SpanId],
        signal: u64,
        job: Job,
    ) -> SpanId {
        let end_of =
            |id: SpanId| self.input.spans.iter().rev().find(|span| span.id == id).map_or(Time::ZERO, |s| s.end);
        let cause = after.iter().copied().max_by_key(|&id| (end_of(id), id));
        let signal = if cause.is_some() { Time::from_ps(signal) } else { Time::ZERO };
        let ready = cause.map_or(Time::ZERO, end_of) + signal;
        let (free, last) = self.free[actor];
        let start = ready.max(free);
        let end = start + Time::from_ps(job.launch + job.body);
        let id = SpanId { actor: self.ids[actor], number: self.numbers[actor] };
        self.numbers[actor] += 1;
        self.free[actor] = (end, Some(id));
        self.input.spans.push(Span {
            id,
            kind,
            category,
            tag: self.tag,
            ready,
            start,
            end,
            launch: Time::from_ps(job.launch),
            signal,
            bytes: job.bytes,
            operations: job.operations,
            cause,
            held_by: last.filter(|_| free > ready),
        });
        id
    }

    /// The mark of the end of a token.
    pub(crate) fn token(&mut self, actor: usize, after: SpanId) -> SpanId {
        let id = self.job(actor, "token", Category::Launch, &[after], 0, Job::default());
        self.tag.step += 1;
        self.tag.layer = None;
        id
    }

    pub(crate) fn finish(mut self) -> SystemInput {
        self.input.spans.sort_by_key(|span| (span.end, span.id));
        self.input
    }
}

const US: u64 = 1_000_000;

fn cost(launch: u64, body: u64, bytes: u64) -> Job {
    Job { launch, body, bytes, operations: bytes * 2 }
}

fn gib(used: f64, capacity: u64) -> Use {
    Use { used: Bytes((used * (1_u64 << 30) as f64) as u64), capacity: Bytes(capacity << 30) }
}

fn meter(name: &str, amount: u64, peak: u64, busy: u64) -> (String, Meter) {
    let peak = Rate(peak);
    let busy = Time::from_us(busy);
    (name.to_owned(), Meter { amount, peak, busy })
}

/// KV cache in host memory, fetched over a link layer by layer, one layer ahead.
pub(crate) fn offload(name: &str, tokens: u32, layers: u32, link: Category, fetch_us: u64) -> SystemInput {
    let mut b = Builder::new(name, &["cpu0", "gpu0.stream0", "gpu0.copy-in", "link.down", "gpu0.copy-out", "token"]);
    let mut last: Option<SpanId> = None;
    for _ in 0..tokens {
        let begin = last;
        let mut dispatch = b.job(0, "dispatch", Category::Launch, begin.as_slice(), 0, cost(0, 6 * US, 0));
        let mut hidden = dispatch;
        for layer in 0..layers {
            b.tag.layer = Some(layer);
            let fetch = b.job(2, "kv-fetch", link, &[dispatch], 900_000, cost(2 * US, fetch_us * US, fetch_us << 25));
            let wire = b.job(3, "kv-fetch", link, &[fetch], 0, cost(0, 3 * US, fetch_us << 25));
            let qkv = b.job(1, "qkv", Category::ComputeGpu, &[hidden], 500_000, cost(3 * US, 40 * US, 100 << 20));
            let attend =
                b.job(1, "attention", Category::ComputeGpu, &[wire, qkv], 700_000, cost(3 * US, 90 * US, 1 << 28));
            b.job(4, "kv-append", link, &[qkv], 300_000, cost(US, 4 * US, 1 << 17));
            hidden = b.job(1, "ffn", Category::ComputeGpu, &[attend], 0, cost(3 * US, 110 * US, 350 << 20));
            dispatch = qkv;
        }
        b.tag.layer = None;
        let head = b.job(1, "lm-head", Category::ComputeGpu, &[hidden], 0, cost(3 * US, 80 * US, 260 << 20));
        last = Some(b.token(5, head));
    }
    b.input.memory = Memory {
        gpu: Some(gib(13.49, 80)),
        pim: None,
        host: Some(gib(62.5, 1024)),
        kv_bytes_per_token: 131_072,
        kv_bytes: KvBytes {
            tokens: 32_000,
            plain: 32_000 * 131_072,
            packed: 32_000 * 131_072,
            paged: 32_000 * 131_072,
        },
        kv_tokens_that_fit: 33_000,
        spilled: 0,
        placement: vec!["62.50 GiB of KV cache in host memory, 13.49 GiB of weights in GPU memory".to_owned()],
    };
    b.input.meters =
        vec![meter("link.down", 1 << 26, 64_000_000_000, 900), meter("gpu0.hbm", 1 << 30, 3_350_000_000_000, 700)];
    b.input.energy_pj = vec![("gpu.hbm".to_owned(), 3.1e10), ("link".to_owned(), 8.25e9)];
    b.input.notes = vec!["KV of layer l + 1 is fetched while layer l computes (prefetch = 1)".to_owned()];
    b.input.events = 12_345;
    b.finish()
}

/// Attention in PIM ranks, weights on the GPU.
pub(crate) fn pim(name: &str, tokens: u32, layers: u32, ranks: usize, attend_us: u64) -> SystemInput {
    let mut names = vec!["gpu0.stream0".to_owned(), "hbm-link".to_owned(), "token".to_owned()];
    names.extend((0..ranks).map(|rank| format!("pim0.stack{}.rank{}", rank / 4, rank % 4)));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut b = Builder::new(name, &names);
    let mut last: Option<SpanId> = None;
    for _ in 0..tokens {
        let mut hidden: Vec<SpanId> = last.into_iter().collect();
        for layer in 0..layers {
            b.tag.layer = Some(layer);
            let qkv = b.job(0, "qkv", Category::ComputeGpu, &hidden, 500_000, cost(2 * US, 20 * US, 100 << 20));
            let query = b.job(1, "query", Category::CommunicationHbm, &[qkv], 100_000, cost(0, 2 * US, 1 << 20));
            let mut partial = Vec::new();
            for rank in 0..ranks {
                let program = cost(US, attend_us * US + 37_000 * rank as u64, 1 << 26);
                let attend = b.job(3 + rank, "attention", Category::ComputePim, &[query], 250_000, program);
                partial.push(b.job(
                    1,
                    "partial",
                    Category::CommunicationHbm,
                    &[attend],
                    100_000,
                    cost(0, US / 2, 1 << 16),
                ));
            }
            let merge = b.job(0, "merge", Category::ComputeGpu, &partial, 400_000, cost(2 * US, 3 * US, 1 << 20));
            hidden = vec![b.job(0, "ffn", Category::ComputeGpu, &[merge], 0, cost(2 * US, 60 * US, 350 << 20))];
        }
        b.tag.layer = None;
        let head = b.job(0, "lm-head", Category::ComputeGpu, &hidden, 0, cost(2 * US, 40 * US, 260 << 20));
        last = Some(b.token(2, head));
    }
    b.input.memory = Memory {
        gpu: Some(gib(13.49, 16)),
        pim: Some(gib(60.0, 64)),
        host: Some(gib(2.5, 1024)),
        kv_bytes_per_token: 131_072,
        kv_bytes: KvBytes {
            tokens: 32_000,
            plain: 32_000 * 131_072,
            packed: 32_000 * 131_072,
            paged: 32_000 * 131_072,
        },
        kv_tokens_that_fit: 0,
        spilled: 2_684_354_560,
        placement: vec![
            "60.00 GiB of KV cache in PIM stacks, 2.50 GiB (newest sequences) spilled to host memory".to_owned(),
        ],
    };
    b.input.meters = vec![meter("pim0", 1 << 30, 13_000_000_000_000, 500)];
    b.input.energy_pj =
        vec![("gpu.hbm".to_owned(), 1.1e10), ("pim.activate".to_owned(), 2.5e9), ("pim.mac".to_owned(), 0.75e9)];
    b.input.events = 67_890;
    b.finish()
}
