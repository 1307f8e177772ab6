"""The confirming path: trials of the campaign through the whole firmware on the virtual board, against the fast path."""
