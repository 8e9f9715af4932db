"""An adapter that comes as one file, a tar, a tar.gz or a zip, read member by member.

Everything in it is hostile. Members are told by their last names alone, and only those that an
adapter consists of are read; links, devices and nested folders are refused. Names, sizes and
lengths that the archive states are never believed: what comes out is counted while it comes.
"""

import errno
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tunery_adapters.errors import (
    ArchiveTooLargeError,
    InvalidAdapterError,
    UnsupportedArchiveError,
)
from tunery_adapters.peft_files import CONFIG, WEIGHTS

CARD = "README.md"
MAX_MEMBERS = 10
MAX_RATIO = 20
"""Bytes out for a byte in: weights hardly shrink, and a bomb shrinks by a thousand."""

_EXPECTED = frozenset({CONFIG, WEIGHTS})
_PARAM = "file"
_SLACK_BYTES = 1 << 20
"""What any archive may unpack to, however small: configurations shrink well."""
_CHUNK_BYTES = 1 << 20
_MAX_EXTENDED_BYTES = 1 << 16
_MAX_DIRECTORY_BYTES = 1 << 16
_END_BYTES = 22
_LOCATOR_BYTES = 20
_DEPTH = 2

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    read: Read
    """At most so many bytes; none at the end."""


def unpack(archive: Path, folder: Path, *, max_bytes: int) -> None:
    """Write an adapter's two files into ``folder``, which is empty.

    A card may be there and is left out. Raises UnsupportedArchiveError, InvalidAdapterError, and
    ArchiveTooLargeError before more than ``max_bytes`` come out.
    """
    with archive.open("rb") as file:
        allowed = max(_SLACK_BYTES, MAX_RATIO * archive.stat().st_size)
        meter = _Meter(min(max_bytes, allowed))
        try:
            _write(_members(file, meter), folder)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise _damaged() from error
        except OSError as error:
            if error.errno == errno.EINVAL:  # a place before the beginning
                raise _damaged() from error
            raise
        except (NotImplementedError, RuntimeError) as error:  # zipfile, of what it cannot read
            raise UnsupportedArchiveError("the archive cannot be read", _PARAM) from error


class _Meter:
    """Lets so many bytes pass."""

    def __init__(self, left: int) -> None:
        self._left = left

    def through(self, read: Read) -> Read:
        """``read``, counted."""

        def counted(size: int) -> bytes:
            chunk = read(min(size, self._left + 1))
            self._left -= len(chunk)
            if self._left < 0:
                raise ArchiveTooLargeError(
                    "the archive unpacks to more than an adapter of this base can be", _PARAM
                )
            return chunk

        return counted


def _write(members: Iterator[_Member], folder: Path) -> None:
    seen: set[str] = set()
    for number, member in enumerate(members, 1):
        if number > MAX_MEMBERS:
            raise UnsupportedArchiveError(f"more than {MAX_MEMBERS} members", _PARAM)
        name = _last_name(member.name)
        if name in seen:
            raise UnsupportedArchiveError(f"{name} is there twice", _PARAM)
        seen.add(name)
        if name in _EXPECTED:
            with (folder / name).open("xb") as file:
                while chunk := member.read(_CHUNK_BYTES):
                    file.write(chunk)
    for name in sorted(_EXPECTED - seen):
        raise InvalidAdapterError(f"{name} is missing", name)


def _last_name(name: str) -> str:
    """Of one of the expected files, at most one folder deep."""
    parts = name.removeprefix("./").split("/")
    if (
        len(parts) > _DEPTH
        or not all(parts)
        or ".." in parts
        or parts[-1] not in {*_EXPECTED, CARD}
    ):
        raise UnsupportedArchiveError(
            f"{name[:200]!r} does not belong here; an adapter is {CONFIG} and {WEIGHTS}", _PARAM
        )
    return parts[-1]


