"""The confirming path: trials through the whole firmware on the virtual board, against the fast path of campaigns."""
