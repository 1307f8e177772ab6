"""Commands that the harness adds to `assb` through the entry points `assb.commands`."""
