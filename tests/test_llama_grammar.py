"""Which tokens may come next, and the grammars that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from services.llama import grammar
from services.llama.grammar import Grammars, TooAmbiguous
from services.llama.model import Model
from services.refusal import InvalidField


@pytest.fixture
def grammars(llama: Model) -> Iterator[Grammars]:
    """Of the embedded generator."""
    with closing(Grammars(llama)) as grammars:
        yield grammars


def token(model: Model, text: str) -> int:
    """The one token of a text."""
    (found,) = model.tokenize(text, special=True)
    return int(found)


def test_only_what_fits_may_come_next(llama: Model, grammars: Grammars) -> None:
    """And the end, where the grammar ends."""
    constraint = grammars.constraint('root ::= "yes" | "no"')
    ids = np.array([token(llama, each) for each in ("yes", "no", "maybe", "<|im_end|>")], np.int32)
    logits = np.array([0.5, -np.inf, 3, 4], np.float32)
    assert constraint.allowed(ids, logits).tolist() == [True, True, False, False]
    assert constraint.accept(int(ids[0]))
    assert constraint.allowed(ids, logits).tolist() == [False, False, False, True]


def test_control_tokens_never_fit(llama: Model, grammars: Grammars) -> None:
    """llama.cpp would take their spelling for text, of which the caller sees nothing."""
    constraint = grammars.constraint("root ::= .*")
    ids = np.array([token(llama, each) for each in ("<|im_start|>", "<|im_end|>", "a")], np.int32)
    assert constraint.allowed(ids, np.zeros(3, np.float32)).tolist() == [False, True, True]


def test_a_token_that_does_not_fit_changes_nothing(llama: Model, grammars: Grammars) -> None:
    """llama.cpp would end the process."""
    constraint = grammars.constraint('root ::= "yes"')
    assert not constraint.accept(token(llama, "no"))
    assert not constraint.accept(llama.end_tokens()[0])
    assert constraint.accept(token(llama, "yes"))
    assert not constraint.accept(token(llama, "yes"))


def test_characters_of_several_tokens_are_followed(llama: Model, grammars: Grammars) -> None:
    """Byte by byte."""
    constraint = grammars.constraint('root ::= "🙂"')
    tokens = llama.tokenize("🙂", special=False)
    assert len(tokens) > 1 and all(constraint.accept(int(each)) for each in tokens)


def test_each_answer_has_its_own_place(llama: Model, grammars: Grammars) -> None:
    """A grammar that was compiled before is cloned."""
    one, other = (grammars.constraint('root ::= "yes"') for _ in range(2))
    assert one.accept(token(llama, "yes"))
    assert other.accept(token(llama, "yes"))


def test_only_the_grammars_used_last_are_kept(grammars: Grammars) -> None:
    """However many there were."""
    for i in range(grammar.CACHED + 5):
        grammars.check(f'root ::= "{i}"')
    assert len(grammars._compiled) == grammar.CACHED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root ::= root", "left recursion|never ends"),
        ('root ::= "a" <think>', "references to tokens"),
        (r"root ::= [^\x00-\U0010FFFF]", "a first token"),
        ('root ::= ("a" | "")*', "left recursion"),
        ("yes or no", "`::=` is expected"),
    ],
)
def test_an_impossible_grammar_is_refused(grammars: Grammars, text: str, message: str) -> None:
    """Before anything is computed; the process lives on."""
    with pytest.raises(InvalidField, match=message) as refused:
        grammars.check(text)
    assert refused.value.field == "grammar"


def test_a_grammar_that_takes_too_long_ends_its_answer(grammars: Grammars, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than everybody's."""
    constraint = grammars.constraint('root ::= "yes"')
    monkeypatch.setattr(grammar, "SLOW_S", 0.0)
    with pytest.raises(TooAmbiguous):
        constraint.accept(0)
    with pytest.raises(InvalidField, match="too ambiguous"):
        grammars.check('root ::= "no"')
