"""The command `waypost`, and the composition root: only here do router, services and client meet.

Commands import what they need when they run: workers start through this module too, and a crashed one should be back
soon. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from waypost.cli import (
    audit,
    bench,
    calls,
    chat,
    config,
    demo,
    docs,
    generate,
    logs,
    models,
    money,
    operate,
    processes,
    rollout,
    route,
    status,
    store,
    token,
    top,
    train,
    up,
)
from waypost.cli.failures import failure

app = typer.Typer(
    name="waypost",
    help="A mesh that serves models over gRPC.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

COMMANDS: dict[str, Callable[..., None]] = {
    "up": up.up,
    "router": processes.router,
    "worker": processes.worker,
    "http": processes.http,
    "status": status.status,
    "health": status.health,
    "top": top.top,
    "embed": calls.embed,
    "classify": calls.classify,
    "rerank": calls.rerank,
    "generate": generate.generate,
    "chat": chat.chat,
    "route": route.route,
    "budget": money.budget,
    "feedback": money.feedback,
    "drain": operate.drain,
    "undrain": operate.undrain,
    "weights": operate.weights,
    "audit": audit.audit,
    "pull": models.pull,
    "bench": bench.bench,
    "demo": demo.demo,
}
for name, command in COMMANDS.items():
    app.command(name)(command)

GROUPS: dict[str, typer.Typer] = {
    "rollout": rollout.group,
    "models": models.group,
    "docs": docs.group,
    "logs": logs.group,
    "store": store.group,
    "token": token.group,
    "train": train.group,
    "config": config.group,
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Runs the command; a failure is one line on stderr and an exit code."""
    try:
        app()
    except Exception as error:
        message, code = failure(error)
        print(message, file=sys.stderr)
        sys.exit(code)
