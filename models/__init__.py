"""Language models, written once on core: families, tokenizers, caches, the one token loop."""

from .chat_template import ChatTemplate
from .constraint import Constraint, GrammarConstraint, Grammars
from .embedding_model import EmbeddingModel
from .errors import (
    ChatTemplateError,
    ConstraintError,
    ContextLengthError,
    GrammarError,
    ModelError,
    OptionError,
    TaskError,
    TokenizerError,
    WeightsError,
)
from .language_model import Generation, LanguageModel
from .sampler import RandomSampler, greedy, make_sampler
from .token_loop import Stream, Token, TokenLoop, Usage
from .tokenizer import Tokenizer

__all__ = [
    "ChatTemplate",
    "ChatTemplateError",
    "Constraint",
    "ConstraintError",
    "ContextLengthError",
    "EmbeddingModel",
    "Generation",
    "GrammarConstraint",
    "GrammarError",
    "Grammars",
    "LanguageModel",
    "ModelError",
    "OptionError",
    "RandomSampler",
    "Stream",
    "TaskError",
    "Token",
    "TokenLoop",
    "Tokenizer",
    "TokenizerError",
    "Usage",
    "WeightsError",
    "greedy",
    "make_sampler",
]
