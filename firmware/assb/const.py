"""`const` for interpreters whose compiler does not know it.

MicroPython's compiler puts the number of `_NAME = const(1)` wherever the name is used and keeps neither name nor entry:
sixty register addresses would take 3 kB of a board's heap. Elsewhere the name is an ordinary one.
"""


def const(value):
    return value
