//! The words of a scenario as closed enums: each word once, with the sentence that explains it.

use std::fmt;

/// A word that a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub word: &'static str,
    /// What it means; one sentence.
    pub doc: &'static str,
    /// Whether this version does it. The others are known, so that they are refused by what they are.
    pub ready: bool,
}

/// An enum whose variants are words of a scenario.
pub trait Words: Sized + Copy + 'static {
    /// Every word, in the order of the variants.
    const WORDS: &'static [Word];

    /// The variant of a word.
    fn from_word(word: &str) -> Option<Self>;

    /// The word of a variant.
    fn word(self) -> &'static str;
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ } $(later { $($later:literal: $why:literal,)+ })?) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Words for $name {
            const WORDS: &'static [Word] = &[
                $(Word { word: $word, doc: concat!($($doc),+), ready: true },)+
                $($(Word { word: $later, doc: $why, ready: false },)+)?
            ];

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What is computed.
    WorkloadKind {
        /// Tokens of a batch, one step after the other, over a cache that is already there.
        Decode = "decode",
        /// The prompts alone, up to the first token of each sequence.
        Prefill = "prefill",
        /// The prompts first, then the tokens of a batch, one step after the other.
        PrefillDecode = "prefill+decode",
    }
    later {
        "requests": "Requests that arrive over time.",
        "embedding": "Lookups in embedding tables.",
    }
}

words! {
    /// The kind of work of a scenario of kernels.
    KernelKind {
        /// One kernel on PIM devices.
        PimKernel = "pim-kernel",
    }
}

words! {
    /// A kernel of a PIM device.
    KernelName {
        /// A matrix in the banks times a vector.
        Gemv = "gemv",
        /// The same with a partial result for each tile of inputs, which a host adds up.
        GemvTree = "gemv-tree",
        /// Attention of one new token over keys and values in the banks.
        Attention = "attention",
        /// Sum of two vectors.
        Add = "add",
        /// Element-wise product of two vectors.
        Mul = "mul",
        /// Rectified linear unit of a vector.
        Relu = "relu",
        /// A transformer block of the Llama family.
        Block = "block",
        /// Ordinary writes of whole rows, as weights are loaded.
        Write = "write",
        /// Ordinary reads of whole rows.
        Read = "read",
    }
}

words! {
    /// The type of a kernel's elements.
    Element {
        /// IEEE half precision, 2 bytes.
        Fp16 = "fp16",
        /// Brain floating point, 2 bytes.
        Bf16 = "bf16",
        /// Integers of 1 byte.
        Int8 = "int8",
    }
}

impl Element {
    /// Bytes of one element.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Fp16 | Self::Bf16 => 2,
            Self::Int8 => 1,
        }
    }
}

words! {
    /// How attention is dealt to channels.
    KernelSplit {
        /// Each head of keys and values is in one channel.
        Channels = "channels",
        /// The tokens of each are spread over all channels.
        Tokens = "tokens",
    }
}

words! {
    /// Where ordinary requests beside a kernel go.
    TrafficPattern {
        /// Reads in order over all bank groups.
        Stream = "stream",
        /// Writes in order over all bank groups.
        StreamWrites = "stream-writes",
        /// The same, half reads and half writes.
        StreamMix = "stream-mix",
        /// Random reads.
        Random = "random",
        /// Random reads and writes.
        RandomMix = "random-mix",
        /// One bank, another row each time.
        Conflict = "conflict",
    }
}

words! {
    /// Who goes first on a channel where a kernel and requests wait.
    First {
        /// The kernel: no request is begun until it is done.
        Kernel = "kernel",
        /// Requests, a queue's worth of them.
        Requests = "requests",
    }
}

impl WorkloadKind {
    /// Whether prompts are processed.
    pub const fn has_prefill(self) -> bool {
        matches!(self, Self::Prefill | Self::PrefillDecode)
    }
}

words! {
    /// The type of weights, activations and KV cache.
    Dtype {
        /// IEEE half precision, 2 bytes.
        Fp16 = "fp16",
        /// Brain floating point, 2 bytes.
        Bf16 = "bf16",
    }
}

impl Dtype {
    /// Bytes of one element.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Fp16 | Self::Bf16 => 2,
        }
    }
}

words! {
    /// Who launches the kernels.
    Dispatch {
        /// A graph that the device runs by itself: the short launch interval.
        Graph = "graph",
        /// The host, kernel by kernel: the long launch interval, and flags to synchronise.
        Stream = "stream",
    }
}

words! {
    /// How PIM stacks join the GPU's own.
    Placement {
        /// They come beside the GPU's stacks.
        Adds = "adds",
        /// They take the place of as many of the GPU's stacks.
        Replaces = "replaces",
    }
}

words! {
    /// How PIM programs are executed. Both give the same results, to the cycle.
    Execution {
        /// Runs of commands that a formula describes are done at once.
        Fast = "fast",
        /// Command by command.
        Commands = "commands",
    }
}

words! {
    /// Where the KV cache lives.
    Home {
        /// In the GPU's memory.
        Gpu = "gpu",
        /// In the DRAM of the host.
        Host = "host",
        /// In the PIM stacks.
        Pim = "pim",
    }
}

words! {
    /// Who computes attention over the cache.
    Attention {
        /// The GPU; a cache that lives elsewhere is fetched.
        Gpu = "gpu",
        /// The CPU, over the cache in its own DRAM.
        Cpu = "cpu",
        /// The PIM stacks, over the cache that they hold.
        Pim = "pim",
    }
}

words! {
    /// What happens to a cache that does not fit.
    Overflow {
        /// The rest goes to the host and is fetched over the link.
        Host = "host",
        /// The scenario is refused.
        Refuse = "refuse",
    }
}

words! {
    /// What goes to the host as one piece.
    SpillUnit {
        /// Whole sequences, the newest first.
        Sequences = "sequences",
        /// Tokens of every sequence alike.
        Tokens = "tokens",
    }
}

words! {
    /// How tokens that a step has chosen come from the host's memory.
    Gather {
        /// A kernel of the GPU reads them in place, with a read request for each token of each head.
        Loads = "loads",
        /// The host's cores put them together, and one copy brings them.
        Cpu = "cpu",
        /// A copy of its own for each token of each head, with the fixed cost of one.
        Copies = "copies",
    }
}

words! {
    /// What a group of sequences goes through by itself while the PIM stacks attend to another.
    Pipeline {
        /// The projections of its queries, keys and values.
        Qkv = "qkv",
        /// The whole layer.
        Layer = "layer",
    }
}
