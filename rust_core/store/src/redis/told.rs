//! Reading what routers told each other.

use std::{collections::HashMap, time::Duration};

use crate::shared::Told;

/// An entry of the stream: its id, which begins with its time, and its fields.
pub type Entry = (String, HashMap<String, String>);

/// What `own` did not tell itself; entries that this version did not write are left out.
pub fn by_others(entries: Vec<Entry>, own: &str, now: u64) -> Vec<Told> {
    let read = entries.into_iter().filter_map(|(id, fields)| read(&id, fields, now));
    read.filter(|told| told.router != own).collect()
}

fn read(id: &str, mut fields: HashMap<String, String>, now: u64) -> Option<Told> {
    let told: u64 = id.split_once('-')?.0.parse().ok()?;
    let ago = Duration::from_millis(now.saturating_sub(told));
    Some(Told { router: fields.remove("router")?, text: fields.remove("text")?, ago })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, router: &str) -> Entry {
        let fields = [("router", router), ("text", "hi")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        (id.into(), fields.into())
    }

    #[test]
    fn what_others_told_is_as_old_as_its_id_says() {
        let told = Told { router: "b".into(), text: "hi".into(), ago: Duration::from_millis(250) };
        let entries = vec![entry("750-0", "b"), entry("800-0", "a"), ("x".into(), HashMap::new())];
        assert_eq!(by_others(entries, "a", 1000), [told]);
    }
}
