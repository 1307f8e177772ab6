"""Recordings as something to read: a self-contained HTML page, and tables in the Battery Data Format."""

from assb_host.report.bdf import write_bdf
from assb_host.report.page import render_page
from assb_host.report.recording import Check, Event, Recording, Series

__all__ = ["Check", "Event", "Recording", "Series", "render_page", "write_bdf"]
