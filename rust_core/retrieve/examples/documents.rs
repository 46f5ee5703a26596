//! How fast the embedded store is here: `cargo run --release -p waypost-retrieve --example documents -- [DOCUMENTS]`.
//!
//! Made up documents of 40 words, 384 dimensions and two fields, stored 64 at a time.

use std::{env, time::Instant};

use ndarray::Array2;
use waypost_retrieve::{Documents, Entry, Filter, Question, Selection, SpaceName};

const SPACE: SpaceName<'static> = SpaceName { tenant: "pace", name: "pace" };
const DIMENSIONS: usize = 384;
const GROUP: usize = 64;
const TURNS: usize = 20;

fn main() {
    let count: usize = env::args().nth(1).map_or(20_000, |it| it.parse().expect("a number of documents"));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("documents.db");
    let open = || Documents::open(&path, 10_000_000_000).expect("it opens");

    let store = open();
    let vectors = vectors(count, 1);
    let begun = Instant::now();
    fill(&store, count, &vectors);
    println!("stored        {:9.0} documents/s", count as f64 / begun.elapsed().as_secs_f64());

    for queries in [1, 32] {
        let asked = self::vectors(queries, 2);
        let dense = |question: Question<'_>| selected(&store, question).dense(asked.view(), 10, 0).expect("it answers");
        report(&format!("dense {queries}"), || drop(dense(Question::default())));
        for (share, filter) in filters() {
            report(&format!("dense {queries} {share}"), || {
                drop(dense(Question { filter: Some(&filter), ..Question::default() }));
            });
        }
    }
    let words =
        |question: Question<'_>| selected(&store, question).words(&["w17 w4711 w12345 w3"], 10).expect("it answers");
    report("words 1", || drop(words(Question::default())));
    for (share, filter) in filters() {
        report(&format!("words 1 {share}"), || drop(words(Question { filter: Some(&filter), ..Question::default() })));
    }
    let figures = store.figures(SPACE, 0).expect("it answers").expect("it is there");
    println!("memory        {:9.1} MB, disk {:.1} MB", megabytes(figures.memory_bytes), megabytes(figures.disk_bytes));

    drop(store);
    let begun = Instant::now();
    let store = open();
    let opened = begun.elapsed();
    store.figures(SPACE, 0).expect("it answers");
    println!("opened        {:9.3} s, first use {:.3} s", opened.as_secs_f64(), begun.elapsed().as_secs_f64());
}

fn selected(store: &Documents, question: Question<'_>) -> Selection {
    store.select(SPACE, question).expect("it answers").expect("it is there")
}

fn filters() -> [(&'static str, Filter); 2] {
    let read = |json| Filter::parse(json).expect("it is a filter");
    [
        ("at 1 %", read(r#"{"between": {"field": "hundredth", "below": 1}}"#)),
        ("at 50 %", read(r#"{"one_of": {"field": "half", "values": ["a"]}}"#)),
    ]
}

fn fill(store: &Documents, count: usize, vectors: &Array2<f32>) {
    let mut random = Random(7);
    for from in (0..count).step_by(GROUP) {
        let all: Vec<_> = (from..count.min(from + GROUP)).map(|at| document(at, &mut random)).collect();
        let entries: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(at, (id, text, metadata))| {
                let row = vectors.row(from + at).to_slice().expect("rows are whole");
                Entry { id, text, metadata, vector: row, expires: None }
            })
            .collect();
        store.upsert(SPACE, &entries, 0).expect("it is stored");
    }
}

fn document(at: usize, random: &mut Random) -> (String, String, String) {
    // Few words are frequent, as in texts.
    let words: Vec<_> = (0..40).map(|_| format!("w{}", 1.0_f64.exp().powf(random.next() * 10.0) as u32)).collect();
    let half = ["a", "b"][at % 2];
    (format!("document-{at}"), words.join(" "), format!(r#"{{"half": "{half}", "hundredth": {}}}"#, at % 100))
}

fn vectors(count: usize, seed: u64) -> Array2<f32> {
    let mut random = Random(seed);
    let mut all = Array2::from_shape_simple_fn((count, DIMENSIONS), || random.next() as f32 - 0.5);
    for mut row in all.rows_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    all
}

fn report(name: &str, work: impl Fn()) {
    work();
    let begun = Instant::now();
    (0..TURNS).for_each(|_| work());
    println!("{name:<14}{:9.3} ms", begun.elapsed().as_secs_f64() * 1_000.0 / TURNS as f64);
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Numbers from 0 to 1, the same each time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
