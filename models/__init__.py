"""Language models, written once on core: families, tokenizers, caches, the one token loop."""

from .constraint import Constraint, GrammarConstraint, Grammars
from .errors import ConstraintError, ContextLengthError, GrammarError, ModelError, TokenizerError, WeightsError
from .language_model import Generation, LanguageModel
from .sampler import RandomSampler, greedy, make_sampler
from .token_loop import Stream, Token, TokenLoop, Usage
from .tokenizer import Tokenizer

__all__ = [
    "Constraint",
    "ConstraintError",
    "ContextLengthError",
    "Generation",
    "GrammarConstraint",
    "GrammarError",
    "Grammars",
    "LanguageModel",
    "ModelError",
    "RandomSampler",
    "Stream",
    "Token",
    "TokenLoop",
    "Tokenizer",
    "TokenizerError",
    "Usage",
    "WeightsError",
    "greedy",
    "make_sampler",
]
