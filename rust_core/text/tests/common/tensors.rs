//! safetensors files as a trainer would write them.
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A tensor by name, with its data as little-endian bytes.
#[derive(Clone)]
pub struct Tensor {
    pub name: &'static str,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

/// The content of a file.
pub fn file(tensors: &[Tensor], metadata: &[(&str, &str)]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|tensor| (tensor.name, TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data).unwrap()));
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    safetensors::serialize(views, Some(metadata)).unwrap()
}
