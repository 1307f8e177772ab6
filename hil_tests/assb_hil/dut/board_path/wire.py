"""The words that board and host exchange in lockstep; the host imports them, in the VM's modules they are folded in.

Both directions carry little-endian signed 64-bit words, one message per datagram. A word stays below 2**62, so that the
VM never makes a long integer; bytes travel seven to a word. Times are microseconds since power-on.

Request, of any length up to REQUEST_WORDS:
    0  sequence << 8 | operation
    1  the board's now
    2  argument: WAIT the time to wake, READ a read word (below), FLASH bytes << 8 | kind
    3  time at which the watchdog bites, 0 when it is off
    4  one bit for each prediction that was used since the last request
    5… posted records: time, post word, then the bytes
Reply, always REPLY_WORDS long, because MicroPython's readinto waits until its buffer is full:
    0  sequence << 8 | flags
    1  now
    2  result: READ bytes read, level or count, NACK; FLASH bytes to write before power fails, or ALL
    3  slot that a READ's key was given, NONE when it can't be predicted
    4… bit map of the devices that acknowledge, two words (56 addresses each) a bus
       predictions, two words each: valid until << 1 | whether reading has a side effect, value
       bytes of a READ; the configuration of a HELLO is in place of the predictions
"""

HELLO = 1
WAIT = 2
SYNC = 3
READ = 4
INTERACTIVE = 5
RESET = 6
SOFT_RESET = 7
FLASH = 8
HALT = 9

# Read word: kind | bus << 4 | address or pin << 8 | prefix length << 16 | bytes << 20 | prefix << 32
# Post word: kind | bus << 4 | address or pin << 8 | bytes, level or duty << 20; the data word of PWM is its frequency
I2C = 0
PIN = 1
ADC = 2
PWM = 3
RELEASE = 4  # a pin becomes an input again
REPLAY = 5  # carry out a read that was predicted, for its side effect; the rest is its read word, no data follows

ERASE = 0
PROGRAM = 1

# Reply flags
INTERRUPT = 1  # raise KeyboardInterrupt
ORDER = 2  # to a WAIT or SYNC: the data are an order of the host (a fault) and its argument
HUNG = 4  # a bus that some device holds low; the next bit is the second bus
FLAGS = INTERRUPT | ORDER

# Orders
FILL = 1  # take memory until so many bytes are free, and keep it
JUMP = 2  # the ticks jump by so many µs; time itself does not
NACK = -1
NONE = -1
ALL = -1

BUSES = 2
ADDRESSES_PER_WORD = 56
BYTES_PER_WORD = 7
SLOTS = 32
TRANSFER_BYTES = 112  # the longest I2C transfer; a chip of this rig takes a few bytes
REQUEST_HEADER_WORDS = 5
REQUEST_WORDS = 96
REPLY_ACKS = 4
REPLY_SLOTS = REPLY_ACKS + 2 * BUSES
REPLY_DATA = REPLY_SLOTS + 2 * SLOTS
REPLY_WORDS = REPLY_DATA + TRANSFER_BYTES // BYTES_PER_WORD

# Words of the reply to HELLO
(
    HELLO_RESET_CAUSE,
    HELLO_RUN_MAIN,
    HELLO_SEED,
    HELLO_TICKS_CALL_US,
    HELLO_I2C_OVERHEAD_US,
    HELLO_PIN_US,
    HELLO_FLASH_ERASE_US,
    HELLO_FLASH_PAGE_US,
    HELLO_FLASH_BLOCKS,
    HELLO_UNIQUE_ID,
    HELLO_COSTS,  # five pairs: kind 0..4, base and jitter
) = range(11)
COST_KINDS = 5
