"""Public benchmarks, scored with their own checkers: BFCL (the Berkeley Function Calling Leaderboard), single-turn."""

from .baseline import read_baseline
from .bfcl import ALL_CATEGORIES, CATEGORIES, Case, EvaluationError, load_cases
from .checker import Verdict, check
from .report import Report, Result, Score, Subject
from .runner import evaluate

__all__ = [
    "ALL_CATEGORIES",
    "CATEGORIES",
    "Case",
    "EvaluationError",
    "Report",
    "Result",
    "Score",
    "Subject",
    "Verdict",
    "check",
    "evaluate",
    "load_cases",
    "read_baseline",
]
