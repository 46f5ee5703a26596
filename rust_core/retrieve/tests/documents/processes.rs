//! Processes are killed in the middle of what they do.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use waypost_retrieve::{Documents, Entry};

use crate::common::{NOW, Place, ROOM, SPACE, at, dense, entry, ids, upsert, words};

/// Names the file to a process that is to write.
const PATH: &str = "WAYPOST_TEST_DOCUMENTS";
const KILLS: usize = 5;
/// Upserts that are answered before the process is killed.
const BEFORE_DEATH: usize = 20;
/// Documents of an upsert.
const GROUP: usize = 7;

#[test]
fn what_was_answered_outlives_the_process_and_half_an_upsert_does_not() {
    let place = Place::new();
    let mut answered = 0;
    for _ in 0..KILLS {
        let mut writer = Writer::start(&place.path());
        answered = writer.numbers().nth(BEFORE_DEATH).expect("it writes");
        writer.process.kill().expect("it can be killed");
        answered = writer.numbers().last().unwrap_or(answered);
        writer.process.wait().expect("it ends");
    }
    let store = place.open();
    let mut groups = HashMap::<usize, usize>::new();
    for id in ids(&store, at(NOW)) {
        *groups.entry(number(&id)).or_default() += 1;
    }
    assert!(groups.values().all(|count| *count == GROUP), "an upsert is whole or not at all");
    assert!((0..=answered).all(|group| groups.contains_key(&group)), "one that was answered is missing");
    let last = format!("group{answered}");
    assert_eq!(words(&store, &last, at(NOW)).len(), GROUP);
    assert_eq!(dense(&store, &[1.0], GROUP, at(NOW)).expect("it answers").rows.len(), GROUP);
}

/// Not a test: what [`Writer::start`] runs.
#[test]
#[ignore = "it is the process that another test starts"]
fn writer() {
    let Ok(path) = env::var(PATH) else { return };
    let store = Documents::open(path, ROOM).expect("it opens");
    let from = ids(&store, at(NOW)).iter().map(|id| number(id) + 1).max().unwrap_or(0);
    for group in from.. {
        let names: Vec<_> = (0..GROUP).map(|it| format!("{group}-{it}")).collect();
        let (text, vector) = (format!("group{group}"), [group as f32]);
        let entries: Vec<_> = names.iter().map(|id| Entry { vector: &vector, ..entry(id, &text) }).collect();
        upsert(&store, &entries);
        println!("\nanswered {group}");
    }
}

fn number(id: &str) -> usize {
    id.split('-').next().and_then(|it| it.parse().ok()).expect("ids begin with the number of their upsert")
}

struct Writer {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(path: &Path) -> Self {
        let mut process = Command::new(env::current_exe().expect("this is a program"))
            .args(["--exact", "processes::writer", "--ignored", "--nocapture"])
            .env(PATH, path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started again");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, lines }
    }

    /// Of the upserts that it was answered.
    fn numbers(&mut self) -> impl Iterator<Item = usize> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("answered ")?.parse().ok())
    }
}

/// A test of its own place: the lock is the process's and ends with it.
#[test]
fn a_killed_process_leaves_the_store_free() {
    let place = Place::new();
    let mut writer = Writer::start(&place.path());
    writer.numbers().next().expect("it writes");
    assert!(Documents::open(place.path(), ROOM).is_err());
    writer.process.kill().expect("it can be killed");
    writer.process.wait().expect("it ends");
    assert!(!ids(&place.open(), at(NOW)).is_empty());
    assert_eq!(place.open().names(SPACE.tenant).expect("it answers"), [SPACE.name]);
}
