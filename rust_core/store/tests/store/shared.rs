//! What routers share beside money and documents.

use std::{collections::BTreeSet, time::Duration};

use waypost_store::{Heard, NewRoll, Place, PutError, Roll, Settings, Store};

use crate::common::{RedisServer, everywhere, open, runtime};

fn roll<'a>(expected: u64, text: &'a str, names: &'a [&'a str], gone: &'a [&'a str]) -> NewRoll<'a> {
    NewRoll { key: "roll", set: "model:hotset", expected, text, names, gone }
}

fn members(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(ToString::to_string).collect()
}

async fn read(store: &Store) -> (u64, String, Option<BTreeSet<String>>) {
    let Roll { document, members } = store.roll("roll", "model:hotset").await.expect("it answers");
    let document = document.expect("it was written");
    (document.revision, document.text, members)
}

#[test]
fn a_roll_is_a_document_and_who_lost_a_race_does_not_write_it() {
    everywhere(async |place| {
        let store = open(&place).await;
        assert_eq!(store.roll("roll", "model:hotset").await.expect("it answers").document, None);
        assert_eq!(store.put_roll(&roll(0, "1", &["a", "b"], &[])).await.expect("there is none"), 1);
        let late = store.put_roll(&roll(0, "2", &["c"], &["a"])).await;
        assert!(matches!(late, Err(PutError::Conflict { actual: 1 })), "{late:?}");
        let (revision, text, names) = read(&store).await;
        assert_eq!((revision, text.as_str()), (1, "1"));
        assert_eq!(names, matches!(place, Place::Redis(_)).then(|| members(&["a", "b"])));
    });
}

#[test]
fn names_that_others_put_into_the_set_stay() {
    let Some(server) = RedisServer::start() else { return };
    runtime().block_on(async {
        let store = open(&server.place()).await;
        server.command(&["SADD", "model:hotset", "theirs"]);
        store.put_roll(&roll(0, "1", &["a", "b"], &[])).await.expect("there is none");
        store.put_roll(&roll(1, "2", &["b"], &["a"])).await.expect("it is expected");
        assert_eq!(read(&store).await, (2, "2".into(), Some(members(&["b", "theirs"]))));
    });
}

#[test]
fn routers_hear_what_others_told_since_they_last_listened() {
    let Some(server) = RedisServer::start() else { return };
    runtime().block_on(async {
        let router = async |name: &str| Store::open(&server.place(), name).await.expect("it opens");
        let (a, b) = (router("a").await, router("b").await);
        let (mut by_a, mut by_b) = (Heard::default(), Heard::default());
        let tell = async |store: &Store, text: &str, heard: &mut Heard| {
            let told = store.tell("rates", text, heard).await.expect("there is Redis").expect("it answers");
            told.into_iter().map(|told| (told.router, told.text)).collect::<Vec<_>>()
        };
        assert_eq!(tell(&a, "one", &mut by_a).await, []);
        assert_eq!(tell(&b, "", &mut by_b).await, [("a".into(), "one".into())]);
        assert_eq!(tell(&b, "two", &mut by_b).await, []);
        assert_eq!(tell(&a, "three", &mut by_a).await, [("b".into(), "two".into())]);
        assert_eq!(tell(&a, "", &mut by_a).await, [], "nobody hears himself, or anything twice");
        assert_eq!(tell(&b, "", &mut by_b).await, [("a".into(), "three".into())]);
    });
}

#[test]
fn routers_of_a_file_do_not_hear_each_other() {
    runtime().block_on(async {
        let store = Store::open_with(&Place::Memory, "a", Settings::default()).await.expect("it opens");
        assert!(!store.is_quick());
        assert!(store.tell("rates", "one", &mut Heard::default()).await.is_none());
    });
}

#[test]
fn an_answer_is_kept_for_a_while() {
    let Some(server) = RedisServer::start() else { return };
    runtime().block_on(async {
        let (one, two) = (open(&server.place()).await, open(&server.place()).await);
        let found = async |key| two.answer(key, Duration::from_secs(10)).await.expect("it answers");
        one.keep_answer("long", b"\0yes\xff", Duration::from_secs(60)).await.expect("it is kept");
        one.keep_answer("short", b"no", Duration::from_millis(1)).await.expect("it is kept");
        assert_eq!(found("long").await.as_deref(), Some(&b"\0yes\xff"[..]));
        while found("short").await.is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(found("none").await, None);
    });
}
