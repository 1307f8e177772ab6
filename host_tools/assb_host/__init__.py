"""assb_host: the `assb` command line, and the library behind it: configuration, link, flashing, views and reports."""
