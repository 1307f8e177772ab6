"""Frames to an MQTT broker as they come; needs the extra `mqtt` (paho-mqtt). Topics: docs/recording.md."""

import json
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from assb.protocol import schema

from assb_host.errors import PortError, ToolError
from assb_host.link.decoder import Frame
from assb_host.link.picture import event_text, spelt
from assb_host.link.units import physical

PORT = 1883
PREFIX = "assb"
CONNECT_S = 5.0
KINDS = {  # message → topic below PREFIX/PACK; those of a cell have its number in between
    schema.PACK: "pack", schema.ROWS: "rows", schema.CYCLER: "cycler", schema.HEALTH: "health",
    schema.EVENT: "event", schema.CELL: "estimate", schema.EVIDENCE: "evidence", schema.SCORES: "scores",
    schema.POWER: "power", schema.SOH: "soh",
}  # fmt: skip


def split(url: str) -> tuple[SplitResult, int]:
    """(parts, port). Raises PortError for a URL that is none, or whose prefix can't begin a topic."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        odd = parts.query or parts.fragment or set(prefix_of(parts)) & set("+#$")
        if parts.scheme == "mqtt" and parts.hostname and not odd:
            return parts, port
    except ValueError:
        pass
    raise PortError("this is no MQTT URL", without_password(url), "as in mqtt://broker.lab:1883/battery")


def prefix_of(parts: SplitResult) -> str:
    return parts.path.strip("/") or PREFIX


def without_password(url: str) -> str:
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:…@", url)


class Forwarder:
    """`take` publishes a frame, without waiting: a broker that is away is waited for by paho, and holds up nothing."""

    def __init__(self, url: str, queued_most: int = 1000):
        """Raises ToolError without paho, PortError for a URL that is none or a broker that is not there."""
        parts, port = split(url)
        try:
            from paho.mqtt import client, enums
        except ImportError:
            remedy = "pip install 'assb-bms[mqtt]'"
            raise ToolError("forwarding needs paho-mqtt, which is not installed", "--forward", remedy) from None
        self.prefix = prefix_of(parts)
        self._board = "unknown"
        self._client = client.Client(enums.CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(queued_most)
        if parts.username:
            self._client.username_pw_set(parts.username, parts.password)
        self._client.connect_timeout = CONNECT_S
        try:
            self._client.connect(str(parts.hostname), port)
        except OSError as error:
            remedy = "is it running, and the port right?"
            raise PortError(f"no MQTT broker answers ({error})", without_password(url), remedy) from error
        self._client.loop_start()

    def take(self, frame: Frame, unix_s: float) -> None:
        if frame.type == schema.HELLO:
            self._board = topic_word(frame.fields["pack"]) or "unknown"
            self._publish("board", {"unix_s": round(unix_s, 3), **frame.fields}, retain=True)
            return
        kind = KINDS.get(frame.type)
        if kind is None:
            return
        fields = dict(frame.fields)
        if frame.type == schema.EVENT:
            told: dict[str, Any] = {"text": event_text(fields), "number": fields["number"]}
        else:
            told = spelt(physical(fields))
        cell = told.pop("cell", None)
        where = kind if cell is None else f"cell/{cell}/{kind}"
        self._publish(where, {"unix_s": round(unix_s, 3), "t_s": frame.t_ms / 1000, **told})

    def _publish(self, where: str, told: dict[str, Any], retain: bool = False) -> None:
        self._client.publish(f"{self.prefix}/{self._board}/{where}", json.dumps(told), qos=0, retain=retain)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()


def topic_word(name: str) -> str:
    """Without what MQTT gives a meaning."""
    return "".join("_" if letter in "/+#$" else letter for letter in name)
