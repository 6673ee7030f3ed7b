"""Doctor's findings on mismatches between Jupyter servers, the extension and kernels."""

import json
import subprocess
import sys

import pytest

from codeintel_nb import __version__
from codeintel_nb.diagnostics.jupyter import examine_jupyter, extension_finding, kernel_finding
from tests.conftest import write_tree


@pytest.fixture
def look(tmp_path, monkeypatch):
    """Return a function: findings by subject, with isolated configuration, servers and kernels."""
    for name in ("CONFIG", "RUNTIME", "DATA"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))

    def look(runtime=None):
        if runtime is not None:
            monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
        return {finding.subject: finding for finding in examine_jupyter()}

    return look


def kernelspec(tmp_path, name, python):
    folder = tmp_path / "data" / "kernels" / name
    folder.mkdir(parents=True)
    spec = {
        "argv": [str(python), "-m", "ipykernel", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
    }
    (folder / "kernel.json").write_text(json.dumps(spec))


def test_working_setup_has_no_problems(look, server):
    found = look(server.runtime)
    assert {finding.level for finding in found.values()} == {"ok"}
    assert f"server http://127.0.0.1:{server.port}{server.base_url}" in found
    assert "kernel python3" in found


@pytest.mark.slow
def test_disabled_extension_is_an_error(look, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")  # as outside a virtual environment
    write_tree(
        tmp_path / "config" / "jupyter_server_config.d",
        {"jupyter_ext.json": '{"ServerApp": {"jpserver_extensions": {"jupyter_ext": false}}}'},
    )
    finding = look()["jupyter extension"]
    assert finding.level == "error"
    command = finding.said.partition("Run: ")[2].partition(" and restart")[0]
    assert command == "jupyter server extension enable jupyter_ext --user"
    subprocess.run([sys.executable, "-m", *command.split()], check=True, capture_output=True)
    assert look()["jupyter extension"].level == "ok", "the suggested command fixes it"


def test_extension_disabled_by_hand_names_the_file(look, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "jupyter_server_config.json"
    file.write_text('{"ServerApp": {"jpserver_extensions": {"jupyter_ext": false}}}')
    assert "Remove jupyter_ext from that file" in look()["jupyter extension"].said
    assert str(file) in look()["jupyter extension"].said


def test_extension_without_configuration_suggests_enabling_it():
    assert (
        "jupyter server extension enable jupyter_ext --sys-prefix"
        in extension_finding(None, "2.0").said
    )


@pytest.mark.slow
def test_server_running_without_the_extension_is_an_error(look, make_server):
    without = make_server("--ServerApp.jpserver_extensions=jupyter_ext=False")
    finding = look(without.runtime)[f"server http://127.0.0.1:{without.port}{without.base_url}"]
    assert finding.level == "error"
    assert "Restart the server" in finding.said


def test_kernel_without_its_interpreter_suggests_removal(look, tmp_path):
    kernelspec(tmp_path, "gone", tmp_path / "no" / "python")
    finding = look()["kernel gone"]
    assert "jupyter kernelspec remove gone" in finding.said


def test_kernel_in_an_empty_environment_suggests_ipykernel(look, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True
    )
    python = tmp_path / "env" / "bin" / "python"
    kernelspec(tmp_path, "empty", python)
    assert f"{python} -m pip install ipykernel" in look()["kernel empty"].said


@pytest.mark.parametrize(
    ("version", "missing", "ipykernel", "level", "said"),
    [
        (__version__, [], True, "ok", __version__),
        ("", [], True, "warning", "/env/python -m pip install codeintel-nb"),
        ("0.0.9", [], True, "warning", f"/env/python -m pip install codeintel-nb=={__version__}"),
        (
            __version__,
            ["duckdb"],
            True,
            "warning",
            "only through the Jupyter server, as its environment lacks duckdb",
        ),
        ("", ["duckdb"], False, "error", "/env/python -m pip install ipykernel"),
    ],
)
def test_kernel_finding_suggests_the_right_command(version, missing, ipykernel, level, said):
    finding = kernel_finding("kernel x", "/env/python", version, missing, ipykernel)
    assert finding.level == level
    assert said in finding.said
