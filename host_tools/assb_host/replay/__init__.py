"""Recordings judged after the fact: `assb replay`."""
