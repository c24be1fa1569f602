"""AgentDojo: is the user's task done, and is that of somebody who hid instructions in what the tools give back?"""

from .evaluate import evaluate_agentdojo
from .report import Report, Score
from .runner import Dojo, Job, Outcome, jobs
from .suites import ATTACK, SUITES

__all__ = ["ATTACK", "SUITES", "Dojo", "Job", "Outcome", "Report", "Score", "evaluate_agentdojo", "jobs"]
