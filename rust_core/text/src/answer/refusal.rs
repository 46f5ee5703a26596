//! Answers that decline, or say that the model cannot.
//!
//! A refusal opens an answer: apologies and self-descriptions, then "I cannot" and a verb of what assistants do.  Two
//! kinds are told apart.  One that turns the request down ("I can't help with that") is a refusal unless something
//! substantial follows a turn ("…, but here is …").  One that tells a limit ("I don't have access to live data") is
//! one only where hardly anything follows, because good answers begin so too.
//!
//! Texts about refusals must pass: what is quoted, or stands further down, is not looked at; and where the prompt asks
//! for a letter, a dialogue or a translation, only words of an assistant count.
//!
//! English by expressions, the larger other languages by their usual openings.
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::pieces::head;

/// Bytes of an answer in which a refusal and what follows it are sought.
const SEEN: usize = 4096;
/// Bytes of a prompt in which the kind of task is sought.
const TASK: usize = 512;
/// Words after which a refusal with a turn is an answer, and a limit without one.
const SUBSTANTIAL: usize = 40;
/// Words after a told limit that do not make up for it: without a turn, with one.
const LITTLE: (usize, usize) = (60, 15);
/// Answers of at most so many words may come to their refusal in the second sentence.
const SHORT: usize = 60;

const LEAD: &str = r"(?:(?:oh|well|hi|hello|hey|no|currently|at this time|thank you[^.!,]*|thanks[^.!,]*|(?:i am|i'm|we are|we're) (?:\w+ )?sorry(?: (?:to hear|for|about|if)\b[^.!,]*)?|(?:my )?(?:\w+ )?apolog(?:ies|y)\b[^.!,]*|i (?:\w+ )?apologi[sz]e\b[^.!,]*?|sorry|unfortunately|regrettably|(?:i am|i'm) afraid(?: that)?|i(?:'d| would) (?:\w+ )?(?:like|love|be happy|be glad)(?: to help)?[^.!,]*|as an? (?:[\w-]+ )*?(?:ai|assistant|language model|llm|chatbot|model)\b[^.!,]*?|(?:i am|i'm) (?:just |only |simply )?an? (?:[\w-]+ )*?(?:ai|assistant|language model|llm|chatbot)\b[^.!,]*?|i (?:understand|appreciate|realize|realise|see|know)\b[^.!]*?|while i [^.!]*?)[\s,.!;:~-]+(?:(?:but|however|and|so|that|therefore),? )*)*";
const CANNOT: &str = r"(?:(?:can ?not|can't|could not|couldn't|will not|won't)(?: (?:in good conscience|really|currently|actually|directly|personally|legally|ethically))?|(?:am|'m|are|'re) (?:\w+ )?(?:unable to|not able to|not going to|not permitted to|not allowed to|not programmed to|not designed to|not equipped to|not comfortable(?: with)?|not in a position to)|(?:do not|don't) feel comfortable(?: with)?|(?:must|have to|need to|will have to) (?:\w+ )?(?:decline|refuse)(?: to)?|(?:\w+ )?(?:decline|refuse) to|(?:do not|don't) have the (?:ability|capability|capacity) to|would rather not|'d rather not|prefer not to)";
/// What an assistant does for who asks.
const SERVE: &str = r"(?:help|helping|assist|assisting|comply|fulfill?|do (?:that|this|so)\b|answer (?:that|this|your)|respond to (?:that|this|your)|engage (?:in|with)|participate in|provid(?:e|ing) (?:that|this|you with|assistance|instructions|guidance|help|support|advice on|information (?:on|about|that)|details (?:on|about))|discuss(?:ing)? (?:that|this|how)|support (?:that|this|such)|creat(?:e|ing)|generat(?:e|ing)|writ(?:e|ing)|produc(?:e|ing)|promote|facilitate|condone|carry out|perform (?:that|this)|complete (?:that|this|your)|process (?:that|this|your)|accommodate|proceed with|tell you how to|give (?:you )?(?:instructions|advice|that)|share (?:that|this|instructions|information)|offer (?:advice|instructions|guidance))";
const LIMIT: &str = r"(?:(?:i|we) ?CANNOT ?(?:access|browse|open|view|see (?:the|any|your|that|this|images)|hear|watch|provide|verify|diagnose|predict|look up|search|determine|answer|recall|remember|display|download|execute|process)|i (?:currently )?(?:do not|don't) (?:currently |actually )?(?:have (?:access|enough|sufficient|any (?:information|data|knowledge)|the (?:information|necessary|latest)|information|specific|real-time|personal (?:opinions|feelings|experiences|beliefs|preferences))|know\b)|i have no (?:information|knowledge|idea|way|access)|(?:i am|i'm) not (?:sure|certain|aware|familiar)|i (?:was )?(?:couldn't|could not|unable to) find)";
const AGAINST: &str = r"(?:(?:this|that|your|the) (?:request|content|question|prompt|topic|task) (?:violates|goes against|is against|is not something|cannot be|falls outside|is outside)|(?:it is|it's|it would be) (?:not appropriate|inappropriate|unethical|against my|not ethical|not possible) (?:for me )?|(?:that is|that's|this is) (?:not something i can|something i can't|beyond my|outside my)|i (?:have been|was|am|'m) (?:programmed|designed|trained) (?:not )?to (?:avoid|refuse|decline|provide safe|follow)|my (?:programming|guidelines|purpose) (?:does|do|prevents?|prohibits?))";
const TURN: &str = r"\b(?:but|however|instead|though|although|that said|nevertheless|still)\b[^.!?]*\b(?:here(?:'s| is| are)|below|i can|i could|let me|we can|this is|the following)\b";
/// Prompts that ask for words somebody else would say.
const SPEECH: &str = r"\b(?:refus|declin|reject|turn(?:ing)? down|say(?:ing)? no|dialog|lyric|poem|stor(?:y|ies)\b|role-?play|monolog|e-?mail|letter|script|reply to|respond to|speech|message to|note to)";
/// Prompts whose answer is theirs in other words.
const COPY: &str = r"\b(?:translat|rephras|paraphras|rewrit|proofread|correct the|repeat|grammar|transcri|quote)";
/// Nobody but an assistant says this.
const ASSISTANT: &str = r"as an? (?:[\w-]+ )*?(?:ai|language model|llm|chatbot)\b|with (?:that|this|your) request|(?:fulfill?|comply with|answer) (?:that|this|your) (?:request|question)|my guidelines";

