"""The page of `assb monitor --web` in a real browser over a real board: offline, alive, closed without its token."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from flashed_boards import flash_image, running_board, until

pytest.importorskip("nicegui", reason="the page needs the extra `web`")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with running_board(flash_image(tmp_path_factory.mktemp("image") / "flash.bin")) as board:
        yield board


@pytest.fixture(scope="module")
def address(board):
    """Address of the page, with its token."""
    command = [sys.executable, "-m", "assb_host", "monitor", "--web", "--port", board.console_port]
    # NiceGUI serves otherwise where it sees that pytest runs
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    address = process.stdout.readline().split()[0]
    port = int(re.search(r":(\d+)/", address).group(1))
    until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
    yield address
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)


@pytest.fixture(scope="module")
def page(address):
    """The page, open in a browser that can reach nothing else; `outside` lists what it tried to."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH")
    sync_playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `web-test`").sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(1000 * DEADLINE_S)
        page.outside, page.faults = [], []

        def only_loopback(route):
            if route.request.url.startswith("http://127.0.0.1:"):
                route.continue_()
            else:
                page.outside.append(route.request.url)
                route.abort()

        page.route("**/*", only_loopback)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(address)
        yield page
        browser.close()


def answer(url, method="GET", cookie="", origin=""):
    """(status, body)."""
    headers = {name: value for name, value in (("Cookie", cookie), ("Origin", origin)) if value}
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def at(address, path, token=None):
    base, _, ours = address.partition("/?token=")
    return f"{base}{path}?token={ours if token is None else token}"


@pytest.mark.parametrize("path", ["/", "/boards/0", "/_nicegui/nothing.js", "/_nicegui_ws/socket.io/"])
@pytest.mark.parametrize("token", ["", "wrong"])
def test_nothing_is_served_without_the_token(address, path, token):
    assert answer(at(address, path, token))[0] == 403
    assert answer(at(address, path).partition("?")[0], cookie="assb_monitor_1=x")[0] == 403


def test_a_command_without_the_token_does_not_reach_the_board(address):
    before = json.loads(answer(at(address, "/boards/0"))[1])["health"]["command_count"]
    for token in ("", "wrong"):
        assert answer(at(address, "/boards/0/mark", token), "POST")[0] == 403
    status, body = answer(at(address, "/boards/0/mark"), "POST")
    assert (status, json.loads(body)["said"].partition(":")[0::2]) == (200, ("mark", " done number=1"))
    until(lambda: json.loads(answer(at(address, "/boards/0"))[1])["health"]["command_count"] > before)


def test_the_cookie_alone_commands_nothing_as_a_page_of_another_port_brings_it_too(address):
    ours, _, token = address.partition("/?token=")
    url, cookie = f"{ours}/boards/0/mark", f"assb_monitor_{ours.rpartition(':')[2]}={token}"
    for origin in ("", "http://127.0.0.1:9999", "null"):
        assert answer(url, "POST", cookie, origin)[0] == 403
    assert answer(url, "POST", cookie, ours)[0] == 200
    assert answer(f"{ours}/boards/0", cookie=cookie)[0] == 200


def test_unknown_boards_and_commands_are_named(address):
    for path in ("/boards/7/stop", "/boards/0/explode"):
        status, body = answer(at(address, path), "POST")
        assert status == 404
        assert "commands: arm, stop, clear, mark" in body


def test_the_socket_of_the_page_is_closed_without_the_token(address):
    host = address.removeprefix("http://").partition("/")[0]
    head = (
        f"GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection((host.partition(":")[0], int(host.partition(":")[2])), timeout=DEADLINE_S) as link:
        link.sendall(head.encode())
        assert link.recv(100).startswith(b"HTTP/1.1 403")


def test_a_tcp_port_in_use_is_a_clear_error(address, board):
    port = re.search(r":(\d+)/", address).group(1)
    command = [sys.executable, "-m", "assb_host", "monitor", "--web", "--web-port", port, "--port", board.console_port]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"the TCP port is in use; 127.0.0.1:{port}; give another --web-port" in done.stderr
    assert done.returncode == 4


def test_the_page_shows_the_board_and_asks_nobody_else(page):
    page.wait_for_selector("text=virtual-pico / li_lpscl_nca")
    page.wait_for_selector("text=Check the wiring and supply of the current monitor.")
    assert page.outside == []
    assert page.faults == []


def points(page, chart="chart-temperature"):
    script = f"() => window.echarts ? 0 : {points_script(chart)}"
    return page.evaluate(script)


def points_script(chart):
    return (
        f"(() => {{ const box = document.getElementById('{chart}'); "
        "for (const id in mounted_app.elements) { const one = getElement(Number(id)); "
        "if (one?.chart && one.$el === box) return one.chart.getOption().series[0].data.length; } return 0; })()"
    )


def test_the_charts_move(page):
    until(lambda: points(page) > 10)
    before = points(page)
    until(lambda: points(page) > before + 10)
    assert page.faults == []


def test_the_stop_button_reaches_the_board_and_clear_asks_first(page):
    page.click("#command-stop")
    page.wait_for_selector("text=stop: done")
    page.click("#command-mark")
    page.wait_for_selector("text=Put a numbered mark into the record?")
    page.click("#confirm")
    page.wait_for_selector("text=mark: done number=")
