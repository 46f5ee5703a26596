//! Small documents that routers share.

use crate::common::{everywhere, open};
use waypost_store::{Document, PutError};

#[test]
fn a_document_is_read_as_it_was_written() {
    everywhere(async |place| {
        let store = open(&place).await;
        assert_eq!(store.document("a").await.expect("it answers"), None);
        for (revision, text) in ["", "{\"ä\": 1}\n", "1 2"].into_iter().enumerate() {
            let revision = revision as u64;
            assert_eq!(store.put_document("a", revision, text).await.expect("it is expected"), revision + 1);
            let written = Document { revision: revision + 1, text: text.into() };
            assert_eq!(open(&place).await.document("a").await.expect("it answers"), Some(written));
        }
    });
}

#[test]
fn who_did_not_see_the_last_revision_does_not_write() {
    everywhere(async |place| {
        let store = open(&place).await;
        let refused = async |expected| match store.put_document("a", expected, "mine").await {
            Err(PutError::Conflict { actual }) => actual,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(1).await, 0);
        store.put_document("a", 0, "theirs").await.expect("there is none");
        assert_eq!((refused(0).await, refused(2).await), (1, 1));
        let kept = store.document("a").await.expect("it answers").expect("there is one");
        assert_eq!(kept.text, "theirs");
    });
}

#[test]
fn of_many_who_write_at_once_one_wins_each_revision() {
    everywhere(async |place| {
        let stores = [open(&place).await, open(&place).await, open(&place).await];
        let tasks = (0..24).map(|index| {
            let store = stores[index % stores.len()].clone();
            tokio::spawn(async move { store.put_document("a", 0, &index.to_string()).await.is_ok() })
        });
        let mut won = 0;
        for task in tasks.collect::<Vec<_>>() {
            won += usize::from(task.await.expect("no panic"));
        }
        assert_eq!(won, 1);
    });
}

#[test]
fn documents_are_listed_by_how_their_names_begin() {
    everywhere(async |place| {
        let store = open(&place).await;
        for key in ["alias/b", "alias/a", "alias%", "rollout/a", "ALIAS/c"] {
            store.put_document(key, 0, key).await.expect("there is none");
        }
        let names = async |prefix| {
            let found = store.documents(prefix).await.expect("it answers");
            found.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(names("alias/").await, ["alias/a", "alias/b"]);
        assert_eq!(names("none").await, Vec::<String>::new());
        assert_eq!(names("").await.len(), 5);
    });
}