/// How people who are not assistants go on after "I can't help".
const IDIOMS: [&str; 12] = [
    "but",
    "falling",
    "feeling",
    "thinking",
    "noticing",
    "wondering",
    "myself",
    "it",
    "laughing",
    "smiling",
    "loving",
    "being",
];

/// Openings of refusals in other languages, folded like [`folded`]'s input but with their own letters.
const ABROAD: [&str; 24] = [
    "es tut mir leid, aber ich kann",
    "es tut mir leid, ich kann",
    "tut mir leid, aber",
    "leider kann ich",
    "ich kann dir dabei nicht",
    "ich kann ihnen dabei nicht",
    "je suis désolé, mais je ne peux",
    "désolé, mais je ne peux",
    "désolé, je ne peux",
    "je ne peux pas vous aider",
    "lo siento, pero no puedo",
    "lo siento, no puedo",
    "no puedo ayudarte con",
    "desculpe, mas não posso",
    "desculpe, não posso",
    "sinto muito, mas não posso",
    "mi dispiace, ma non posso",
    "mi dispiace, non posso",
    "извините, но я не могу",
    "抱歉，我无法",
    "很抱歉，我无法",
    "对不起，我不能",
    "抱歉，我不能",
    "申し訳ありませんが、",
];

struct Patterns {
    declines: Regex,
    limits: Regex,
    turn: Regex,
    speech: Regex,
    copy: Regex,
    assistant: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns {
    declines: compiled(&format!("^{LEAD}(?:(?:i|we) ?{CANNOT} ?(?:with )?{SERVE}|{AGAINST})")),
    limits: compiled(&format!("^{LEAD}{}", LIMIT.replace("CANNOT", CANNOT))),
    turn: compiled(TURN),
    speech: compiled(SPEECH),
    copy: compiled(COPY),
    assistant: compiled(ASSISTANT),
});

