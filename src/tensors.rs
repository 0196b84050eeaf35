//! Keys, values and queries of a real model: those that are built in, and files.

use std::path::Path;

use workloads::kv::CodecError;
use workloads::kv::tensors::KvTensors;

macro_rules! tensors {
    ($($name:literal),+ $(,)?) => {
        /// The tensors that are built in, by name: SmolLM2-135M-Instruct over public-domain text.
        pub const EMBEDDED_TENSORS: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../validation/kv/", $name, ".safetensors"))),)+];
    };
}

tensors!["kv_smollm2_L2048_2heads", "kv_smollm2_L512_2heads", "kv_smollm2_L512_small"];

/// Reads the tensors of that name: a file, or where there is none, built-in ones.
///
/// # Errors
/// [`CodecError::Tensors`].
pub fn find(written: &str) -> Result<KvTensors, CodecError> {
    let path = Path::new(written);
    if path.exists() {
        return KvTensors::read(path);
    }
    let (known, bytes) = built_in(path).ok_or_else(|| missing(written))?;
    KvTensors::parse(known, bytes)
}

/// Says that there are none of that name, without reading any.
///
/// # Errors
/// [`CodecError::Tensors`].
pub fn check(written: &str) -> Result<(), CodecError> {
    let path = Path::new(written);
    if path.exists() || built_in(path).is_some() { Ok(()) } else { Err(missing(written)) }
}

fn built_in(path: &Path) -> Option<&'static (&'static str, &'static [u8])> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".safetensors").unwrap_or(&name);
    EMBEDDED_TENSORS.iter().find(|(known, _)| *known == name)
}

fn missing(written: &str) -> CodecError {
    let known: Vec<&str> = EMBEDDED_TENSORS.iter().map(|(known, _)| *known).collect();
    CodecError::Tensors {
        file: written.to_owned(),
        problem: "there is no such file".to_owned(),
        remedy: format!("name a file of the safetensors format, or built-in tensors: {}", known.join(", ")),
    }
}
