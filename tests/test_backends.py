"""The table of backends."""

from __future__ import annotations

import sys
from typing import get_args

import pytest

from services.backend import ModelUnusable
from services.backends import BACKENDS, backend
from waypost.config import Model


def test_every_backend_of_the_configuration_is_in_the_table() -> None:
    """And no other."""
    assert set(BACKENDS) == set(get_args(Model.model_fields["backend"].annotation))


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("remote", "openai", "remote"), ("remote", "tenacity", "remote"), ("xllama", "xllamacpp", "xllama")],
)
def test_a_package_that_is_missing_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    """The other backends start without it."""
    for loaded in [each for each in sys.modules if f"{each}.".startswith(f"{BACKENDS[name]}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelUnusable, match=rf"needs the package '{package}': run pip install 'waypost\[{extra}\]'"):
        backend(name)
    assert backend("hash")
