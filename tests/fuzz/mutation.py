"""Damaged inputs: whole samples with random changes, the same for the same generator."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

MAX_BYTES = 1 << 16
"""Longer cases are cut."""

_VALUES = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|[\[\]{}]')

TOKENS: tuple[bytes, ...] = (
    *(b"", b"\0", b"\t", b"\n", b"\r\n", b" ", b",", b"&&", b"|!+", b"-", b"--", b"=", b"..", b"/"),
    *(b"nan", b"inf", b"-inf", b"-0", b"1e999", b"1e-320", b"-1", b"0", b"256", b"65536", b"1e308"),
    *(str(number).encode() for number in (2**31, 2**32 - 1, 2**63, -(2**63) - 1, 10**30)),
    *(b"9" * 5000, b"A" * 5000, b"a " * 2000, b"&&" * 3000, b"," * 3000, b"[" * 3000),
    *(b'{"a":' * 3000, b'"', b"null", b"true", b"false", b"[]", b"{}", b'""', b"[[]]", b'{"":0}'),
    *(b'"\\ud800"', b"\\u0000", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xa8"),
    *("é漢字🫀\u0130\u200f".encode(), b"<mask>", b"<code_1>", b"${a.b}", b"%s%n", b"{0}", b"\\'"),
    *(b"../", b"../" * 9 + b"etc/passwd", b"/etc/passwd", b"..\\..\\", b"file:///etc/passwd"),
)

Operation = Callable[[bytes, random.Random], bytes]


def mutate(samples: Sequence[bytes], tokens: Sequence[bytes], rng: random.Random) -> bytes:
    """One of the samples with one to four changes.

    tokens: what is put in besides TOKENS, such as key words of the format.
    """
    data = rng.choice(samples)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        choice = rng.random()
        if choice < 0.35:
            token = rng.choice(tokens if tokens and rng.random() < 0.5 else TOKENS)
            start, end = _span(data, rng, 8) if rng.random() < 0.5 else [_place(data, rng)] * 2
            data = data[:start] + token + data[end:]
        elif choice < 0.45:
            data = _crossed(data, rng.choice(samples), rng)
        else:
            data = rng.choice(_OPERATIONS)(data, rng)
    return data[:MAX_BYTES]


def _place(data: bytes, rng: random.Random) -> int:
    return int(rng.random() * (len(data) + 1))


def _span(data: bytes, rng: random.Random, longest: int) -> tuple[int, int]:
    start = _place(data, rng)
    return start, start + int(rng.random() * longest)


def _flip_bit(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\x01"
    place = _place(data, rng) % len(data)
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _random_bytes(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, 4)
    return data[:start] + rng.randbytes(rng.randrange(1, 9)) + data[end:]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _delete(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, 1 + len(data) // 2)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, 64)
    return data[:start] + data[start:end] * rng.choice((2, 2, 3, 50, 1000)) + data[end:]


def _move(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, 64)
    rest = data[:start] + data[end:]
    place = _place(rest, rng)
    return rest[:place] + data[start:end] + rest[place:]


def _replace_value(data: bytes, rng: random.Random) -> bytes:
    """Another value in the place of a text, a number or a bracket, as JSON has them."""
    found = list(_VALUES.finditer(data[:4096]))
    if not found:
        return _random_bytes(data, rng)
    old, other = rng.choice(found), rng.choice(found)
    new = other.group() if rng.random() < 0.3 else rng.choice(TOKENS)
    return data[: old.start()] + new + data[old.end() :]


def _crossed(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """The beginning of one sample and the end of another."""
    return data[: _place(data, rng)] + other[_place(other, rng) :]


_OPERATIONS: tuple[Operation, ...] = (
    *(_flip_bit, _flip_bit, _random_bytes, _cut, _delete, _repeat, _move),
    *(_replace_value, _replace_value, _replace_value),
)
