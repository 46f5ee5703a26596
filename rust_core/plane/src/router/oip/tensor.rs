//! Tensors that stand for texts and for what models say of them.
//!
//! BYTES travels as each element's length (4 bytes, little-endian) and its bytes, numbers as little-endian bytes, row
//! after row.  Answers have raw contents only: `tritonclient` reads nothing else.

use bytes::{BufMut, Bytes, BytesMut};

use super::invalid;
use crate::{
    error::Error,
    proto::inference::{
        InferTensorContents, ModelInferRequest, model_infer_request::InferInputTensor,
        model_infer_response::InferOutputTensor,
    },
};

/// The only type of input.
pub const BYTES: &str = "BYTES";
/// Bytes of a length.
const LENGTH: usize = 4;

/// The inputs of a request, read.
#[derive(Debug)]
pub struct Inputs(Vec<Input>);

#[derive(Debug)]
struct Input {
    index: usize,
    name: String,
    shape: Vec<i64>,
    texts: Vec<String>,
}

impl Inputs {
    /// Takes the inputs out of a request.
    pub fn take(request: &mut ModelInferRequest) -> Result<Self, Error> {
        let (tensors, raw) = (std::mem::take(&mut request.inputs), std::mem::take(&mut request.raw_input_contents));
        if !raw.is_empty() && raw.len() != tensors.len() {
            let expected = format!("one for each of the {} inputs, or none at all", tensors.len());
            return Err(invalid("raw_input_contents", format!("{} of them", raw.len()), expected));
        }
        let mut raw = raw.into_iter();
        let mut inputs = Self(Vec::with_capacity(tensors.len()));
        for (index, tensor) in tensors.into_iter().enumerate() {
            if inputs.has(&tensor.name) {
                return Err(invalid(format!("inputs[{index}].name"), quoted(&tensor.name), "no name that was there"));
            }
            inputs.0.push(Input::read(index, tensor, raw.next())?);
        }
        Ok(inputs)
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|input| input.name.as_str()).collect()
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|input| input.name == name)
    }

    /// The texts of an input that must be there, `[N]` or `[N, 1]`.
    pub fn list(&mut self, name: &str) -> Result<Vec<String>, Error> {
        let input = self.remove(name)?;
        match input.shape.as_slice() {
            [_] | [_, 1] => Ok(input.texts),
            _ => Err(input.misshapen("[N] or [N, 1]")),
        }
    }

    /// The text of an input that must be there, `[1]` or `[1, 1]`.
    pub fn one(&mut self, name: &str) -> Result<String, Error> {
        let mut input = self.remove(name)?;
        match input.shape.as_slice() {
            [1] | [1, 1] => Ok(input.texts.pop().unwrap_or_default()),
            _ => Err(input.misshapen("[1] or [1, 1]")),
        }
    }

    fn remove(&mut self, name: &str) -> Result<Input, Error> {
        match self.0.iter().position(|input| input.name == name) {
            Some(at) => Ok(self.0.swap_remove(at)),
            None => Err(invalid("inputs", listed(&self.names()), format!("with `{name}` among them"))),
        }
    }
}

impl Input {
    fn read(index: usize, tensor: InferInputTensor, raw: Option<Bytes>) -> Result<Self, Error> {
        let InferInputTensor { name, datatype, shape, parameters, contents } = tensor;
        if parameters.contains_key("shared_memory_region") {
            return Err(Error::NotImplemented { method: format!("inputs[{index}] in shared memory") });
        }
        if datatype != BYTES {
            let field = format!("inputs[{index}].datatype");
            return Err(invalid(field, quoted(&datatype), "\"BYTES\": inputs are texts in UTF-8"));
        }
        let count = elements(index, &shape)?;
        let texts = match (raw, contents) {
            (Some(_), Some(_)) => {
                let field = format!("inputs[{index}].contents");
                return Err(invalid(field, "there beside raw_input_contents", "one or the other"));
            }
            (Some(raw), None) => decode(index, &raw, count)?,
            (None, contents) => typed(index, contents.unwrap_or_default(), count)?,
        };
        Ok(Self { index, name, shape, texts })
    }

