//! The cues, hand-set: what they count for and how much.
//!
//! 0.7 and above decides alone, 0.4 needs company, 0.22 needs two more.  An idiom stands under [`Of::Nothing`].

/// What a cue speaks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Code,
    Reasoning,
    Vision,
    /// An idiom that only looks like a cue.
    Nothing,
}

/// Phrases separated by `|`, matched as whole words in any case.
pub(super) const PHRASES: &[(Of, f64, &str)] = &[
    (
        Of::Code,
        0.7,
        concat!(
            "python|javascript|typescript|golang|c++|c#|haskell|kotlin|ruby on rails|sql|postgresql|mysql|sqlite|",
            "regex|regular expression|html|css|react component|react hook|node.js|nodejs|django|fastapi|numpy|",
            "pandas|pytorch|dockerfile|docker compose|docker container|kubernetes|bash script|shell script|",
            "powershell|makefile|source code|code snippet|this code|write code|write a code|stack trace|",
            "stacktrace|traceback|segfault|segmentation fault|null pointer|off-by-one error|compiler error|",
            "compile error|compilation error|syntax error|runtime error|unit test|unit tests|git rebase|",
            "git merge|git commit|git branch|merge conflict|refactor|refactoring|debug this|debug my|leetcode|",
            "borrow checker|borrow-checker|pseudocode|codebase|race condition|recursive function|",
            "write a function|write me a function|implement a function|write a script|write a program|",
            "java program|java class|rust code|rust program|php script|php|vba macro|excel macro|rest api|",
            "graphql|api endpoint|binary search tree|linked list|hash map|hashmap|dataclass|async function|",
            "asyncio|npm install|pip install|cargo build|terraform|yaml file|json schema|crontab|",
            "implement quicksort|solidity|smart contract|assembly code|typeerror|valueerror|keyerror|",
            "nullpointerexception|indexerror|attributeerror|stack overflow error|this function|this script|",
            "this query|tokio|tailwind|webpack|matlab|latex document|perl script|flask app|spring boot|",
            "jupyter notebook|dataframe",
        ),
    ),
    (
        Of::Code,
        0.55,
        concat!(
            "in java|in rust|in go|in swift|in ruby|in perl|in scala|in c|in r|using rust|using java|code review|",
            "pull request|cron job|memory leak|linked lists|lambda function|code for|code to|code that|",
            "programming language",
        ),
    ),
    (
        Of::Code,
        0.4,
        concat!(
            "coding|code|programming|compile|compiler|algorithm|api|debug|debugging|git|json|yaml|mutex|deadlock|",
            "linux command|command line|backend|frontend|test cases|test case|docker|docker image|docker images|",
            "container image|image processing|binary search|quicksort|hash table|data structure|software|my code|",
            "the code|this program|bash",
        ),
    ),
    (
        Of::Code,
        0.22,
        concat!(
            "function|script|java|rust|exception|bug|variable|array|for loop|loop|terminal|database|schema|",
            "library|framework|method|parse|parser|thread|endpoint|query|index|string|integer|boolean|iterator|",
            "lambda|pointer|struct|enum|interface|inheritance|implement|server|returns|import|class",
        ),
    ),
    (
        Of::Reasoning,
        0.7,
        concat!(
            "prove or disprove|disprove|proof by|by induction|solve for|solve the equation|solve this equation|",
            "eigenvalue|eigenvalues|probability that|how many ways|how many different ways|logic puzzle|",
            "brain teaser|counterexample|syllogism|show your reasoning|show your work|nash equilibrium|",
            "knights and knaves|is the argument valid|expected value of|conditional probability|prove it is|",
            "prove by|how many trailing zeros|what can be concluded|what can we conclude|optimal strategy|",
            "reason through|think through|the derivative of|the integral of|expected number of",
        ),
    ),
    (
        Of::Reasoning,
        0.55,
        concat!(
            "if and only if|deduce|standard deviation|compound interest|twice as many|twice as old|",
            "three times as|how long does it take them|expected value|linear equations|system of equations|",
            "quadratic|polynomial|evaluate the argument|chain of thought|truth-teller|necessary and sufficient|",
            "game theory|permutations|combinatorics|reason step by step|think step by step|average speed|",
            "remainder when|least common multiple|greatest common divisor|simultaneous equations|valid argument|",
            "logically follow|fallacy|prove that",
        ),
    ),
    (
        Of::Reasoning,
        0.4,
        concat!(
            "theorem|lemma|step by step|step-by-step|probability|calculate|compute|equation|prime number|",
            "prime numbers|contradiction|reasoning|logically|deduction|trade-offs|tradeoffs|pros and cons|",
            "root cause|think carefully|converges|hypothesis test|prove|proof|integral|derivative|",
            "evaluate whether|justify|paradox|premise|constraints|how many|travels at|mph|km/h|",
            "how long will it take|at what time will|prove the|derive|derivative of|integral of|expected number|",
            "riddle",
        ),
    ),
    (
        Of::Reasoning,
        0.22,
        concat!(
            "triangle|circle|matrix|infer|assume|suppose|conclude|implies|ratio|percentage|optimal|minimize|",
            "maximize|strategy|analyze|why does|explain why|compare|each|exactly one|puzzle|must be|weigh|cost|",
            "total|work out|twice",
        ),
    ),
    (
        Of::Vision,
        0.85,
        concat!(
            "attached image|attached picture|attached photo|attached screenshot|attached diagram|attached images|",
            "attached photos|attached chart|attached figure|attached scan|uploaded image|uploaded photo|",
            "uploaded picture|image attached|picture attached|photo attached|screenshot attached|image above|",
            "picture above|photo above|image below|picture below|photo below|do you see in|caption this image|",
            "caption this photo|look at this image|look at this picture|look at this photo|look at the image|",
            "look at the picture|look at the photo|photo i uploaded|image i uploaded|picture i uploaded|",
            "photo i sent|picture i sent|image i sent|picture i took|photo i took|describe the image|",
            "describe the picture|describe the photo",
        ),
    ),
    (
        Of::Vision,
        0.4,
        concat!(
            "screenshot|screenshots|ocr|bounding box|bounding boxes|handwriting|handwritten|in the picture|",
            "in the photo|in the image|in the background|x-ray|alt text|infographic|this picture",
        ),
    ),
    (
        Of::Vision,
        0.22,
        concat!(
            "image|images|picture|pictures|photo|photos|photograph|diagram|attached|drawing|painting|chart|logo|",
            "pixel|shown here|meme",
        ),
    ),
    (
        Of::Nothing,
        0.0,
        concat!(
            "code of conduct|code of ethics|code of honor|code of practice|dress code|zip code|zip codes|",
            "postal code|area code|promo code|discount code|coupon code|qr code|penal code|criminal code|",
            "civil code|tax code|building code|building codes|fire code|morse code|genetic code|country code|",
            "security code|verification code|access code|cheat code|cheat codes|da vinci code|code red|code blue|",
            "code name|code word|secret code|moral code|honor code|code switching|gift code|pin code|sort code|",
            "swift code|voucher code|labor code|the code of|bug bite|bug bites|bed bug|bed bugs|stomach bug|",
            "bug spray|movie script|film script|tv script|video script|script for a play|script for a movie|",
            "java island|island of java|java coffee|monty python|ball python|burmese python|pet python|",
            "python snake|python bite|rust belt|rust stain|rust stains|rust removal|in rust belt|seashell|",
            "function room|liver function|kidney function|brain function|public library|library card|",
            "library book|library books|local library|index finger|index fund|index funds|string quartet|",
            "string theory|string cheese|string beans|thread count|in c major|in c minor|in c sharp|in go mode|",
            "in r&b|on the loop|in the loop|middle class|first class|class action|yoga class|cooking class|",
            "working class|class trip|interface with|pull request form|programming schedule|tv programming|",
            "prove yourself|prove myself|prove himself|prove herself|prove him wrong|prove her wrong|",
            "prove them wrong|prove a point|prove my point|prove it to|prove my love|prove me wrong|",
            "proof of address|proof of purchase|proof of income|proof of concept|proof of residence|",
            "proof of insurance|proof of identity|living proof|derive pleasure|derive joy|tax deduction|",
            "tax deductions|standard deduction|on the premises|the matrix|love triangle|bermuda triangle|",
            "circle of friends|fool proof|proof reading|cost of living|calculate my|exchange rate|picture this|",
            "picture yourself|picture me|big picture|bigger picture|full picture|picture perfect|get the picture|",
            "motion picture|picture book|picture books|body image|self image|self-image|mirror image|brand image|",
            "public image|disk image|iso image|system image|image of god|photo album|photo booth|photo shoot|",
            "generate an image|generate a picture|create an image|create a picture|draw a picture|",
            "draw me a picture|make an image|image generation|paint a picture|paints a picture|take a picture|",
            "take a photo|take pictures|take photos|take better photos|image classifier|image classification|",
            "image recognition|photo editor|image editor|picture frame|best picture|picture of dorian gray|",
            "in the picture of health|picture of health|background image|image tag|pictures of you|rosy picture|",
            "clear picture|clearer picture|spitting image|profile picture|instagram photo|see in the future|",
            "do you see in your|do you see in yourself|pie chart of|chart of accounts|flow chart|",
            "the code talkers|my code to|the code to|code to get|derivative of the genre|in full swing|in c-",
        ),
    ),
];

