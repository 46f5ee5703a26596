"""What a head is made of, before any data: everything that the run log must repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """A head to be trained.

    Attributes:
        name: of the files and of the head when served.
        purpose: the card's first sentence.
        encoder: model and version whose vectors it reads, `name/version`; empty: hashed features alone.
        buckets: columns of hashed features, 0: none.
        scalars: whether the size of the text is a feature.
        length_weight: of a head that judges model strength (`strength`): standard deviations of its score per standard
            deviation of the text's length; None: an ordinary classifier.
        dense_penalty: ridge penalty of the encoder's columns.
        hashed_penalty: ridge penalty of the hashed columns.
        scales: factors for both penalties; the best by cross-validated log loss is taken.
        fold_count: parts of the cross-validation.
        refused: share of known texts that may be called out of scope; None: no such test.
        alarm: a label that shall win for at most `alarm_share` of the other labels' texts; empty: the likeliest wins.
        alarm_share: see `alarm`.
        reports: names of `reports.REPORTS` to run on the held-out part.
        test_reports: the same for the further tests.
        experimental: whether its makers would not yet act on what it says.
        limitations: sentences of the card.
    """

    name: str
    purpose: str
    version: str = "1"
    encoder: str = ""
    buckets: int = 0
    scalars: bool = False
    length_weight: float | None = None
    dense_penalty: float = 1e-5
    hashed_penalty: float = 1e-5
    scales: Sequence[float] = (1.0,)
    fold_count: int = 5
    refused: float | None = None
    alarm: str = ""
    alarm_share: float = 0.02
    reports: Sequence[str] = ("accuracy", "macro_f1", "log_loss", "calibration_error")
    test_reports: Sequence[str] = ("accuracy",)
    experimental: bool = False
    limitations: Sequence[str] = ()
