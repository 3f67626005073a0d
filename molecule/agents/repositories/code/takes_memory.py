"""A task that takes 2 GiB of memory."""

print(len(b"x" * (2 << 30)), "bytes")
