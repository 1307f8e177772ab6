"""The host's end of an emulated Pico's USB console.

The emulator's own host answers each OUT request of an idle console with a packet of no bytes, which the firmware takes
and asks again: a storm of interrupts in which virtual time creeps. A host that has nothing to say answers NAK, so here
the request waits until there is something.
"""

from collections.abc import Callable
from typing import Any

from rp2040py.usb.cdc import USBCDC

CONTROL_ENDPOINT = 0


class UsbHost:
    """Enumerates the board, hands `heard` what it sends, and holds what is sent to it until it asks."""

    def __init__(self, controller: Any, heard: Callable[[bytes], None]):
        self._controller = controller
        self._input = bytearray()
        self._asked: list[tuple[int, int]] = []  # (endpoint, bytes that it has room for)
        cdc = USBCDC(controller)
        cdc.on_serial_data = lambda data: heard(bytes(data))
        self._answer_control = controller.on_endpoint_read
        self._forget = controller.on_reset
        controller.on_endpoint_read = self._on_asked
        controller.on_reset = self._on_reset

    def send(self, data: bytes) -> None:
        self._input += data
        self._deliver()

    def _on_asked(self, endpoint: int, room: int) -> None:
        if endpoint == CONTROL_ENDPOINT:
            self._answer_control(endpoint, room)
            return
        self._asked.append((endpoint, room))
        self._deliver()

    def _deliver(self) -> None:
        while self._input and self._asked:
            endpoint, room = self._asked.pop(0)
            packet = bytes(self._input[:room])
            del self._input[:room]
            self._controller.endpoint_read_done(endpoint, packet)

    def _on_reset(self) -> None:
        """The board has dropped off the bus: what it had asked for is void, what had not arrived never will."""
        self._asked.clear()
        self._input.clear()
        self._forget()
