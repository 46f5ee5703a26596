"""Files of JSON lines: kept within their size, read from their end, followed."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waypost import logfile
from waypost.logfile import Line, RotatingFile, Tail


def anything(line: Line) -> bool:
    """Every line is wanted."""
    return bool(line["n"] or True)


def written(path: Path, *numbers: int) -> None:
    """Appends a line for each number."""
    with path.open("a") as file:
        file.writelines(json.dumps({"n": each}) + "\n" for each in numbers)


def numbers(lines: list[Line]) -> list[int]:
    """What `written` wrote."""
    return [line["n"] for line in lines]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "log.jsonl"


def test_the_file_is_kept_within_its_size(tmp_path: Path) -> None:
    """At the limit it becomes `.1`, and a new one begins; its folder is made."""
    log = tmp_path / "log" / "log.jsonl"
    file = RotatingFile(log, max_bytes=4)
    for line in "abc":
        file.write([line])
    assert log.read_text() == "c\n"
    assert Path(f"{log}.1").read_text() == "a\nb\n"


def test_as_many_generations_are_kept_as_is_asked_for(log: Path) -> None:
    """The oldest goes."""
    file = RotatingFile(log, max_bytes=1, keep=3)
    for line in "abcde":
        file.write([line])
    assert [Path(f"{log}.{age}").read_text() for age in (1, 2, 3)] == ["e\n", "d\n", "c\n"]
    assert sorted(path.name for path in log.parent.iterdir()) == ["log.jsonl.1", "log.jsonl.2", "log.jsonl.3"]


def test_only_its_user_reads_a_log(log: Path) -> None:
    """Also one that others could read before."""
    log.touch(0o644)
    for path in (log, log.with_name("new.jsonl")):
        RotatingFile(path, max_bytes=100).write(["a"])
        assert path.stat().st_mode & 0o777 == 0o600


def test_several_writers_lose_nothing_to_a_rotation(log: Path) -> None:
    """Of those who find the file full at once only one rotates it: no generation is pushed out half empty."""
    writers = [RotatingFile(log, max_bytes=1000, keep=100) for _ in range(4)]

    def write(writer: int) -> None:
        for each in range(200):
            writers[writer].write([json.dumps({"n": writer * 200 + each})])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert sorted(numbers(logfile.last(log, anything))) == list(range(800))
    assert all(path.stat().st_size >= 1000 for path in log.parent.iterdir() if path != log)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    generations=st.lists(st.lists(st.integers(0, 10**20), max_size=30), min_size=1, max_size=4),
    most=st.integers(0, 40),
    odd=st.booleans(),
)
def test_the_last_wanted_lines_are_found_across_generations(
    tmp_path_factory: pytest.TempPathFactory, generations: list[list[int]], most: int, odd: bool
) -> None:
    """The oldest first, whatever file they are in; 0 means all."""
    log = tmp_path_factory.mktemp("log") / "log.jsonl"
    for age, held in enumerate(reversed(generations)):
        path = Path(f"{log}.{age}") if age else log
        path.write_text("".join(f'{{"n": "{each}"}}\n' for each in held))
    wanted = [f"{each}" for held in generations for each in held if not odd or each % 2]
    found = logfile.last(log, lambda line: not odd or bool(int(line["n"]) % 2), most)
    assert [line["n"] for line in found] == wanted[-most:]


def test_what_is_no_line_is_passed_over(log: Path) -> None:
    """Half a line is what a crash leaves."""
    written(log, 1, 2)
    with log.open("a") as file:
        file.write('7\n"text"\n{}\n\n{"n": 3, "te')
    assert numbers(logfile.last(log, anything)) == [1, 2]


def test_a_log_that_is_nowhere_is_an_error(log: Path) -> None:
    """And one whose file has just been rotated away is none."""
    with pytest.raises(FileNotFoundError):
        logfile.last(log, anything)
    written(Path(f"{log}.1"), 1)
    assert numbers(logfile.last(log, anything)) == [1]


def test_what_comes_is_followed_across_a_rotation(log: Path) -> None:
    """Each line once, whichever file it is in by then; what was there before is not told again."""
    written(log, 0)
    file = RotatingFile(log, max_bytes=1, keep=8)
    with closing(Tail(log)) as tail:
        for text in ("a", "b", "c"):
            file.write([text])
            log.touch()
            assert list(tail.more()) == [f"{text}\n".encode()]
        assert list(tail.more()) == []


def test_a_log_that_is_not_there_yet_is_followed_too(log: Path) -> None:
    """From its first line on."""
    with closing(Tail(log)) as tail:
        assert list(tail.more()) == []
        log.write_text("a\n")
        assert list(tail.more()) == [b"a\n"]


def test_a_line_is_told_when_it_is_whole(log: Path) -> None:
    """Whoever looks in the middle of a write waits for its end."""
    with closing(Tail(log)) as tail, log.open("w") as file:
        for piece, told in (("be", []), ("gun", []), (" ended\n", [b"begun ended\n"])):
            print(piece, end="", file=file, flush=True)
            assert list(tail.more()) == told


def test_following_ends_when_it_is_asked_to(log: Path) -> None:
    """After it has told what was written between the opening of the tail and the first look."""
    stop = threading.Event()
    with closing(Tail(log)) as tail:
        written(log, 1, 2)
        stop.set()
        assert numbers(list(logfile.follow(tail, anything, stop))) == [1, 2]
