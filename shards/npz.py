"""Arrays of an npz file, read whole and checked before NumPy parses them; the seal of a shard.

A zip holds a CRC-32 of each entry, which `zipfile` compares only where an entry is read to its end. Here it always is.
The samples of a shard are read in parts, by checksums of their own. The seal covers every other byte: it is the CRC-32
of what precedes and follows the samples, as hexadecimal digits in the comment that ends the file.
"""
import io
import math
import os
import zipfile
import zlib

import numpy as np

SEAL, SEAL_DIGITS = b"binsl crc32 ", 8
LOCAL_HEADER, LENGTHS_AT = 30, 26  # bytes of a zip's local header, and where its two lengths are: PKWARE APPNOTE 4.3.7
SIZE_AT_ONCE = 1 << 20


def read_array(archive, name):
    """Read one array of an open npz, an uncompressed zipfile.ZipFile, in no more memory than the file is long.

    Raises ValueError, KeyError or zipfile.BadZipFile where it is missing, damaged, compressed, or declared larger.
    """
    info = archive.getinfo(f"{name}.npy")
    size = os.fstat(archive.fp.fileno()).st_size
    if info.compress_type != zipfile.ZIP_STORED or max(info.file_size, info.compress_size) > size:
        raise ValueError(f"its {name} are compressed, or longer than the file")
    content = archive.read(info)  # to the end, where zipfile compares the CRC-32
    header = io.BytesIO(content)
    if np.lib.format.read_magic(header) != (1, 0):
        raise ValueError(f"its {name} have an unknown header")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(header)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - header.tell():
        raise ValueError(f"its {name} do not have the length their header promises")
    return np.ndarray(shape, dtype, content, header.tell(), order="F" if is_fortran else "C").copy()


def array_header(dtype, shape):
    """Give the bytes that an array in C order begins with in an npz."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": tuple(shape)})
    return header.getvalue()


def offset_of(file, info):
    """Find the first byte of an entry's content in a zip, an open file."""
    file.seek(info.header_offset + LENGTHS_AT)
    name_bytes, extra_bytes = np.frombuffer(file.read(4), "<u2").tolist()
    return info.header_offset + LOCAL_HEADER + name_bytes + extra_bytes


def unsealed(archive):
    """Reserve the comment of a zip that is being written for `seal`."""
    archive.comment = SEAL + b"0" * SEAL_DIGITS


def seal(path, begin, end):
    """Write the seal of a whole file whose bytes from `begin` to `end` have other checksums."""
    with open(path, "rb+") as file:
        digits = _crc_around(file, begin, end)
        file.seek(-SEAL_DIGITS, os.SEEK_END)
        file.write(digits)


def is_sealed(file, begin, end):
    """Tell whether an open file ends with the seal of its bytes."""
    digits = _crc_around(file, begin, end)
    file.seek(-len(SEAL) - SEAL_DIGITS, os.SEEK_END)
    return file.read() == SEAL + digits


def _crc_around(file, begin, end):
    """Compute the CRC-32 of the bytes before `begin` and from `end` up to the seal's digits."""
    crc = 0
    for at, stop in ((0, begin), (end, file.seek(0, os.SEEK_END) - SEAL_DIGITS)):
        file.seek(at)
        while at < stop and (block := file.read(min(SIZE_AT_ONCE, stop - at))):
            crc, at = zlib.crc32(block, crc), at + len(block)
    return b"%08x" % crc
