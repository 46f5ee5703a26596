//! The word lists of the comparison.
//!
//! A word is dropped, a synonym, or counts.  The first two make paraphrases survive and are where false hits would come
//! from, so both lists are short: words that no answer hangs on, and words that mean the same in every prompt we could
//! think of.
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Openings that change nothing, longest match first; stripped again and again.
pub(super) const OPENINGS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "there",
    "ok",
    "okay",
    "so",
    "well",
    "please",
    "kindly",
    "can you",
    "could you",
    "would you",
    "will you",
    "can you please",
    "could you please",
    "would you please",
    "tell me",
    "tell us",
    "show me",
    "give me",
    "help me",
    "help me understand",
    "help me to",
    "let me know",
    "i want to know",
    "i would like to know",
    "i need to know",
    "i want to",
    "i would like to",
    "i need to",
    "i am trying to",
    "i try to",
    "i wonder",
    "i am wondering",
    "i was wondering",
    "do you know",
    "just wondering",
    "quick question",
    "explain to me",
    "explain",
    "describe",
    "define",
    "i have a question",
    "i want you to",
    "i would like you to",
    "i need you to",
    "i want",
    "i would like",
    "i need",
    "good morning",
    "any idea",
    "does anyone know",
    "about",
    "to know",
    "to",
];

/// Words that no answer hangs on.
const DROPPED: &[&str] = &[
    "a",
    "an",
    "the",
    "some",
    "any",
    "i",
    "me",
    "my",
    "mine",
    "myself",
    "you",
    "your",
    "yours",
    "we",
    "us",
    "our",
    "it",
    "its",
    "this",
    "that",
    "these",
    "those",
    "there",
    "here",
    "be",
    "is",
    "are",
    "am",
    "was",
    "were",
    "been",
    "being",
    "do",
    "does",
    "did",
    "has",
    "have",
    "had",
    "having",
    "will",
    "shall",
    "would",
    "could",
    "can",
    "and",
    "or",
    "also",
    "then",
    "just",
    "actually",
    "really",
    "very",
    "please",
    "kindly",
    "thanks",
    "thank",
    "exactly",
    "so",
    "which",
    "what",
    "who",
    "whom",
    "whose",
    "when",
    "where",
    "why",
    "how",
    "not",
    "no",
    "never",
    "none",
    "nobody",
    "nothing",
    "neither",
    "nor",
    "without",
    "cannot",
    "except",
    "excluding",
    "unless",
];

/// Words that turn a sentence round; all but the last few are in `DROPPED` and are counted instead.
const NEGATIONS: &[&str] = &[
    "not",
    "no",
    "never",
    "none",
    "nobody",
    "nothing",
    "neither",
    "nor",
    "without",
    "cannot",
    "except",
    "excluding",
    "unless",
];

/// Words that say how the next one takes part.
const MARKERS: &[(&str, Marker)] = &[
    ("of", Marker::About("of")),
    ("for", Marker::About("for")),
    ("in", Marker::About("in")),
    ("on", Marker::About("on")),
    ("at", Marker::About("at")),
    ("about", Marker::About("about")),
    ("regarding", Marker::About("regarding")),
    ("to", Marker::To),
    ("with", Marker::With),
    ("using", Marker::With),
    ("via", Marker::With),
    ("from", Marker::Hard("from")),
    ("by", Marker::Hard("by")),
    ("into", Marker::Hard("into")),
    ("onto", Marker::Hard("onto")),
    ("than", Marker::Hard("than")),
    ("before", Marker::Hard("before")),
    ("after", Marker::Hard("after")),
    ("against", Marker::Hard("against")),
    ("over", Marker::Hard("over")),
    ("under", Marker::Hard("under")),
    ("above", Marker::Hard("above")),
    ("below", Marker::Hard("below")),
    ("until", Marker::Hard("until")),
    ("since", Marker::Hard("since")),
    ("through", Marker::Hard("through")),
    ("during", Marker::Hard("during")),
    ("between", Marker::Hard("between")),
    ("among", Marker::Hard("among")),
    ("instead", Marker::Hard("instead")),
    ("behind", Marker::Hard("behind")),
    ("within", Marker::Hard("within")),
    ("towards", Marker::Hard("towards")),
    ("outside", Marker::Hard("outside")),
    ("inside", Marker::Hard("inside")),
    ("per", Marker::Hard("per")),
    ("as", Marker::Hard("as")),
    ("like", Marker::Hard("like")),
    ("if", Marker::Hard("if")),
    ("because", Marker::Hard("because")),
    ("but", Marker::Hard("but")),
    ("versus", Marker::Hard("versus")),
    ("vs", Marker::Hard("versus")),
    ("minus", Marker::Hard("minus")),
    ("while", Marker::Hard("while")),
];

