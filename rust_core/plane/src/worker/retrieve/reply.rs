//! What queries found, as the contract has it: documents go from the store to the caller encoded.

use prost::{DecodeError, Message};
use waypost_text::passages;

use crate::proto::v1;

/// A document, its score, and what the searches by vector and by words said of it.
pub type Ranked = (i64, f64, Option<f64>, Option<f64>);

/// How passages are cut from the documents.
#[derive(Clone, Copy, Debug)]
pub struct Snippets {
    /// Of a document, at most; none are cut where this is 0.
    pub count: usize,
    /// Of each, at most.
    pub max_chars: usize,
    /// Whether the texts that they are cut from are told too.
    pub keep_text: bool,
}

/// `waypost.v1.QueryDocumentsResponse`.
#[derive(Clone, PartialEq, Message)]
struct Reply {
    #[prost(message, repeated, tag = "3")]
    results: Vec<Outcome>,
}

/// `waypost.v1.QueryResult`.
#[derive(Clone, PartialEq, Message)]
struct Outcome {
    #[prost(message, repeated, tag = "1")]
    documents: Vec<Scored>,
}

/// `waypost.v1.ScoredDocument`, whose document is encoded already.
#[derive(Clone, PartialEq, Message)]
struct Scored {
    #[prost(bytes = "vec", tag = "1")]
    document: Vec<u8>,
    #[prost(double, tag = "2")]
    score: f64,
    #[prost(double, optional, tag = "3")]
    cosine: Option<f64>,
    #[prost(double, optional, tag = "4")]
    bm25: Option<f64>,
    #[prost(message, repeated, tag = "6")]
    snippets: Vec<v1::Snippet>,
}

/// The encoded reply: of each query its documents, best first, as `document` has them; those it has not are left out.
///
/// Fails where one of them is no document.
pub fn encoded<'a>(
    found: &[(Vec<Ranked>, String)],
    document: impl Fn(i64) -> Option<&'a [u8]>,
    snippets: Snippets,
) -> Result<Vec<u8>, DecodeError> {
    let told = |(ranked, query): &(Vec<Ranked>, String)| {
        let there = ranked.iter().filter_map(|each| Some((each, document(each.0)?)));
        let documents = there.map(|(each, document)| scored(each, document, query, snippets));
        documents.collect::<Result<_, DecodeError>>().map(|documents| Outcome { documents })
    };
    found.iter().map(told).collect::<Result<_, _>>().map(|results| Reply { results }.encode_to_vec())
}

fn scored(each: &Ranked, document: &[u8], query: &str, snippets: Snippets) -> Result<Scored, DecodeError> {
    let (_, score, cosine, bm25) = *each;
    let (document, snippets) = match snippets.count {
        0 => (document.to_vec(), Vec::new()),
        _ => cut(v1::Document::decode(document)?, query, snippets),
    };
    Ok(Scored { document, score, cosine, bm25, snippets })
}

/// The document as it is told, and its passages.
fn cut(mut document: v1::Document, query: &str, snippets: Snippets) -> (Vec<u8>, Vec<v1::Snippet>) {
    let Snippets { count, max_chars, keep_text } = snippets;
    let snippet = |text: &str, range: std::ops::Range<usize>| v1::Snippet {
        text: text.chars().skip(range.start).take(range.len()).collect(),
        start: range.start as u32,
        end: range.end as u32,
    };
    let found = passages(&document.text, query, count, max_chars);
    let found = found.into_iter().map(|range| snippet(&document.text, range)).collect();
    if !keep_text {
        document.text.clear();
    }
    (document.encode_to_vec(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> v1::Document {
        v1::Document { id: "a".into(), text: text.into(), ..Default::default() }
    }

    #[test]
    fn the_reply_is_what_the_contract_says() {
        let (there, query) = (document("The ferry leaves at nine.").encode_to_vec(), "ferries".to_string());
        let found = [(vec![(7, 0.5, None, Some(2.0)), (8, 0.25, Some(0.25), None)], query)];
        let reply = |count, keep_text| {
            let known = |row| (row == 7).then_some(there.as_slice());
            let reply =
                encoded(&found, known, Snippets { count, max_chars: 9, keep_text }).expect("they are documents");
            v1::QueryDocumentsResponse::decode(reply.as_slice()).expect("it is one")
        };
        let expected = |text: &str, snippets| {
            let (document, bm25) = (Some(document(text)), Some(2.0));
            let found = v1::ScoredDocument { document, score: 0.5, bm25, snippets, ..Default::default() };
            let results = vec![v1::QueryResult { documents: vec![found] }];
            v1::QueryDocumentsResponse { results, ..Default::default() }
        };
        let snippet = v1::Snippet { text: "The ferry".into(), start: 0, end: 9 };
        assert_eq!(reply(0, true), expected("The ferry leaves at nine.", vec![]));
        assert_eq!(reply(1, true), expected("The ferry leaves at nine.", vec![snippet.clone()]));
        assert_eq!(reply(1, false), expected("", vec![snippet]));
    }

    #[test]
    fn what_is_no_document_has_no_passages() {
        let found = [(vec![(7, 0.5, None, None)], String::new())];
        let snippets = Snippets { count: 1, max_chars: 9, keep_text: true };
        assert!(encoded(&found, |_| Some(&[0xff]), snippets).is_err());
    }
}
