//! When documents expire.

use std::collections::BTreeSet;

use roaring::RoaringBitmap;

use crate::Millis;

/// Slots by their own expiry, and those without one by when they were stored.
#[derive(Debug, Default)]
pub struct Ages {
    dated: BTreeSet<(Millis, u32)>,
    stored: BTreeSet<(Millis, u32)>,
}

impl Ages {
    /// Notes a document.
    pub fn add(&mut self, slot: u32, stored: Millis, expires: Option<Millis>) {
        match expires {
            Some(expires) => self.dated.insert((expires, slot)),
            None => self.stored.insert((stored, slot)),
        };
    }

    /// Those whose time has come; few, since sweeping forgets them.
    pub fn expired(&self, retention: Option<Millis>, now: Millis) -> RoaringBitmap {
        let aged = retention.map(|retention| until(&self.stored, now.saturating_sub(retention)));
        until(&self.dated, now).chain(aged.into_iter().flatten()).collect()
    }

    /// With the slots that `renumber` gives; those it gives nothing are forgotten.
    pub fn compacted(&self, renumber: impl Fn(u32) -> Option<u32> + Copy) -> Self {
        let renumbered = |all: &BTreeSet<(Millis, u32)>| {
            all.iter().filter_map(|(time, slot)| Some((*time, renumber(*slot)?))).collect()
        };
        Self { dated: renumbered(&self.dated), stored: renumbered(&self.stored) }
    }

    /// Bytes in memory, about.
    pub fn memory(&self) -> usize {
        (self.dated.len() + self.stored.len()) * 24
    }
}

fn until(all: &BTreeSet<(Millis, u32)>, time: Millis) -> impl Iterator<Item = u32> {
    all.range(..=(time, u32::MAX)).map(|(_, slot)| *slot)
}
