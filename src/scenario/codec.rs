//! The codec of a system's KV cache: a text such as `pq:m=32,k=512`, or its name with parameters beside it.

use std::sync::Arc;

use pim_device::PqValues;
use pim_device::kernel::pq::wave_rows;
use workloads::ModelConfig;
use workloads::kv::{self, CodecError, HeadShape};

use crate::scenario::check::Checked;
use crate::scenario::error::{Fault, Problem};
use crate::scenario::words::{Attention, Home, SpillUnit};
use crate::scenario::{PimChoice, Workload, schema};
use crate::system::cache::pq_shape;

/// A codec with all its parameters. Two are the same if their texts are.
#[derive(Clone, Debug)]
pub struct CodecChoice {
    codec: Arc<dyn kv::Codec>,
    text: String,
}

impl PartialEq for CodecChoice {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CodecChoice {}

impl Default for CodecChoice {
    fn default() -> Self {
        Self::new(Arc::new(kv::Fp16))
    }
}

impl CodecChoice {
    fn new(codec: Arc<dyn kv::Codec>) -> Self {
        let text = kv::text(codec.as_ref());
        Self { codec, text }
    }

    /// The codec of a text such as `pq:m=32,k=512`.
    ///
    /// # Errors
    /// [`CodecError::Text`] with the place in the text.
    pub fn parse(text: &str) -> Result<Self, CodecError> {
        Ok(Self::new(kv::parse(text)?.into()))
    }

    /// Name and all parameters, as [`kv::parse`] takes them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.codec.name()
    }

    /// The codec itself.
    pub fn get(&self) -> &dyn kv::Codec {
        self.codec.as_ref()
    }

    /// Whether keys and values are kept as they are.
    pub fn is_plain(&self) -> bool {
        self.name() == kv::Codec::name(&kv::Fp16)
    }
}

/// Reads the codec of a section `kv`: its text, and the parameters that stand beside it.
pub(super) fn read(section: &Checked, workload: &Workload, model: Option<&ModelConfig>) -> Result<CodecChoice, Fault> {
    let mut text = section.text("codec").unwrap_or_default().to_owned();
    // Where in the text each key's part begins, so that a slip is put down to the key that has it.
    let mut parts = vec![("codec", 0)];
    for field in schema::CODEC_PARAMETERS {
        let Some(value) = section.text(field.key) else { continue };
        text.push(if text.contains(':') { ',' } else { ':' });
        let start = text.chars().count();
        let name = schema::codec_parameter(field);
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        parts.push((field.key, start));
    }
    let choice = CodecChoice::parse(&text).map_err(|error| {
        let CodecError::Text { column, problem, .. } = &error else { return fault(section, "codec", &error) };
        // The last part that begins before the slip.
        match parts.iter().rev().find(|(_, start)| start < column) {
            Some((key, start)) if *start > 0 => {
                let message = format!("`{}`: {problem}", section.path_of(key));
                Fault::new(Problem::Contradiction { message, remedy: error.remedy() }, section.origin_of(key))
            }
            _ => fault(section, "codec", &error),
        }
    })?;
    if let Some(model) = model {
        // Codebooks are made of the prompt.
        let prompt = workload.lengths.shortest().saturating_sub(u64::from(workload.new_tokens));
        let prompt = usize::try_from(prompt).unwrap_or(usize::MAX);
        let fits = choice.get().check(prompt, model.head_dim as usize);
        fits.map_err(|error| match error {
            CodecError::Shape { problem, remedy, .. } => {
                let message = format!("`{}`: {problem}", section.path_of("codec"));
                Fault::new(Problem::Contradiction { message, remedy }, section.origin_of("codec"))
            }
            other => fault(section, "codec", &other),
        })?;
    }
    Ok(choice)
}

/// Whether the home and whoever attends can work with the codec.
pub(super) fn served(
    section: &Checked,
    codec: &CodecChoice,
    (home, attention): (Home, Attention),
    pim: Option<&PimChoice>,
    workload: &Workload,
    model: Option<&ModelConfig>,
) -> Result<(), Fault> {
    let refuse = |key, message: String, remedy: &str| {
        let problem = Problem::Contradiction { message, remedy: remedy.to_owned() };
        Err(Fault::new(problem, section.origin_of(key)))
    };
    if codec.is_plain() {
        return Ok(());
    }
    let (name, kv) = (codec.name(), codec.get());
    // Of any head: what is asked for does not depend on its numbers.
    let head = model.map_or(HeadShape { head_dim: 128, query_heads: 1 }, |model| HeadShape {
        head_dim: model.head_dim,
        query_heads: model.query_heads_per_kv_head(),
    });
    let sample = 1 << 16;
    if let (Home::Pim, Some(pim)) = (home, pim) {
        let refuse = |why: &str| {
            let message =
                format!("the PIM device `{}` cannot attend to a cache with the codec `{name}`", pim.entry.name);
            refuse("codec", format!("{message}{why}"), "take fp16, another device, or home = \"gpu\" or \"host\"")
        };
        // What is wrong with the device itself is told where it is built.
        let Ok(device) = crate::system::figures::device(&pim.entry) else { return Ok(()) };
        let Some(pq) = kv.as_pq().filter(|_| device.pq.is_some()) else { return refuse("") };
        if pq.recluster > 0 {
            return refuse(": it does not cluster again after the prompt (recluster)");
        }
        // Where the codec's text says how values are put together, the PEs have to do it so; its default does not count.
        let named = [section.text("codec"), section.text("values").map(|_| "values=")];
        let asked = named.into_iter().flatten().any(|text| text.contains("values="));
        let by_device = device.pq.map(|figures| figures.values);
        let by_codec = match pq.values {
            kv::Values::Accumulate => PqValues::Accumulate,
            kv::Values::Reconstruct => PqValues::Reconstruct,
        };
        if asked && by_device.is_some_and(|values| values != by_codec) {
            return refuse(": its `pim.values` puts values together in another way than the codec's `values`");
        }
        let shape = pq_shape(head.head_dim, pq);
        if let Err(error) = wave_rows(&device, &shape, workload.lengths.shortest()) {
            return refuse(&format!(": {error}"));
        }
    }
    let aside = kv.host_bytes(head, sample) > 0;
    let work = kv.attend(head, sample);
    if attention == Attention::Cpu && (aside || work.near.lookups > 0) {
        let message = format!("attention on the CPU is not modelled for `{name}`, which looks numbers up");
        return refuse("codec", message, "attention = \"gpu\", or a codec without look-ups such as `int:bits=4`");
    }
    let cut = section.maybe_word("spill_unit") == Some(SpillUnit::Tokens);
    if cut && (aside || kv.fixed_bytes(head, sample) > 0) {
        let message =
            format!("`{name}` keeps something for each whole sequence, which spill_unit = \"tokens\" would cut");
        return refuse("spill_unit", message, "spill_unit = \"sequences\"");
    }
    Ok(())
}

fn fault(section: &Checked, key: &str, error: &CodecError) -> Fault {
    let message = format!("`{}`: {error}", section.path_of(key));
    Fault::new(Problem::Contradiction { message, remedy: error.remedy() }, section.origin_of(key))
}
