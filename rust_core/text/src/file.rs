//! Reading what a trainer wrote: safetensors with string metadata, checked before it is used.
//!
//! safetensors rather than a format of our own because Python writes it in one call, and because it holds no code.
use std::collections::HashMap;
use std::str::FromStr;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// Why a file of tensors could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No safetensors, or cut off.
    #[error("not a whole safetensors file: {0}")]
    Broken(#[from] SafeTensorError),
    /// A metadata entry is missing.
    #[error("metadata `{key}` is missing")]
    MissingMetadata {
        /// The entry.
        key: &'static str,
    },
    /// A metadata entry is not what it must be.
    #[error("metadata `{key}` is {value:?}, not {expected}")]
    Metadata {
        /// The entry.
        key: &'static str,
        /// What it holds.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A tensor has the wrong shape.
    #[error("tensor `{tensor}` has shape {actual:?}, not {expected}")]
    Shape {
        /// The tensor.
        tensor: &'static str,
        /// Its shape.
        actual: Vec<usize>,
        /// What it must be.
        expected: String,
    },
    /// A tensor has the wrong type.
    #[error("tensor `{tensor}` holds {actual:?}, not {expected}")]
    Dtype {
        /// The tensor.
        tensor: &'static str,
        /// Its type.
        actual: Dtype,
        /// What it must be.
        expected: &'static str,
    },
    /// A tensor that must hold something.
    #[error("tensor `{tensor}` has no bytes")]
    Empty {
        /// The tensor.
        tensor: &'static str,
    },
    /// Quantiles that fall.
    #[error("tensor `{tensor}` must ascend")]
    NotAscending {
        /// The tensor.
        tensor: &'static str,
    },
    /// A tensor holds NaN or an infinity.
    #[error("tensor `{tensor}` holds a value that is not finite")]
    NotFinite {
        /// The tensor.
        tensor: &'static str,
    },
}

/// A safetensors file in memory.
pub(crate) struct File<'a> {
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
}

impl<'a> File<'a> {
    pub(crate) fn read(bytes: &'a [u8], format: &'static str) -> Result<Self, FileError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let file = Self { tensors: SafeTensors::deserialize(bytes)?, metadata };
        match file.text("format")? {
            found if found == format => Ok(file),
            found => Err(FileError::Metadata { key: "format", value: found.to_owned(), expected: format }),
        }
    }

    pub(crate) fn optional(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    pub(crate) fn text(&self, key: &'static str) -> Result<&str, FileError> {
        self.optional(key).ok_or(FileError::MissingMetadata { key })
    }

    pub(crate) fn parse<T: FromStr>(&self, key: &'static str, expected: &'static str) -> Result<T, FileError> {
        let value = self.text(key)?;
        value.parse().map_err(|_| FileError::Metadata { key, value: value.to_owned(), expected })
    }

    /// The values of a tensor, row by row; none where the file has no such tensor.
    pub(crate) fn floats(&self, tensor: &'static str) -> Result<Option<Tensor>, FileError> {
        let Ok(view) = self.tensors.tensor(tensor) else { return Ok(None) };
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => little_endian(&view, f32::from_le_bytes),
            Dtype::F16 => little_endian(&view, |bytes| half(u16::from_le_bytes(bytes))),
            actual => return Err(FileError::Dtype { tensor, actual, expected: "F32 or F16" }),
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(FileError::NotFinite { tensor });
        }
        Ok(Some(Tensor { name: tensor, shape: view.shape().to_vec(), values }))
    }

    /// As `vector`; none where the file has no such tensor.
    pub(crate) fn optional_vector<T, const N: usize>(
        &self,
        tensor: &'static str,
        dtype: Dtype,
        expected: &'static str,
        decode: fn([u8; N]) -> T,
    ) -> Result<Option<Vec<T>>, FileError> {
        match self.tensors.tensor(tensor) {
            Ok(_) => self.vector(tensor, dtype, expected, decode).map(Some),
            Err(_) => Ok(None),
        }
    }

    pub(crate) fn vector<T, const N: usize>(
        &self,
        tensor: &'static str,
        dtype: Dtype,
        expected: &'static str,
        decode: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, FileError> {
        let view = self.tensors.tensor(tensor)?;
        if view.dtype() != dtype {
            return Err(FileError::Dtype { tensor, actual: view.dtype(), expected });
        }
        Ok(little_endian(&view, decode))
    }
}

/// A tensor's shape and values.
pub(crate) struct Tensor {
    name: &'static str,
    shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Tensor {
    /// The number of columns of a matrix with `rows` rows.
    pub(crate) fn columns(&self, rows: usize) -> Result<usize, FileError> {
        match self.shape[..] {
            [found, columns] if found == rows && columns > 0 => Ok(columns),
            _ => Err(self.misshapen(format!("[{rows}, columns]"))),
        }
    }

    pub(crate) fn shaped(self, shape: &[usize]) -> Result<Vec<f32>, FileError> {
        if self.shape != shape {
            return Err(self.misshapen(format!("{shape:?}")));
        }
        Ok(self.values)
    }

    fn misshapen(&self, expected: String) -> FileError {
        FileError::Shape { tensor: self.name, actual: self.shape.clone(), expected }
    }
}

fn little_endian<T, const N: usize>(view: &TensorView, decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    view.data().as_chunks().0.iter().map(|bytes| decode(*bytes)).collect()
}

// IEEE 754 binary16: the same layout with fewer bits, so they move into place and the exponent is scaled up.
fn half(bits: u16) -> f32 {
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = f32::from_bits(u32::from(bits & 0x7fff) << 13) * SCALE;
    let finite = if bits & 0x7c00 == 0x7c00 { f32::NAN } else { magnitude };
    if bits >> 15 == 0 { finite } else { -finite }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn half_precision_is_decoded_exactly() {
        let table = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xbc00, -1.0),
            (0x3555, 0.333_251_95),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x7bff, 65504.0),
        ];
        for (bits, expected) in table {
            assert_eq!(half(bits), expected, "{bits:#06x}");
        }
        assert!([0x7c00, 0xfc00, 0x7e00].into_iter().all(|bits| !half(bits).is_finite()));
    }
}
