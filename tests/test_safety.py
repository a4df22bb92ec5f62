"""What may never happen: code that comes with data runs, a name reaches a shell, a server listens to strangers."""

import ast
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import torch
from builders import text_dataset
from ruamel.yaml import YAML
from test_bad_bundles import bundles, copied  # noqa: F401
from test_params import GOOD

from unroll.cli.ui import server_environment
from unroll.errors import UserError
from unroll.images import read_features
from unroll.kinds import load_model
from unroll.references import NAME
from unroll.text.encoded import EncodedDataset
from unroll.text.sources.files.readers import records
from unroll.training.checkpoints import Checkpoints

ROOT = Path(__file__).parent.parent
CODE = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "pipeline").glob("*.py"), *(ROOT / "docs").glob("*.py")])

# Modules that make objects of bytes, or run what they are given; and functions of others that do.
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml", "pty", "code"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    "system", "popen", "execv", "spawnv", "read_pickle", "to_pickle", "extractall", "unpack_archive", "run_path",
    "run_module", "unsafe_load", "full_load", "load_module",
}  # fmt: skip
# Keywords, and the only value that they may have.
KEYWORDS = {
    "weights_only": True,
    "allow_pickle": False,
    "trust_remote_code": False,
    "shell": False,
    "verify": True,
}
MUST_STATE = {"torch.load": "weights_only"}


def unsafe(path: Path) -> list[str]:
    """What in a file of ours may make code of data."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{where}: imports {name}" for name in names if name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in BUILTINS or name.rpartition(".")[2] in METHODS or name.startswith(("torch.jit.", "torch.hub.")):
                found.append(f"{where}: calls {name}")
            stated = {keyword.arg: keyword.value for keyword in node.keywords}
            if name in MUST_STATE and MUST_STATE[name] not in stated:
                found.append(f"{where}: {name} without {MUST_STATE[name]}")
            for key in KEYWORDS.keys() & stated.keys():
                if ast.unparse(stated[key]) != str(KEYWORDS[key]):
                    found.append(f"{where}: {key}={ast.unparse(stated[key])}")
            if name.endswith("YAML") and "typ" in stated and ast.unparse(stated["typ"]) != "'safe'":
                found.append(f"{where}: {ast.unparse(node)}")
        elif isinstance(node, ast.Constant) and node.value == "0.0.0.0":
            found.append(f"{where}: listens to every address")
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_in_the_code_runs_what_it_reads(path):
    assert not unsafe(path)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import yaml",
        "import torch\ntorch.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "np.load(f, allow_pickle=True)",
        "YAML(typ='unsafe').load(f)",
        "load_dataset(x, trust_remote_code=True)",
        "subprocess.run(x, shell=True)",
        "requests.get(x, verify=False)",
        "tar.extractall(x)",
        "pd.read_pickle(x)",
        "eval(x)",
        "os.system(x)",
        "serve(host='0.0.0.0')",
    ],
)
def test_the_check_finds_each_of_these(tmp_path, code):
    (tmp_path / "x.py").write_text(code)
    assert unsafe(tmp_path / "x.py")


class Trap:
    """What, unpickled, makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def trap(tmp_path: Path):
    """A pickle that leaves a trace; none is there in the end."""
    trace = tmp_path / "trace"
    yield pickle.dumps(Trap(trace))
    assert not trace.exists()


def test_the_trap_would_work(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


def test_a_pickle_in_place_of_weights(tmp_path, bundles, trap):  # noqa: F811
    folder = copied(bundles["char"], tmp_path / "bundle")
    (folder / "weights.safetensors").write_bytes(trap)
    with pytest.raises(UserError, match=r"weights\.safetensors: "):
        load_model(folder, torch.device("cpu"))


@pytest.mark.parametrize("name", ["text", "text.offsets", "text.lengths"])
def test_a_pickle_in_place_of_encoded_text(tmp_path, trap, name):
    text_dataset(tmp_path, ["abcd", "dcba"], {"unit": "char"})
    (tmp_path / "encoded" / "SHA256SUMS").unlink(missing_ok=True)
    for content in (trap, object_array(tmp_path / "trace")):
        (tmp_path / "encoded" / "train" / f"{name}.npy").write_bytes(content)
        with pytest.raises(UserError, match=rf"train/{name}\.npy: "):
            EncodedDataset.open(tmp_path / "encoded")


def object_array(trace: Path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Trap(trace)], dtype=object), allow_pickle=True)
    return file.getvalue()


def test_a_pickle_in_place_of_features(tmp_path, trap):
    for content in (trap, object_array(tmp_path / "trace")):
        with pytest.raises(UserError, match=r"^x\.npy: "):
            read_features(content, "x.npy")


def test_a_pickle_in_place_of_a_checkpoint(tmp_path, trap):
    """Its bytes are those that its name states, so that they are read: as weights alone."""
    import hashlib

    trapped = io.BytesIO()
    torch.save({"weights": Trap(tmp_path / "trace")}, trapped)
    for content in (trap, trapped.getvalue()):
        folder = tmp_path / hashlib.sha256(content).hexdigest()
        folder.mkdir()
        (folder / f"0000000001.{folder.name[:16]}.pt").write_bytes(content)
        with pytest.raises(Exception, match=r"(?i)weights_only|unpickl|damaged"):
            assert Checkpoints(folder).load(torch.device("cpu")) is not None, "damaged"


