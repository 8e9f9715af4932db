"""Whether every value of one type is a value of another, by the types alone."""

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typing_extensions
from openai._types import FileTypes
from pydantic import BaseModel

_WRAPPERS = (Annotated, typing.Required, typing.NotRequired, typing_extensions.Required)


def fields(kind: Any) -> dict[str, Any] | None:
    """Names on the wire and types of a model or a TypedDict; None for anything else."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        declared = kind.model_fields.items()
        return {field.alias or name: field.annotation for name, field in declared}
    return get_type_hints(kind) if typing_extensions.is_typeddict(kind) else None


def problems(sent: Any, taken: Any, path: str, *, closed: bool) -> Iterator[str]:
    """Paths from ``path`` on at which a value of type ``sent`` may be no value of ``taken``.

    A ``closed`` taker refuses fields that it does not know; an open one wants all that it knows.
    """
    sent, taken = _bare(sent), _bare(taken)
    if sent == taken:
        return
    if _is_union(sent):
        for member in get_args(sent):
            yield from problems(member, taken, path, closed=closed)
    elif _is_union(taken):
        found = [[*problems(sent, member, path, closed=closed)] for member in get_args(taken)]
        yield from min(found, key=_distance)
    elif fields(sent) is not None and fields(taken) is not None:
        yield from _in_fields(sent, taken, path, closed=closed)
    elif None not in (_container(sent), _container(taken)):
        (one, item), (other, accepted) = _container(sent), _container(taken)  # type: ignore[misc]
        yield from problems(item, accepted, path, closed=closed) if one is other else [path]
    elif not _is_part(sent, taken):
        yield path


def _distance(found: list[str]) -> tuple[bool, int]:
    """The alternative that is meant is the one in which problems lie deepest, if there are any."""
    return bool(found), -max(map(len, found), default=0)


def _in_fields(sent: Any, taken: Any, path: str, *, closed: bool) -> Iterator[str]:
    sending, taking = fields(sent) or {}, fields(taken) or {}
    for name in sending if closed else taking:
        if name in sending and name in taking:
            yield from problems(sending[name], taking[name], f"{path}.{name}", closed=closed)
        else:
            yield f"{path}.{name}"


def _bare(kind: Any) -> Any:
    while get_origin(kind) in _WRAPPERS:
        kind = get_args(kind)[0]
    if isinstance(kind, typing_extensions.TypeAliasType | typing.TypeVar):
        return _bare(getattr(kind, "__value__", Any))
    return {None: types.NoneType, FileTypes: bytes}.get(kind, kind)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _container(kind: Any) -> tuple[type, Any] | None:
    """Object or list, whatever kind of list it is, and the type of what is in it."""
    origin, arguments = get_origin(kind), [one for one in get_args(kind) if one is not ...]
    if origin in (None, Literal) or not arguments:
        return None
    return (dict if issubclass(origin, Mapping) else list), arguments[-1]


def _is_part(sent: Any, taken: Any) -> bool:
    if taken in (Any, object, sent):
        return True
    values, accepted = _values(sent), _values(taken)
    if values is not None:
        return values <= accepted if accepted is not None else _all_are(values, taken)
    if accepted is not None or not isinstance(sent, type) or not isinstance(taken, type):
        return False
    return issubclass(sent, taken) or (sent, taken) == (int, float)


def _values(kind: Any) -> set[Any] | None:
    if get_origin(kind) is Literal:
        return set(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {member.value for member in kind}
    return None


def _all_are(values: set[Any], kind: Any) -> bool:
    return isinstance(kind, type) and all(isinstance(value, kind) for value in values)
