"""What the router's process hands to the core."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from router import service
from services import worker
from services.heads.shipped import shipped
from waypost import _core, config
from waypost.config import Auth, ClientTls, ConfigError, Router, ServerTls, Tenant, Worker


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Waypost's home."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def handed(router: Router) -> Any:
    return json.loads(service.core_config(router, ["127.0.0.1:1"], lambda name: Path("/shipped") / name))


def keyed(**key: Any) -> Router:
    return Router(tenants=(Tenant(name="acme", monthly_usd=5.0, guard="block", **key),))


def test_the_core_gets_every_section_as_the_file_has_it() -> None:
    """With the keys of the file; what is Python's own stays here."""
    plane = handed(Router())
    kept = {"drain_s", "instances_file", "decisions", "audit", "store", "life", "insecure"}
    assert set(Router.model_fields) - set(plane) == kept
    assert plane["tiers"]["shares"] == {"simple": 0.6, "medium": 0.2, "high": 0.15, "premium": 0.05}
    assert plane["instances"] == ["127.0.0.1:1"]


def test_heads_become_files() -> None:
    """Shipped ones by their name, others as they are."""
    router = Router.model_validate({"guard": {"head": "/mine/guard.safetensors"}})
    plane = handed(router)
    assert plane["tiers"]["head"] == "/shipped/complexity-hash"
    assert plane["guard"]["head"] == "/mine/guard.safetensors"


def test_the_ledger_is_a_file_at_home(home: Path) -> None:
    """Whose folder is there."""
    assert handed(Router())["budget"]["store"] == f"sqlite:{home}/ledger.db"
    assert home.is_dir()


def test_tenants_come_with_their_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment or from a file, without the white space around them."""
    monkeypatch.setenv("ACME_KEY", "s3cret\n")
    (tmp_path / "key").write_text(" s3cret \n")
    expected = {
        "name": "acme",
        "key": "s3cret",
        "role": "infer",
        "max_in_flight": 0,
        "calls_per_second": 0.0,
        "burst": 0,
        "monthly_usd": 5.0,
    }
    for router in (keyed(key_env="ACME_KEY"), keyed(key_file=str(tmp_path / "key"))):
        assert handed(router)["tenants"] == [expected | {"guard": "block", "payloads": "inherit"}]
    assert handed(keyed())["tenants"][0]["key"] is None


def test_sockets_are_in_the_folder_that_is_named() -> None:
    """The operator's where the configuration has it, if it does; none where there is neither."""
    own = Router(auth=Auth(operator_socket="/run/operator.sock"))
    given = [
        json.loads(service.core_config(router, [], shipped, folder))["local"]
        for router, folder in ((Router(), None), (own, None), (Router(), Path("/run/7")), (own, Path("/run/7")))
    ]
    assert given == [
        {"gateway": None, "operator": None},
        {"gateway": None, "operator": "unix:/run/operator.sock"},
        {"gateway": "unix:/run/7/router.sock", "operator": "unix:/run/7/operator.sock"},
        {"gateway": "unix:/run/7/router.sock", "operator": "unix:/run/operator.sock"},
    ]


def test_certificates_reach_the_core_as_paths() -> None:
    """Those of the way to the workers too; what a worker listens with is only for other machines."""
    server, client = ServerTls(cert="/c", key="/k", client_names=("a",)), ClientTls(ca="/ca")
    plane = handed(Router(tls=server, worker_tls=client, auth=Auth(required=True)))
    assert plane["tls"] == {"cert": "/c", "key": "/k", "client_ca": None, "client_names": ["a"]}
    assert plane["worker_tls"] == {"ca": "/ca", "cert": None, "key": None}
    assert plane["auth"] == {"required": True}
    one = Worker(name="w", listen="127.0.0.1:1", tls=server, models=())
    for listen, told in (("127.0.0.1:1", plane["tls"]), ("unix:/run/w.sock", None)):
        assert json.loads(worker.core_config(one, worker.Place("w-0", listen, 1), []))["tls"] == told


def test_keys_that_are_not_there_are_a_problem_of_the_configuration() -> None:
    """Named by where they should be."""
    for key in ({"key_env": "NOBODY_SET_THIS"}, {"key_file": "./none"}):
        (where,) = key.values()
        with pytest.raises(ConfigError, match=f"{where}.*no key there that can be read"):
            handed(keyed(**key))


def test_a_key_is_never_in_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that no header may have, nor one that two tenants share."""
    for key, wrong in (("two words", "a key that no header may have"), ("s3cret", "a key that another tenant has")):
        monkeypatch.setenv("ACME_KEY", key)
        twice = tuple(Tenant(name=name, key_env="ACME_KEY") for name in "ab")
        with pytest.raises(ConfigError, match=wrong) as caught:
            handed(Router(tenants=twice))
        assert key not in str(caught.value)


FULL = """
[router]
policy = "weighted"
[router.hedge]
enabled = true
[router.auth]
required = true
[[router.tenants]]
name = "acme"
role = "operate"
max_in_flight = 3
monthly_usd = 5.0
burst = 10
guard = "annotate"
[router.guard]
mode = "block"
[router.cache.semantic]
enabled = true
model = "hash"
[router.budget]
store = "memory:"
soft = [{ at = 0.5, most = "creative" }]
[router.quality]
enabled = true
relevance = "rerank"
brand = { forbid = ["(?i)as an ai"], max_chars = 400 }
[router.style]
prompt = "Be brief."
models = ["hash"]
[[router.routes]]
name = "default"
task = "rerank"
hops = [{ model = "hash" }, { model = "b@stable", when = ["complex", "unsure"], all = true, max_share = 0.15 }]
[[workers]]
name = "local"
[[workers.models]]
name = "hash"
backend = "hash"
"""


@pytest.mark.parametrize("text", [config.default_text(), FULL], ids=["default", "full"])
def test_the_core_takes_it(text: str, tmp_path: Path) -> None:
    """A key or a word that it does not know is an error there."""
    router = config.check(tomllib.loads(text), base=tmp_path, origin="test").router
    _core.Router(service.core_config(router, [], shipped))


@pytest.mark.parametrize("policy", get_args(Router.model_fields["policy"].annotation))
def test_the_core_has_every_policy(policy: str) -> None:
    """By the name it has in the file."""
    _core.Router(service.core_config(Router(policy=policy), [], shipped))  # type: ignore[arg-type]


def test_shipped_heads_are_there() -> None:
    """Those of the default."""
    plane = json.loads(service.core_config(Router(), [], shipped))
    assert Path(plane["tiers"]["head"]).is_file()
    assert Path(plane["guard"]["head"]).is_file()
