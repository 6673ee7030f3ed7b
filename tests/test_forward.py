"""Search commands answered by ``codeintel watch`` or a server, and by themselves otherwise."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeintel_nb import exchange
from codeintel_nb.cli import forward
from codeintel_nb.exchange import Address, Channel, ExchangeError, read_address, write_address
from codeintel_nb.operations.table import OPERATIONS
from codeintel_nb.server.listener import MAX_COMMANDS, Listener
from tests.test_hardening import ENVIRONMENT, run_cli
from tests.waiting import until

COMMANDS = [
    ("grep", "cart"),
    ("grep", "--regex", r"def \w+", "--json"),
    ("grep", "no_such_text"),
    ("grep", "no_such_text", "--json"),
    ("grep", "-w", "Cart", "--lang", "python", "--include", "src/**", "--limit", "2"),
    ("search", "charge", "a", "credit", "card", "--limit", "3"),
    ("search", "--why", "total price"),
    ("symbols", "*cart*"),
    ("paths",),
    ("paths", "--json", "--lang", "css"),
]
OTHERS = [
    # wrong: the command says so itself
    ("grep", "--regex", "("),
    ("grep", "--repo", "nothing", "x"),
    ("grep", "--limit", "few", "x"),
    ("grep", "--nope", "x"),
    ("grep",),
    ("grep", "--help"),
    ("sql", "select count(*) from files"),
    ("status",),
]


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Allow a busy machine more time to greet."""
    monkeypatch.setattr("codeintel_nb.exchange.GREETING_S", 20.0)
    monkeypatch.setattr("codeintel_nb.server.listener.GREETING_S", 20.0)


@pytest.fixture
def home(shop):
    return str(shop.settings.home)


@pytest.fixture
def watching(home):
    """Run ``codeintel watch``, and return its process."""
    command = [sys.executable, "-m", "codeintel_nb.cli", "watch", "--home", home]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **ENVIRONMENT})

    def listens():
        assert process.poll() is None, process.stderr.read()
        return read_address(home)

    until(listens)
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(20)
    process.stderr.close()


@pytest.fixture
def listener(shop):
    """Answer the commands of a workspace in this process."""
    made = Listener(shop)
    made.start()
    yield made
    made.close()


def without_times(outcome):
    code, out, error = outcome
    pattern = r"\d+ ms|[\d.]+ s ago|\"\w+\": ?[\d.]+(?=[,}])"
    return code, *(re.sub(pattern, "", text) for text in (out, error))


def asked(home, *arguments):
    """Return the answer of the listening process, which may be busy for a moment."""
    return until(lambda: forward._asked(read_address(home), arguments))


def test_answers_are_those_of_the_command_itself(listener, home):
    for command in COMMANDS:
        code, out, error = run_cli(home, *command, environment={"CODEINTEL_LOCAL": "1"})
        answer = asked(home, *command)
        texts = [f"{text}\n" if text else "" for text in (answer.out, answer.error)]
        assert without_times((answer.code, *texts)) == without_times((code, out, error)), command


def test_other_commands_run_themselves(listener, home):
    for command in OTHERS:
        assert forward._asked(read_address(home), command) is None, command
    assert asked(home, "paths"), "it answers the searches"


def test_command_prints_the_answer_it_gets(watching, home):
    for command in (COMMANDS[0], COMMANDS[2]):
        there = run_cli(home, *command)
        here = run_cli(home, *command, environment={"CODEINTEL_LOCAL": "1"})
        assert without_times(there) == without_times(here), command
    code, out, error = run_cli(home, "grep", "--regex", "(")
    assert (code, out) == (2, "")
    assert "unclosed group" in error


def test_saved_file_is_found_at_once(watching, home, tree):
    for number in range(3):
        (tree / "new.py").write_text(f"def saved_{number}(): ...\n")
        answer = asked(home, "grep", f"saved_{number}")
        assert answer.code == 0
        assert "new.py:1" in answer.out


