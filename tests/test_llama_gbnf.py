"""Grammars, checked before llama.cpp sees them."""

from __future__ import annotations

import pytest

from services.llama import gbnf
from services.llama.gbnf import BadGrammar

GOOD = {
    "a list": 'root ::= item+\nitem ::= "- " [^\\r\\n\\x0b\\u2028]+ "\\n"',
    "groups over lines": 'root ::= (\n  "a" # first\n  | "b"\n) ws\nws ::= [ \\t]*',
    "repetitions": 'root ::= [0-9]{2} "x"{2,} .{0,3} ("y" | "z")?',
    "recursion": 'root ::= "(" root ")" | "x"',
    "right recursion": 'root ::= "x" root | ""',
    "an empty item in a star": 'root ::= ws*\nws ::= " "?',
    "windows lines": 'root ::= a\r\na ::= "x"\r\n',
    "escapes": r'root ::= "\"\\\n\t\x41\u00e9\U0001F600" [\]\-^]',
}
BAD = {
    "nothing": ("", "no rule `root`"),
    "no root": ('a ::= "x"', "no rule `root`"),
    "no arrow": ("hello world", "line 1, column 7 has 'world' where `::=` is expected"),
    "an unknown rule": ("root ::= a b", "rule `root` names `a`, which is not there"),
    "an open group": ('root ::= ("a"', r"where `\)` is expected"),
    "an open string": ('root ::= "a', "a string that ends"),
    "an unknown escape": (r'root ::= "\q"', "escapes that exist"),
    "an open class": ("root ::= [a-z", "a class that ends"),
    "a token": ("root ::= <think>", "references to tokens are not taken"),
    "a second line": ('root ::= "a"\n  | "b"', "line 2, column 3"),
    "left recursion": ('root ::= root "a" | "b"', "left recursion.*root -> root"),
    "left recursion behind what may be empty": ('root ::= a root "x" | "y"\na ::= b\nb ::= "q"?', "left recursion"),
    "left recursion in a circle": ('root ::= a "x"\na ::= b\nb ::= a "y" | "z"', "left recursion"),
    "no end": ('root ::= "a" root', "rule `root` never ends"),
    "no end below": ('root ::= "x" | a\na ::= "y" b\nb ::= "z" a', "rule `a` never ends"),
    "too many repetitions": ('root ::= "a"{3000}', "at most 2000"),
    "repetitions of repetitions": ('root ::= "abcdefgh"{2000}{2000}', "parts when its repetitions are written out"),
    "wrong order": ('root ::= "a"{5,2}', "repetitions in order"),
    "too deep": ("root ::= " + "(" * 5000 + '"a"' + ")" * 5000, "at most 64 groups"),
    "too long": ("root ::= " + '"a" ' * 20_000, "more than 65536 bytes"),
    "too many rules": ('root ::= "a"\n' + "\n".join(f'r{i} ::= "a"' for i in range(1001)), "more than 1000"),
    "a NUL": ('root ::= "a\0"', "a character NUL"),
    "too many ways": (
        "root ::= a0\n" + "\n".join(f"a{i} ::= a{i + 1} | a{i + 1}" for i in range(60)) + '\na60 ::= "x"',
        "begins in too many ways",
    ),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_llama_cpp_takes_is_taken(text: str) -> None:
    """The syntax of its own examples."""
    gbnf.check(text)


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_would_end_llama_cpp_or_mean_nothing_is_refused(text: str, message: str) -> None:
    """With the place or the rule."""
    with pytest.raises(BadGrammar, match=message):
        gbnf.check(text)
