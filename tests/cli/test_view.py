"""`onnxray view`: Netron in a real browser, on this machine only."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import tiny_models
from onnxray.cli.options import ModelFile
from onnxray.cli.verbs.view import serve
from onnxray.cli.viewer.netron_server import NetronServer
from tiny_tflite import quantised

Cli = Callable[..., tuple[int, str, str]]


def _get(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.txt").write_text("outside")
    (tmp_path / "model" / "beside.txt").write_text("inside")
    (tmp_path / "model" / "link.txt").symlink_to(tmp_path / "secret.txt")
    with serve(ModelFile(tiny_models.save(tmp_path / "model" / "net one.onnx"), {}), 0).serving() as address:
        yield address


def test_serves_the_model_with_our_numbers(url: str) -> None:
    status, data, _ = _get(f"{url}data/net%20one.onnx")
    assert status == 200
    facts = [
        {entry.key: entry.value for entry in node.metadata_props}
        for node in onnx.ModelProto.FromString(data).graph.node
    ]
    assert facts[0]["MACs"] == "1.15 k (1,152)"


def test_page_names_the_model_and_may_talk_to_nobody_else(url: str) -> None:
    _, page, headers = _get(url)
    assert b'<meta name="file" content="/data/net%20one.onnx">' in page
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == policy["script-src"] == "'self'"
    assert headers["Set-Cookie"].startswith("consent=")


@pytest.mark.parametrize(
    "path",
    [
        *("data/../secret.txt", "data/%2e%2e/secret.txt", "data//etc/passwd", "data/link.txt", "../../../etc/passwd"),
        *("server.py", "__pycache__", "data/", "data/%00", "data/" + "x" * 5000),
    ],
)
def test_nothing_else_is_served(url: str, path: str) -> None:
    host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:  # urllib would tidy the path up
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"outside" not in answer


def test_files_beside_the_model_are_served(url: str) -> None:
    assert _get(f"{url}data/beside.txt")[:2] == (200, b"inside")


def test_other_hosts_are_refused(url: str) -> None:
    assert _get(url, Host="attacker.example")[0] == 403


def test_listens_on_loopback_only(tmp_path: Path) -> None:
    server = NetronServer(tiny_models.save(tmp_path / "net.onnx"))
    assert server.server_address[0] == "127.0.0.1"
    server.server_close()


OPENVINO = """<?xml version="1.0"?>
<net name="net" version="10"><layers>
<layer id="0" name="image" type="Parameter" version="opset1"><data shape="1,3,8,8" element_type="f32"/>
<output><port id="0" precision="FP32"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></output></layer>
<layer id="1" name="rectified" type="ReLU" version="opset1">
<input><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></input>
<output><port id="1" precision="FP32"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></output></layer>
<layer id="2" name="answer" type="Result" version="opset1">
<input><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/></edges></net>
"""


def test_a_file_that_only_netron_reads_is_served_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.xml"
    path.write_text(OPENVINO)
    with serve(ModelFile(path, {}), 0).serving() as address:
        assert _get(f"{address}data/net.xml")[1] == path.read_bytes()
    assert capsys.readouterr().err.startswith("shown as it is, without our numbers: ")


def _seen(chromium: Any, address: str, operator: str) -> tuple[str, list[str]]:
    """The sidebar after a click on the first node of an operator, and requests to anybody but us."""
    context = chromium.new_context()
    tab = context.new_page()
    strangers: list[str] = []
    tab.on("request", lambda request: None if request.url.startswith(address) else strangers.append(request.url))
    tab.goto(address)
    tab.locator("body.default").wait_for(timeout=20_000)  # drawn
    shown = tab.locator(".sidebar >> text=Node Properties").first
    for _ in range(20):  # the first clicks can go to where the node was before the page scrolled to it
        tab.locator(f"#target >> text={operator}").first.click(force=True, timeout=10_000)
        tab.wait_for_timeout(250)
        if shown.is_visible():
            break
    words = tab.locator(".sidebar").first.inner_text()
    context.close()
    return words, strangers


def test_netron_shows_the_numbers(shared: Callable[[str], Path], chromium: Any) -> None:
    with serve(ModelFile(shared("models/derived/squeezenet1.1.onnx"), {}), 0).serving() as address:
        words, strangers = _seen(chromium, address, "Conv")
    assert "22.1 M (22,064,832)" in words  # 113² · 64 · 27 MACs of the first convolution
    assert "3×3 pixels" in words
    assert strangers == []


def test_netron_shows_a_caffe_network_with_numbers(shared: Callable[[str], Path], chromium: Any) -> None:
    with serve(ModelFile(shared("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel"), {}), 0).serving() as address:
        words, strangers = _seen(chromium, address, "Conv")
    assert "288 k (288,000)" in words  # 24² · 20 · 25
    assert strangers == []


def test_netron_shows_formats_we_cannot_import(tmp_path: Path, chromium: Any) -> None:
    path = tmp_path / "net.xml"
    path.write_text(OPENVINO)
    with serve(ModelFile(path, {}), 0).serving() as address:
        words, strangers = _seen(chromium, address, "ReLU")
    assert "rectified" in words
    assert strangers == []


def test_ctrl_c_stops_it(tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "net.onnx")
    command = [sys.executable, "-m", "onnxray.cli.main", "view", str(model), "--no-browser"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[2]
    assert _get(address)[0] == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=2)


def test_overlay_writes_and_does_not_serve(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("view", tiny_models.save(tmp_path / "net.onnx"), "--overlay", tmp_path / "o.json")
    assert (code, err) == (0, "")
    assert [Path(line).name for line in out.splitlines()] == [
        *("o.json", "o.params.json", "o.receptive_field.json", "o.activation_bytes.json")
    ]


def test_the_options_of_formats_say_how_to_read(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(quantised())
    for option, rounds in (([], True), (["--dequantize"], False)):
        assert cli("view", tmp_path / "net.tflite", *option, "--overlay", tmp_path / "o.netron.json")[0] == 0
        assert ("quantised" in (tmp_path / "o.netron.json").read_text()) == rounds
    code, out, err = cli("view", tmp_path / "net.tflite", "--shape", "axb")
    assert (code, out) == (2, "")
    assert err.startswith("error: --shape expects")


def test_a_port_in_use_is_one_line(cli: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = cli("view", tiny_models.save(tmp_path / "net.onnx"), "--port", port)
    assert (code, out) == (2, "")
    assert err == f"error: --port expects a free port, found {port} (Address already in use)\n"


def test_a_file_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("view", tmp_path / "no.onnx")
    assert (code, err) == (2, f"error: expected a model file, found none: {tmp_path / 'no.onnx'}\n")