/// Shapes that no list of phrases catches.
pub(super) const SHAPES: &[(Of, f64, &str)] = &[
    (
        Of::Code,
        0.8,
        r#"```[a-z]*\n|(?m:^(?:    |\t)?(?:def|class) [A-Za-z_]+.*:\s*$)|(?m:^\s*(?:fn |func |pub fn |public static |#include|import [a-z.]+;|from [a-z.]+ import |package [a-z]+;|using namespace ))"#,
    ),
    (
        Of::Code,
        0.75,
        r#"(?i)(?-u:\b)(?:select\s+[^;?]*\sfrom\s+[a-z_]+\s+(?:where|join|group|order|limit)|insert into [a-z_]+|create table [a-z_]+|update [a-z_]+ set)(?-u:\b)"#,
    ),
    (
        Of::Code,
        0.7,
        r#"Traceback \(most recent|Exception in thread|(?-u:\b)[A-Z][a-zA-Z]+(?:Error|Exception)(?-u:\b)|error\[E\d+\]|undefined is not a function|(?m:^\s+at [a-zA-Z_.$]+\()"#,
    ),
    (
        Of::Code,
        0.6,
        r#"(?-u:\b)[a-z]+(?:_[a-z0-9]+)+(?:\(|\.|(?-u:\b))|(?-u:\b)[a-z]+(?:\.[a-zA-Z_]+)*\([^)\n]*\)\s*(?:;|\{|=>|->)|(?-u:\b)[a-z]+[A-Z][a-zA-Z]*\("#,
    ),
    (
        Of::Code,
        0.6,
        r#"(?-u:\b)[A-Za-z0-9_-]+\.(?:py|rs|js|ts|tsx|jsx|cpp|java|sh|sql|toml|yml|yaml|ipynb|php|rb|kt|swift|go)(?-u:\b)|===|!==|&&|\|\||</[a-z]+>|(?m:[)\]}]\s*;\s*$|[{]\s*$)"#,
    ),
    (Of::Reasoning, 0.6, r#"\\(?:frac|sqrt|int|sum|lim|begin\{|mathbb|cdot|infty|pmod)|\$[^$\n]*[=^_\\][^$\n]*\$"#),
    (
        Of::Reasoning,
        0.55,
        r#"(?i)(?-u:\b)\d*[a-z]\s?\^\s?\d|[a-z]²|(?-u:\b)\d*[xyznk]\s?[-+*/]\s?\d+[xyznk]?\s?[=<>]|[∀∃∈⇒∑∫√≡]"#,
    ),
    (
        Of::Reasoning,
        0.5,
        r#"(?i)(?-u:\b)(?:if|a|an|two|three|there are|each)(?-u:\b)[^?]*\d[^?]*\d[^?]*(?-u:\b)(?:how (?:many|much|long|far|old|fast)|what is the (?:total|probability|average|value|remainder))(?-u:\b)"#,
    ),
    (
        Of::Reasoning,
        0.55,
        r#"(?i)(?-u:\b)(?:all|no|some) [a-z]+ are [a-z]+[^?]*(?-u:\b)(?:are all|are some|is it|does it follow|therefore|must|can we|conclude)(?-u:\b)"#,
    ),
    (Of::Reasoning, 0.4, r#"(?-u:\b)\d+(?:\.\d+)?\s?[-+*×÷]\s?\(?\d+(?:\.\d+)?\s?(?:[-+*/×÷=)]|\?)"#),
    (
        Of::Vision,
        0.95,
        r#"data:image/[a-zA-Z+.-]+;base64,|<\|?image(?:_pad)?\|?>|(?i)\[(?:image|img|photo|picture|screenshot)(?:[ :#][^\]\n]*|\d*)\]"#,
    ),
    (Of::Vision, 0.9, r#"!\[[^\]\n]*\]\([^)\n]+\)"#),
    (Of::Vision, 0.75, r#"(?i)https?://\S+\.(?:png|jpe?g|gif|webp|bmp|tiff?)(?-u:\b)"#),
    (
        Of::Vision,
        0.7,
        r#"(?i)(?-u:\b)(?:this|these|the attached|attached|the following|the uploaded|uploaded|the above|the enclosed)\s+(?:[a-z-]+\s+)?(?:image|photo|photograph|screenshot|diagram|drawing|painting|sketch|scan|x-ray|mri|infographic|meme|selfie|receipt|floor plan|bar chart|line chart|pie chart|chart|figure)s?(?-u:\b)"#,
    ),
    (
        Of::Vision,
        0.6,
        r#"(?i)(?-u:\b)(?:what|who|which|where|how many|count|identify|read|transcribe|extract|describe|translate|find)(?-u:\b)[^.?!\n]*(?-u:\b)(?:in|on|from|of) (?:the|this|that|these|my) (?:[a-z-]+ )?(?:image|picture|photo|photograph|screenshot|diagram|drawing|scan|x-ray|chart)s?(?-u:\b)"#,
    ),
];
