"""`assb monitor --web`: the view of each board as a page on this machine alone, drawn by NiceGUI from its own files.

Whoever has the token of the printed address may look and command; everybody else gets 403, for pages, files, commands
and the socket over which the page is kept up to date.
"""

import hmac
import json
import secrets
import socket
import threading
import time
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from nicegui import app, run, ui
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from assb_host.errors import PortError
from assb_host.monitor import view as plain
from assb_host.monitor.board import COMMANDS, WatchedBoard
from assb_host.monitor.chart_data import chart_options, chart_series, mark_line, trend_points

HOST = "127.0.0.1"
DRAW_S = 0.2
CHART_S = 1.0
CHART_HOURS_S = 8 * 3600.0
WHOLE_EVERY_S = 60.0  # the charts are sent anew
COMMAND_DEADLINE_S = 5.0
END_POLL_S = 0.5
STYLE = """
body { font-family: system-ui, sans-serif; }
table.plain { border-collapse: collapse; font-size: 0.9rem; }
table.plain th { text-align: left; font-weight: normal; color: #888; padding: 0 0.9rem 0 0; }
table.plain td { padding: 0 0.9rem 0 0; font-variant-numeric: tabular-nums; vertical-align: top; }
.label { color: #888; font-size: 0.75rem; } .value { font-weight: 600; font-variant-numeric: tabular-nums; }
.banner { background: #fff3cd; padding: 0.3rem 0.6rem; border-radius: 4px; }
.events { font-family: ui-monospace, monospace; font-size: 0.8rem; white-space: pre-wrap; }
"""

# Adds points at the end of a chart's series: arguments are the element's id and one list of points for each series
APPEND = """
window.assbAppend = (id, added) => {
  const chart = getElement(id)?.chart;
  if (!chart) return;
  const series = chart.getOption().series;
  added.forEach((points, at) => series[at]?.data.push(...points));
  chart.setOption({series: series.map(one => ({data: one.data}))});
};
"""


class TokenGate:
    """ASGI: lets nothing through without the token, in the query of a first request and as a cookie from then on.

    A browser sends the cookie whoever makes it ask, and to it every port of this machine is the same site: what may act
    on a board (all but GET, and sockets) must carry the token itself, or come from a page of ours by its Origin.
    """

    def __init__(self, inner, token: str, cookie: str, origin: str):
        self.inner, self.token, self.cookie, self.origin = inner, token, cookie, origin.encode()

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            await self.inner(scope, receive, send)
            return
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
        given = asked[0] if asked else self._cookie_of(scope) if self._is_ours(scope) else ""
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                said = "403: open the address that `assb monitor --web` printed; it carries the token\n"
                await PlainTextResponse(said, 403)(scope, receive, send)
            return

        async def with_cookie(message):
            if asked and message["type"] == "http.response.start":
                value = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                message["headers"] = [*message.get("headers", []), (b"set-cookie", value.encode())]
            await send(message)

        await self.inner(scope, receive, with_cookie)

    def _is_ours(self, scope) -> bool:
        return scope.get("method") == "GET" or dict(scope["headers"]).get(b"origin") == self.origin

    def _cookie_of(self, scope) -> str:
        for name, value in scope["headers"]:
            if name == b"cookie":
                morsel = SimpleCookie(value.decode("latin-1")).get(self.cookie)
                if morsel:
                    return morsel.value
        return ""


def serve(boards: list[WatchedBoard], port: int, end_s: float, told) -> None:
    """Serve until Ctrl-C or time.monotonic() reaches end_s; `told` gets the address."""
    port = port_to_listen(port)
    token = secrets.token_urlsafe(16)
    app.add_middleware(TokenGate, token=token, cookie=f"assb_monitor_{port}", origin=f"http://{HOST}:{port}")
    add_commands(boards)
    ui.page("/", title="assb monitor")(lambda: page(boards))
    if end_s < float("inf"):
        app.timer(END_POLL_S, lambda: app.shutdown() if time.monotonic() > end_s else None)
    app.on_startup(lambda: told(f"http://{HOST}:{port}/?token={token}  (Ctrl-C ends it)"))
    ui.run(host=HOST, port=port, reload=False, show=False, show_welcome_message=False, uvicorn_logging_level="error")


