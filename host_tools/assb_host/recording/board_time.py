"""Board ticks on the host's clock: anchored when a connection begins or the board restarts, and never falling."""

from assb_host.link.decoder import Frame


class BoardTime:
    """`at(frame, unix_s)` is the unix time of a frame that came at `unix_s`. Between two anchors it is the board's
    clock that counts, so that intervals are the board's, not those of the cable."""

    def __init__(self):
        self._offset_s: float | None = None
        self._boot = 0
        self._newest_s = 0.0

    def lose(self) -> None:
        """The connection ended: the next frame anchors anew."""
        self._offset_s = None

    def at(self, frame: Frame, unix_s: float) -> float:
        if self._offset_s is None or frame.boot != self._boot:
            self._boot = frame.boot
            self._offset_s = unix_s - 1e-3 * frame.t_ms
        self._newest_s = max(self._newest_s, 1e-3 * frame.t_ms + self._offset_s)
        return self._newest_s
