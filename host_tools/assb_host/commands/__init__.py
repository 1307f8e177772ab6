"""One file per command of `assb`; cli.py holds the table."""
