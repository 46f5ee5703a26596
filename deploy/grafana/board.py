"""Writes waypost.json, the board for Grafana: `python -m deploy.grafana.board`.

What it shows stands in panels.py; here is how that is drawn.  A test fails where waypost.json is not what this writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.panels import MESH, ROWS, Kind, Panel, Query

FILE = Path(__file__).with_name("waypost.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def board() -> str:
    """The board as JSON."""
    made = (
        dashboard.Dashboard("Waypost")
        .uid("waypost")
        .description("A mesh of small models: what it is asked, how it decides and how it fares.")
        .tags(["waypost"])
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .variables(list(variables()))
    )
    # A link to a panel holds its number.
    numbers = count(1)
    for title, panels in ROWS.items():
        made.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            made.with_panel(drawn(panel).id(next(numbers)))
    return json.dumps(json.loads(JSONEncoder().encode(made.build())), indent=2, sort_keys=True) + "\n"


def variables() -> Iterator[Any]:
    """What a reader picks above the board."""
    yield dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
    yield _choice("mesh", "Mesh", "label_values(waypost_router_up, job)")
    yield _choice("model", "Model", f"label_values(waypost_calls_total{{{MESH}}}, model)")
    yield _choice("instance", "Instance", f"label_values(waypost_memory_bytes{{{MESH}}}, instance)")


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """Any of what there is; all of it to begin with, calls without a model included."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(text="All", value="$__all"))
    )


def drawn(panel: Panel) -> Any:
    """A panel: what its kind has, and what all have."""
    made: Any = KINDS[panel.kind]()
    made.title(panel.title).description(panel.about).datasource(SOURCE).unit(panel.unit).min(0)
    made.span(panel.width).height(panel.height).thresholds(_thresholds(panel))
    if panel.most is not None:
        made.max(panel.most)
    for letter, query in zip("ABCDEF", panel.queries, strict=False):
        made.with_target(_target(query, letter, panel.kind))
    return made


def _target(query: Query, letter: str, kind: Kind) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).datasource(SOURCE).expr(query.expr).legend_format(query.legend)
    target.exemplar(query.exemplars)
    if kind == "heatmap":
        target.format(PromQueryFormat.HEATMAP)
    return target.instant() if kind == "figure" else target.range()


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    colours = {"yellow": panel.warn, "red": panel.bad}
    steps = [Threshold(color=colour, value=value) for colour, value in colours.items() if value is not None]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(color="green"), *steps])


def _figure() -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(last).graph_mode(BigValueGraphMode.NONE)


def _lines() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
    return timeseries.Panel().legend(legend.show_legend(True)).tooltip(tooltip).line_width(1).fill_opacity(5)


def _stack() -> timeseries.Panel:
    return _lines().stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(40)


def _states() -> statetimeline.Panel:
    return statetimeline.Panel().show_value(VisibilityMode.NEVER).row_height(0.8)


def _heatmap() -> heatmap.Panel:
    """Of buckets as Prometheus has them: Grafana takes the differences."""
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return heatmap.Panel().calculate(False).color(colour)


KINDS = {"figure": _figure, "lines": _lines, "stack": _stack, "states": _states, "heatmap": _heatmap}


if __name__ == "__main__":
    FILE.write_text(board())