    fn misshapen(&self, expected: &'static str) -> Error {
        invalid(format!("inputs[{}].shape", self.index), format!("{:?}", self.shape), expected)
    }
}

/// How many a shape has.
fn elements(index: usize, shape: &[i64]) -> Result<usize, Error> {
    let product = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(usize::try_from(size).ok()?));
    let wrong = || invalid(format!("inputs[{index}].shape"), format!("{shape:?}"), "sizes of at least 0");
    product.ok_or_else(wrong)
}

fn typed(index: usize, contents: InferTensorContents, count: usize) -> Result<Vec<String>, Error> {
    let texts = contents.bytes_contents;
    if texts.len() != count {
        let field = format!("inputs[{index}].contents.bytes_contents");
        return Err(invalid(field, format!("{} elements", texts.len()), format!("{count} elements, by its shape")));
    }
    texts.into_iter().enumerate().map(|(at, bytes)| utf8(index, at, bytes)).collect()
}

fn decode(index: usize, raw: &[u8], count: usize) -> Result<Vec<String>, Error> {
    let wrong = |actual: String| {
        let expected =
            format!("{count} elements, by its shape, each its length (4 bytes, little-endian) and its bytes");
        invalid(format!("raw_input_contents[{index}]"), actual, expected)
    };
    let (found, rest) = split(raw, count);
    if !rest.is_empty() || found.len() != count {
        let actual = format!("{} elements and {} bytes that are none", found.len(), rest.len());
        return Err(wrong(actual));
    }
    found.into_iter().enumerate().map(|(at, bytes)| utf8(index, at, bytes.to_vec())).collect()
}

/// The first elements of raw BYTES, at most `count`, and what is left.
fn split(mut raw: &[u8], count: usize) -> (Vec<&[u8]>, &[u8]) {
    let mut found = Vec::with_capacity(count.min(raw.len() / LENGTH));
    while found.len() < count
        && let Some((element, rest)) = split_first(raw)
    {
        found.push(element);
        raw = rest;
    }
    (found, raw)
}

fn split_first(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = raw.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

fn utf8(index: usize, at: usize, bytes: Vec<u8>) -> Result<String, Error> {
    let field = || format!("inputs[{index}] at {at}");
    String::from_utf8(bytes).map_err(|error| invalid(field(), error.to_string(), "text in UTF-8"))
}

/// As messages name them.
pub fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// As messages have what a caller wrote.
pub fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// One output.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// As the caller names it.
    pub name: String,
    datatype: &'static str,
    shape: Vec<i64>,
    raw: Bytes,
}

impl Tensor {
    /// Little-endian float32 as they are.
    pub fn floats(name: &str, shape: &[usize], raw: Bytes) -> Self {
        Self::new(name, "FP32", shape, raw)
    }

    /// Numbers that become little-endian float32.
    pub fn scores(name: &str, shape: &[usize], scores: &[f32]) -> Self {
        Self::floats(name, shape, scores.iter().flat_map(|score| score.to_le_bytes()).collect())
    }

    /// Positions.
    pub fn positions(name: &str, positions: &[u32]) -> Self {
        let raw = positions.iter().flat_map(|position| position.to_le_bytes()).collect();
        Self::new(name, "INT32", &[positions.len()], raw)
    }

    /// One count.
    pub fn count(name: &str, count: u32) -> Self {
        Self::new(name, "UINT32", &[1], Bytes::copy_from_slice(&count.to_le_bytes()))
    }