/// How a word takes part in its sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Marker {
    /// Subject, object, verb: told by its place.
    #[default]
    Bare,
    /// Topic or place, loosely: one such word stands for another where the order is the same.
    About(&'static str),
    /// Before a verb, or a direction.
    To,
    /// A means or a companion.
    With,
    /// A relation that no other word expresses.
    Hard(&'static str),
}

impl Marker {
    /// Whether a word at the same place of two prompts may be marked in these two ways.
    pub(super) fn agrees(self, other: Self) -> bool {
        let bare = self == Self::Bare || other == Self::Bare;
        let hard = matches!(self, Self::Hard(_)) || matches!(other, Self::Hard(_));
        let loose = matches!((self, other), (Self::About(_), Self::About(_)));
        self == other || loose || bare && !hard
    }
}

/// Words that mean the same in a prompt, one group a line; the forms that [`stem`] joins are not repeated.
const SYNONYMS: &[&str] = &[
    "big large huge",
    "buy purchase",
    "begin start",
    "fix repair",
    "bug defect",
    "error mistake",
    "make create build",
    "fast quick quickly",
    "car automobile",
    "remove delete erase",
    "photo photograph",
    "film movie",
    "doctor physician",
    "lawyer attorney",
    "child kid children",
    "choose select pick",
    "get obtain",
    "way method",
    "step instruction",
    "happen occur",
    "end finish",
    "job occupation",
    "sick ill",
    "smart intelligent",
    "rich wealthy",
    "happy glad",
    "difficult hard",
    "easy simple",
    "assist help",
    "allow permit",
    "require need",
    "reply respond",
    "tv television",
    "phone telephone",
    "bike bicycle",
    "usa america",
    "uk britain",
    "explain describe define",
    "summarize summarise",
    "difference differ",
    "main primary",
    "common frequent",
    "often frequently",
    "whole entire",
    "all every each",
    "everyone everybody",
    "someone somebody",
    "anyone anybody",
    "currently now",
    "percent %",
    "dollar $ usd",
    "euro € eur",
    "pound £",
    "degree °",
    "km kilometer kilometre",
    "kg kilogram",
    "cm centimeter centimetre",
    "mm millimeter millimetre",
    "mi mile",
    "lb lbs",
    "hr hour",
    "min minute",
    "sec second",
    "max maximum",
    "min. minimum",
    "app application",
    "info information",
    "docs documentation",
    "db database",
    "js javascript",
    "repo repository",
    "color colour",
    "center centre",
    "favorite favourite",
    "organize organise",
    "analyze analyse",
    "center centre",
    "gray grey",
    "program programme",
    "email mail e-mail",
    "website site",
    "signin login",
    "cheap inexpensive",
    "expensive costly",
    "tasty delicious",
    "trip journey",
    "ache pain",
    "mom mother mum",
    "dad father",
];

/// Its words, and the one that stands for them.
type Phrase = (&'static [&'static str], &'static str);

/// Phrases that are one word.
const PHRASES: &[Phrase] = &[
    (&["how", "do", "i"], "how"),
    (&["how", "do", "you"], "how"),
    (&["how", "do", "we"], "how"),
    (&["how", "can", "i"], "how"),
    (&["how", "can", "you"], "how"),
    (&["how", "can", "we"], "how"),
    (&["how", "would", "i"], "how"),
    (&["how", "would", "you"], "how"),
    (&["how", "could", "i"], "how"),
    (&["how", "does", "one"], "how"),
    (&["how", "can", "one"], "how"),
    (&["log", "in"], "login"),
    (&["sign", "in"], "signin"),
    (&["log", "into"], "login"),
    (&["sign", "up"], "register"),
    (&["set", "up"], "setup"),
    (&["turn", "on"], "enable"),
    (&["turn", "off"], "disable"),
    (&["switch", "on"], "enable"),
    (&["switch", "off"], "disable"),
    (&["get", "rid", "of"], "remove"),
    (&["going", "to"], "will"),
    (&["in", "order", "to"], "to"),
    (&["united", "states"], "usa"),
    (&["united", "kingdom"], "uk"),
    (&["have", "to"], "must"),
    (&["has", "to"], "must"),
    (&["need", "to"], "must"),
    (&["as", "well", "as"], "and"),
    (&["thank", "you"], "thanks"),
    (&["for", "me"], "please"),
    (&["how", "come"], "why"),
    (&["rather", "than"], "instead"),
    (&["instead", "of"], "instead"),
    (&["right", "now"], "now"),
    (&["at", "the", "moment"], "now"),
];

/// Opposites that no prefix shows, to name the difference: words that differ are never shared anyway.
const OPPOSITES: &[&str] = &[
    "increase decrease",
    "raise lower",
    "rise fall",
    "enable disable",
    "more less",
    "more fewer",
    "most least",
    "true false",
    "good bad",
    "better worse",
    "best worst",
    "buy sell",
    "open close",
    "start stop",
    "begin end",
    "start end",
    "win lose",
    "up down",
    "in out",
    "on off",
    "left right",
    "high low",
    "higher lower",
    "highest lowest",
    "big small",
    "bigger smaller",
    "biggest smallest",
    "large small",
    "larger smaller",
    "largest smallest",
    "long short",
    "longer shorter",
    "longest shortest",
    "fast slow",
    "faster slower",
    "fastest slowest",
    "hot cold",
    "old new",
    "old young",
    "older younger",
    "oldest youngest",
    "early late",
    "first last",
    "add remove",
    "add subtract",
    "multiply divide",
    "push pull",
    "love hate",
    "hard easy",
    "hard soft",
    "rich poor",
    "strong weak",
    "heavy light",
    "safe dangerous",
    "cheap expensive",
    "cheapest expensive",
    "import export",
    "encrypt decrypt",
    "encode decode",
    "compress decompress",
    "ascend descend",
    "ascending descending",
    "minimum maximum",
    "min max",
    "minimize maximize",
    "accept reject",
    "accept decline",
    "allow forbid",
    "allow block",
    "allow prevent",
    "include exclude",
    "gain lose",
    "positive negative",
    "male female",
    "man woman",
    "men women",
    "boy girl",
    "husband wife",
    "pass fail",
    "success failure",
    "succeed fail",
    "advantage disadvantage",
    "pro con",
    "benefit risk",
    "benefit drawback",
    "day night",
    "summer winter",
    "north south",
    "east west",
    "ancient modern",
    "public private",
    "alive dead",
    "full empty",
    "wet dry",
    "clean dirty",
    "install uninstall",
    "lock unlock",
    "attach detach",
    "deposit withdraw",
    "lend borrow",
    "credit debit",
    "upload download",
    "send receive",
    "arrive depart",
    "arrival departure",
    "always never",
    "all some",
    "before after",
    "above below",
    "over under",
    "inside outside",
    "sunrise sunset",
    "prove disprove",
    "should shouldn't",
    "guilty innocent",
    "war peace",
    "ally enemy",
    "friend enemy",
    "profit loss",
    "rise drop",
    "show hide",
    "expand collapse",
    "freeze melt",
    "freeze thaw",
    "inhale exhale",
    "question answer",
];

const OPPOSING_PREFIXES: &[&str] = &["un", "in", "im", "il", "ir", "dis", "non", "de", "mis", "anti", "a"];

const TIMES: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "today",
    "tomorrow",
    "yesterday",
    "tonight",
    "now",
    "currently",
    "morning",
    "evening",
    "afternoon",
    "noon",
    "midnight",
    "week",
    "month",
    "year",
    "decade",
    "century",
    "last",
    "next",
    "previous",
    "spring",
    "summer",
    "autumn",
    "winter",
    "latest",
    "recent",
    "ago",
    "daily",
    "weekly",
    "monthly",
    "yearly",
];

