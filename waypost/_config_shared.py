"""What the routers of one store share beside its ledger: models that are hot, and what tenants may do."""

from __future__ import annotations

from waypost._config_fields import Amount, Count, Seconds, Section


class Hotset(Section):
    """Models that are worth running before anybody asks: those that are pinned, and those called often at any router.

    A worker on demand that serves one is started while there is memory for it, and not ended for being idle.
    """

    calls_per_hour: Amount = 0.0
    """Calls of the latest hour at one router that make a model hot; 0: only pins do."""
    forget_s: Seconds = 3600.0
    """Seconds after it was last called so often that a model is no longer hot."""
    size: Count = 8
    """Models that are hot for their calls, over all routers; of more, those that are called most."""
    poll_s: Seconds = 2.0
    """Seconds until what one router found or was told is known to the others."""


class Rates(Section):
    """How routers of one Redis share `calls_per_second` of tenants."""

    sync_s: Seconds = 0.2
    """Seconds between two words of a router to the others; what they let pass meanwhile can be so much too much, and is
    waited for afterwards."""
