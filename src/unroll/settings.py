"""The base of every settings class: unknown keys, wrong values, contradictions and later changes are refused.

All problems of a file are told at once: what two keys say against each other is looked for as far as both are right by
themselves, whatever else is wrong.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

# Numbers have an upper bound, so that a slip of the finger is told before it overflows or fills the memory.
Count = Annotated[int, Field(ge=1, le=10**12)]
"""How many of something: texts, tokens, updates."""
Width = Annotated[int, Field(ge=1, le=2**16)]
"""How many units side by side."""
Layers = Annotated[int, Field(ge=1, le=100)]
"""How many layers one upon the other."""
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""What random numbers are drawn from."""

# The error of a union whose deciding key is missing or wrong.
CHOICE, CHOICE_MESSAGE = "choice", "{key} should be one of {values}{instead}"


def _printable(path: str) -> str:
    if not path or not path.isprintable():
        raise ValueError(f"should be a path of visible characters, found {path!r}")
    return path


def hexadecimal(digits: int, of: str) -> AfterValidator:
    """Refuses what is not so many hexadecimal digits; `of` says what they are."""

    def checked(text: str) -> str:
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", text):
            raise ValueError(f"should be the {digits} digits (0-9, a-f) of {of}, found {text!r:.70}")
        return text

    return AfterValidator(checked)


PathName = Annotated[str, AfterValidator(_printable)]
Sha256 = Annotated[str, hexadecimal(64, "a SHA-256")]

R = TypeVar("R", bound=Callable[[Any], Iterator[str]])


def rule(method: R) -> R:
    """A method of `Settings` that yields a sentence for each contradiction between keys that are right by themselves.

    What is wrong by itself cannot be read in it, which ends it: things that do not depend on each other are separate
    rules.
    """
    method.is_rule = True  # type: ignore[attr-defined]
    return method


def choice(key: str, *values: str, tag: Callable[[Any], str | None] | None = None, instead: str = "") -> Discriminator:
    """What decides between the members of a union, each with a `Tag`: the value of `key` (`a.b`: of `b` in `a`).

    `tag` finds it in another way, and `instead` is what may stand in the place of `key`. The error says which `values`
    there are.
    """

    def found(data: Any) -> str | None:
        for part in key.split("."):
            data = data.get(part) if isinstance(data, Mapping) else getattr(data, part, None)
        return data if isinstance(data, str) else None

    return Discriminator(
        tag or found,
        custom_error_type=CHOICE,
        custom_error_message=CHOICE_MESSAGE,
        custom_error_context={"key": key, "values": ", ".join(values), "instead": instead},
    )


class Settings(BaseModel):
    """Part of params.yaml that belongs to one component, written beside that component."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    belongs: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]] = {}
    """Keys that mean something with some values of another key alone: key -> (that other key, those values)."""

    @classmethod
    def belonging(cls) -> dict[str, tuple[str, tuple[str, ...]]]:
        """`belongs` of this class and of those it inherits from."""
        return {key: owner for base in reversed(cls.__mro__) for key, owner in vars(base).get("belongs", {}).items()}

    @rule
    def _keys_belong(self) -> Iterator[str]:
        there = vars(self)
        for key, (owner, values) in self.belonging().items():
            default = type(self).model_fields[key].default
            if owner in there and there[owner] not in values and there.get(key, default) != default:
                *first, last = values
                named = f"{', '.join(first)} and {last}" if first else last
                yield f"`{key}` belongs to {owner}: {named}, not {there[owner]}"

    @model_validator(mode="wrap")
    @classmethod
    def _tell_all(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        details: list[ErrorDetails] = []
        try:
            found = partial = handler(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if not all(detail["loc"] for detail in details):
                raise
            partial = cls._as_far_as_right(data, {str(detail["loc"][0]) for detail in details})
        problems = [
            InitErrorDetails(type="value_error", loc=(), input=data, ctx={"error": ValueError(problem)})
            for problem in partial._contradictions(incomplete=bool(details))
        ]
        if details or problems:
            raise ValidationError.from_exception_data(cls.__name__, [*map(_as_it_was, details), *problems])
        return found

    @classmethod
    def _as_far_as_right(cls, data: Mapping[Any, Any], wrong: set[str]) -> Self:
        """The settings without the keys `wrong`: to read one is an `AttributeError`."""
        values: dict[str, Any] = {}
        for key, field in cls.model_fields.items():
            if key in data and key not in wrong:
                schema: Any = Annotated[field.annotation, field]
                values[key] = TypeAdapter(schema).validate_python(data[key])
        partial = cls.model_construct(**values)
        for key in wrong:
            vars(partial).pop(key, None)
        return partial

    def _contradictions(self, incomplete: bool) -> Iterator[str]:
        """What the rules say, those of the classes inherited from first; of `incomplete` settings as far as they go."""
        methods = {name: value for base in reversed(type(self).__mro__) for name, value in vars(base).items()}
        for method in (value for value in methods.values() if getattr(value, "is_rule", False)):
            try:
                yield from method(self)
            except AttributeError:
                if not incomplete:
                    raise


def inside(annotation: Any) -> Iterator[type[Settings]]:
    """The settings classes in a type: it may be one, or a union or container of some."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from inside(part)


def _as_it_was(detail: ErrorDetails) -> InitErrorDetails:
    """A problem that pydantic has told, to be told again."""
    context = detail.get("ctx", {})
    kind: str | PydanticCustomError = detail["type"]
    if kind == CHOICE:
        kind = PydanticCustomError(CHOICE, CHOICE_MESSAGE, context)
    return InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"], ctx=context)