const NUMBERS: &[(&str, &str)] = &[
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("sixteen", "16"),
    ("seventeen", "17"),
    ("eighteen", "18"),
    ("nineteen", "19"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
    ("hundred", "100"),
    ("thousand", "1000"),
    ("million", "1000000"),
    ("billion", "1000000000"),
    ("first", "1st"),
    ("second", "2nd"),
    ("third", "3rd"),
    ("fourth", "4th"),
    ("fifth", "5th"),
    ("sixth", "6th"),
    ("seventh", "7th"),
    ("eighth", "8th"),
    ("ninth", "9th"),
    ("tenth", "10th"),
    ("once", "1x"),
    ("twice", "2x"),
    ("half", "1/2"),
    ("quarter", "1/4"),
    ("dozen", "12"),
];

/// Contractions as people type them.
const CONTRACTIONS: &[(&str, [&str; 2])] = &[
    ("dont", ["do", "not"]),
    ("doesnt", ["does", "not"]),
    ("didnt", ["did", "not"]),
    ("isnt", ["is", "not"]),
    ("arent", ["are", "not"]),
    ("wasnt", ["was", "not"]),
    ("cant", ["can", "not"]),
    ("cannot", ["can", "not"]),
    ("wont", ["will", "not"]),
    ("shouldnt", ["should", "not"]),
    ("couldnt", ["could", "not"]),
    ("wouldnt", ["would", "not"]),
    ("hasnt", ["has", "not"]),
    ("havent", ["have", "not"]),
    ("whats", ["what", "is"]),
    ("hows", ["how", "is"]),
    ("wheres", ["where", "is"]),
    ("whos", ["who", "is"]),
    ("im", ["i", "am"]),
];

/// What a word is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) dropped: bool,
    pub(super) negation: bool,
    pub(super) marker: Option<Marker>,
    pub(super) number: Option<&'static str>,
    pub(super) contraction: Option<[&'static str; 2]>,
    pub(super) time: bool,
}

static ENTRIES: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut entries: HashMap<&'static str, Entry> = HashMap::new();
    DROPPED.iter().for_each(|word| entries.entry(word).or_default().dropped = true);
    NEGATIONS.iter().for_each(|word| entries.entry(word).or_default().negation = true);
    TIMES.iter().for_each(|word| entries.entry(word).or_default().time = true);
    MARKERS.iter().for_each(|(word, marker)| entries.entry(word).or_default().marker = Some(*marker));
    NUMBERS.iter().for_each(|(word, number)| entries.entry(word).or_default().number = Some(number));
    CONTRACTIONS.iter().for_each(|(word, parts)| entries.entry(word).or_default().contraction = Some(*parts));
    entries
});

