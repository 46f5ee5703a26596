//! What each method promises.

use ndarray::aview2;
use waypost_retrieve::{Batch, Documents, Entry, Error, Graph, InputError, OpenError, Parts, SpaceName, Stored, Which};

use crate::common::{
    NOW, Place, SPACE, TEXT, at, delete_all, dense, entry, filter, ids, ids_of, passing, select, upsert, words,
};

#[test]
fn what_is_stored_is_found_at_once_and_after_opening_again() {
    let place = Place::new();
    let entries = [
        Entry { vector: &[1.0, 0.0], metadata: r#"{"lang": "en"}"#, ..entry("a", "A lighthouse keeper.") },
        Entry { vector: &[0.0, 1.0], metadata: r#"{"lang": "de"}"#, ..entry("b", "Ein Leuchtturm.") },
    ];
    let store = place.open();
    assert_eq!(upsert(&store, &entries), Stored { added: 2, replaced: 0 });
    let check = |store: &Documents| {
        assert_eq!(ids_of(store, &dense(store, &[0.6, 0.8], 2, at(NOW)).expect("it answers")), ["b", "a"]);
        assert_eq!(words(store, "the keeper of Lighthouses", at(NOW)), ["a"]);
        assert_eq!(
            words(
                store,
                "leuchtturm lighthouse",
                passing(&filter(r#"{"one_of": {"field": "lang", "values": ["de"]}}"#))
            ),
            ["b"]
        );
        let got = store.get(SPACE, &["b", "nobody", "a"], Parts { text: true, vector: true }, NOW).expect("it answers");
        assert_eq!(got.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!((got[0].text.as_str(), &got[0].vector[..]), ("Ein Leuchtturm.", &[0.0, 1.0][..]));
    };
    check(&store);
    drop(store);
    check(&place.open());
}

#[test]
fn several_upserts_are_one_commit_and_each_is_all_or_nothing() {
    let place = Place::new();
    let store = Documents::open(place.path(), 4_000).expect("it opens");
    let other = SpaceName { name: "other", ..SPACE };
    let long = "word ".repeat(2_000);
    let near = |id, text| Entry { vector: &[1.0], ..entry(id, text) };
    let (first, large, unlike) =
        ([near("a", "first")], [near("b", "b"), near("c", &long)], [near("d", ""), entry("e", "")]);
    let (broken, again, elsewhere) =
        ([Entry { metadata: "[", ..near("f", "") }], [near("a", "again"), near("g", "again")], [entry("a", "first")]);
    let batch = |name, entries| Batch { name, entries };
    let batches = [
        batch(SPACE, &first[..]),
        batch(SPACE, &large),
        batch(SPACE, &unlike),
        batch(SPACE, &broken),
        batch(other, &elsewhere),
        batch(SPACE, &again),
    ];
    let stored = store.upsert_each(&batches, NOW).expect("it is stored");
    let counts: Vec<_> = stored.iter().map(|it| it.as_ref().ok().copied()).collect();
    let some = |added, replaced| Some(Stored { added, replaced });
    assert_eq!(counts, [some(1, 0), None, None, None, some(1, 0), some(1, 1)]);
    assert!(matches!(stored[1], Err(Error::Full { .. })));
    assert!(matches!(stored[2], Err(Error::Input(InputError::Dimensions { expected: 1, got: 0 }))));
    assert!(matches!(stored[3], Err(Error::Input(InputError::Metadata { index: 0, .. }))));
    let bytes = |store: &Documents| store.figures(SPACE, NOW).expect("it answers").expect("it is there").disk_bytes;
    let look = |store: &Documents| {
        assert_eq!(ids(store, at(NOW)), ["a", "g"]);
        assert!(words(store, "first", at(NOW)).is_empty());
        assert_eq!(words(store, "again", at(NOW)), ["a", "g"]);
        assert_eq!(dense(store, &[1.0], 9, at(NOW)).expect("it answers").rows.len(), 2);
        assert_eq!(store.get(other, &["a"], TEXT, NOW).expect("it answers")[0].text, "first");
        bytes(store)
    };
    let before = look(&store);
    drop(store);
    assert_eq!(look(&place.open()), before);
}

#[test]
fn one_that_replaces_another_has_a_row_of_its_own() {
    let place = Place::new();
    let store = place.open();
    upsert(&store, &[entry("a", "first")]);
    let before = store.get(SPACE, &["a"], TEXT, NOW).expect("it answers").remove(0);
    assert_eq!(upsert(&store, &[entry("a", "second"), entry("a", "third")]), Stored { added: 0, replaced: 1 });
    assert_eq!(store.fetch(SPACE, &[before.row], TEXT).expect("it answers"), []);
    assert!(words(&store, "first second", at(NOW)).is_empty());
    assert_eq!(words(&store, "third", at(NOW)), ["a"]);
}

#[test]
fn what_has_expired_is_nowhere_before_it_is_swept() {
    let place = Place::new();
    let store = place.open();
    let gone = Entry { expires: Some(NOW + 5), vector: &[1.0], ..entry("gone", "a word") };
    upsert(&store, &[gone, Entry { vector: &[1.0], ..entry("stays", "a word") }]);
    assert_eq!(ids(&store, at(NOW + 4)), ["gone", "stays"]);
    assert_eq!(ids(&store, at(NOW + 5)), ["stays"]);
    assert_eq!(words(&store, "word", at(NOW + 5)), ["stays"]);
    assert_eq!(ids_of(&store, &dense(&store, &[1.0], 9, at(NOW + 5)).expect("it answers")), ["stays"]);
    assert!(store.get(SPACE, &["gone"], TEXT, NOW + 5).expect("it answers").is_empty());
    assert_eq!(store.upsert(SPACE, &[gone], NOW + 5).expect("it is stored"), Stored { added: 1, replaced: 0 });
}

#[test]
fn retention_counts_for_what_is_not_dated_whenever_it_is_set() {
    let place = Place::new();
    let store = place.open();
    upsert(&store, &[entry("undated", ""), Entry { expires: Some(NOW + 1_000), ..entry("dated", "") }]);
    store.set_retention(SPACE, Some(10)).expect("it is set");
    assert_eq!(ids(&store, at(NOW + 10)), ["dated"]);
    assert_eq!(store.get(SPACE, &["undated"], TEXT, NOW).expect("it answers")[0].expires, Some(NOW + 10));
    drop(store);
    let store = place.open();
    assert_eq!(store.sweep(NOW + 10).expect("it sweeps"), 1);
    assert_eq!(ids(&store, at(NOW)), ["dated"]);
}

#[test]
fn tenants_see_only_their_own() {
    let place = Place::new();
    let store = place.open();
    upsert(&store, &[entry("a", "word")]);
    let row = store.get(SPACE, &["a"], TEXT, NOW).expect("it answers")[0].row;
    let other = SpaceName { tenant: "other", ..SPACE };
    assert!(store.names("other").expect("it answers").is_empty());
    assert!(store.fetch(other, &[row], TEXT).expect("it answers").is_empty());
    assert_eq!(store.delete(other, Which::All, NOW).expect("it answers"), 0);
    assert_eq!(store.figures(other, NOW).expect("it answers"), None);
    store.upsert(other, &[entry("a", "theirs")], NOW).expect("it is stored");
    assert_eq!(words(&store, "theirs word", at(NOW)), ["a"]);
    assert_eq!(delete_all(&store), 1);
    assert_eq!(store.get(other, &["a"], TEXT, NOW).expect("it answers")[0].text, "theirs");
}

#[test]
fn documents_are_deleted_by_id_and_by_filter() {
    let place = Place::new();
    let store = place.open();
    let year = |id, metadata| Entry { metadata, ..entry(id, "word") };
    upsert(&store, &[year("a", r#"{"year": 2019}"#), year("b", r#"{"year": 2020}"#), year("c", "{}")]);
    let old = filter(r#"{"between": {"field": "year", "below": 2020}}"#);
    assert_eq!(store.delete(SPACE, Which::Passing(&old), NOW).expect("it answers"), 1);
    assert_eq!(store.delete(SPACE, Which::Ids(&["c", "nobody"]), NOW).expect("it answers"), 1);
    assert_eq!(ids(&store, at(NOW)), ["b"]);
    assert_eq!(words(&store, "word", at(NOW)), ["b"]);
}

#[test]
fn all_vectors_of_a_namespace_have_one_length() {
    let place = Place::new();
    let store = place.open();
    upsert(&store, &[Entry { vector: &[1.0, 0.0], ..entry("a", "") }]);
    let refused = store.upsert(SPACE, &[Entry { vector: &[1.0], ..entry("b", "") }], NOW);
    assert!(matches!(refused, Err(Error::Input(InputError::Dimensions { expected: 2, got: 1 }))));
    assert!(matches!(store.upsert(SPACE, &[entry("b", "")], NOW), Err(Error::Input(_))));
    assert!(matches!(dense(&store, &[1.0], 1, at(NOW)), Err(Error::Input(_))));
    assert!(matches!(dense(&store, &[1.0, f32::INFINITY], 1, at(NOW)), Err(Error::Input(_))));
    assert_eq!(dense(&store, &[1.0, 0.0], usize::MAX, at(NOW)).expect("it answers").rows.len(), 1);
    assert_eq!(ids(&store, at(NOW)), ["a"]);
}

#[test]
fn a_refused_upsert_leaves_nothing_behind() {
    let place = Place::new();
    let store = place.open();
    let broken = [entry("a", ""), Entry { metadata: "[]", ..entry("b", "") }];
    assert!(matches!(store.upsert(SPACE, &broken, NOW), Err(Error::Input(InputError::Metadata { index: 1, .. }))));
    let infinite = [Entry { vector: &[f32::NAN], ..entry("a", "") }];
    assert!(matches!(store.upsert(SPACE, &infinite, NOW), Err(Error::Input(InputError::NotFinite(0)))));
    assert!(store.names("acme").expect("it answers").is_empty());
}

#[test]
fn a_full_store_takes_again_what_was_made_room_for() {
    let place = Place::new();
    let store = Documents::open(place.path(), 10_000).expect("it opens");
    let text = "x".repeat(4_000);
    upsert(&store, &[entry("a", &text), entry("b", &text)]);
    assert!(matches!(store.upsert(SPACE, &[entry("c", &text)], NOW), Err(Error::Full { limit: 10_000, .. })));
    assert_eq!(upsert(&store, &[entry("b", "short")]), Stored { added: 0, replaced: 1 });
    upsert(&store, &[entry("c", &text)]);
    assert_eq!(ids(&store, at(NOW)), ["a", "b", "c"]);
}

#[test]
fn a_graph_is_asked_beside_for_the_rows_beyond_it() {
    let place = Place::new();
    let store = place.open();
    let both = |id| Entry { vector: &[1.0], ..entry(id, "") };
    upsert(&store, &[both("a"), both("b")]);
    let (rows, vectors) = store.vectors(SPACE, 0, 10).expect("it answers");
    assert_eq!((rows.len(), vectors.shape()), (2, &[2, 1][..]));
    store.set_graph(SPACE, Some(Graph { file: "g".into(), row: rows[1] })).expect("it is noted");
    upsert(&store, &[both("c"), both("a")]);
    let selection = select(&store, at(NOW));
    let found = selection.dense(aview2(&[[1.0]]), 9, rows[1]).expect("it answers");
    assert_eq!(ids_of(&store, &found[0]), ["c", "a"]);
    let indexed = [[rows[0], rows[1]]];
    let indexed = (aview2(&indexed), aview2(&[[1.0, 1.0]]));
    let of = |limit, beyond| selection.completed(aview2(&[[1.0]]), indexed, limit, beyond).expect("it answers");
    assert_eq!(ids_of(&store, &of(3, rows[1])[0]), ["b", "c", "a"]);
    assert_eq!(ids_of(&store, &of(2, rows[1])[0]), ["b", "c"]);
    assert_eq!(ids_of(&store, &of(2, rows[1] + 2)[0]), ["b", "c"], "one is left, so all are looked at");
    assert_eq!(selection.count(), 3);
    let figures = store.figures(SPACE, NOW).expect("it answers").expect("it is there");
    assert_eq!((figures.documents, figures.indexed, figures.last_row), (3, 1, rows[1] + 2));
    assert_eq!(figures.graph.map(|it| it.row), Some(rows[1]));
}

#[test]
fn a_second_process_is_refused() {
    let place = Place::new();
    let _store = place.open();
    assert!(matches!(Documents::open(place.path(), 1), Err(OpenError::InUse(_))));
}

#[test]
fn a_query_is_only_words() {
    let place = Place::new();
    let store = place.open();
    upsert(&store, &[entry("a", "AND OR NOT + - \" text:word"), entry("b", "café 東京都 naïve")]);
    assert_eq!(words(&store, "NOT (\"unclosed AND text:", at(NOW)), ["a"]);
    assert_eq!(words(&store, "cafe", at(NOW)), ["b"]);
    assert!(words(&store, "?! \"", at(NOW)).is_empty());
    let found = select(&store, at(NOW)).words(&["word café"], usize::MAX).expect("it answers");
    assert_eq!(found[0].rows.len(), 2);
}

#[test]
fn threads_that_store_and_threads_that_ask_do_not_disturb_each_other() {
    let place = Place::new();
    let store = place.open();
    upsert(&store, &[Entry { vector: &[1.0], ..entry("first", "word") }]);
    let change = |thread: usize| {
        for turn in 0..30 {
            let (id, text) = (format!("{thread}-{turn}"), format!("word of{thread}x{turn}"));
            upsert(&store, &[Entry { vector: &[1.0], ..entry(&id, &text) }]);
            assert_eq!(words(&store, &format!("of{thread}x{turn}"), at(NOW)), [id.as_str()]);
            store.delete(SPACE, Which::Ids(&[&id]), NOW).expect("it answers");
            assert!(words(&store, &format!("of{thread}x{turn}"), at(NOW)).is_empty());
        }
    };
    let ask = || {
        for _ in 0..100 {
            let found = dense(&store, &[1.0], 100, at(NOW)).expect("it answers");
            assert!((1..=3).contains(&found.rows.len()), "{found:?}");
            store.sweep(NOW).expect("it sweeps");
        }
    };
    std::thread::scope(|scope| {
        (0..2).for_each(|thread| {
            drop(scope.spawn({
                let change = &change;
                move || change(thread)
            }))
        });
        scope.spawn(ask);
    });
    assert_eq!(ids(&store, at(NOW)), ["first"]);
}
