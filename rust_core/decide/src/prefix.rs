//! Where a prompt goes: the slot that knows its beginning already saves computing it again.
//!
//! A slot that has ended keeps what it computed until it is needed for something else.  A new prompt goes to the idle
//! slot that shares most with it; from a busy slot the shared beginning is copied; and while a busy slot is still
//! computing a beginning that is shared, the prompt waits for it, because computing it twice would take longer.

/// Fewest shared tokens that are worth a copy or a wait.
pub const WORTH: usize = 32;

/// What a slot has.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Tokens that are, or soon will be, in its cache.
    pub tokens: &'a [u32],
    /// How many of them are there now.
    pub computed: usize,
    /// Cache of different adapters cannot be shared.
    pub adapter: i32,
    /// A request is using it.
    pub busy: bool,
    /// When it was used last; larger is later.
    pub used: u64,
}

/// What to do with a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start in `slot`, whose first `keep` tokens are right.
    Keep {
        /// Where.
        slot: usize,
        /// How much of its cache stays.
        keep: usize,
    },
    /// Start in `slot` with the first `keep` tokens of `from`.
    Copy {
        /// Whose beginning.
        from: usize,
        /// Where.
        slot: usize,
        /// How much is copied.
        keep: usize,
    },
    /// A slot is computing the beginning now.
    Follow,
    /// No slot is idle.
    Full,
}

