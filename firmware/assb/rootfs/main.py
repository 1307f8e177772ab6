"""Second file: run the firmware, unless an update was asked for or it crashed too often; then stay at the REPL."""

import os


def _reason_to_stay():
    try:
        os.remove("/update")
        return "UPDATE"
    except OSError:
        pass
    try:
        with open("/crashes") as file:
            count = int(file.read())
        if count >= 3:
            return "MAINTENANCE: crashed %d times in a row; flash again, or remove /crashes and reset" % count
    except (OSError, ValueError):
        pass
    return ""


_reason = _reason_to_stay()
if _reason:
    print(_reason)
else:
    from assb.start import main

    main()
