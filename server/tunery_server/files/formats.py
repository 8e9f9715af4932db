"""What a file is that is no JSONL, told by its first bytes so that the refusal can say it."""

from pathlib import Path

from tunery_server.errors import InvalidRequest, UnsupportedMediaType

COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"(\xb5/\xfd": "zstandard",
}
OTHER = {
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"\xef\xbb\xbf": "text that begins with a byte order mark",
}
_LONGEST = max(map(len, [*COMPRESSED, *OTHER]))


def refuse_other_formats(path: Path) -> None:
    """Raises UnsupportedMediaType for what is compressed, InvalidRequest for another format."""
    with path.open("rb") as file:
        start = file.read(_LONGEST)
    for magic, name in COMPRESSED.items():
        if start.startswith(magic):
            message = f"The file is compressed ({name}). Send JSONL as it is."
            raise UnsupportedMediaType(message, param="file")
    for magic, name in OTHER.items():
        if start.startswith(magic):
            message = f"The file is {name}. A training file is JSONL: UTF-8, one object per line."
            raise InvalidRequest(message, code="invalid_file", param="file")
