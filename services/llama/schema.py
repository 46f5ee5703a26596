"""JSON schemas as GBNF: every answer that the grammar lets end is valid under the schema.

The converter of llama-cpp-python leaves out what it does not know, so its answers may break the schema; this one
refuses it and says where.  Not every valid answer can be written (members come in the schema's order, none beside those
that are listed, numbers have at most 16 digits): a model needs one, not all.  `oneOf` is taken as `anyOf`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote

import jsonschema_rs

from services.llama import numbers, patterns
from services.refusal import InvalidField
from services.schemas import Schema, shown

Value: TypeAlias = Any
"""A schema as JSON has it."""

MAX_BYTES = 64 * 1024
MAX_DEPTH = 64
MAX_REPEATS = 2000
"""Items of an array, characters of a string: llama.cpp's limit for a repetition."""
REFUSED = (
    "not", "if", "then", "else", "patternProperties", "propertyNames", "minProperties", "maxProperties",
    "unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas", "dependencies", "contains",
    "uniqueItems", "multipleOf", "$dynamicRef", "$recursiveRef",
)  # fmt: skip
KINDS: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
"""Keywords that speak of one type only."""
ASSERTIONS = frozenset(
    {"$ref", "type", "enum", "const", "allOf", "anyOf", "oneOf"}.union(REFUSED, *KINDS.values()) - {"format"}
)
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

HEX = "[0-9a-fA-F]"
BUILT_IN = {
    "ws": '" "?',
    "hex": HEX,
    "escape": r'"\\" (["\\/bfnrt] | "u" ([0-9a-cefA-CEF] hex{3} | [dD] [0-7] hex{2}))',
    "char": r'[^"\\\x00-\x1F\x7F] | escape',
    "string": r'"\"" char* "\""',
    "number": numbers.decimal(None, None),
    "value": '"{" ws (member ("," ws member)* ws)? "}" | "[" ws (value ("," ws value)* ws)? "]" | string | number'
    ' | "true" | "false" | "null"',
    "member": 'string ":" ws value',
    "date": '[0-9]{4} "-" (("0" [13578] | "1" [02]) "-" (day | "29" | "30" | "31")'
    ' | ("0" [469] | "11") "-" (day | "29" | "30") | "02-" day)',
    "day": '"0" [1-9] | "1" [0-9] | "2" [0-8]',
    "time": '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [+-] ([01] [0-9] | "2"'
    ' [0-3]) ":" [0-5] [0-9])',
}
"""A year has no 29th of February."""
FORMATS = {
    "date": r'"\"" date "\""',
    "time": r'"\"" time "\""',
    "date-time": r'"\"" date "T" time "\""',
    "uuid": rf'"\"" {HEX}{{8}} ("-" {HEX}{{4}}){{3}} "-" {HEX}{{12}} "\""',
}
ANY = {
    "object": '"{" ws (member ("," ws member)* ws)? "}"',
    "array": '"[" ws (value ("," ws value)* ws)? "]"',
    "string": "string",
    "number": "number",
    "integer": numbers.integer(None, None),
    "boolean": '("true" | "false")',
    "null": '"null"',
}


class BadSchema(Exception):
    """The schema is not valid, or cannot be a grammar; the message says where."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"at {where}: {why}" if where != "#" else why)


def gbnf(text: str, field: str) -> str:
    """The grammar of the answers that the schema in a request's `field` takes.

    Raises:
        InvalidField: it is no schema, or one that cannot be enforced.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidField(field, f"of {len(text)} characters", f"a JSON schema of at most {MAX_BYTES} bytes")
    schema = Schema.parsed(text, field).value
    try:
        return grammar_of(schema)
    except BadSchema as error:
        raise InvalidField(field, shown(text), f"a JSON schema that can be enforced; {error}") from None


def grammar_of(schema: Value) -> str:
    """The grammar of the answers that a valid schema has.

    Raises:
        BadSchema: it cannot be written as one.
    """
    writer = _Writer(schema)
    root = writer.expression(schema, "#", 0)
    rules = {"root": root} | writer.rules | BUILT_IN
    return "\n".join(f"{name} ::= {rule}" for name, rule in rules.items())


class _Impossible(BadSchema):
    """Nothing is valid under this part; another branch may do."""


