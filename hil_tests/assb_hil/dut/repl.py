"""What the bridge must know of the REPL: whether it is raw, and how its text looks on a serial port."""

import re

RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
ENTER_RAW = b"\x01"
CTRL_C = b"\x03"
SOFT_REBOOT = b"MPY: soft reboot\r\n"
# How the friendly REPL greets after the raw one; a print ends its lines without \r
FRIENDLY_BANNER = b"\r\nMicroPython "
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")


class ReplWatch:
    """Follows the console while nobody's program owns it."""

    def __init__(self):
        self.raw = False
        self._tail = b""
        self._hiding: bytearray | None = None

    def return_to_raw(self) -> bytes:
        """After a soft reset from the raw REPL: bytes to send. Output is hidden until the raw banner comes."""
        self._hiding = bytearray()
        return ENTER_RAW

    @property
    def busy(self) -> bool:
        """Whether the bridge is still on its way back to the raw REPL; a user's bytes wait until then."""
        return self._hiding is not None

    def see(self, data: bytes) -> bytes:
        """What of the VM's output goes out, and in which shape."""
        if self._hiding is not None:
            self._hiding += data
            _, banner, after = bytes(self._hiding).partition(RAW_BANNER)
            if not banner:
                return b""
            self._hiding = None
            self.raw = True
            data = banner + after
        recent = self._tail + data
        raw_at, friendly_at = recent.rfind(RAW_BANNER), recent.rfind(FRIENDLY_BANNER)
        if raw_at >= 0 or friendly_at >= 0:
            self.raw = raw_at > friendly_at
        after_return = self._tail.endswith(b"\r")
        self._tail = recent[-len(RAW_BANNER) + 1 :]
        if self.raw:
            return data
        return _BARE_NEWLINE.sub(b"\r\n", b"\r" + data)[1:] if after_return else _BARE_NEWLINE.sub(b"\r\n", data)
