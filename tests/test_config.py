"""The configuration file: what it means, and everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from waypost import config
from waypost.config import ConfigError

WORKER = """
[[workers]]
name = "local"
[[workers.models]]
name = "hash"
backend = "hash"
"""


REMOTE = '[workers.models.remote]\nbase_url = "http://127.0.0.1:8000/v1"\nmodel = "big"'


def model(backend: str, text: str = "") -> str:
    """A second worker with one model."""
    return f'[[workers]]\nname = "b"\n[[workers.models]]\nname = "m"\nbackend = "{backend}"\n{text}'


TENANT = '[[router.tenants]]\nname = "acme"\n'
SOFT = '[router.budget]\nsoft = [{{ at = {}, most = "{}" }}, {{ at = {}, most = "{}" }}]'
ROUTE = '[[router.routes]]\nname = "default"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "waypost.toml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(written(folder, text))
    return [str(problem) for problem in caught.value.problems]


def test_the_embedded_default_serves_an_encoder_hash_vectors_and_a_writer() -> None:
    """The writer in a process of its own."""
    local, writer = config.load(None).workers
    assert [model.name for model in local.models] == ["minilm", "hash"]
    assert "intent" in local.models[0].heads
    assert [(model.name, model.backend) for model in writer.models] == [("smollm2", "llama")]


def test_what_the_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    """A worker needs a name and a model."""
    loaded = config.load(written(tmp_path, WORKER))
    assert loaded.router.listen == "127.0.0.1:50051"
    assert loaded.worker("local") is loaded.workers[0]
    assert loaded.worker("other") is None
    assert loaded.workers[0].instance(2) == "local-2"


def test_a_configuration_survives_its_json_form(tmp_path: Path) -> None:
    """`waypost up` hands it to its children so."""
    path = tmp_path / "config.json"
    path.write_text(config.load(None).model_dump_json(exclude_unset=True))
    assert config.load(path) == config.load(None)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """A head given by a path is found wherever the command was started."""
    (tmp_path / "mood.safetensors").touch()
    loaded = config.load(written(tmp_path, WORKER + 'heads = ["./mood.safetensors", "intent"]'))
    assert loaded.workers[0].models[0].heads == (str(tmp_path / "mood.safetensors"), "intent")


def test_a_ledger_and_keys_are_found_beside_the_file(tmp_path: Path) -> None:
    """As every path; an address stays what it is."""
    text = '[router.budget]\nstore = "sqlite:ledger.db"\n[[router.tenants]]\nname = "a"\nkey_file = "./a.key"\n'
    router = config.load(written(tmp_path, text + WORKER)).router
    assert router.budget.store == f"sqlite:{tmp_path}/ledger.db"
    assert router.tenants[0].key_file == str(tmp_path / "a.key")
    shared = config.load(written(tmp_path, '[router.budget]\nstore = "redis://10.0.0.1:6379/1"\n' + WORKER)).router
    assert shared.budget.store == "redis://10.0.0.1:6379/1"
    url = "postgresql://waypost:secret@10.0.0.1:5432,[fd00::2]/ledger?sslmode=disable"
    shared = config.load(written(tmp_path, f'[router.budget]\nstore = "{url}"\n' + WORKER)).router
    assert shared.budget.store == url


def test_a_route_names_its_hops_and_their_conditions(tmp_path: Path) -> None:
    """With workers elsewhere any model may be meant."""
    text = """
    [router]
    instances = ["10.0.0.1:50061"]
    [[router.routes]]
    name = "default"
    hops = [
        { model = "small" },
        { model = "writer@canary", when = ["overloaded"] },
        { model = "thinker", when = ["complex", "unsure"], all = true, max_share = 0.15 },
    ]
    """
    first, _, thinker = config.load(written(tmp_path, text)).router.routes[0].hops
    assert (first.model, first.when) == ("small", ())
    assert (thinker.when, thinker.all, thinker.complexity, thinker.max_share) == (
        ("complex", "unsure"),
        True,
        0.85,
        0.15,
    )


@pytest.mark.parametrize("pattern", ["(?i)as an ai", r"\(?=x", "[*+]+", r"a\++", "(?P<n>a)", r"\d{2,3}?$"])
def test_patterns_that_the_router_knows_are_taken(tmp_path: Path, pattern: str) -> None:
    """Also those that only look like others."""
    text = f"[router.quality.brand]\nforbid = ['{pattern}']\n"
    assert config.load(written(tmp_path, text + WORKER)).router.quality.brand.forbid == (pattern,)


@pytest.mark.parametrize("pattern", ["a++", "(?<!b)a", r"(a)\1", "(?>a)", r"a\Z", "(?#why)a", "(?P<n>a)(?P=n)"])
def test_patterns_that_only_python_knows_are_refused(tmp_path: Path, pattern: str) -> None:
    """Before the router stumbles over them."""
    (problem,) = problems(tmp_path, f"[router.quality.brand]\nforbid = ['{pattern}']\n" + WORKER)
    assert "which the router's engine does not know" in problem


def test_a_configuration_cannot_be_changed() -> None:
    """What was checked is what runs."""
    loaded = config.load(None)
    with pytest.raises(ValueError, match="frozen"):
        loaded.router.listen = "127.0.0.1:1"  # type: ignore[misc]


PROBLEMS: list[tuple[str, str]] = [
    ('[router]\nlistn = "a:1"', 'router.listn = "a:1": no such key; did you mean listen?'),
    ("[router]\nqqq = 1", "router.qqq = 1: no such key; remove it; there is listen, tls"),
    ('[router]\nlisten = "nowhere"', 'router.listen = "nowhere": neither "host:port" nor "unix:/path"'),
    ('[router]\nlisten = "a:65536"', 'router.listen = "a:65536": neither'),
    ('[router]\nlisten = "unix:run/a"', 'router.listen = "unix:run/a": not an absolute path'),
    (f'[router]\nlisten = "unix:/{"a" * 120}"', "longer than a socket's 107 bytes"),
    ('[router]\npolicy = "best"', "router.policy = \"best\": not 'expected_completion', "),
    ("[router]\nseed = 1.5", "router.seed = 1.5: not a whole number"),
    ("[router]\ndefault_timeout_s = 0", "router.default_timeout_s = 0: not above 0"),
    ("[router]\nlimits = 3", "router.limits = 3: not a table"),
    ("[router.limits]\nmax_in_flight = -1", "router.limits.max_in_flight = -1: below 1; use at least 1"),
    ('[router.limits]\nevent_ring = "9"', 'router.limits.event_ring = "9": not a whole number'),
    ("[router.retry]\nbudget_ratio = nan", "router.retry.budget_ratio = NaN: not a finite number"),
    ("[router.outlier]\npanic_share = 2", "router.outlier.panic_share = 2: above 1"),
    ('[router]\ninstances = "a:1"', 'router.instances = "a:1": not a list'),
    ('[router]\ninstances = ["a:1", "b"]', 'router.instances[1] = "b": neither'),
    (
        "[router.weights]\nlatency=0\nqueue=0\nfit=0\nhealth=0\nfeedback=0",
        "all zero; give at least one term a weight",
    ),
    (TENANT + TENANT, 'router.tenants[1].name = "acme": used before; give each its own'),
    (
        f'{TENANT}key_env = "A"\nkey_file = "./a"',
        'router.tenants[0].key_file = "./a": beside key_env; keep one of them',
    ),
    (f'{TENANT}key_file = "a"', 'router.tenants[0].key_file = "a": not a path; write ./a'),
    (f'{TENANT}guard = "on"', "router.tenants[0].guard = \"on\": not 'inherit', 'off'"),
    ("[router.tenant_default]\nname = 1", "router.tenant_default.name = 1: no such key"),
    ("[router.tiers.shares]\nsimple = 0.7", 'router.tiers.shares = {"simple": 0.7}: 1.1 in sum; make simple, medium'),
    ("[router.tiers]\nwindow = 10", "router.tiers.window = 10: below 100"),
    (
        '[router.tiers]\nhead = "./c.safetensors"',
        'router.tiers.head = "./c.safetensors": no such file; correct the path',
    ),
    ('[router.guard]\nhead = "./g.safetensors"', 'router.guard.head = "./g.safetensors": no such file'),
    ('[router.guard]\nmode = "on"', "router.guard.mode = \"on\": not 'off', 'annotate' or 'block'"),
    (
        '[router.budget]\nstore = "ledger.db"',
        'router.budget.store = "ledger.db": neither a file nor a Redis or PostgreSQL address; write',
    ),
    (
        '[router.budget]\nstore = "sqlite:"',
        'router.budget.store = "sqlite:": a database without a path; write sqlite:/',
    ),
    (
        "[router.cache]\nshared = true",
        'router.cache.shared = true: without a Redis; write budget.store = "redis://host:port/0"',
    ),
    (
        '[router.budget]\nstore = "redis://"',
        'router.budget.store = "redis://": neither a file nor a Redis or PostgreSQL',
    ),
    ('[router.budget]\nstore = "redis://a:x/0"', 'router.budget.store = "redis://a:…": neither a file'),
    ('[router.budget]\nstore = "redis://a:1/b"', "a Redis address whose database is no number; write"),
    ('[router.budget]\nstore = "postgresql:///ledger"', "a PostgreSQL address without a good host; write"),
    ('[router.budget]\nstore = "postgres://a:1,b:x/ledger"', "a PostgreSQL address without a good host; write"),
    (
        '[router.budget]\nstore = "postgresql://a/b?sslmode=verify-full"',
        "asks for TLS, which is not spoken with PostgreSQL; use",
    ),
    ("[router.budget]\nmonthly_usd = -1", "router.budget.monthly_usd = -1: below 0"),
    (
        SOFT.format(0.5, "high", 0.5, "simple"),
        "router.budget.soft[1].at = 0.5: not above 0.5, which is before it; order",
    ),
    (SOFT.format(0.5, "high", 0.8, "premium"), 'soft[1].most = "premium": not below high, which is before it; name a'),
    ('[router.quality.brand]\nforbid = ["a", "("]', 'router.quality.brand.forbid[1] = "(": not a regular expression'),
    ('[router.quality.brand]\nrequire = ["(?=a)"]', 'brand.require[0] = "(?=a)": a pattern with (?=, which'),
    ('[router.quality]\nrelevance = "embed"\nmodel = "big"', 'quality.model = "big": no model of these workers'),
    ('[router.quality]\nmodel = "hash"', 'router.quality.model = "hash": not asked by this relevance; remove it'),
    (
        '[router.style]\nmodels = ["hash", "big"]',
        'router.style.models[1] = "big": no model of these workers; name one of',
    ),
    ("[router.cache.semantic]\nenabled = true", 'router.cache.semantic.model = "minilm": no model of these workers'),
    ('[router.policies]\nmodel = "big"', 'router.policies.model = "big": no model of these workers; name one of hash'),
    ('[router.policies]\nmodel = "hash"', 'policies.model = "hash": a model without documents; name one of'),
    ("[router.policies]\nthreshold = 0.9", "router.policies.model: missing, so the section does nothing; name a model"),
    ('[router.policies]\nmodel = "m"\n' + model("retrieve"), 'model = "m": documents without an encoder; give the'),
    ('[router.policies]\nnamespace = "a b"', 'router.policies.namespace = "a b": '),
    ("[router.cache]\nttl_s = 0", "router.cache.ttl_s = 0: not above 0"),
    (ROUTE, "router.routes[0].hops: missing; add it"),
    (f"{ROUTE}hops = []", "router.routes[0].hops = []: empty; name a model"),
    (f'{ROUTE}hops = [{{ model = "big" }}]', 'hops[0].model = "big": no model of these workers; name one of hash'),
    (f'{ROUTE}hops = [{{ model = "hash@old" }}]', 'hops[0].model = "hash@old": not a name'),
    (
        f'{ROUTE}hops = [{{ model = "hash" }}, {{ model = "hash" }}]',
        'router.routes[0].hops[1].when: missing: only the first hop has no condition; write when = ["error"]',
    ),
    (
        f'{ROUTE}hops = [{{ model = "hash", when = ["error"] }}]',
        'routes[0].hops[0].when = ["error"]: a condition for the first hop, where every call begins; remove it',
    ),
    (
        f'{ROUTE}hops = [{{ model = "hash" }}, {{ model = "hash", when = ["late"] }}]',
        "hops[1].when[0] = \"late\": not 'overloaded', 'unsure', 'complex'",
    ),
    (
        f'{ROUTE}hops = [{{ model = "hash" }}]\n' * 2,
        'router.routes[1].name = "default": used before for generate; give each its own',
    ),
    ("[router.rollout]\nalpha = 1", "router.rollout.alpha = 1: not below 1.0; use less than 1.0"),
    ("[[workers]]\nmodels = []", "workers[1].name: missing; add it"),
    ('[[workers]]\nname = "b"\nmodels = []', "workers[1].models = []: empty"),
    ('[[workers]]\nname = "b c"\nmodels = []', 'workers[1].name = "b c": not a name'),
    (WORKER, 'workers[1].name = "local": used before'),
    ('[[workers.models]]\nname = "hash"\nbackend = "hash"', 'workers[0].models[1].name = "hash": used before'),
    (
        '[[workers.models]]\nname = "m"\nbackend = "trt"',
        "workers[0].models[1].backend = \"trt\": not 'onnx', 'hash', 'llama'",
    ),
    ('[[workers.models]]\nname = "m"', "workers[0].models[1].source: missing"),
    ('source = "minilm"', 'workers[0].models[0].source = "minilm": not for the hash backend'),
    ('precision = "float32"', 'precision = "float32": not for the hash backend; remove it: it is for onnx'),
    ("max_tokens = 64", "models[0].max_tokens = 64: not for the hash backend"),
    ("generate = { slots = 2 }", "not for the hash backend; remove it: it is for llama, xllama, remote, template"),
    ("cost_per_1k_output_tokens_usd = 0.1", "models[0].cost_per_1k_output_tokens_usd = 0.1: not for the hash backend"),
    (model("onnx", 'source = "a"\ndimensions = 64'), "models[0].dimensions = 64: not for the onnx backend"),
    (model("remote"), "workers[1].models[0].remote: missing; add [workers.models.remote]"),
    (model("remote", f'source = "gpt"\n{REMOTE}'), 'models[0].source = "gpt": not for the remote backend'),
    (model("remote", f'heads = ["intent"]\n{REMOTE}'), 'heads = ["intent"]: not for the remote backend'),
    (model("template", REMOTE), "not for the template backend; remove it: it is for remote"),
    (model("remote", f'{REMOTE}\nkey_env = "K"\nkey_file = "k"'), 'key_file = "k": beside key_env; keep one of them'),
    (model("remote", '[workers.models.remote]\nbase_url = "gpt"'), "remote.model: missing"),
    (model("template", 'source = "reply.j2"'), 'source = "reply.j2": not a path; write ./reply.j2'),
    (model("remote", f'{REMOTE}\nkey_file = "key"'), 'remote.key_file = "key": not a path; write ./key'),
    (model("template", 'source = "./reply.j2"'), 'source = "./reply.j2": no such file or folder'),
    (model("llama"), "models[0].source: missing; name an entry of the catalogue, or a GGUF file"),
    (model("xllama"), "models[0].source: missing; name an entry of the catalogue, or a GGUF file"),
    (
        model("xllama", 'source = "a"\nllama = { weights = "q8_0" }'),
        'llama.weights = "q8_0": not for the xllama backend',
    ),
    (model("hash", "llama = { context = 99 }"), "not for the hash backend; remove it: it is for llama, xllama"),
    (
        model("llama", 'source = "a"\n[[workers.models]]\nname = "b"\nbackend = "hash"'),
        'workers[1].models[0].backend = "llama": not alone in its worker; give it one of its own',
    ),
    ("dimensions = 7", "workers[0].models[0].dimensions = 7: below 8"),
    ('heads = ["./none.safetensors"]', 'workers[0].models[0].heads[0] = "./none.safetensors": no such file'),
    (
        '[[workers]]\nname = "b"\nreplicas = 2\nlisten = "127.0.0.1:7"\nmodels = []',
        'workers[1].listen = "127.0.0.1:7": one address for several replicas',
    ),
    (
        '[[workers]]\nname = "b"\nlisten = "127.0.0.1:50051"\nmodels = []',
        'workers[1].listen = "127.0.0.1:50051": used before',
    ),
    ('[[workers]]\nname = "b"\nlisten = "127.0.0.1:0"\nmodels = []', "a port the router cannot know"),
    (
        '[[workers]]\nname = "b"\nmodels = []\nlimits = { max_texts = 9, queue_limit = 9 }',
        "workers[1].limits.queue_limit = 9: not above max_texts = 9",
    ),
    (f'{TENANT}role = "root"', "router.tenants[0].role = \"root\": not 'infer', 'operate' or 'admin'"),
    (f"{TENANT}max_in_flight = -1", "router.tenants[0].max_in_flight = -1: below 0"),
    (
        '[router]\nlisten = "0.0.0.0:50051"',
        'router.listen = "0.0.0.0:50051": plain text, for everybody who can reach it; add [router.tls], or',
    ),
    ('[router]\nlisten = "mesh.example.com:50051"', "plain text, for everybody who can reach it"),
    ('[router]\nlisten = "[::]:50051"', "plain text, for everybody who can reach it"),
    (
        '[[workers]]\nname = "b"\nlisten = "10.0.0.7:7"\nmodels = []',
        'workers[1].listen = "10.0.0.7:7": plain text, for everybody who can reach it; add [workers[1].tls]',
    ),
    (
        '[[workers]]\nname = "b"\nlisten = "10.0.0.7:7"\nmodels = []\ntls = { cert = "c", key = "k" }',
        "workers[1].tls.client_ca: missing: anybody could call this worker, and be believed; name the authority",
    ),
    (
        '[[workers]]\nname = "b"\nlisten = "127.0.0.1:7"\nmodels = []\ntls = { cert = "c", key = "k" }',
        "router.worker_tls: missing, where workers[1] has tls; add [router.worker_tls]",
    ),
    (
        '[[workers]]\nname = "b"\nlisten = "127.0.0.1:7"\nmodels = []\n[router.worker_tls]',
        "workers[1].tls: missing, where the router calls by router.worker_tls; add it",
    ),
    (
        '[[workers]]\nname = "b"\nlisten = "127.0.0.1:7"\nmodels = []\ntls = { cert = "c", key = "k", client_ca = "a" }'
        '\n[router.worker_tls]\nca = "a"',
        "router.worker_tls.cert: missing, where workers[1] wants a certificate of its router; name its file",
    ),
    ("[router.worker_tls]", "router.worker_tls.ca: missing; add it"),
    ('[router.worker_tls]\ncert = "c"', "router.worker_tls.key: missing, where there is a cert; name its file"),
    ('[router.worker_tls]\nkey = "k"', "router.worker_tls.cert: missing, where there is a key; name its file"),
    ('[router.tls]\ncert = "c.pem"', "router.tls.key: missing; add it"),
    ('[router.tls]\ncert = "c.pem"\nkey = "k.pem"', 'router.tls.cert = "c.pem": no such file; correct the path'),
    ('[router.tls]\ncert = "c.pem"\nkey = "k.pem"', 'router.tls.key = "k.pem": no such file; correct the path'),
    ('[router.worker_tls]\nca = "ca.pem"', 'router.worker_tls.ca = "ca.pem": no such file; correct the path'),
    (
        '[router.tls]\ncert = "c"\nkey = "k"\nclient_names = ["r"]',
        'router.tls.client_names = ["r"]: not looked at without client_ca; name the authority',
    ),
    (
        '[router]\nlisten = "unix:/run/a"\n[router.tls]\ncert = "c"\nkey = "k"',
        "not for a Unix socket, which other machines cannot reach; remove it, or listen at host:port",
    ),
    (f'[router.auth]\noperator_socket = "/{"a" * 120}"', "longer than a socket's 107 bytes"),
    ("[router.audit]\nkeep = 0", "router.audit.keep = 0: below 1"),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS, ids=[expected[:40] for _, expected in PROBLEMS])
def test_problems_name_key_value_and_fix(tmp_path: Path, text: str, expected: str) -> None:
    """Each addition to a good file makes (at least) the problem it should."""
    nested = not text.startswith("[") or text.startswith("[[workers.models]]")
    found = problems(tmp_path, WORKER + text if nested else text_first(text))
    assert any(expected in problem for problem in found), found


def text_first(text: str) -> str:
    """A table of the router goes before the worker, another worker after it."""
    return WORKER + text if text.lstrip().startswith("[[workers]]") else text + "\n" + WORKER


def test_five_problems_are_all_reported_at_once(tmp_path: Path) -> None:
    """Those of single fields together with those between fields."""
    text = """
    [router]
    listen = "nowhere"
    policy = "best"
    [router.limits]
    max_in_flight = 0
    [[workers]]
    name = "a"
    [[workers.models]]
    name = "m"
    backend = "hash"
    [[workers]]
    name = "a"
    replicas = "two"
    [[workers.models]]
    name = "m"
    backend = "hash"
    """
    keys = [problem.split(" = ")[0] for problem in problems(tmp_path, text)]
    assert sorted(keys) == [
        "router.limits.max_in_flight",
        "router.listen",
        "router.policy",
        "workers[1].name",
        "workers[1].replicas",
    ]


def test_a_mesh_that_would_serve_nothing_is_a_problem(tmp_path: Path) -> None:
    """Neither workers nor instances elsewhere."""
    assert problems(tmp_path, "[router]") == [
        "workers: missing, and router.instances too; add [[workers]] or router.instances"
    ]
    elsewhere = config.load(written(tmp_path, '[router]\ninstances = ["10.0.0.1:50061"]'))
    assert elsewhere.router.instances == ("10.0.0.1:50061",)


@pytest.mark.parametrize(("text", "expected"), [("[router", "not valid toml"), (None, "No such file")])
def test_a_file_that_cannot_be_read_is_a_problem_too(tmp_path: Path, text: str | None, expected: str) -> None:
    """Broken TOML with its place, a missing file with its name."""
    path = tmp_path / "waypost.toml"
    if text:
        path.write_text(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        config.load(path)
    assert str(path) in str(caught.value)


TLS = """
[router]
listen = "0.0.0.0:50051"
tls = { cert = "server.pem", key = "keys/server.key", client_ca = "ca.pem", client_names = ["gateway"] }
worker_tls = { ca = "ca.pem", cert = "server.pem", key = "keys/server.key" }
[[workers]]
name = "b"
listen = "0.0.0.0:50061"
tls = { cert = "server.pem", key = "keys/server.key", client_ca = "ca.pem" }
models = [{ name = "b", backend = "hash" }]
"""


def test_certificates_are_found_beside_the_file(tmp_path: Path) -> None:
    """Whether or not their names have a slash; with them other machines may call."""
    (tmp_path / "keys").mkdir()
    for name in ("server.pem", "keys/server.key", "ca.pem"):
        (tmp_path / name).touch()
    loaded = config.load(written(tmp_path, TLS))
    assert loaded.router.tls
    assert loaded.router.tls.key == str(tmp_path / "keys/server.key")
    assert loaded.workers[0].tls


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1", "unix:/run/a"])
def test_the_machine_s_own_addresses_need_no_tls(tmp_path: Path, listen: str) -> None:
    """Nobody is on the way."""
    assert config.load(written(tmp_path, f'[router]\nlisten = "{listen}"\n' + WORKER)).router.listen == listen


def test_plain_text_for_other_machines_must_be_wanted(tmp_path: Path) -> None:
    """In the file, or by the command line, whose address is checked as the file's is."""
    own = WORKER.replace('"local"', '"local"\nlisten = "0.0.0.0:2"\ninsecure = true')
    wanted = config.load(written(tmp_path, '[router]\nlisten = "0.0.0.0:1"\ninsecure = true\n' + own))
    assert (wanted.router.insecure, wanted.workers[0].insecure) == (True, True)
    path = written(tmp_path, own.replace("insecure = true", ""))
    with pytest.raises(ConfigError, match="2 problems"):
        config.load(path, listen="0.0.0.0:1")
    loaded = config.load(path, listen="0.0.0.0:1", insecure=True)
    assert (loaded.router.listen, loaded.workers[0].insecure) == ("0.0.0.0:1", True)
    with pytest.raises(ConfigError, match='neither "host:port"'):
        config.load(path, listen="nowhere", insecure=True)


