"""Frames reach a real broker under the topics of docs/recording.md, and a broker that goes away holds up nothing."""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest
from assb.protocol import schema
from assb_host.errors import PortError
from assb_host.link.decoder import Decoder
from assb_host.recording.forward import Forwarder, split
from board_stream import BoardStream

MOSQUITTO = os.environ.get("ASSB_MOSQUITTO") or shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_broker = pytest.mark.skipif(not MOSQUITTO, reason="no mosquitto on PATH, and ASSB_MOSQUITTO names none")
DEADLINE_S = 10.0


@pytest.fixture
def broker(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stderr=subprocess.DEVNULL)
    wait_until(lambda: answers(port))
    yield process, port
    process.kill()
    process.wait()


def answers(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition):
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


class Subscriber:
    """Everything below a topic, in the order in which it came."""

    def __init__(self, port, topic):
        from paho.mqtt import client, enums

        self.got = []
        self.ready = False
        self.client = client.Client(enums.CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda _c, _u, message: self.got.append((message.topic, json.loads(message.payload)))
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(topic)
        self.client.loop_start()
        wait_until(lambda: self.ready)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@needs_broker
def test_frames_arrive_under_their_topics_in_physical_units(broker):
    _, port = broker
    subscriber = Subscriber(port, "lab/#")
    stream = BoardStream(cells=2)
    data = stream.hello() + stream.round()
    with Forwarder(f"mqtt://127.0.0.1:{port}/lab") as forwarder:
        for item in Decoder().feed(data):
            forwarder.take(item, 1.8e9)
        wait_until(lambda: len(subscriber.got) == 7)
    subscriber.close()
    topics = [topic for topic, _ in subscriber.got]
    assert topics == [
        "lab/bench/board", "lab/bench/pack", "lab/bench/cycler", "lab/bench/cell/0/estimate",
        "lab/bench/cell/0/evidence", "lab/bench/cell/1/estimate", "lab/bench/cell/1/evidence",
    ]  # fmt: skip
    told = dict(subscriber.got)
    pack = next(fields for _, name, fields in stream.sent if name == "PACK")
    assert told["lab/bench/pack"]["current_a"] == pytest.approx(1e-6 * pack["current_ua"])
    assert told["lab/bench/pack"]["state"] == schema.STATES[pack["state"]]
    assert told["lab/bench/pack"]["unix_s"] == 1.8e9
    late = Subscriber(port, "lab/+/board")
    wait_until(lambda: late.got)  # who the board is was retained
    late.close()


@needs_broker
def test_a_broker_that_goes_away_holds_up_nothing(broker):
    process, port = broker
    stream = BoardStream()
    with Forwarder(f"mqtt://127.0.0.1:{port}", queued_most=50) as forwarder:
        process.kill()
        process.wait()
        items = Decoder().feed(stream.hello() + stream.bytes(2000))
        begun_s = time.process_time()
        for item in items:
            forwarder.take(item, 1.8e9)
        assert time.process_time() - begun_s < DEADLINE_S
        assert len(forwarder._client._out_packet) + len(forwarder._client._out_messages) < 2000


@pytest.mark.parametrize("url", ["http://127.0.0.1", "mqtt://", "broker"])
def test_another_url_is_refused(url):
    with pytest.raises(PortError, match="no MQTT URL"):
        Forwarder(url)


def test_a_broker_that_is_not_there_is_said_before_anything_is_recorded():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(PortError, match="no MQTT broker answers"):
        Forwarder(f"mqtt://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "url",
    ["mqtt://h/lab/+/x", "mqtt://h/lab#1/x", "mqtt://h:abc/", "mqtt://h:99999/", "mqtt://[::1", "mqtt://u:secret@h/#x"],
)
def test_what_is_no_url_of_a_broker_is_told_before_anything_is_recorded_and_no_password_with_it(url):
    with pytest.raises(PortError, match="no MQTT URL") as caught:
        split(url)
    assert "secret" not in str(caught.value)
