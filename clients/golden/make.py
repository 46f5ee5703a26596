"""Write `vectors.json` anew from a running mesh: `python -m clients.golden.make`.

Each case keeps its name and what it asks; a new one needs no more than that.
"""

from __future__ import annotations

import json

import grpc

from clients import mesh
from clients.golden import table


def main() -> None:
    """Asks every case."""
    with mesh.running() as running, grpc.insecure_channel(running.address) as channel:
        asker = table.Asker(channel)
        made = [_made(asker, case) for case in table.cases()]
    table.PATH.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


def _made(asker: table.Asker, case: table.Case) -> table.Case:
    asked = {key: value for key, value in case.items() if key not in table.EXPECTATIONS}
    return asked | asker.ask(case)


if __name__ == "__main__":
    main()