def test_a_worker_s_address_of_the_command_line_is_checked_too(tmp_path: Path) -> None:
    """Where it listens for other machines it must know its router."""
    (worker,) = config.load(written(tmp_path, WORKER)).workers
    config.check_listener(worker, "unix:/run/a")
    with pytest.raises(ConfigError, match=r'worker local.listen = "0.0.0.0:1": plain text'):
        config.check_listener(worker, "0.0.0.0:1")
    config.check_listener(worker.model_copy(update={"insecure": True}), "0.0.0.0:1")


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f'[router.budget]\nstore = "redis://:{SECRET}@10.0.0.1:6379/none"',
        f'[router.budget]\nstore = "redis://user:{SECRET}/@10.0.0.1:x/0"',
        f'[router.budget]\nstore = "redis://:{SECRET}"',
        f'[router.budget]\nstore = "redis:{SECRET}@10.0.0.1"',
        f'[router.budget]\nstore = "rediss://10.0.0.1/0?password={SECRET}"',
        f'[router.budget]\nstore = "postgresql://user:{SECRET}@10.0.0.1:x/ledger"',
        f'[router.budget]\nstore = "postgresql://10.0.0.1/ledger?sslmode=require&password={SECRET}"',
        f'[router.budget]\nstor = "redis://:{SECRET}@10.0.0.1/0"',
        f'[router.bugdet]\nstore = "redis://:{SECRET}@10.0.0.1/0"',
        f'{TENANT}key = "{SECRET}"',
        f'[[router.tenant]]\nname = "acme"\nkey = "{SECRET}"',
        f'[router.auth]\ntokens = []\ntoken = "{SECRET}"',
        f'[router.tls]\ncert = "c"\nkey = "-----BEGIN PRIVATE KEY-----{SECRET}"',
        model("remote", f'{REMOTE}\napi_key = "{SECRET}"'),
        model("remote", f'[workers.models.remote]\nmodel = "m"\nbase_url = "ftp://me:{SECRET}@host"'),
    ],
)
def test_problems_do_not_tell_secrets(tmp_path: Path, text: str) -> None:
    """Neither where one belongs, in an address that is wrong, nor where it stands by mistake."""
    found = problems(tmp_path, text_first(text))
    assert SECRET not in "".join(found), found


