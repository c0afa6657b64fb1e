"""Inverts each frame in place. Descriptor 3 is the memory; on standard input come the numbers of frames that are ready."""
import mmap
import os
import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches both; the end of our input stops us
frame_bytes = int(sys.argv[1]) * int(sys.argv[2]) * 3
memory = mmap.mmap(3, os.fstat(3).st_size)

try:
    import numpy

    pixels = numpy.frombuffer(memory, dtype=numpy.uint8).reshape(-1, frame_bytes)

    def invert(slot):
        numpy.subtract(255, pixels[slot], out=pixels[slot])  # in place

    print("with numpy", flush=True)
except ImportError:
    print("numpy is not installed: bytes are translated row by row, which is slower", file=sys.stderr)
    view = memoryview(memory)
    table = bytes(255 - value for value in range(256))
    row = int(sys.argv[1]) * 3

    def invert(slot):
        for start in range(slot * frame_bytes, (slot + 1) * frame_bytes, row):
            view[start : start + row] = bytes(view[start : start + row]).translate(table)

    print("with memoryview", flush=True)

for line in sys.stdin:
    invert(int(line))
    print(line, end="", flush=True)
