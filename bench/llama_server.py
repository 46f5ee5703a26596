"""llama.cpp's own servers beside Waypost: `llama-server`, built once from the sources that llama-cpp-python comes with,
so that both run the same llama.cpp, and that package's `llama_cpp.server`.

    python -m bench.llama_server        # builds it (some 12 minutes of two cores) and says where it is
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from waypost import places

PACKAGE = "llama-cpp-python"
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_CURL": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
}
START_S = 120


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    host: str
    port: int
    pid: int


def binary() -> Path:
    """llama-server of the installed llama-cpp-python's llama.cpp, built if need be."""
    version = importlib.metadata.version(PACKAGE)
    built = places.home() / "bench" / f"llama-server-{version}"
    built.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(built.with_suffix(".lock")):
        if not built.exists():
            _build(version, built)
    return built


def _build(version: str, built: Path) -> None:
    print(f"building llama-server of {PACKAGE} {version}, once: some 12 minutes of two cores", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, out = _sources(version, folder), folder / "build"
        _run("cmake", "-S", source, "-B", out, *(f"-D{key}={value}" for key, value in OPTIONS.items()))
        _run("cmake", "--build", out, "--target", "llama-server", f"-j{os.cpu_count()}")
        shutil.copy2(out / "bin" / "llama-server", built.with_suffix(".part"))
    built.with_suffix(".part").replace(built)


def _sources(version: str, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", PACKAGE, "-d", folder]
    _run(*pip, f"{PACKAGE}=={version}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (source,) = folder.glob("*/vendor/llama.cpp")
    return source


def _run(*command: object) -> None:
    """Quiet; what failed is shown whole."""
    done = subprocess.run([str(each) for each in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-4000:]}")


@contextmanager
def llama_server(
    model: Path, *, threads: int, slots: int, context: int, options: Sequence[str] = (), env: Mapping[str, str] = {}
) -> Iterator[Server]:
    """llama-server with so many slots of `context` tokens each."""
    command: list[object] = [binary(), "--model", model, "--threads", threads, "--parallel", slots]
    with _running([*command, "--ctx-size", slots * context, *options], "/health", env) as server:
        yield server


@contextmanager
def python_server(model: Path, *, threads: int, context: int) -> Iterator[Server]:
    """`llama_cpp.server`, which answers one request at a time; it would cut one off for the next unless told not to."""
    command: list[object] = [sys.executable, "-m", "llama_cpp.server", "--model", model, "--n_threads", threads]
    command += ["--n_threads_batch", threads, "--n_ctx", context, "--interrupt_requests", "False"]
    with _running(command, "/v1/models", {}) as server:
        yield server


@contextmanager
def _running(command: Sequence[object], ready: str, env: Mapping[str, str]) -> Iterator[Server]:
    host, port = "127.0.0.1", _free_port()
    words = [*map(str, command), "--host", host, "--port", str(port)]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(words, stdout=said, stderr=said, env=os.environ | env) as process,
    ):
        try:
            _wait(process, host, port, ready)
            yield Server(host, port, process.pid)
        except ChildProcessError:
            said.seek(0)
            raise RuntimeError(f"{words[0]} did not start:\n{said.read()[-2000:]}") from None
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()


def _wait(process: subprocess.Popen[bytes], host: str, port: int, path: str) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(host, port)) as connection:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise ChildProcessError


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


if __name__ == "__main__":
    print(binary())
