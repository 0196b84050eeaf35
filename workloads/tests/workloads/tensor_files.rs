//! Is a file of tensors that cannot be used refused, with the tensor and the element?

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use workloads::kv::tensors::KvTensors;

type Tensors = BTreeMap<&'static str, (Dtype, Vec<usize>, Vec<u8>)>;

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Two heads of 4 elements, 8 tokens, 2 query heads, 2 positions behind 8 tokens.
fn tensors() -> Tensors {
    let ramp = |count: usize| floats(&(0..count).map(|i| i as f32 / 8.0).collect::<Vec<_>>());
    BTreeMap::from([
        ("layer_head", (Dtype::I32, vec![2, 2], [0, 0, 3, 1].iter().flat_map(|n: &i32| n.to_le_bytes()).collect())),
        ("k", (Dtype::F32, vec![2, 8, 4], ramp(64))),
        ("v", (Dtype::F32, vec![2, 8, 4], ramp(64))),
        ("q_8", (Dtype::F32, vec![2, 2, 2, 4], ramp(32))),
        ("acc_8", (Dtype::F32, vec![2, 6], ramp(12))),
    ])
}

fn file(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (*name, TensorView::new(*dtype, shape.clone(), data).expect("data of this shape"))
    });
    safetensors::serialize(views, None).expect("tensors can be written")
}

#[track_caller]
fn check(change: impl FnOnce(&mut Tensors), message: &str) {
    let mut tensors = tensors();
    change(&mut tensors);
    let error = KvTensors::parse("t.safetensors", &file(&tensors)).unwrap_err();
    assert_eq!(error.to_string(), format!("t.safetensors: {message}"));
    assert!(!error.remedy().is_empty());
}

#[test]
fn a_good_file_is_read() {
    let tensors = KvTensors::parse("t.safetensors", &file(&tensors())).unwrap();
    assert_eq!((tensors.heads.clone(), tensors.head_dim, tensors.tokens), (vec![(0, 0), (3, 1)], 4, 8));
    assert_eq!((tensors.lengths().collect::<Vec<_>>(), tensors.query_heads()), (vec![(8, 2)], 2));
    let head = tensors.head(1, 8, 6).unwrap();
    assert_eq!((head.keys.len(), head.queries.len(), head.queries_end), (24, 16, 6));
    assert_eq!(head.keys[0].to_bits(), 4.0_f32.to_bits());
    assert_eq!(head.accumulated.unwrap()[0].to_bits(), 0.75_f32.to_bits());
    assert!((head.scale - 0.5).abs() < 1e-9);
    // Seven tokens would reach into the queries.
    assert!(tensors.head(1, 8, 7).is_none() && tensors.head(2, 8, 6).is_none() && tensors.head(0, 9, 6).is_none());
}

#[test]
fn a_file_without_attention_is_read_too() {
    let mut tensors = tensors();
    tensors.remove("acc_8");
    let tensors = KvTensors::parse("t.safetensors", &file(&tensors)).unwrap();
    assert!(!tensors.has_accumulated(8) && tensors.head(0, 8, 6).unwrap().accumulated.is_none());
}

#[test]
fn a_missing_tensor_is_named() {
    check(|tensors| drop(tensors.remove("v")), "there is no tensor `v`");
    check(|tensors| drop(tensors.remove("layer_head")), "there is no tensor `layer_head`");
    check(|tensors| drop(tensors.remove("q_8")), "there is no tensor `q_L`");
}

#[test]
fn a_wrong_shape_is_named() {
    let shape = |name: &'static str, shape: &[usize]| {
        let shape = shape.to_vec();
        move |tensors: &mut Tensors| {
            let count: usize = shape.iter().product();
            tensors.insert(name, (Dtype::F32, shape, floats(&vec![0.0; count])));
        }
    };
    check(shape("k", &[16, 4]), "tensor `k` has the shape [16, 4]");
    check(shape("k", &[3, 8, 4]), "tensor `k` has the shape [3, 8, 4], and `layer_head` has 2 rows");
    check(shape("v", &[2, 7, 4]), "tensor `v` has the shape [2, 7, 4]");
    check(shape("q_8", &[2, 2, 2, 5]), "tensor `q_8` has the shape [2, 2, 2, 5]");
    check(shape("q_8", &[2, 2, 8, 4]), "tensor `q_8`: 8 positions before 8 of 8 tokens");
    check(shape("q_9", &[2, 2, 2, 4]), "tensor `q_9`: 2 positions before 9 of 8 tokens");
    check(shape("acc_8", &[2, 5]), "tensor `acc_8` has the shape [2, 5]");
    check(shape("layer_head", &[2, 2]), "tensor `layer_head` has the type F32");
    check(|tensors| drop(tensors.insert("k", (Dtype::U8, vec![2, 8, 4], vec![0; 64]))), "tensor `k` has the type U8");
}

#[test]
fn a_number_that_is_none_is_located() {
    let number = |name: &'static str, index: usize, number: f32| {
        move |tensors: &mut Tensors| {
            let (_, _, data) = tensors.get_mut(name).expect("a tensor of the good file");
            data[4 * index..][..4].copy_from_slice(&number.to_le_bytes());
        }
    };
    check(number("k", 41, f32::NAN), "tensor `k`, element [1, 2, 1] is NaN");
    check(number("v", 0, f32::INFINITY), "tensor `v`, element [0, 0, 0] is inf");
    check(number("q_8", 31, 70_000.0), "tensor `q_8`, element [1, 1, 1, 3] is 70000");
    check(number("acc_8", 6, -1.0), "tensor `acc_8`, element [1, 0] is -1");
}

#[test]
fn a_file_that_is_cut_off_is_refused_at_every_byte() {
    let whole = file(&tensors());
    for length in 0..whole.len() {
        let error = KvTensors::parse("t.safetensors", &whole[..length]).unwrap_err().to_string();
        assert!(error.contains("safetensors file"), "{length} bytes: {error}");
    }
    assert!(KvTensors::parse("t.safetensors", &[0xff; 64]).is_err());
}
