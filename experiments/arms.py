"""Policies as arms of a study, and what can be known of them before they are run."""

from pathlib import Path
from typing import Any

from experiments.progress import Progress
from experiments.study import Study
from policies.levels import SIMULATED
from policies.protocol import Policy
from policies.registry import make_policy
from populations.errors import InputError
from sim.match import discretion_limit


def make_arm(text: str, study: Study, progress: Progress) -> Policy:
    """The policy that ``text`` names, checked for a study; asked for what is not known of it."""
    policy = make_policy(
        text,
        Path(study.answers),
        lambda done, total: progress(f"asking {text}", done, total),
    )
    check_arm(policy, study.discretion)
    return policy


def check_arm(policy: Policy, discretion: str) -> None:
    """Raise InputError if a policy cannot decide about the simulation's candidates.

    Parameters
    ----------
    policy : Policy
    discretion : str
        How many candidates it may choose from.
    """
    most = getattr(policy, "most_candidates", None)
    limit = discretion_limit(discretion)
    if most is not None and (limit is None or limit > most):
        raise InputError(
            f"discretion {discretion!r}: {policy.name} is asked about at most {most} candidates at "
            f"once: expected --discretion pair, or top:K with K at most {most}"
        )
    lacking = sorted(attributes(policy) - SIMULATED)
    if lacking:
        raise InputError(
            f"policy {policy.name!r} depends on {', '.join(lacking)}, which candidates of the "
            f"simulation do not have; expected among {', '.join(sorted(SIMULATED))}"
        )


def attributes(policy: Any) -> set[str]:
    """What is weighed in a policy's fitted values, or in those inside it."""
    inside = [*getattr(policy, "members", ()), *([policy.base] if hasattr(policy, "base") else [])]
    own = getattr(getattr(policy, "values", None), "weights", {})
    return set(own).union(*map(attributes, inside))