class _Writer:
    """Rules under way; `where` is the place in the schema, for messages."""

    def __init__(self, root: Value) -> None:
        self.rules: dict[str, str] = {}
        self._root = root
        self._references: dict[str, str] = {}

    def expression(self, schema: Value, where: str, depth: int) -> str:
        """What stands for `schema` inside of a rule."""
        if depth > MAX_DEPTH:
            raise BadSchema(where, f"it is nested more than {MAX_DEPTH} deep")
        if schema is False:
            raise _Impossible(where, "nothing is valid")
        asserted = _assertions(schema)
        self._refuse(asserted, where)
        if not asserted and not _format(schema):
            return "value"
        return self._asserted(schema, asserted, where, depth + 1)

    def _asserted(self, schema: Value, asserted: set[str], where: str, depth: int) -> str:
        if asserted == {"$ref"}:
            return self._reference(schema["$ref"], where, depth)
        if "$ref" in asserted:
            return self.expression(self._dereferenced(schema, where), where, depth)
        if {"enum", "const"} & asserted:
            return self._listed(schema, where)
        if "allOf" in asserted:
            return self.expression(self._all_of(schema, where), where, depth)
        for union in ("anyOf", "oneOf"):
            if union in asserted:
                return self._union(schema, union, where, depth)
        return self._typed(schema, where, depth)

    def _refuse(self, asserted: set[str], where: str) -> None:
        if unknown := sorted(asserted.intersection(REFUSED)):
            raise BadSchema(where, f"{unknown[0]!r} cannot be enforced while an answer is written")

    def _reference(self, reference: str, where: str, depth: int) -> str:
        """A rule of its own, so that it may refer to itself."""
        if reference not in self._references:
            name = self._references[reference] = f"ref{len(self._references)}"
            self.rules[name] = ""
            self.rules[name] = self.expression(self._resolved(reference, where), reference, depth)
        return self._references[reference]

    def _resolved(self, reference: str, where: str) -> Value:
        head, *steps = reference.split("/")
        found = self._root
        try:
            if head != "#":
                raise KeyError(head)
            for step in steps:
                key = unquote(step).replace("~1", "/").replace("~0", "~")
                found = found[int(key)] if isinstance(found, list) else found[key]
        except (LookupError, TypeError, ValueError):
            raise BadSchema(where, f"{reference!r} is not in the schema; nothing is fetched") from None
        return found

    def _all_of(self, schema: Value, where: str) -> Value:
        merged = _without(schema, "allOf")
        for part in schema["allOf"]:
            merged = _merged(merged, self._dereferenced(part, where), where)
        return merged

    def _dereferenced(self, schema: Value, where: str) -> Value:
        for _ in range(MAX_DEPTH):
            if not isinstance(schema, dict) or "$ref" not in schema:
                return schema
            schema = _merged(_without(schema, "$ref"), self._resolved(schema["$ref"], where), where)
        raise BadSchema(where, "references go round in a circle")

    def _union(self, schema: Value, union: str, where: str, depth: int) -> str:
        rest = _without(schema, union)
        branches = [_merged(rest, branch, where) for branch in schema[union]]
        said, impossible = [], None
        for i, branch in enumerate(branches):
            try:
                said.append(self.expression(branch, f"{where}/{union}/{i}", depth))
            except _Impossible as error:
                impossible = error
        if impossible and not said:
            raise impossible
        return _any(said)

    def _listed(self, schema: Value, where: str) -> str:
        """Values that the rest of the schema allows as well."""
        values = schema.get("enum", [schema.get("const")])
        rest = {"allOf": [_without(_without(schema, "enum"), "const")]} | _definitions(self._root)
        try:
            others = jsonschema_rs.validator_for(rest)
            valid = [value for value in values if others.is_valid(value) and value == schema.get("const", value)]
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            raise BadSchema(where, "its values cannot be checked against the rest of it") from None
        if not valid:
            raise _Impossible(where, "none of its values is valid")
        return _any([_literal(value) for value in valid])

    def _typed(self, schema: Value, where: str, depth: int) -> str:
        types = schema.get("type") or _implied(schema)
        names = [types] if isinstance(types, str) else list(types)
        if "number" in names and "integer" in names:
            names.remove("integer")
        return _any([self._of_type(name, schema, where, depth) for name in names])

    def _of_type(self, name: str, schema: Value, where: str, depth: int) -> str:
        writers: dict[str, Callable[[Value, str, int], str]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": self._number,
            "integer": self._number,
        }
        if name not in writers:
            return ANY[name]
        return writers[name](schema | {"type": name}, where, depth)

    def _object(self, schema: Value, where: str, depth: int) -> str:
        members = dict(schema.get("properties", {}))
        additional, required = schema.get("additionalProperties", True), schema.get("required", [])
        if not members and not required:
            return self._map(additional, where, depth)
        for name in required:
            if name not in members and additional is False:
                raise _Impossible(where, f"the property {name!r} is required but not allowed")
            members.setdefault(name, additional)
        said = []
        for name, member in members.items():
            try:
                said.append((self._member(name, member, where, depth), name in required))
            except _Impossible:
                if name in required:
                    raise
        if not said:
            return '"{" ws "}"'
        return f'"{{" ws {self._members(said)} ws "}}"'

    def _map(self, values: Value, where: str, depth: int) -> str:
        if values is False:
            return '"{" ws "}"'
        value = self.expression(values, f"{where}/additionalProperties", depth)
        return f'"{{" ws (string ":" ws {value} ("," ws string ":" ws {value})* ws)? "}}"'

    def _member(self, name: str, schema: Value, where: str, depth: int) -> str:
        value = self.expression(schema, f"{where}/properties/{name}", depth)
        return self._rule("member", f'{_literal(name)} ":" ws {value}')

    def _members(self, members: Sequence[tuple[str, bool]]) -> str:
        """In order.  The first to stand there is any one up to the first that must; each later one has its comma."""
        last_start = next((i for i, (_, must) in enumerate(members) if must), len(members) - 1)
        rest, starts = "", []
        for i, (member, must) in reversed(list(enumerate(members))):
            if i <= last_start:
                starts.append(f"{member} {rest}".strip())
            following = f'"," ws {member}' if must else f'("," ws {member})?'
            rest = self._rule("rest", f"{following} {rest}".strip())
        whole = _any(starts[::-1])
        return whole if any(must for _, must in members) else f"({whole})?"

    def _array(self, schema: Value, where: str, depth: int) -> str:
        first, items = schema.get("prefixItems", []), schema.get("items", True)
        if isinstance(items, list):
            raise BadSchema(where, "'items' is a list, which is called 'prefixItems' now")
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        said = [self.expression(each, f"{where}/prefixItems/{i}", depth) for i, each in enumerate(first)]
        if items is False or (most is not None and most <= len(said)):
            return self._tuple(said if most is None else said[: int(most)], int(least), where)
        item = self._rule("item", self.expression(items, f"{where}/items", depth))
        most = None if most is None else int(most) - len(said)
        rest = self._list(item, max(0, int(least) - len(said)), most, where)
        if not said:
            return f'"[" ws {rest} ws "]"'
        more = _repeated(self._rule("next", f'"," ws {item}'), max(0, int(least) - len(said)), most, where)
        return f'"[" ws {_joined(said)} {more} ws "]"'

    def _tuple(self, said: list[str], least: int, where: str) -> str:
        if least > len(said):
            raise _Impossible(where, f"it has at most {len(said)} items, {least} are required")
        return f'"[" ws {_joined(said)} ws "]"' if said else '"[" ws "]"'

    def _list(self, item: str, least: int, most: int | None, where: str) -> str:
        if most is not None and most < least:
            raise _Impossible(where, f"maxItems is less than minItems, {least}")
        following = self._rule("next", f'"," ws {item}')
        whole = f"{item} {_repeated(following, max(0, least - 1), None if most is None else most - 1, where)}"
        return whole if least else f"({whole})?"

    def _string(self, schema: Value, where: str, depth: int) -> str:
        lengths = {"minLength", "maxLength"} & schema.keys()
        if "pattern" in schema:
            return self._pattern(schema["pattern"], lengths, where)
        if not lengths:
            return _format(schema) or "string"
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        if most is not None and most < least:
            raise _Impossible(where, f"maxLength is less than minLength, {least}")
        return rf'"\"" {_repeated("char", least, None if most is None else int(most), where)} "\""'

    def _pattern(self, pattern: str, lengths: Iterable[str], where: str) -> str:
        if lengths:
            raise BadSchema(where, f"'pattern' together with {sorted(lengths)[0]!r} cannot be enforced")
        try:
            return rf'"\"" ({patterns.gbnf(pattern)}) "\""'
        except patterns.UnsupportedPattern as error:
            raise BadSchema(where, str(error)) from None

    def _number(self, schema: Value, where: str, depth: int) -> str:
        least, above = _bound(schema, "minimum", "exclusiveMinimum", max, where)
        most, under = _bound(schema, "maximum", "exclusiveMaximum", min, where)
        if least is None and most is None:
            return ANY[schema["type"]]
        try:
            if schema["type"] == "integer":
                return numbers.integer(
                    least if least is None else least + above, most if most is None else most - under
                )
            return numbers.decimal(least, most, above=above, under=under)
        except numbers.NoNumber:
            raise _Impossible(where, "no number is between its bounds") from None

    def _rule(self, kind: str, expression: str) -> str:
        name = f"{kind}{len(self.rules)}"
        self.rules[name] = expression
        return name


