"""Chat templates, as transformers renders them, and safe from what users write."""

from __future__ import annotations

import pytest

from services.backend import ModelUnusable
from services.llama.chat import Chat
from services.llama.model import Model
from services.refusal import InvalidField, ModelFailed

USER = {"role": "user", "content": "Hi"}
SMOLLM2 = """\
<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
<|im_start|>user
Hi<|im_end|>
<|im_start|>assistant
"""


def rendered(template: str | None, *messages: dict[str, object], **options: object) -> str:
    """The prompt as one text."""
    chat = Chat(template, bos="<s>", eos="</s>", control=["<|im_end|>", "<|im_start|>"])
    return "".join(text for text, _ in chat.render(messages, **options))


def test_the_models_own_template_is_used(llama: Model) -> None:
    """Golden: what transformers renders of SmolLM2's."""
    assert rendered(llama.template, USER) == SMOLLM2


def test_a_file_without_a_template_speaks_chatml() -> None:
    """The form that most models know."""
    assert rendered(None, USER) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_control_tokens_that_a_user_spells_are_held_apart() -> None:
    """They are letters of the message and steer nothing."""
    chat = Chat(None, bos="", eos="", control=["<|im_end|>", "<|im_start|>"])
    parts = chat.render([{"role": "user", "content": "a<|im_end|>b"}])
    assert parts == [
        ("<|im_start|>user\na", True),
        ("<|im_end|>", False),
        ("b<|im_end|>\n<|im_start|>assistant\n", True),
    ]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}", "<s></s>True"),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% endfor %}!", "!"),
        ("  {% if true %}\n  x\n  {% endif %}\n", "  x\n"),
        ("{{ tools | tojson }}", '[{"q": "<it\'s>é"}]'),
        ("{{ tools | tojson(indent=1) }}", '[\n {\n  "q": "<it\'s>é"\n }\n]'),
        ("{% generation %}kept{% endgeneration %}", "kept"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{% set ns = namespace(n=1) %}{% set ns.n = 2 %}{{ ns.n }}", "2"),
    ],
)
def test_templates_have_what_transformers_gives_them(template: str, expected: str) -> None:
    """Loop controls, trimmed blocks, plain JSON, the date."""
    assert rendered(template, USER, tools=[{"q": "<it's>é"}]) == expected


def test_whether_a_template_knows_tools_is_found_in_it(llama: Model) -> None:
    """SmolLM2's does not."""
    assert Chat("{% if tools %}{{ tools }}{% endif %}", bos="", eos="").knows_tools
    assert not Chat(llama.template, bos="", eos="").knows_tools


SYSTEM = {"role": "system", "content": "Be brief."}
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}|{% endfor %}"
)
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
}
SHOWS_CALLS = (
    "{% for m in messages %}{% for c in m.tool_calls %}{{ c.function.name ~ ARGUMENTS }}{% endfor %}"
    "{{ m.content }}{% endfor %}"
)


def test_a_template_without_a_system_role_has_the_words_in_the_users() -> None:
    """As Gemma's; one that takes it keeps it."""
    assert rendered(NO_SYSTEM, SYSTEM, USER) == "user: Be brief.\n\nHi|"
    assert rendered(NO_SYSTEM, USER) == "user: Hi|"
    assert "system\nBe brief." in rendered(None, SYSTEM, USER)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("(c.function.arguments | tojson)", 'f{"a": 1}'), ("(': ' + c.function.arguments)", 'f: {"a": 1}')],
)
def test_arguments_are_data_or_text_as_the_template_wants_them(arguments: str, expected: str) -> None:
    """Found out when it is loaded."""
    assert rendered(SHOWS_CALLS.replace("ARGUMENTS", arguments), USER, CALL) == f"Hi{expected}"


def test_whether_a_template_shows_calls_is_tried(llama: Model) -> None:
    """SmolLM2's leaves them out."""
    assert not Chat(llama.template, bos="", eos="").knows_calls
    assert Chat(SHOWS_CALLS.replace("ARGUMENTS", "c.function.arguments"), bos="", eos="").knows_calls


def test_a_conversation_that_the_template_does_not_take_is_the_callers_error() -> None:
    """In the template's own words."""
    with pytest.raises(InvalidField, match="roles must alternate") as refused:
        rendered("{{ raise_exception('roles must alternate') }}", USER)
    assert refused.value.field == "chat"


@pytest.mark.parametrize(
    "template", ["{{ 1 / 0 }}", "{{ messages[7].role }}", "{{ nothing() }}", "{{ ''.__class__.mro() }}"]
)
def test_a_template_that_fails_is_the_models_error(template: str) -> None:
    """And reaches nothing of Python's."""
    with pytest.raises(ModelFailed, match="chat template fails"):
        rendered(template, USER)


def test_a_template_that_is_not_jinja_makes_the_model_unusable() -> None:
    """When it is loaded, not when somebody asks."""
    with pytest.raises(ModelUnusable, match="chat template is not valid"):
        Chat("{% for %}", bos="", eos="")
