"""The reader of forms on bodies that nobody thought of."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunery_server.errors import InvalidRequest
from tunery_server.gateway.multipart import Form, _FormReader

BOUNDARY = b"b-o-u"
FILE = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
FIELD = b'Content-Disposition: form-data; name="purpose"\r\n\r\n'
DELIMITER = b"--" + BOUNDARY

pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [DELIMITER, b"\r\n", b"\r", b"\n", b"--", b"-", b" ", b":", b";", b"\0", FILE, FIELD]
        ),
        st.binary(max_size=8),
    ),
    max_size=30,
).map(b"".join)
"""Bytes that are nearly a form."""

contents = pieces.filter(lambda content: not re.search(b"(^|\r\n)--b-o-u", content))


def read(body: bytes, cuts: list[int]) -> tuple[Form, bytes]:
    """The form and its file, when the body comes in pieces cut at ``cuts``."""
    reader, content = _FormReader(BOUNDARY, file="file", fields=("purpose",)), b""
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        reader.feed(body[start:end])
        content += reader.take()
    return reader.form(), content


@given(content=contents, cuts=st.lists(st.integers(0, 2000), max_size=20), first=st.booleans())
def test_a_file_comes_through_as_it_is(content: bytes, cuts: list[int], first: bool) -> None:
    parts = [FILE + content, FIELD + b"evals"]
    parts = parts if first else parts[::-1]
    body = b"".join(DELIMITER + b"\r\n" + part + b"\r\n" for part in parts) + DELIMITER + b"--\r\n"
    assert read(body, cuts) == (Form({"purpose": "evals"}, "a"), content)


@given(
    beginning=st.sampled_from([b"", DELIMITER + b"\r\n", DELIMITER + b"\r\n" + FILE]), body=pieces
)
def test_anything_else_is_a_form_or_refused(beginning: bytes, body: bytes) -> None:
    try:
        form, _ = read(beginning + body, [])
    except InvalidRequest:
        return
    assert set(form.fields) <= {"purpose"}