def _assertions(schema: Value) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    harmless = {"uniqueItems": False, "minProperties": 0, "unevaluatedProperties": True, "unevaluatedItems": True}
    return {key for key in schema.keys() & ASSERTIONS if harmless.get(key, ...) != schema[key]}


def _format(schema: Value) -> str | None:
    return FORMATS.get(schema.get("format", "")) if isinstance(schema, dict) else None


def _implied(schema: Value) -> Sequence[str]:
    """A keyword of one type lets every other type be; the one it speaks of is the one that is meant."""
    return next((kind for kind, keywords in KINDS.items() if any(key in schema for key in keywords)), TYPES)


def _definitions(root: Value) -> dict[str, Any]:
    return {key: root[key] for key in ("$schema", "$defs", "definitions") if key in root}


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


def _merged(one: Value, other: Value, where: str) -> Value:
    """What is valid under both."""
    if one is True or other is False:
        return other
    if other is True or one is False:
        return one
    merged = dict(one)
    for key, value in other.items():
        merged[key] = _both(key, one[key], value, where) if key in one and key in ASSERTIONS else value
    if "properties" in merged or "additionalProperties" in merged:
        merged["properties"] = _properties(one, other, where)
    return merged


def _both(key: str, one: Any, other: Any, where: str) -> Any:
    if one == other or key == "properties":
        return one
    match key:
        case "required":
            return list(dict.fromkeys([*one, *other]))
        case "type":
            return _common_types(one, other, where)
        case "enum":
            return [value for value in one if value in other]
        case "minimum" | "exclusiveMinimum" | "minLength" | "minItems":
            return max(one, other)
        case "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems":
            return min(one, other)
        case "allOf":
            return [*one, *other]
        case "items" | "additionalProperties":
            return _merged(one, other, where)
    raise BadSchema(where, f"two different {key!r} cannot be combined")


