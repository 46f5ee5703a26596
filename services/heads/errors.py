"""What training refuses, one class per cause; every message says what, where and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class HeadError(ValueError):
    """Training or a head file cannot go on as it is."""


class NoExamples(HeadError):
    """Raised when a data set holds no text at all."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} holds no examples. Give at least five texts per label.")


class OneLabel(HeadError):
    """Raised when there is nothing to tell apart."""

    def __init__(self, labels: Sequence[str]) -> None:
        found = f"only the label {labels[0]!r}" if labels else "no label"
        super().__init__(f"The examples carry {found}. A head needs two labels or more; add examples of another one.")


class TooFewExamples(HeadError):
    """Raised when a label has fewer examples than its method can learn from."""

    def __init__(self, label: str, found: int, needed: int) -> None:
        super().__init__(f"Label {label!r} has {found} example(s), needs {needed}. Add examples or drop the label.")


class BadRow(HeadError):
    """Raised when a line of a data file is not an example."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f'{path.name}:{line}: {problem}. Each example needs a "text" and a "label".')


class UnknownFormat(HeadError):
    """Raised when a file is not of a kind the readers know."""

    def __init__(self, path: Path, known: str) -> None:
        super().__init__(f"{path.name} is not a known format. Known: {known}.")


class MissingData(HeadError):
    """Raised when a data file is not there; `hint` says where it comes from."""

    def __init__(self, path: Path, hint: str = "Check the path, or the folder that --data names.") -> None:
        super().__init__(f"There is no file {path}. {hint}")


class BadVectors(HeadError):
    """Raised when the encoder's vectors cannot be trained on."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The encoder's vectors {problem}. Fetch the model again with `waypost pull`.")


class EncoderNeeded(HeadError):
    """Raised when a head with dense weights is trained without an encoder."""

    def __init__(self, head: str) -> None:
        super().__init__(f"Head {head!r} learns from an encoder's vectors. Name one, or train its hash-only twin.")


class UnknownRecipe(HeadError):
    """Raised when no recipe has the name asked for."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"No recipe named {name!r}. Known: {', '.join(known)}.")


class SciPyMissing(HeadError):
    """Raised when SciPy, which training alone needs, is not installed."""

    def __init__(self) -> None:
        super().__init__("Training needs SciPy. Install it with: pip install 'waypost[train]'")


class UnknownHead(HeadError):
    """Raised when no shipped head has the name asked for."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"No head named {name!r} is shipped. Known: {', '.join(known)}; or give a file's path.")