    /// Texts.
    pub fn texts<T: AsRef<str>>(name: &str, shape: &[usize], texts: &[T]) -> Self {
        let mut raw = BytesMut::with_capacity(texts.iter().map(|text| LENGTH + text.as_ref().len()).sum());
        for text in texts {
            raw.put_u32_le(text.as_ref().len() as u32);
            raw.put_slice(text.as_ref().as_bytes());
        }
        Self::new(name, BYTES, shape, raw.freeze())
    }

    fn new(name: &str, datatype: &'static str, shape: &[usize], raw: Bytes) -> Self {
        let shape = shape.iter().map(|&size| size as i64).collect();
        Self { name: name.to_string(), datatype, shape, raw }
    }

    /// As a response has it.
    pub fn into_parts(self) -> (InferOutputTensor, Bytes) {
        let Self { name, datatype, shape, raw } = self;
        (InferOutputTensor { name, datatype: datatype.into(), shape, ..Default::default() }, raw)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(shape: &[i64], raw: Bytes) -> ModelInferRequest {
        let (name, datatype) = ("text".into(), BYTES.into());
        let input = InferInputTensor { name, datatype, shape: shape.to_vec(), ..Default::default() };
        ModelInferRequest { inputs: vec![input], raw_input_contents: vec![raw], ..Default::default() }
    }

    fn field(request: &mut ModelInferRequest) -> String {
        match Inputs::take(request).expect_err("is refused") {
            Error::InvalidField { field, .. } => field.into_owned(),
            other => panic!("{other}"),
        }
    }

    proptest! {
        #[test]
        fn texts_come_back_as_they_went(texts in prop::collection::vec(".*", 0..20)) {
            let tensor = Tensor::texts("text", &[texts.len()], &texts);
            let mut inputs = Inputs::take(&mut request(&[texts.len() as i64], tensor.raw)).expect("is valid");
            prop_assert_eq!(inputs.list("text").expect("is there"), texts);
        }

        #[test]
        fn typed_contents_are_read_the_same(texts in prop::collection::vec(".*", 0..20)) {
            let mut request = request(&[texts.len() as i64, 1], Bytes::new());
            request.raw_input_contents.clear();
            let bytes_contents = texts.iter().map(|text| text.clone().into_bytes()).collect();
            request.inputs[0].contents = Some(InferTensorContents { bytes_contents, ..Default::default() });
            prop_assert_eq!(Inputs::take(&mut request).expect("is valid").list("text").expect("is there"), texts);
        }

        #[test]
        fn garbled_bytes_are_refused_or_read_but_never_panic(
            raw in prop::collection::vec(any::<u8>(), 0..64),
            shape in prop::collection::vec(-2_i64..5, 0..3),
        ) {
            let _ = Inputs::take(&mut request(&shape, raw.into())).map(|mut inputs| inputs.list("text"));
        }

        #[test]
        fn what_is_cut_short_is_refused(texts in prop::collection::vec(".*", 1..5), cut in 1_usize..20) {
            let raw = Tensor::texts("text", &[texts.len()], &texts).raw;
            let cut = raw.slice(..raw.len().saturating_sub(cut));
            prop_assert_eq!(field(&mut request(&[texts.len() as i64], cut)), "raw_input_contents[0]");
        }
    }

    #[test]
    fn a_count_beyond_all_memory_is_refused() {
        assert_eq!(field(&mut request(&[i64::MAX, i64::MAX], Bytes::new())), "inputs[0].shape");
        assert_eq!(field(&mut request(&[i64::MAX], Bytes::new())), "raw_input_contents[0]");
    }

    #[test]
    fn what_is_no_text_says_where() {
        let raw = Bytes::from_static(b"\x01\0\0\0a\x01\0\0\0\xff");
        assert_eq!(field(&mut request(&[2], raw)), "inputs[0] at 1");
    }

    #[test]
    fn other_types_are_refused() {
        let mut asked = request(&[1], Bytes::from_static(b"\0\0\0\0"));
        asked.inputs[0].datatype = "FP32".into();
        assert_eq!(field(&mut asked), "inputs[0].datatype");
    }
}
