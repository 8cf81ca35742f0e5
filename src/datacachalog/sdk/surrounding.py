"""The run that a process belongs to: whoever starts it for a run says so in its environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class SurroundingRun:
    """A run, by what it is asked for with."""

    job_name: str
    run_id: str
    parent_run_id: str | None = None

    def variables(self) -> dict[str, str]:
        """What the environment of a process of the run has.

        >>> SurroundingRun("etl", "0198f2c4").variables()
        {'DATLAKE_JOB_NAME': 'etl', 'DATLAKE_RUN_ID': '0198f2c4', 'DATLAKE_PARENT_RUN_ID': ''}
        """
        return {
            "DATLAKE_JOB_NAME": self.job_name,
            "DATLAKE_RUN_ID": self.run_id,
            "DATLAKE_PARENT_RUN_ID": self.parent_run_id or "",
        }


def surrounding_run(environ: Mapping[str, str]) -> SurroundingRun | None:
    """The run that this process was started for; None where there is none."""
    job_name, run_id = environ.get("DATLAKE_JOB_NAME"), environ.get("DATLAKE_RUN_ID")
    if not job_name or not run_id:
        return None
    return SurroundingRun(job_name, run_id, environ.get("DATLAKE_PARENT_RUN_ID") or None)
