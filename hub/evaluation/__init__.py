"""Public benchmarks, scored with their own checkers: BFCL (the Berkeley Function Calling Leaderboard)."""

from .baseline import read_baseline
from .bfcl import (
    ALL_CATEGORIES,
    CATEGORIES,
    GROUPS,
    LEFT_OUT,
    MULTI_TURN,
    SINGLE_TURN,
    Case,
    Dialogue,
    EvaluationError,
    load_cases,
    load_dialogues,
)
from .checker import Verdict, check
from .multi_turn import check_talk, talk
from .plain import PlainLoop
from .report import Report, Result, Score, Subject
from .runner import evaluate

__all__ = [
    "ALL_CATEGORIES",
    "CATEGORIES",
    "GROUPS",
    "LEFT_OUT",
    "MULTI_TURN",
    "SINGLE_TURN",
    "Case",
    "Dialogue",
    "EvaluationError",
    "PlainLoop",
    "Report",
    "Result",
    "Score",
    "Subject",
    "Verdict",
    "check",
    "check_talk",
    "evaluate",
    "load_cases",
    "load_dialogues",
    "read_baseline",
    "talk",
]
