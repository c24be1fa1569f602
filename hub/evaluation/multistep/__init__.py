"""A multi-step suite of our own: chores in one message that need two to five calls, judged by the world that they leave.

The worlds are the simulated classes of the package `bfcl-eval` (its requests are not used: goals, states and plans are ours)
and an HTTP service on loopback with an OpenAPI document. Tasks come in two halves, `train` and `held_out`, that share neither
tasks nor states; some classes and a third of the service's operations that the held-out half offers stand in no other. Nothing
may be tuned on it.
"""

from .judge import Attempt, Verdict, judge
from .loops import LOOPS, agent_loop, plain_loop
from .report import Outcome, SuiteReport
from .suite import evaluate_multistep
from .tasks import SPLITS, GoldCall, Task, WorldSpec, load_tasks
from .worlds import World, open_world

__all__ = [
    "LOOPS",
    "SPLITS",
    "Attempt",
    "GoldCall",
    "Outcome",
    "SuiteReport",
    "Task",
    "Verdict",
    "World",
    "WorldSpec",
    "agent_loop",
    "evaluate_multistep",
    "judge",
    "load_tasks",
    "open_world",
    "plain_loop",
]
