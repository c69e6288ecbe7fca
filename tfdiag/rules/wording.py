"""How numbers are written in messages."""

from __future__ import annotations

import math


def share(value: float) -> str:
    """Returns a share as a percentage; never 100 % or 0 % unless it is exactly that.

    >>> share(0.97), share(0.9999), share(1.0), share(0.0004)
    ('97 %', '99.9 %', '100 %', '0.04 %')
    """
    percent = 100 * value
    if 99 < percent < 100:
        return f"{min(percent, 99.9):.1f} %"
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else f"{percent:.1g} %"


def number(value: float) -> str:
    """Returns a number with two to three digits that count.

    >>> number(12345.0), number(0.00012), number(1e-7), number(2.305), number(0.0), number(64)
    ('1.2e4', '1.2e-4', '1e-7', '2.3', '0', '64')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def apart(one: float, other: float) -> tuple[str, str]:
    """Returns two numbers, with a third digit where two do not tell them apart.

    >>> apart(2.31, 0.5), apart(2.302, 2.311), apart(2.3, 2.3)
    (('2.3', '0.5'), ('2.30', '2.31'), ('2.3', '2.3'))
    """
    short = number(one), number(other)
    if short[0] != short[1]:
        return short
    exact = f"{one:#.3g}".rstrip("."), f"{other:#.3g}".rstrip(".")
    return exact if exact[0] != exact[1] else short


def since(step: int) -> str:
    """Returns since when something has been so.

    >>> since(0), since(40)
    ('from the start', 'since step 40')
    """
    return f"since step {step}" if step else "from the start"


def count(amount: int, noun: str) -> str:
    """Returns an amount with its noun.

    >>> count(1, "layer"), count(2, "layer")
    ('1 layer', '2 layers')
    """
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"