/// Decides for a prompt; at least its last token is always computed, because its logits are needed.
pub fn place(prompt: &[u32], adapter: i32, slots: &[Known<'_>]) -> Decision {
    let usable = &prompt[..prompt.len().saturating_sub(1)];
    let shared = |slot: usize| if slots[slot].adapter == adapter { common(usable, slots[slot].tokens) } else { 0 };
    let Some((spare, idle)) = spare(slots).zip(most_shared(slots, false, shared)) else { return Decision::Full };
    let keep = shared(idle);
    if let Some(busy) = most_shared(slots, true, shared).filter(|busy| shared(*busy) >= keep + WORTH) {
        let keep = shared(busy);
        let there = slots[busy].computed >= keep;
        return if there { Decision::Copy { from: busy, slot: spare, keep } } else { Decision::Follow };
    }
    if keep == 0 {
        return Decision::Keep { slot: spare, keep };
    }
    // Most of a cache that would be thrown away may be somebody's conversation: then it stays, and is copied.
    let is_used_up = keep < WORTH || keep * 2 >= slots[idle].tokens.len() || spare == idle;
    if is_used_up { Decision::Keep { slot: idle, keep } } else { Decision::Copy { from: idle, slot: spare, keep } }
}

/// Of the busy slots, or of the idle ones, that which shares most; among equals the one used longest ago.
fn most_shared(slots: &[Known<'_>], busy: bool, shared: impl Fn(usize) -> usize) -> Option<usize> {
    let of_kind = (0..slots.len()).filter(|slot| slots[*slot].busy == busy);
    of_kind.min_by_key(|slot| (std::cmp::Reverse(shared(*slot)), slots[*slot].used))
}

/// The idle slot to use where nothing is shared: one that closes a gap between busy ones, or stands beside one, because
/// llama.cpp computes slots side by side at once; among equals the one used longest ago, then the lowest.
fn spare(slots: &[Known<'_>]) -> Option<usize> {
    let is_busy = |slot: Option<usize>| slot.and_then(|slot| slots.get(slot)).is_some_and(|slot| slot.busy);
    let busy_beside = |slot: usize| usize::from(is_busy(slot.checked_sub(1))) + usize::from(is_busy(Some(slot + 1)));
    let idle = (0..slots.len()).filter(|slot| !slots[*slot].busy);
    idle.min_by_key(|slot| (std::cmp::Reverse(busy_beside(*slot)), slots[*slot].used))
}

/// Length of the common beginning.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn idle(tokens: &[u32], used: u64) -> Known<'_> {
        Known { tokens, computed: tokens.len(), adapter: -1, busy: false, used }
    }

    fn tokens(range: std::ops::Range<u32>) -> Vec<u32> {
        range.collect()
    }

    #[test]
    fn a_conversation_goes_on_where_it_was() {
        let (before, other) = (tokens(0..100), tokens(500..600));
        let slots = [idle(&other, 1), idle(&before, 2)];
        assert_eq!(place(&tokens(0..120), -1, &slots), Decision::Keep { slot: 1, keep: 100 });
    }

    #[test]
    fn the_last_token_is_always_computed() {
        let same = tokens(0..100);
        assert_eq!(place(&same, -1, &[idle(&same, 1)]), Decision::Keep { slot: 0, keep: 99 });
    }

    #[test]
    fn nothing_shared_takes_the_slot_used_longest_ago() {
        let (a, b) = (tokens(0..9), tokens(10..19));
        assert_eq!(place(&[99, 98], -1, &[idle(&a, 5), idle(&b, 3)]), Decision::Keep { slot: 1, keep: 0 });
    }

    #[test]
    fn busy_slots_are_kept_side_by_side() {
        let busy = Known { busy: true, ..idle(&[], 9) };
        let slots = [idle(&[], 1), busy, idle(&[], 8), busy, idle(&[], 2), idle(&[], 0)];
        assert_eq!(place(&[99, 98], -1, &slots), Decision::Keep { slot: 2, keep: 0 });
        assert_eq!(place(&[99, 98], -1, &slots[3..]), Decision::Keep { slot: 1, keep: 0 });
    }

    #[test]
    fn a_shared_system_prompt_is_copied_and_stays_where_it_was() {
        let known = tokens(0..1000);
        let mut prompt = tokens(0..400);
        prompt.push(7);
        let slots = [idle(&known, 2), idle(&[], 1)];
        assert_eq!(place(&prompt, -1, &slots), Decision::Copy { from: 0, slot: 1, keep: 400 });
        let busy = [Known { busy: true, ..slots[0] }, slots[1]];
        assert_eq!(place(&prompt, -1, &busy), Decision::Copy { from: 0, slot: 1, keep: 400 });
    }

    #[test]
    fn a_beginning_that_is_being_computed_is_waited_for() {
        let leading = tokens(0..700);
        let busy = Known { busy: true, computed: 300, ..idle(&leading, 1) };
        assert_eq!(place(&leading, -1, &[busy, idle(&[], 0)]), Decision::Follow);
        let short = Known { busy: true, computed: 0, ..idle(&leading[..20], 1) };
        assert_eq!(place(&leading, -1, &[short, idle(&[], 0)]), Decision::Keep { slot: 1, keep: 0 });
    }

    #[test]
    fn a_few_tokens_more_elsewhere_are_not_worth_a_copy() {
        let (mine, theirs) = (tokens(0..100), tokens(0..110));
        let slots = [idle(&mine, 1), Known { busy: true, ..idle(&theirs, 2) }];
        assert_eq!(place(&tokens(0..120), -1, &slots), Decision::Keep { slot: 0, keep: 100 });
    }

    #[test]
    fn another_adapter_s_cache_is_of_no_use() {
        let known = tokens(0..100);
        let slots = [idle(&known, 1)];
        assert_eq!(place(&known, 2, &slots), Decision::Keep { slot: 0, keep: 0 });
    }

    #[test]
    fn without_an_idle_slot_it_waits() {
        assert_eq!(place(&[1, 2], -1, &[Known { busy: true, ..idle(&[], 0) }]), Decision::Full);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_the_beginning_of_the_prompt(
            prompt in prop::collection::vec(0u32..2, 1..80),
            caches in prop::collection::vec((prop::collection::vec(0u32..2, 0..80), any::<bool>(), 0u64..9), 1..5),
        ) {
            let slots: Vec<Known<'_>> = caches.iter().map(|(t, busy, used)| Known { busy: *busy, ..idle(t, *used) }).collect();
            match place(&prompt, -1, &slots) {
                Decision::Keep { slot, keep } => {
                    prop_assert!(!slots[slot].busy && keep < prompt.len());
                    prop_assert_eq!(&prompt[..keep], &slots[slot].tokens[..keep]);
                }
                Decision::Copy { from, slot, keep } => {
                    prop_assert!(from != slot && !slots[slot].busy && keep < prompt.len() && keep >= WORTH);
                    prop_assert_eq!(&prompt[..keep], &slots[from].tokens[..keep]);
                }
                Decision::Follow => prop_assert!(false, "all is computed here"),
                Decision::Full => prop_assert!(slots.iter().all(|slot| slot.busy)),
            }
        }
    }
}
