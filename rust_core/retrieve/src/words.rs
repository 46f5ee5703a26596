//! Documents by the words they share with a query: BM25 by tantivy, in memory.
//!
//! Texts are not kept, only which words are where.  An index is made from the truth when a space is first used, so there
//! is nothing on disk that could outlive a document.
//!
//! Making changes visible costs some milliseconds however few they are.  So the next search does that, and many changes
//! in a row pay for it once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tantivy::{
    DocAddress, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term,
    collector::{Collector, FilterCollector, TopDocs},
    indexer::LogMergePolicy,
    query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

use crate::{Found, analyze::analyzer, state::View};

const ANALYZER: &str = "words";
const ROW: &str = "row";
/// Distinct words of a query that count: the first ones.
const TERMS: usize = 256;
/// What a writer may hold before it writes a segment: tantivy's least.
const HELD: usize = 15_000_000;

/// What writes into the index: threads and memory that are only held while there are changes.
struct Pen {
    writer: IndexWriter,
    /// There were changes since this was last looked at.
    used: bool,
}

/// The index of a space.
pub struct Words {
    index: Index,
    reader: IndexReader,
    pen: Mutex<Option<Pen>>,
    /// There are changes that no search sees yet.  Beside the pen, so that a search without does not wait for it.
    hidden: AtomicBool,
    row: Field,
    text: Field,
}

impl Words {
    /// An empty one.
    pub fn new() -> tantivy::Result<Self> {
        let mut schema = Schema::builder();
        let row = schema.add_u64_field(ROW, INDEXED | FAST);
        let indexing =
            TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqs);
        let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
        let index =
            Index::create(tantivy::directory::RamDirectory::create(), schema.build(), IndexSettings::default())?;
        index.tokenizers().register(ANALYZER, analyzer());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, pen: Mutex::new(None), hidden: AtomicBool::new(false), row, text })
    }

    /// Takes in texts by their rows; what is asked afterwards sees it.
    pub fn add<'a>(&self, texts: impl IntoIterator<Item = (i64, &'a str)>) -> tantivy::Result<()> {
        self.write(|writer| {
            for (row, text) in texts {
                let mut document = TantivyDocument::default();
                document.add_u64(self.row, row as u64);
                document.add_text(self.text, text);
                writer.add_document(document)?;
            }
            Ok(())
        })
    }

    /// Lets go of rows.
    pub fn remove(&self, rows: impl IntoIterator<Item = i64>) -> tantivy::Result<()> {
        self.write(|writer| {
            for row in rows {
                writer.delete_term(Term::from_field_u64(self.row, row as u64));
            }
            Ok(())
        })
    }

    /// The rows of the view that have words of the text, best first.
    pub fn search(&self, text: &str, limit: usize, view: &Arc<View>) -> tantivy::Result<Found> {
        // Room is made for as many as are asked for.
        let limit = limit.min(view.passing.len() as usize);
        if limit == 0 {
            return Ok(Found::default());
        }
        if self.hidden.load(Ordering::Acquire) {
            self.reveal(&mut self.pen.lock())?;
        }
        let (query, searcher) = (self.query(text), self.reader.searcher());
        let best = TopDocs::with_limit(limit).order_by_score();
        let found = if view.whole {
            best_of(&searcher, &query, best)?
        } else {
            let view = view.clone();
            best_of(&searcher, &query, FilterCollector::new(ROW.into(), move |row: u64| view.has(row as i64), best))?
        };
        Ok(found.into_iter().filter(|(row, _)| view.has(*row)).collect())
    }

    /// Ends the threads that write if nothing changed since this was last asked; the next change starts them again.
    pub fn rest(&self) -> tantivy::Result<()> {
        let mut pen = self.pen.lock();
        self.reveal(&mut pen)?;
        let idle = pen.take_if(|it| !std::mem::take(&mut it.used));
        idle.map_or(Ok(()), |it| it.writer.wait_merging_threads())
    }

    /// Bytes in memory, about.
    pub fn memory(&self) -> usize {
        self.reader.searcher().space_usage().map_or(0, |usage| usage.total().get_bytes() as usize)
    }

    fn write(&self, work: impl FnOnce(&IndexWriter) -> tantivy::Result<()>) -> tantivy::Result<()> {
        let mut pen = self.pen.lock();
        let pen = match &mut *pen {
            Some(pen) => pen,
            none => none.insert(self.start()?),
        };
        pen.used = true;
        self.hidden.store(true, Ordering::Release);
        work(&pen.writer)
    }

    /// Lets searches see what was changed, unless another search just did.
    fn reveal(&self, pen: &mut Option<Pen>) -> tantivy::Result<()> {
        if let Some(pen) = pen.as_mut().filter(|_| self.hidden.load(Ordering::Acquire)) {
            pen.writer.commit()?;
            self.reader.reload()?;
            self.hidden.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn start(&self) -> tantivy::Result<Pen> {
        let writer = self.index.writer_with_num_threads(1, HELD)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(0.2);
        writer.set_merge_policy(Box::new(policy));
        Ok(Pen { writer, used: true })
    }

    /// Any of the words; one that is said twice counts twice.
    fn query(&self, text: &str) -> BooleanQuery {
        let mut counts = BTreeMap::<String, f32>::new();
        let mut analyzer = analyzer();
        let mut stream = analyzer.token_stream(text);
        while let Some(token) = stream.next() {
            if counts.len() < TERMS || counts.contains_key(&token.text) {
                *counts.entry(token.text.clone()).or_default() += 1.0;
            }
        }
        let term = |word: &str| TermQuery::new(Term::from_field_text(self.text, word), IndexRecordOption::WithFreqs);
        let boosted = |(word, count): (&String, &f32)| {
            (Occur::Should, Box::new(BoostQuery::new(Box::new(term(word)), *count)) as Box<dyn Query>)
        };
        BooleanQuery::new(counts.iter().map(boosted).collect())
    }
}

fn best_of<C>(searcher: &Searcher, query: &BooleanQuery, collector: C) -> tantivy::Result<Vec<(i64, f32)>>
where
    C: Collector<Fruit = Vec<(f32, DocAddress)>>,
{
    let rows = searcher.segment_readers().iter().map(|it| it.fast_fields().u64(ROW)).collect::<Result<Vec<_>, _>>()?;
    let found = searcher.search(query, &collector)?;
    let row = |at: DocAddress| rows[at.segment_ord as usize].first(at.doc_id);
    Ok(found.into_iter().filter_map(|(score, at)| Some((row(at)? as i64, score))).collect())
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").finish_non_exhaustive()
    }
}