def test_watch_leaves_no_address(watching, home):
    path = os.path.join(home, exchange.FILE)
    assert os.stat(path).st_mode & 0o777 == 0o600
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 0
    assert not os.path.exists(path)


def test_killed_process_is_missed_by_no_command(watching, home):
    watching.kill()
    watching.wait()
    code, out, _ = run_cli(home, "grep", "charge_card")
    assert (code, "payment.py" in out) == (0, True)


def test_listener_takes_the_place_of_one_that_ended(shop, home, monkeypatch):
    monkeypatch.setattr("codeintel_nb.server.listener.CHECK_S", 0.1)
    first, second = Listener(shop), Listener(shop)
    first.start()
    second.start()
    second.close()
    until(lambda: read_address(home))
    assert asked(home, "paths")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write_address(home, read_address(home)._replace(pid=child.pid, port=1))  # it was killed
    until(lambda: read_address(home).port != 1)
    assert asked(home, "paths")
    first.close()
    assert read_address(home) is None


def test_slow_handshakes_end_in_time(listener, home, monkeypatch):
    """Whoever does not know the key holds no place for long, whatever it sends."""
    monkeypatch.setattr("codeintel_nb.exchange.GREETING_S", 0.5)
    port = read_address(home).port
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(MAX_COMMANDS)]
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        for connection in slow:
            try:
                connection.send(b"x")
            except OSError:
                pass
        time.sleep(0.5)
    monkeypatch.setattr("codeintel_nb.exchange.GREETING_S", 20.0)
    assert asked(home, "paths")
    for connection in slow:
        connection.close()


def test_address_holds_no_secret_and_a_new_home_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Authorization: Basic secret")
    home = tmp_path / "new" / "home"
    address = Address.of_this_process(1)
    write_address(str(home), address)
    assert "secret" not in (home / exchange.FILE).read_text()
    assert home.stat().st_mode & 0o777 == 0o700
    assert address.serves()
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "other")
    assert not address.serves()
    monkeypatch.undo()
    monkeypatch.setenv("GIT_EDITOR", "vim")
    address = Address.of_this_process(1)
    monkeypatch.setenv("GIT_EDITOR", "nano")
    assert address.serves(), "it decides no search"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["grep", "x"], "/a"),
        (["grep", "--home", "/b", "x"], "/b"),
        (["grep", "--home=/b", "x", "--home", "/c"], "/c"),
        (["grep", "--home", "", "x"], "/a"),
        (["grep", "--home=", "x"], "/a"),
        (["grep", "--", "--home", "/b"], "/a"),
        (["grep", "--home"], "/a"),
    ],
)
def test_home_of_the_arguments(arguments, expected, monkeypatch):
    monkeypatch.setenv("CODEINTEL_HOME", "/a")
    assert forward._home(arguments) == expected


def test_another_environment_is_answered_here(listener, home):
    assert asked(home, "paths")
    address = read_address(home)
    assert address.serves()
    for changed in (
        address._replace(environment="another"),
        address._replace(version="0.0.1"),
        address._replace(host="elsewhere"),
    ):
        assert not changed.serves()


def test_empty_index_is_answered_by_the_command(make_workspace, tmp_path):
    """The current folder is searched then, which the other process does not know."""
    made = Listener(make_workspace(tmp_path / "none"))
    made.start()
    assert forward._asked(read_address(str(tmp_path / "none")), ["grep", "x"]) is None
    made.close()


def test_nothing_is_told_to_a_process_without_the_key(shop, home):
    told = bytearray()
    impostor = socket.create_server(("127.0.0.1", 0))

    def pretend():
        connection, _ = impostor.accept()
        with connection:
            connection.settimeout(5)
            connection.sendall(secrets.token_bytes(64))
            while part := connection.recv(1 << 16):
                told.extend(part)

    thread = threading.Thread(target=pretend)
    thread.start()
    write_address(home, Address.of_this_process(impostor.getsockname()[1]))
    code, out, error = run_cli(home, "grep", "charge_card")
    thread.join()
    impostor.close()
    assert (code, error) == (0, "")
    assert "payment.py" in out
    assert len(told) == 32, "a nonce, and no query"