pub(super) fn is(prompt: &str, answer: &str) -> bool {
    let start = head(answer, SEEN);
    if is_quoted(start) {
        return false;
    }
    let text = folded(start);
    let Some(refusal) = find(&text).or_else(|| abroad(start, &text)) else { return false };
    refusal.stands(&text) && !was_asked_for(prompt, &text, &refusal)
}

/// A refusal that was found, before it is weighed.
struct Refusal {
    /// Turns the request down, rather than telling a limit.
    declines: bool,
    /// Where its words end.
    end: usize,
}

impl Refusal {
    fn stands(&self, text: &[u8]) -> bool {
        let sentence = self.end + text[self.end..].iter().position(is_end).unwrap_or(text.len() - self.end);
        let following = words(&text[sentence..]);
        let turns = PATTERNS.turn.is_match(text);
        if self.declines {
            !(turns && following >= SUBSTANTIAL)
        } else {
            following < if turns { LITTLE.1 } else { LITTLE.0 } && !text.trim_ascii_end().ends_with(b"?")
        }
    }
}

fn find(text: &[u8]) -> Option<Refusal> {
    let latest = if words(text) <= SHORT { 3 } else { 1 };
    sentences(text).take(latest).enumerate().find_map(|(index, start)| {
        let declines = PATTERNS.declines.find(&text[start..]).filter(|found| !is_idiom(&text[start + found.end()..]));
        let found = declines.map(|found| (true, found));
        // Further down a limit is a remark.
        let limits = || PATTERNS.limits.find(&text[start..]).filter(|_| index == 0).map(|found| (false, found));
        found.or_else(limits).map(|(declines, found)| Refusal { declines, end: start + found.end() })
    })
}

fn abroad(answer: &str, text: &[u8]) -> Option<Refusal> {
    let start: String = answer.chars().take(64).flat_map(char::to_lowercase).collect();
    let found = ABROAD.iter().any(|opening| start.trim_start_matches(is_decoration).starts_with(opening));
    found.then_some(Refusal { declines: true, end: text.len().min(24) })
}

fn is_idiom(rest: &[u8]) -> bool {
    let next = rest.trim_ascii_start().split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
    rest.starts_with(b" ") && IDIOMS.iter().any(|word| word.as_bytes() == next)
}

fn was_asked_for(prompt: &str, text: &[u8], refusal: &Refusal) -> bool {
    let task = folded(head(prompt, TASK));
    let assistant = PATTERNS.assistant.is_match(&text[..text.len().min(2 * refusal.end + 64)]);
    let copies = PATTERNS.copy.is_match(&task);
    let speaks = PATTERNS.speech.is_match(&task) && (!refusal.declines || text.starts_with(b"we"));
    !assistant && (copies || speaks)
}

/// Lower case, straight quotes, one byte a character: anything else outside ASCII becomes `~`.
fn folded(text: &str) -> Vec<u8> {
    text.trim_start_matches(is_decoration).chars().map(fold).collect()
}

fn fold(character: char) -> u8 {
    match character {
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => b'\'',
        character if character.is_ascii() => character.to_ascii_lowercase() as u8,
        character if character.is_whitespace() => b' ',
        _ => b'~',
    }
}

// Markup and emoji, not quotes.
fn is_decoration(character: char) -> bool {
    !character.is_alphanumeric() && !is_quote(character)
}

fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\'' | '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}' | '\u{ab}' | '\u{201e}' | '`')
}

fn is_quoted(answer: &str) -> bool {
    answer.starts_with(is_quote)
}

fn sentences(text: &[u8]) -> impl Iterator<Item = usize> {
    let after = |(index, byte): (usize, &u8)| is_end(byte).then_some(index + 1);
    let starts = text.iter().enumerate().filter_map(after);
    let skip = |at: usize| at + text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    std::iter::once(0).chain(starts.map(skip).filter(|at| *at < text.len()))
}

fn is_end(byte: &u8) -> bool {
    matches!(byte, b'.' | b'!' | b'?' | b'\n')
}

fn words(text: &[u8]) -> usize {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count()
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(&format!("(?-u){pattern}")).expect("the pattern is a constant and a test compiles it")
}
