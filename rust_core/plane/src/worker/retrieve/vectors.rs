//! The vectors of documents and queries: brought along, or made by the encoder; all of a call in the same way.

use std::sync::Arc;

use super::super::{
    cache::Row,
    model::{Model, Stages, Work},
    shell::invalid,
};
use crate::{error::Error, proto::v1};

/// Row after row, each of unit length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// The numbers.
    pub data: Vec<f32>,
    /// Of a row.
    pub width: usize,
}

/// What can be found by meaning.
pub trait Item {
    /// Its words.
    fn text(&self) -> &str;
    /// Takes out what it brings along.
    fn take_vector(&mut self) -> Option<v1::Vector>;
}

impl Item for v1::Document {
    fn text(&self) -> &str {
        &self.text
    }

    fn take_vector(&mut self) -> Option<v1::Vector> {
        self.vector.take()
    }
}

impl Item for v1::DocumentQuery {
    fn text(&self) -> &str {
        &self.text
    }

    fn take_vector(&mut self) -> Option<v1::Vector> {
        self.vector.take()
    }
}

/// What the items bring along, taken out of them; none where none brings any.
pub fn brought<I: Item>(field: &'static str, items: &mut [I], width: u32) -> Result<Option<Matrix>, Error> {
    let taken: Vec<_> = items.iter_mut().map(Item::take_vector).collect();
    let Some(first) = taken.iter().flatten().next() else { return Ok(None) };
    let width = if width == 0 { first.values.len() } else { width as usize };
    let mut data = Vec::with_capacity(taken.len() * width);
    for (index, vector) in taken.into_iter().enumerate() {
        let name = || format!("{field}[{index}].vector");
        let missing = || invalid(name(), "missing", "there: of one call each brings its vector, or none does");
        let mut values = vector.ok_or_else(missing)?.values;
        if values.len() != width {
            return Err(invalid(name(), format!("{} long", values.len()), format!("{width} long, as the others are")));
        }
        if !to_unit_length(&mut values) {
            return Err(invalid(name(), "without a direction", "finite numbers, not all 0"));
        }
        data.extend(values);
    }
    Ok(Some(Matrix { data, width }))
}

/// What the encoder makes of the items' texts.
pub async fn made<I: Item>(
    field: &'static str,
    items: &[I],
    encoder: &Model,
    work: Work,
) -> Result<(Matrix, Stages), Error> {
    if let Some(index) = items.iter().position(|item| item.text().is_empty()) {
        return Err(invalid(format!("{field}[{index}]"), "empty", "a text, a vector, or both"));
    }
    let texts = Arc::new(items.iter().map(|item| item.text().to_string()).collect());
    let width = encoder.config.dimensions;
    let output = encoder.rows(field, &texts, width, work).await?;
    Ok((packed(&output.rows, width as usize), output.stages))
}

fn packed(rows: &[Row], width: usize) -> Matrix {
    let mut data = Vec::with_capacity(rows.len() * width);
    rows.iter().for_each(|row| data.extend_from_slice(row));
    Matrix { data, width }
}

/// Whether it could be: a cosine needs a direction.
fn to_unit_length(values: &mut [f32]) -> bool {
    let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return false;
    }
    values.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(vectors: &[&[f32]]) -> Vec<v1::Document> {
        let one = |values: &&[f32]| v1::Document {
            vector: (!values.is_empty()).then(|| v1::Vector { values: values.to_vec() }),
            ..Default::default()
        };
        vectors.iter().map(one).collect()
    }

    fn brought(vectors: &[&[f32]], width: u32) -> Result<Option<Matrix>, String> {
        super::brought("documents", &mut documents(vectors), width).map_err(|error| error.to_string())
    }

    #[test]
    fn vectors_are_scaled_and_taken_out() {
        assert_eq!(
            brought(&[&[3.0, 4.0], &[0.0, -2.0]], 0),
            Ok(Some(Matrix { data: vec![0.6, 0.8, 0.0, -1.0], width: 2 }))
        );
        assert_eq!(brought(&[&[], &[]], 2), Ok(None));
    }

    #[test]
    fn a_vector_of_another_length_is_refused_by_its_place() {
        assert!(brought(&[&[1.0, 0.0], &[1.0]], 0).is_err_and(|why| why.contains("documents[1].vector is 1 long")));
        assert!(brought(&[&[1.0, 0.0]], 3).is_err_and(|why| why.contains("3 long")));
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        for values in [[0.0, 0.0], [f32::NAN, 1.0], [f32::INFINITY, 1.0]] {
            assert!(brought(&[&values], 0).is_err_and(|why| why.contains("without a direction")), "{values:?}");
        }
        assert!(brought(&[&[f32::MAX, f32::MAX]], 0).is_ok(), "squares of large numbers are added as float64");
    }

    #[test]
    fn each_brings_one_or_none_does() {
        assert!(brought(&[&[1.0], &[]], 0).is_err_and(|why| why.contains("documents[1].vector is missing")));
    }
}