def test_command_without_the_key_learns_nothing(listener, home):
    address = read_address(home)
    with pytest.raises((ExchangeError, OSError)):
        Channel.to(address._replace(key=b"another key"))
    # the other way round: the server's proof is accepted unseen
    with socket.create_connection(("127.0.0.1", address.port)) as connection:
        connection.settimeout(5)
        connection.sendall(bytes(32))
        assert len(connection.recv(64)) == 64
        connection.sendall(bytes(32) + (2).to_bytes(8, "little") + bytes(32) + b"[]")
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass
    assert asked(home, "paths")


@given(st.binary(max_size=400))
@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_noise_does_not_disturb(listener, home, noise):
    with socket.create_connection(("127.0.0.1", read_address(home).port)) as connection:
        connection.sendall(noise)
    assert asked(home, "paths").code == 0


@pytest.mark.parametrize("message", [b"", b"{", b"7", b'{"a": 1}', b"[1, 2]", b'["grep"]', b"[]"])
def test_malformed_request_gets_no_answer(listener, home, message):
    channel = Channel.to(read_address(home))
    channel.send(b"ask", message)
    try:
        assert json.loads(channel.receive(b"answer", 5)) is None
    except (ExchangeError, ConnectionError):
        pass
    channel.close()
    assert asked(home, "paths").code == 0


def test_message_is_bound_to_its_connection(listener, home):
    address = read_address(home)
    one, other = Channel.to(address), Channel.to(address)
    one._session = other._session
    one.send(b"ask", b'["paths"]')
    with pytest.raises((ExchangeError, ConnectionError)):
        one.receive(b"answer", 5)
    one.close()
    other.close()


def test_command_that_goes_away_cancels_its_search(listener, home):
    cancelled = threading.Event()

    class Slow:
        def ask(self, request, cancel):
            cancelled.clear()
            if cancel.wait(20):
                cancelled.set()

    listener._client = Slow()
    channel = Channel.to(read_address(home))
    channel.send(b"ask", b'["grep", "x"]')
    time.sleep(0.3)
    channel.close()
    assert cancelled.wait(10)


def test_many_commands_are_answered_together(listener, home):
    answers = []

    def ask():
        answers.append(asked(home, "grep", "charge_card"))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # beyond the limit, commands search themselves
    assert {answer.code for answer in answers if answer is not None} == {0}
    assert asked(home, "paths").code == 0


def test_later_process_takes_over(shop, home):
    first, second = Listener(shop), Listener(shop)
    first.start()
    second.start()
    first.close()
    assert asked(home, "paths"), "the first removes only its own address"
    second.close()
    assert read_address(home) is None


def test_commands_are_the_searches():
    assert {one.command for one in OPERATIONS if one.command} - {"sql"} == forward.COMMANDS


def test_server_answers_commands(shop, home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "codeintel_nb.cli", "serve", "--home", home, "--no-token"]
    server = subprocess.Popen(
        [*command, "--port", str(port)],
        env={**os.environ, **ENVIRONMENT},
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: read_address(home) or server.poll() is not None)
        assert server.poll() is None
        assert "payment.py" in asked(home, "grep", "charge_card").out
    finally:
        server.terminate()
        server.wait(20)
    assert read_address(home) is None


def test_damaged_address_is_ignored(shop, home):
    os.makedirs(os.path.join(home, "v1"), exist_ok=True)
    for content in (b"", b"[]", b"{}", b'{"key": 1}', b'{"port": "x", "key": "00"}'):
        with open(os.path.join(home, exchange.FILE), "wb") as file:
            file.write(content)
        assert run_cli(home, "grep", "charge_card")[0] == 0