def _members(file: BinaryIO, meter: _Meter) -> Iterator[_Member]:
    head = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return _zip_members(file, meter)
    if head.startswith(b"\x1f\x8b"):
        return _tar_members(meter.through(_inflated(file)))
    if head[257:262] == b"ustar":
        return _tar_members(meter.through(file.read))
    raise UnsupportedArchiveError("the file is no tar, tar.gz or zip", _PARAM)


def _inflated(file: BinaryIO) -> Read:
    """Reads one gzip stream; what follows it is never looked at."""
    inflate = zlib.decompressobj(wbits=31)

    def read(size: int) -> bytes:
        while not inflate.eof:
            taken = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
            if not taken:
                raise EOFError
            if piece := inflate.decompress(taken, size):
                return piece
        return b""

    return read


def _tar_members(read: Read) -> Iterator[_Member]:
    """By its headers alone; tarfile's own reader would take extended ones into memory whole."""
    number = 0
    while (header := _exactly(read, tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
        number += 1
        if number > 2 * MAX_MEMBERS:
            raise UnsupportedArchiveError("too many headers", _PARAM)
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        if info.type in {tarfile.XHDTYPE, tarfile.XGLTYPE}:
            _check_extended(_exactly(read, _extended_size(info)))
        elif info.type in {tarfile.REGTYPE, tarfile.AREGTYPE}:
            limited = _limited(read, info.size)
            yield _Member(info.name, limited)
            while limited(_CHUNK_BYTES):
                pass  # of a member that nobody wants
        elif info.type != tarfile.DIRTYPE or info.size:
            raise UnsupportedArchiveError(f"{info.name[:200]!r} is not a plain file", _PARAM)
        _exactly(read, -info.size % tarfile.BLOCKSIZE)


def _extended_size(info: tarfile.TarInfo) -> int:
    if not 0 <= info.size <= _MAX_EXTENDED_BYTES:
        raise UnsupportedArchiveError("an extended header is too long", _PARAM)
    return info.size


def _check_extended(records: bytes) -> None:
    """Times and owners are idle; what would name or measure another file is refused."""
    if any(word in records for word in (b" path=", b" linkpath=", b" size=", b" GNU.sparse")):
        raise UnsupportedArchiveError("an extended header renames or resizes a file", _PARAM)


def _exactly(read: Read, size: int) -> bytes:
    pieces = []
    while size and (piece := read(size)):
        pieces.append(piece)
        size -= len(piece)
    if size:
        raise EOFError
    return b"".join(pieces)


def _limited(read: Read, left: int) -> Read:
    """``read`` up to the end of a member. Raises EOFError when it is cut off."""
    if left < 0:
        raise _damaged()

    def limited(size: int) -> bytes:
        nonlocal left
        chunk = _exactly(read, min(size, left))
        left -= len(chunk)
        return chunk

    return limited


def _zip_members(file: BinaryIO, meter: _Meter) -> Iterator[_Member]:
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
                raise UnsupportedArchiveError(f"{info.filename[:200]!r} is no plain file", _PARAM)
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise UnsupportedArchiveError("only stored and deflated members", _PARAM)
            with archive.open(info) as member:
                yield _Member(info.filename, meter.through(member.read))


def _check_directory(file: BinaryIO) -> None:
    """Before zipfile reads the whole of it: few members, no comment, nothing of zip64."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_BYTES - _LOCATOR_BYTES))
    tail = file.read()
    end = tail[-_END_BYTES:]
    if not end.startswith(b"PK\x05\x06") or end[20:] != bytes(2) or b"PK\x06\x07" in tail:
        raise UnsupportedArchiveError("the zip has a comment, or is of another kind", _PARAM)
    members, length = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if members > MAX_MEMBERS or length > _MAX_DIRECTORY_BYTES:
        raise UnsupportedArchiveError(f"more than {MAX_MEMBERS} members", _PARAM)


def _damaged() -> InvalidAdapterError:
    return InvalidAdapterError("the archive is damaged or cut off", _PARAM)
