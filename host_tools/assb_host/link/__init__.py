"""The serial link: bytes to frames and back, ports and who holds them, commands with their replies."""