def test_a_pickle_in_the_schema_of_a_parquet_file(tmp_path, trap):
    """The way of CVE-2023-47248: a type that is said to be of Python."""
    field = pa.field(
        "text",
        pa.string(),
        metadata={"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": trap},
    )
    pq.write_table(pa.table({"text": ["a"]}, schema=pa.schema([field])), tmp_path / "x.parquet")
    try:
        assert list(records(tmp_path / "x.parquet", "parquet", {"text": "text"})) == [("a",)]
    except UserError as error:
        assert "x.parquet" in str(error)


NAMES = ["$(touch x)", "`touch x`", "a;touch x", "a|touch x", "a&touch x", "a>x", "--help", "-x", "a b", "a\ntouch x",
         "'", '"', "../x", "a/b", "a@b", "a.b", "${HOME}", "*", "~", "é", ""]  # fmt: skip


def stated(section: str, name: str) -> dict[str, Any]:
    """Params with an entry of that name, and what names it."""
    params: dict[str, Any] = YAML(typ="safe").load(as_yaml(GOOD))
    old = next(iter(params[section]))
    params[section][name] = params[section].pop(old)
    for entry in [*params["datasets"].values(), *params["runs"].values()]:
        for key in ("corpus", "dataset", "init"):
            if entry.get(key) == old:
                entry[key] = name
    return params


def as_yaml(data: Any) -> str:
    text = io.StringIO()
    YAML(typ="safe").dump(data, text)
    return text.getvalue()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the project's dvc.yaml; `unroll` there gives the exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "pipeline", "src", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)
    before = {path.name for path in tmp_path.iterdir()} | {"params.yaml"}

    def unroll(*arguments: str) -> tuple[int, str]:
        call = [sys.executable, "-c", "from unroll.cli import main; main()", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(call, env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    yield unroll
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("section", ["corpora", "datasets", "runs"])
@pytest.mark.parametrize("name", NAMES)
def test_no_such_name_is_taken(tmp_path, section, name):
    from unroll.params import load

    assert not NAME.fullmatch(name)
    (tmp_path / "params.yaml").write_text(as_yaml(stated(section, name)))
    with pytest.raises(UserError) as caught:
        load(tmp_path / "params.yaml")
    assert any(f"params.yaml: {section}." in line for line in caught.value.problems)
    assert any("a name may have letters, digits, - and _" in line for line in caught.value.problems)


def test_repro_and_check_refuse_names_before_dvc_sees_them(project):
    """DVC puts names into the command lines that it gives to a shell."""
    Path("params.yaml").write_text(as_yaml(stated("runs", "$(touch x)")))
    for command in (["check"], ["repro"], ["repro", "--jobs", "2"], ["runs"]):
        code, error = project(*command)
        assert code == 2
        assert "runs.$(touch x): a name may have letters" in error


def test_every_name_that_is_taken_is_a_word_of_a_shell():
    import shlex

    for name in ("a", "A-b_9", "x" * 100):
        assert NAME.fullmatch(name) and shlex.quote(name) == name
    assert not NAME.fullmatch("a" * 101)


def test_what_dvc_interpolates_into_commands_is_a_name_alone():
    """Keys, and values that must be keys of another section or one of a few words: what else is text stays in files."""
    import re

    allowed = {"key", "item.corpus", "item.dataset", "item.init"}
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        command = stage.get("do", stage)["cmd"]
        assert set(re.findall(r"\$\{([^}]*)\}", command)) <= allowed


# Servers


def test_mlflow_answers_to_this_machine_alone(monkeypatch):
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "*")
    monkeypatch.setenv("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true")
    found = server_environment(5007)
    assert found["MLFLOW_SERVER_ALLOWED_HOSTS"] == "127.0.0.1:5007,localhost:5007"
    assert found["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:5007,http://localhost:5007"
    assert found["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] == "false"


@pytest.mark.slow
def test_the_ui_refuses_requests_for_other_hosts(tmp_path):
    """As a page of somebody else would make them, whose name is made to lead to this machine (DNS rebinding)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DVC_ROOT": str(tmp_path)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    call = [sys.executable, "-c", "from unroll.cli import main; main()", "ui", "--port", "5987"]
    with subprocess.Popen(call, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            next(line for line in server.stdout if "http://127.0.0.1:5987" in line)
            place = "http://127.0.0.1:5987/api/2.0/mlflow/experiments/search?max_results=1"
            status = {
                host: requests.get(place, headers={"Host": host}, timeout=30).status_code
                for host in ("127.0.0.1:5987", "localhost:5987", "evil.example", "10.evil.example:5987", "localhost:80")
            }
            family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
            listening = {c.laddr.ip for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
        finally:
            server.terminate()
    assert [status["127.0.0.1:5987"], status["localhost:5987"]] == [200, 200]
    assert [status[host] for host in ("evil.example", "10.evil.example:5987", "localhost:80")] == [403] * 3
    assert listening == {"127.0.0.1"}


def test_every_documented_server_listens_to_this_machine_alone():
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for line in path.read_text().splitlines():
            if line.startswith(("mlflow models serve", "mlflow ui", "mlflow server")):
                assert "-h 127.0.0.1" in line or "--host 127.0.0.1" in line, f"{path.name}: {line}"
