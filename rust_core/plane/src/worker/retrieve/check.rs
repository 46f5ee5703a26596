//! What a request may say, checked before any work is done.

use prost::Message;

use super::super::{config::Limits, shell::invalid};
use crate::{error::Error, proto::v1};

/// Bytes of a document's id.
pub const ID_BYTES: usize = 512;
/// Bytes of a namespace's name.
const NAME_BYTES: usize = 128;
/// Documents of a result, or of a page.
const MOST: u32 = 1000;
/// Passages of a document.
const SNIPPETS: u32 = 16;

/// A name that stands in paths, tables and URLs as it is.
pub fn namespace(name: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(plain) {
        return Ok(());
    }
    let expected = format!("1 to {NAME_BYTES} letters, digits, dots, dashes or underscores");
    Err(invalid("namespace", format!("{name:?}"), expected))
}

/// Documents that can be stored.
pub fn upsert(request: &v1::UpsertDocumentsRequest, limits: &Limits) -> Result<(), Error> {
    count("documents", request.documents.len(), limits)?;
    positive("ttl", request.ttl.as_ref())?;
    for (index, document) in request.documents.iter().enumerate() {
        id(&format!("documents[{index}].id"), &document.id)?;
        limits.check_size(|| format!("documents[{index}].text"), &document.text)?;
        let (limit, bytes) = (limits.max_text_bytes, document.metadata.as_ref().map_or(0, Message::encoded_len));
        if bytes > limit {
            let field = format!("documents[{index}].metadata");
            return Err(Error::TextTooLarge { field, limit, actual: bytes });
        }
    }
    Ok(())
}

/// Queries that can be answered.
pub fn query(request: &v1::QueryDocumentsRequest, limits: &Limits) -> Result<(), Error> {
    count("queries", request.queries.len(), limits)?;
    at_most("top_k", request.top_k, MOST)?;
    at_most("snippets", request.snippets, SNIPPETS)?;
    if v1::QueryMode::try_from(request.mode).is_err() {
        return Err(invalid("mode", request.mode, "a value of waypost.v1.QueryMode"));
    }
    for (index, query) in request.queries.iter().enumerate() {
        limits.check_size(|| format!("queries[{index}].text"), &query.text)?;
        let needs_text = request.rerank || request.mode() == v1::QueryMode::Bm25;
        if query.text.is_empty() && (needs_text || query.vector.is_none()) {
            return Err(invalid(format!("queries[{index}].text"), "empty", "there: there are no words to go by"));
        }
    }
    Ok(())
}

/// Ids to be looked up.
pub fn ids(ids: &[String], limits: &Limits) -> Result<(), Error> {
    count("ids", ids.len(), limits)?;
    ids.iter().enumerate().try_for_each(|(index, each)| id(&format!("ids[{index}]"), each))
}

/// What is to be deleted: some documents, never all by an oversight.
pub fn delete(request: &v1::DeleteDocumentsRequest, limits: &Limits) -> Result<(), Error> {
    match (&request.filter, request.ids.is_empty()) {
        (Some(_), true) => Ok(()),
        (Some(_), false) => Err(invalid("filter", "there beside ids", "absent, or ids must be")),
        (None, _) => ids(&request.ids, limits),
    }
}

/// One page of documents.
pub fn list(request: &v1::ListDocumentsRequest) -> Result<(), Error> {
    at_most("page_size", request.page_size, MOST)
}

/// How long a namespace keeps what is in it.
pub fn retention(request: &v1::SetNamespaceRequest) -> Result<(), Error> {
    positive("retention", request.retention.as_ref())
}

fn count(field: &'static str, actual: usize, limits: &Limits) -> Result<(), Error> {
    match actual {
        0 => Err(Error::EmptyInput { field }),
        _ if actual > limits.max_texts => Err(Error::TooManyInputs { field, limit: limits.max_texts, actual }),
        _ => Ok(()),
    }
}

