"""Watching boards live: a thread for each, what it shows as plain data, and two views of that: terminal and browser."""