static GROUPS: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let members = |group: &&'static str| {
        let name = group.split(' ').next().unwrap_or(group);
        group.split(' ').map(move |word| (stem(word), name))
    };
    SYNONYMS.iter().rev().flat_map(members).collect()
});

static PHRASES_BY_FIRST: LazyLock<HashMap<&'static str, Vec<Phrase>>> = LazyLock::new(|| {
    let mut phrases: HashMap<&'static str, Vec<Phrase>> = HashMap::new();
    PHRASES.iter().for_each(|phrase| phrases.entry(phrase.0[0]).or_default().push(*phrase));
    phrases
});

static OPPOSED: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| {
    let pairs = OPPOSITES.iter().filter_map(|pair| pair.split_once(' '));
    pairs.map(|(one, other)| (key(one), key(other))).collect()
});

/// What is known of a lower-case word.
pub(super) fn entry(word: &str) -> Entry {
    ENTRIES.get(word).copied().unwrap_or_default()
}

/// The phrases that begin with a word.
pub(super) fn phrases(first: &str) -> impl Iterator<Item = &'static Phrase> + use<> {
    PHRASES_BY_FIRST.get(first).into_iter().flatten()
}

/// What stands for a word in the comparison: its group of synonyms, or its stem.
pub(super) fn key(word: &str) -> String {
    let stem = stem(word);
    GROUPS.get(&stem).map_or(stem, |group| (*group).to_owned())
}

/// Whether one key is the opposite of the other.
pub(super) fn are_opposite(a: &str, b: &str) -> bool {
    let prefixed = |long: &str, short: &str| {
        short.len() > 2 && OPPOSING_PREFIXES.iter().any(|prefix| long.strip_prefix(prefix) == Some(short))
    };
    let listed = |one: &str, other: &str| OPPOSED.contains(&(one.to_owned(), other.to_owned()));
    prefixed(a, b) || prefixed(b, a) || listed(a, b) || listed(b, a)
}

/// A word without its ending of number or tense; comparatives keep theirs, they change the answer.
pub(super) fn stem(word: &str) -> String {
    if !word.is_ascii() || word.len() < 4 {
        return word.to_owned();
    }
    let singular = strip_plural(word);
    let bare = strip_tense(singular);
    let stem = bare.strip_suffix('e').filter(|rest| rest.len() > 2).unwrap_or(bare);
    stem.strip_suffix('y').map_or_else(|| stem.to_owned(), |rest| format!("{rest}i"))
}

fn strip_plural(word: &str) -> &str {
    let hissing = ["sses", "shes", "ches", "xes", "zes"].iter().any(|ending| word.ends_with(ending));
    match word {
        _ if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") => word,
        _ if word.ends_with("ies") || hissing => &word[..word.len() - 2],
        _ => word.strip_suffix('s').unwrap_or(word),
    }
}

/// "planning" as "plan", but "selling" as "sell".
fn strip_tense(word: &str) -> &str {
    let spoken = |rest: &&str| rest.len() > 2 && rest.bytes().any(|byte| b"aeiouy".contains(&byte));
    let Some(verb) = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed")).filter(spoken) else { return word };
    match verb.as_bytes() {
        [.., a, b] if a == b && !b"sleo".contains(b) => &verb[..verb.len() - 1],
        _ => verb,
    }
}