def _common_types(one: Any, other: Any, where: str) -> list[str]:
    some, others = ([each] if isinstance(each, str) else list(each) for each in (one, other))
    common = [name for name in some if name in others or (name == "integer" and "number" in others)]
    common += [name for name in others if name == "integer" and "number" in some and name not in common]
    if not common:
        raise _Impossible(where, f"nothing is {one} and {other}")
    return common


def _properties(one: Value, other: Value, where: str) -> Value:
    """Those of both; one that only one side lists must be what the other says of unlisted ones."""
    found = {}
    for name in dict.fromkeys([*one.get("properties", {}), *other.get("properties", {})]):
        found[name] = _merged(_says_of(name, one), _says_of(name, other), where)
    return found


def _says_of(name: str, schema: Value) -> Value:
    return schema.get("properties", {}).get(name, schema.get("additionalProperties", True))


def _bound(
    schema: Value, closed: str, opened: str, stricter: Callable[[Iterable[int]], int], where: str
) -> tuple[int | None, bool]:
    """The stricter of two bounds, and whether it is itself left out."""
    said = {key: schema[key] for key in (closed, opened) if key in schema}
    for key, value in said.items():
        if value != int(value) or abs(value) >= 10 ** (numbers.MAX_DIGITS - 1):
            raise BadSchema(where, f"{key!r} of {value} cannot be enforced, only whole numbers below 10^15")
    if not said:
        return None, False
    bound = stricter(int(value) for value in said.values())
    return bound, said.get(opened) == bound


def _repeated(rule: str, least: int, most: int | None, where: str) -> str:
    if max(least, most or 0) > MAX_REPEATS:
        raise BadSchema(where, f"at most {MAX_REPEATS} items or characters can be counted")
    if most == 0:
        return '""'
    return f"{rule}{{{least},{'' if most is None else most}}}"


def _joined(said: Sequence[str]) -> str:
    return ' "," ws '.join(said)


def _any(said: Sequence[str]) -> str:
    return said[0] if len(said) == 1 else f"({' | '.join(said)})"


def _literal(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
