"""Second file: run the firmware, or stay at the REPL: an update was asked for, a flash was cut, or too many crashes."""

import os


def _reason_to_stay():
    try:
        os.stat("/unfinished")
        return "MAINTENANCE: a flash was cut while it renamed files; flash again"
    except OSError:
        pass
    try:
        os.remove("/update")
        return "UPDATE"
    except OSError:
        pass
    try:
        with open("/crashes") as file:
            count = int(file.read())
        if count >= 6:  # from 3 on the firmware itself stays in MAINTENANCE; it has crashed there as well
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
