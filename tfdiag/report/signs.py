"""The signs of severities."""

#: A severity's sign, so that colour is never the only one.
SIGNS = {
    "critical": "×",
    "warn": "!",
    "watch": "◇",
    "ok": "✓",
    "not-evaluated": "○",
    "suppressed": "–",
}
