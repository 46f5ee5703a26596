use crate::v1::EmbedResponse;

/// One unit vector per text, in the order of the texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    pub vectors: Vec<Vec<f32>>,
    /// The rest of the answer: who served it, how long it took, how many tokens it had.
    pub response: EmbedResponse,
}

impl From<EmbedResponse> for Embeddings {
    fn from(response: EmbedResponse) -> Self {
        let row = (response.dimensions as usize * size_of::<f32>()).max(1);
        Self { vectors: response.vectors.chunks_exact(row).map(floats).collect(), response }
    }
}

fn floats(row: &[u8]) -> Vec<f32> {
    row.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_a_row() {
        let vectors = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        let embeddings = Embeddings::from(EmbedResponse { dimensions: 2, vectors, ..EmbedResponse::default() });
        assert_eq!(embeddings.vectors, [[1.0, 2.0], [3.0, 4.0]]);
    }

    #[test]
    fn no_text_has_no_row() {
        assert!(Embeddings::from(EmbedResponse::default()).vectors.is_empty());
    }
}
