"""Kinds of values that the configuration is made of, and how they are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, Strict, ValidationInfo

from waypost import address, cpus

MIB = 1024 * 1024


def _resolved(value: str, info: ValidationInfo) -> str:
    return beside(value, info) if looks_like_path(value) else value


def beside(value: str, info: ValidationInfo) -> str:
    """A path, relative to the configuration's file."""
    base = (info.context or {}).get("base", Path.cwd())
    return str(base / Path(value).expanduser())


def _checked_address(value: str) -> str:
    address.parse(value)
    return value


def _checked_cpus(value: Any) -> int | str:
    if isinstance(value, str):
        cpus.parsed(value)
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError('not CPUs; write how many, such as 2, or which, such as "0-3,6"')


def looks_like_path(value: str) -> bool:
    """Whether a name in the file means a file or folder: it has a slash."""
    return "/" in value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Address = Annotated[str, AfterValidator(_checked_address)]
NameOrPath = Annotated[str, Field(min_length=1), AfterValidator(_resolved)]
File = Annotated[str, Field(min_length=1), AfterValidator(beside)]
Count = Annotated[int, Field(ge=1)]
Cpus = Annotated[int | str, PlainValidator(_checked_cpus)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Lists become tuples, which strict validation would refuse.
Strings = Annotated[tuple[str, ...], Strict(False)]


class Section(BaseModel):
    """A table of the file: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
