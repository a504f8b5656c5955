"""Reports and manifests as JSON and back: the fields of a dataclass, in their order.

cattrs does the work; it is imported when the first report is written or read.
"""

from __future__ import annotations

import json
import reprlib
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from un_deploy.errors import InputError

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

SAMPLES = {"samples": True}
"""Metadata of a field that holds every sample of a measurement: ``field(metadata=SAMPLES)``."""


class JsonForm:
    """Gives a dataclass its JSON form: all fields in their order, at any depth.

    The version that a report holds rises when a field changes its meaning or goes.
    """

    def to_dict(self, *, samples: bool = True) -> dict[str, Any]:
        """Plain lists, dictionaries, strings and numbers; without `samples`, no field of those."""
        plain: dict[str, Any] = _converter(samples).unstructure(self)
        return plain

    def to_json(self, *, samples: bool = True) -> str:
        """The form as text, indented by two, with a newline at its end."""
        return json.dumps(self.to_dict(samples=samples), indent=2) + "\n"

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """What is written of this object; a class that writes more than its fields overrides it.

        It is given the fields, plain already. What it adds is dropped when the form is read again.
        """
        return given


def read_object(text: str | bytes) -> dict[str, Any]:
    """The object that a JSON text holds.

    Raises:
        InputError: it is no JSON, or something other than an object.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(str(error)) from error
    if not isinstance(found, dict):
        raise InputError(f"it holds a {type(found).__name__}, not an object")
    return found


def from_dict(kind: type[T], given: object) -> T:
    """The reverse of `JsonForm.to_dict`, for any dataclass.

    Values must have the types of the fields; only an integer may stand for a float. A field with
    a default may be missing, a key that is no field is refused.

    Raises:
        InputError: it is not of that form; says in one line what is wrong and where.
    """
    from cattrs import BaseValidationError, transform_error

    try:
        return _converter().structure(given, kind)
    except BaseValidationError as error:
        raise InputError(transform_error(error, format_exception=_in_words)[0]) from error


@cache
def _converter(samples: bool = True) -> Converter:
    from cattrs.gen import make_dict_structure_fn
    from cattrs.preconf.json import make_converter

    converter = make_converter(forbid_extra_keys=True)

    def unstructure(report: Any) -> dict[str, Any]:
        given = {
            one.name: converter.unstructure(getattr(report, one.name))
            for one in fields(report)
            if samples or not one.metadata.get("samples")
        }
        return report.json_form(given) if isinstance(report, JsonForm) else given

    def structure(kind: type) -> Any:
        writes_more = issubclass(kind, JsonForm) and kind.json_form is not JsonForm.json_form
        read: Any = make_dict_structure_fn(
            kind, converter, _cattrs_forbid_extra_keys=not writes_more
        )
        return lambda given, kind: read(_exactly(given, dict), kind)

    # By the class at hand: annotations may name types that are imported for checking alone.
    converter.register_unstructure_hook_func(is_dataclass, unstructure)
    converter.register_structure_hook_factory(is_dataclass, structure)
    converter.register_structure_hook_func(lambda kind: get_origin(kind) is Literal, _one_of)
    for kind in (bool, int, float, str):
        converter.register_structure_hook(kind, _exactly)
    return converter


def _exactly(value: Any, kind: type) -> Any:
    """The value as it is, where it has the type; cattrs itself would convert it."""
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise TypeError(f"{reprlib.repr(value)} is no {kind.__name__}")


def _one_of(value: Any, kind: Any) -> Any:
    if value not in get_args(kind):
        raise ValueError(f"{reprlib.repr(value)} is none of {', '.join(map(str, get_args(kind)))}")
    return value


def _in_words(error: BaseException, kind: type | None) -> str:
    from cattrs.v import format_exception

    if isinstance(error, (TypeError, ValueError)):
        return str(error)
    return format_exception(error, kind)
