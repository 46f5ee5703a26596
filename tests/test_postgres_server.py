"""The PostgreSQL of the tests: what other tests rely on."""

from __future__ import annotations

import select
import subprocess
import sys

import psycopg
import pytest

from tests import postgres

needs_postgres = pytest.mark.skipif(postgres.missing(), reason=f"NOT RUN: {postgres.MISSING}")
pytestmark = needs_postgres

TELL = "import os, sys; sys.exit(0 if os.environ['WAYPOST_TEST_POSTGRES'].startswith('postgresql://') else 3)"


def test_databases_are_apart_and_have_vectors(postgres_server: postgres.Server) -> None:
    """What one test writes, another does not see; the nearest of two vectors is found."""
    first, second = postgres_server.database(), postgres_server.database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE t (name text, at vector(2))")
        connection.execute("INSERT INTO t VALUES ('far', '[0,1]'), ('near', '[1,0.1]')")
        found = connection.execute("SELECT name FROM t ORDER BY at <=> '[1,0]' LIMIT 1").fetchone()
        assert found == ("near",)
    with psycopg.connect(second) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM t")


def test_a_database_of_a_test_is_empty(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert found == (0,)


def test_killed_and_started_again_it_has_what_was_committed() -> None:
    """At the same address; connections from before are broken."""
    with postgres.server(fsync=True) as server:
        url = server.database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS a")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT a FROM t").fetchone() == (7,)


def test_stopped_it_refuses_connections_until_it_is_started_again() -> None:
    with postgres.server() as server:
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url)
        server.start()
        psycopg.connect(server.url).close()


def test_stalled_it_answers_only_afterwards() -> None:
    with postgres.server() as server, psycopg.connect(server.url, autocommit=True) as connection:
        with server.stalled():
            connection.pgconn.send_query(b"SELECT 7")
            assert select.select([connection.fileno()], [], [], 0.2)[0] == []
        answer, end = connection.pgconn.get_result(), connection.pgconn.get_result()
        assert answer and answer.get_value(0, 0) == b"7" and end is None


def test_a_command_is_run_with_the_address_of_a_server() -> None:
    """And its exit status is the command's."""
    assert postgres.main(["run", "--", sys.executable, "-c", TELL]) == 0
    assert postgres.main(["run", "--", sys.executable, "-c", "import sys; sys.exit(3)"]) == 3


def test_what_is_no_command_is_told_the_usage() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.postgres", "run"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"{postgres.USAGE}\n")
