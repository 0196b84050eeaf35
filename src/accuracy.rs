//! What the KV codecs of a scenario do to attention, on real tensors: `[accuracy]` of a scenario.

use std::collections::BTreeMap;

use reports::Accuracy;
use workloads::kv::{self, Codec};

use crate::quantize::{Plan, QuantizeError};
use crate::scenario::AccuracyChoice;
use crate::tensors;

/// Measures codecs, each once.
#[derive(Debug)]
pub struct Accuracies<'a> {
    choice: &'a AccuracyChoice,
    measured: BTreeMap<String, Accuracy>,
}

impl<'a> Accuracies<'a> {
    /// For a scenario's choice.
    pub fn new(choice: &'a AccuracyChoice) -> Self {
        Self { choice, measured: BTreeMap::new() }
    }

    /// The error of a codec that a model with heads of `head_dim` elements uses. Where the tensors have heads of another
    /// size, sub-vectors keep their channels.
    ///
    /// # Errors
    /// [`QuantizeError`] where the codec does not go with the tensors.
    pub fn of(&mut self, text: &str, head_dim: u32, threads: usize) -> Result<Accuracy, QuantizeError> {
        let key = format!("{head_dim} {text}");
        if let Some(known) = self.measured.get(&key) {
            return Ok(known.clone());
        }
        let mut plan = Plan::all_heads(tensors::find(&self.choice.tensors)?, self.choice.context)?;
        let codec = kv::parse(text)?;
        let codec: Box<dyn Codec> = codec.for_head_dim(head_dim, plan.head_dim())?.unwrap_or(codec);
        plan.add(kv::text(codec.as_ref()), codec)?;
        let report = plan.measure(threads, &|_, _| {})?;
        let measured = report.codecs.first().map_or_else(Accuracy::default, |codec| Accuracy {
            codec: codec.text.clone(),
            tensors: report.file.clone(),
            heads: report.heads.len() as u64,
            context: report.context as u64,
            bits_per_element: codec.bits(),
            error: codec.error(),
            cosine: codec.cosine(),
        });
        self.measured.insert(key, measured.clone());
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(tensors: &str) -> AccuracyChoice {
        AccuracyChoice { tensors: tensors.to_owned(), context: None }
    }

    #[test]
    fn do_sub_vectors_keep_their_channels() {
        let choice = choice("kv_smollm2_L512_small");
        let mut accuracies = Accuracies::new(&choice);
        // The tensors have heads of 64 elements: 32 sub-vectors of 128 are 16 of them, of 4 channels either way.
        let scaled = accuracies.of("pq:m=32,k=256", 128, 1).unwrap();
        let own = accuracies.of("pq:m=16,k=256", 64, 1).unwrap();
        assert!(scaled.codec.starts_with("pq:m=16,k=256"), "{}", scaled.codec);
        assert_eq!(scaled, own);
        assert!(scaled.error > 0.001 && scaled.error < 1.0 && scaled.context == 384, "{scaled:?}");
        let exact = accuracies.of("fp16", 128, 1).unwrap();
        assert!(exact.error < 1e-5 && exact.error < scaled.error, "{exact:?}");
    }

    #[test]
    fn is_what_does_not_go_together_refused() {
        let small = choice("kv_smollm2_L512_small");
        let error = Accuracies::new(&small).of("pq:m=32,k=64", 96, 1).unwrap_err();
        assert!(error.to_string().contains("sub-vectors"), "{error}");
        let missing = choice("no_such_tensors");
        let error = Accuracies::new(&missing).of("fp16", 128, 1).unwrap_err();
        assert!(error.remedy().contains("kv_smollm2_L2048_2heads"), "{}", error.remedy());
    }
}
