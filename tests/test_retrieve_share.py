"""Cores among searches that run at once."""

from __future__ import annotations

from services.retrieve.embedded.share import Share


def test_a_search_alone_has_all_cores_and_others_share_them() -> None:
    """And never less than one."""
    share = Share(4)
    with share as first, share as second, share as third, share, share as last:
        assert (first, second, third, last) == (4, 2, 1, 1)
    with share as again:
        assert again == 4
