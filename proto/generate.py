"""Generate `waypost/v1/*_pb2*.py` from the contract: `python proto/generate.py [target folder]`.

The committed code is made by the grpcio-tools 1.81 line, whose output runs on protobuf 6 and 7 alike.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent


def generate(target: Path) -> None:
    """Write the package `waypost.v1` below `target`.

    Raises:
        SystemExit: protoc refused a file; it has printed why.
    """
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "waypost").rglob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    well_known = str(files("grpc_tools") / "_proto")
    if protoc.main(["protoc", f"-I{ROOT}", f"-I{well_known}", *outputs, *sources]) != 0:
        raise SystemExit("protoc failed")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent)