def port_to_listen(port: int) -> int:
    """The port if it is free, or any free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortError("the TCP port is in use", f"{HOST}:{port}", "give another --web-port") from error
        return probe.getsockname()[1]


def add_commands(boards):
    """POST /boards/0/stop and the like, for programs; the buttons of the page use the same function."""

    @app.post("/boards/{at}/{name}")
    async def command(at: int, name: str, _request: Request):
        if not 0 <= at < len(boards) or name not in COMMANDS:
            return JSONResponse({"said": f"no board {at} or no command {name}; commands: {', '.join(COMMANDS)}"}, 404)
        return {"said": await run.io_bound(carried_out, boards[at], name)}

    @app.get("/boards/{at}")
    async def state(at: int):
        if not 0 <= at < len(boards):
            return JSONResponse({"said": f"no board {at}"}, 404)
        with boards[at].lock:
            return boards[at].watched.picture.snapshot()


def carried_out(board: WatchedBoard, name: str) -> str:
    """What came of a command; waits for it."""
    done, said = threading.Event(), []

    def told(text):
        said.append(text)
        done.set()

    board.command(name, told)
    return said[0] if done.wait(COMMAND_DEADLINE_S) else f"{name}: not carried out in {COMMAND_DEADLINE_S:g} s"


def page(boards: list[WatchedBoard]) -> None:
    ui.add_css(STYLE)
    ui.add_head_html(f"<script>{APPEND}</script>")
    if len(boards) == 1:
        BoardPage(boards[0])
        return
    tabs = ui.tabs()
    with ui.tab_panels(tabs, value="0").classes("w-full"):
        for at, board in enumerate(boards):
            with tabs:
                ui.tab(str(at), label=board.watched.path)
            with ui.tab_panel(str(at)):
                BoardPage(board)


class BoardPage:
    """One board on one page; every browser that looks has its own."""

    def __init__(self, board: WatchedBoard):
        self.board = board
        self._html: dict[str, ui.html] = {}
        self._charts: dict[str, ui.echart] = {}
        self._drawn_to_s = 0.0
        self._whole_at_s = 0.0
        with ui.column().classes("w-full gap-2"):
            with ui.row().classes("items-center w-full gap-3"):
                self._add("head")
                ui.space()
                for name, (title, question) in COMMANDS.items():
                    button = ui.button(title, on_click=lambda name=name, question=question: self._ask(name, question))
                    button.props(
                        f"dense no-caps id=command-{name}" + (" color=negative" if name == "stop" else " outline")
                    )
            self._add("said")
            self._add("pack")
            self._add("cells")
            with ui.row().classes("w-full items-start gap-6"):
                self._charts_box = ui.column().classes("gap-0").style("flex: 3 1 34rem; min-width: 20rem")
                with ui.column().classes("gap-2").style("flex: 2 1 24rem; min-width: 18rem"):
                    for title in ("faults", "evidence", "margins", "power", "events", "link"):
                        ui.label(title).classes("label")
                        self._add(title)
        ui.timer(DRAW_S, self.draw)
        ui.timer(CHART_S, self.draw_charts)
        self.draw()
        self.draw_charts()

    def _add(self, name):
        self._html[name] = ui.html("", sanitize=False).props(f"id=part-{name}")

    async def _ask(self, name, question):
        if question:
            with ui.dialog() as dialog, ui.card():
                ui.label(question)
                with ui.row():
                    ui.button("Yes", on_click=lambda: dialog.submit(True)).props("no-caps id=confirm")
                    ui.button("No", on_click=lambda: dialog.submit(False)).props("no-caps outline")
            confirmed = await dialog
            dialog.delete()
            if not confirmed:
                return
        self.board.command(name)

    def draw(self) -> None:
        """Only what has changed goes to the browser."""
        with self.board.lock:
            shown = plain.view_of(self.board)
        parts = {
            "head": head_html(shown),
            "said": f"<div>{escaped(shown.said)}</div>" if shown.said else "",
            "pack": pack_html(shown.pack),
            "cells": table_html(shown.cells),
            "faults": table_html(shown.faults),
            "evidence": table_html(shown.evidence),
            "margins": table_html(shown.margins),
            "power": table_html(shown.power),
            "events": f"<div class=events>{escaped(chr(10).join(shown.events))}</div>",
            "link": "<br>".join(map(escaped, shown.link)),
        }
        for name, html in parts.items():
            if self._html[name].content != html:
                self._html[name].content = html

    def draw_charts(self) -> None:
        """The newest points each second; everything again now and then, because older points have been merged."""
        now_s = time.time()
        whole = now_s >= self._whole_at_s
        from_s = now_s - CHART_HOURS_S if whole else self._drawn_to_s
        with self.board.lock:
            rows = plain.trend_rows(self.board)
            points = {row.title: trend_points(self.board, row, from_s) for row in rows}
            marks = plain.pressure_marks(self.board)
        if not rows[0].names:  # no cell has been heard of: the charts are made when their series are known
            return
        for row in rows:
            self._draw_chart(row, points[row.title], whole, mark_line(marks) if row.title == "pressure" else None)
        self._drawn_to_s = 0.001 + max(
            (data[-1][0] / 1000 for lines in points.values() for data in lines if data), default=from_s
        )
        if whole:
            self._whole_at_s = now_s + WHOLE_EVERY_S

    def _draw_chart(self, row, points, whole, marks):
        if row.title not in self._charts:
            with self._charts_box:
                chart = ui.echart(chart_options(row)).style("width: 100%; height: 11rem")
                self._charts[row.title] = chart.props(f'id="chart-{row.title.replace(" ", "-")}"')
        chart = self._charts[row.title]
        if whole:
            chart.options["series"] = [
                chart_series(name, at, data, marks)
                for at, (name, data) in enumerate(zip(row.names, points, strict=True))
            ]
            chart.update()
        elif any(points):
            ui.run_javascript(f"assbAppend({chart.id}, {json.dumps(points)})")


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def coloured(text: str, tone: str) -> str:
    colour = plain.TONES[tone][1]
    style = f' style="color: {colour}; font-weight: {"normal" if tone == "dim" else 600}"' if colour else ""
    return f"<span{style}>{escaped(text)}</span>"


def head_html(shown: plain.View) -> str:
    banner = f"<div class=banner>{escaped(shown.banner.text)}</div>" if shown.banner.text else ""
    state = coloured(shown.state.text, shown.state.tone)
    return (
        f"<div class=label>{escaped(shown.port)}  {escaped(shown.name)}</div>"
        f'<div style="font-size: 1.3rem">{state} '
        f'<span style="font-size: 1rem">{escaped(shown.meaning)}</span></div>{banner}'
    )


def pack_html(values: list[plain.Value]) -> str:
    cells = "".join(
        f"<div><div class=label>{escaped(value.label)}</div>"
        f"<div class=value>{coloured(value.text, value.tone)}</div></div>"
        for value in values
    )
    return f'<div style="display: flex; flex-wrap: wrap; gap: 0.3rem 1.6rem">{cells}</div>'


def table_html(table: plain.Table) -> str:
    if not table.rows:
        return f"<div class=label>{escaped(table.empty)}</div>"
    head = "".join(f"<th>{escaped(heading)}</th>" for heading in table.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{coloured(cell.text, cell.tone)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f"<table class=plain><tr>{head}</tr>{rows}</table>"
