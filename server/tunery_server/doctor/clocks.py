"""How far another machine's clock is from this one's."""

from tunery_server.doctor.finding import Finding, fail, ok, warn

_SLIGHT_S = 1.0
_GROSS_S = 30.0
"""Leases go by Redis' clock alone; ends of keys, retention and what users see, by each machine's.
Half a minute is what tokens and certificates are commonly allowed to differ."""


def compared(check: str, theirs: float, before: float, after: float) -> Finding:
    """``theirs`` was read between ``before`` and ``after``, all in seconds since 1970."""
    ahead = max(0.0, theirs - after) - max(0.0, before - theirs)
    says = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    advice = "let both machines take their time from NTP"
    if abs(ahead) > _GROSS_S:
        return fail(check, says, advice)
    if abs(ahead) > _SLIGHT_S:
        return warn(check, says, advice)
    return ok(check, "agrees with this machine's")