fn id(field: &str, id: &str) -> Result<(), Error> {
    if (1..=ID_BYTES).contains(&id.len()) {
        return Ok(());
    }
    Err(invalid(field.to_string(), format!("{} bytes long", id.len()), format!("1 to {ID_BYTES} bytes long")))
}

fn at_most(field: &'static str, actual: u32, most: u32) -> Result<(), Error> {
    if actual > most { Err(invalid(field, actual, format!("at most {most}"))) } else { Ok(()) }
}

fn positive(field: &'static str, time: Option<&prost_types::Duration>) -> Result<(), Error> {
    let Some(time) = time else { return Ok(()) };
    match std::time::Duration::try_from(*time) {
        Ok(time) if !time.is_zero() => Ok(()),
        _ => Err(invalid(field, format!("{}.{:09} s", time.seconds, time.nanos), "longer than 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_receive_bytes: 100, max_texts: 2, max_text_bytes: 3, queue_limit: 4 };

    fn field(error: Error) -> String {
        match error {
            Error::InvalidField { field, .. } => field.into(),
            Error::EmptyInput { field } | Error::TooManyInputs { field, .. } => field.into(),
            Error::TextTooLarge { field, .. } => field,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_name_says_nothing_to_a_path_or_a_table() {
        ["a", "Handbook-2.de_AT"].iter().for_each(|name| assert_eq!(namespace(name), Ok(())));
        for name in ["", "a/b", "a b", "ä", "a'", &"n".repeat(129)] {
            assert!(namespace(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_document_s_fault_is_named_with_its_place() {
        let document = |id: &str, text: &str| v1::Document { id: id.into(), text: text.into(), ..Default::default() };
        let upsert = |documents| {
            super::upsert(&v1::UpsertDocumentsRequest { documents, ..Default::default() }, &LIMITS).map_err(field)
        };
        assert_eq!(upsert(vec![document("a", "abc")]), Ok(()));
        assert_eq!(upsert(vec![]), Err("documents".into()));
        assert_eq!(upsert(vec![document("a", ""), document("", "")]), Err("documents[1].id".into()));
        assert_eq!(upsert(vec![document("a", "abcd")]), Err("documents[0].text".into()));
        assert_eq!(upsert(vec![document("a", ""); 3]), Err("documents".into()));
    }

    #[test]
    fn a_deletion_says_what_by_one_of_both() {
        let delete = |ids: &[&str], filter| {
            let ids = ids.iter().map(ToString::to_string).collect();
            super::delete(&v1::DeleteDocumentsRequest { ids, filter, ..Default::default() }, &LIMITS).map_err(field)
        };
        assert_eq!(delete(&["a"], None), Ok(()));
        assert_eq!(delete(&[], Some(v1::Filter::default())), Ok(()));
        assert_eq!(delete(&[], None), Err("ids".into()));
        assert_eq!(delete(&["a"], Some(v1::Filter::default())), Err("filter".into()));
    }

    #[test]
    fn what_has_no_words_cannot_be_found_by_words() {
        let request = |mode: v1::QueryMode, rerank| v1::QueryDocumentsRequest {
            queries: vec![v1::DocumentQuery { vector: Some(v1::Vector { values: vec![1.0] }), ..Default::default() }],
            mode: mode.into(),
            rerank,
            ..Default::default()
        };
        assert_eq!(query(&request(v1::QueryMode::Hybrid, false), &LIMITS), Ok(()));
        assert!(query(&request(v1::QueryMode::Bm25, false), &LIMITS).is_err());
        assert!(query(&request(v1::QueryMode::Dense, true), &LIMITS).is_err());
    }

    #[test]
    fn nothing_is_kept_for_no_time() {
        let time = |seconds, nanos| positive("ttl", Some(&prost_types::Duration { seconds, nanos }));
        assert_eq!(time(0, 1), Ok(()));
        assert!(time(0, 0).is_err() && time(-1, 0).is_err());
    }
}