def test_what_is_no_secret_is_shown(tmp_path: Path) -> None:
    """The place of a wrong address, without the login before it."""
    (found,) = problems(tmp_path, text_first('[router.budget]\nstore = "redis://:pw@10.0.0.1:6379/none"'))
    assert found.startswith('router.budget.store = "redis://…@10.0.0.1:6379/none": a Redis address whose database')


def test_every_shape_of_nonsense_is_answered_with_problems(tmp_path: Path) -> None:
    """The checks between fields survive values of any type in any place."""
    nonsense: list[Any] = [1, "x", [], {}, [1], [[]], {"x": 1}, True]
    keys = ["router", "workers", "name", "models", "listen", "heads", "weights", "source", "replicas"]
    keys += ["tls", "worker_tls", "auth", "audit", "insecure", "cert", "client_names"]
    keys += ["tenants", "tiers", "guard", "budget", "quality", "style", "cache", "routes", "hops", "soft", "shares"]
    for value in nonsense:
        for key in keys:
            inside = {
                "tls": {key: value},
                "worker_tls": {key: value},
                "tiers": {key: value},
                "budget": {"soft": [{key: value}]},
                "routes": [{"hops": [{key: value}]}],
            }
            for raw in (
                {key: value},
                {"router": {key: value}},
                {"router": inside | {"tenants": [{key: value}]}},
                {"workers": [{key: value, "models": [{key: value}]}]},
            ):
                with pytest.raises(ConfigError):
                    config.check(raw, base=tmp_path, origin="test")
