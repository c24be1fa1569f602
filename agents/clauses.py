"""Clauses of a goal: what is asked for, one thing after the other, as spans of the words.

A small model that is told four things at once does two of them; told one at a time, it does four. So a goal is cut where its
grammar says that another request begins: at the end of a sentence, at "then" and its kind, and at "and" or a comma in front
of an imperative or a question. Nothing is cut inside quotes, brackets, numbers, addresses and file names. A sentence that
asks for nothing ("I'm in Oslo.") belongs to the request behind it, or to the one before where it is the last.

The rules are of English. Of a goal in another language only sentences are told apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .wording import Span, lowered

_VERBS = """
accept activate add adjust analyse analyze announce answer append apply approve archive arrange ask assign attach authenticate
authorize back backup bake begin block book bring browse build buy calculate call cancel change charge check choose clean
clear close collect combine comment compare compile complete compress compute confirm connect convert copy count create cut
deactivate decrease delete deliver describe detect determine diff disable disarm dim disconnect display divide do double
download draft draw drop duplicate edit email empty enable end engage enter erase estimate evaluate examine execute export
extend extract fetch figure file fill filter find finish fix flip follow format forward generate get give go grab grep group
halve have heat help hide honk identify import include increase inform insert inspect install invite invoice join jot keep
launch leave let list locate lock log look lower mail make mark measure mention merge message monitor move multiply mute name
navigate note notify obtain offer open order pause pay pick place plan play plot post power predict prepare present press
print process produce provide publish pull purchase push put raise rank rate read reboot recommend record refund register
reload remind remove rename repeat replace reply report request rerun reschedule research reserve reset resolve respond
restart resume retrieve retweet return reverse review ring round run save say scale scan schedule search select sell send set
share show shut sign silence skip snooze solve sort speak split start stop store submit subscribe subtract suggest sum
summarise summarize swap switch sync take tell terminate test text think touch track trade transfer translate trim try turn
tweet type unblock unfollow unlock unmute unsubscribe update upgrade upload use validate verify view visit wait wake warm
watch withdraw write
"""
VERBS = frozenset(_VERBS.split())
"""What an order begins with."""
_NOUN_WORDS = """
answer back book call change charge check clean clear close comment complete copy count cut display do double draft drop email
empty end estimate file filter find fix flip follow format group heat help import invite invoice jot leave list lock log look
lower mail make mark measure mention message monitor move name note offer open order pause pay place plan play plot post power
present press print process produce rank rate read record refund register report request research reserve reset review ring
round run save scale scan schedule search select set share show sign skip snooze sort split start stop store sum swap switch
sync take test text track trade transfer trim try turn tweet type update upgrade upload use view visit wait wake warm watch
"""
_NOUNS_TOO = frozenset(_NOUN_WORDS.split())
_GAP = r"[\s,:]{0,8}"  # bounded, as are the repetitions below: otherwise a long goal of "please, please, ..." takes forever
_QUESTION = r"(?:what|which|who|whom|whose|when|where|why|how)(?:['’]?(?:s|re|d|ll))?\b"
_PERSONS = "i|you|we|he|she|it|they|there"
_AUXILIARY = rf"""(?:
    (?:is|are|was|were|can|could|will|would|should|am|may)\s+(?:{_PERSONS}|the|my|any|this|that|an?)
    | (?:do|does|did|has|have)\s+(?:{_PERSONS})
)\b"""
_WISH = r"""
    i(?:['’]d|\s+would)?\s+(?:also\s+|really\s+)?(?:need|want|like|love|prefer|wish)\b
    | i['’]m\s+looking\s+for\b
    | let['’]?s\b
    | let\s+me\b
"""
_POLITE = rf"""(?:
    please|kindly|also|now|just|then|next|finally|lastly|afterwards?|second(?:ly)?|first(?:ly)?|and|hey|hi|ok(?:ay)?|so|well
    | thanks|sorry
)\b{_GAP}"""
_ASKING = re.compile(rf"(?:{_POLITE}){{0,12}}(?:{_QUESTION}|{_AUXILIARY}|{_WISH})", re.VERBOSE)
_DONE = r"(?:\s+(?:is|are|was|has\s+been))?(?:\s+(?:all\s+)?(?:done|finished|complete|ready|over|set|in\s+place))?"
_AFTER_THAT = rf"(?:after|before|once|when|with)\s+(?:that|this|it)(?:['’]?s)?{_DONE}\b{_GAP}"
_WHEN_WE_HAVE = rf"""
    (?:after|once|when)\s+(?:you|i|we)(?:['’]?(?:re|ve|m))?\s+(?:are\s+|have\s+)?
    (?:done|finished|that|it|them|got\s+\w+|have\s+\w+|know)\b(?:\s+with\s+(?:that|it|this))?{_GAP}
"""
_WHEN_IT_IS = r"""
    (?:after|once|when|as\s+soon\s+as)\s+(?:the|that|this|your|my|it)\b
    [^,.;]{0,40}?\b(?:is|are|was|has\s+been|have\s+been)\s+\w+(?:,\s*|\s+)
"""
_BESIDES = rf"(?:in\s+addition|on\s+top\s+of\s+that|besides|in\s+the\s+end)\b{_GAP}"
_LEADING = re.compile(rf"(?:{_POLITE}|{_AFTER_THAT}|{_WHEN_WE_HAVE}|{_WHEN_IT_IS}|{_BESIDES}){{1,12}}", re.VERBOSE)
_JOIN = re.compile(
    r"""
    (?:(?<![\s,;])[\s,;]*)?
    (?: \band\s+(?:then|after\s+that|afterwards?|finally|lastly|next|also)\b
      | \bbefore\s+finally\b
      | (?<=[\s,;])then\b
      | [,;]\s*(?:after\s+that|afterwards?|finally|lastly|next|also|but)\b
      | \band\b
      | \bplus\b
      | [,;—–]
      | \s-\s
    )
    [\s,]*(?:(?:also|please|then|finally|after\s+that|afterwards?)\b)?[\s,]*
    """,
    re.VERBOSE,
)
_LATER = re.compile(r"then|after|final|last|next")
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s|$)|\n+|[。！？]+")
_ABBREVIATION = re.compile(
    r"""(?:
    \b(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|no|approx|inc|ltd|co|corp|jr|sr|a\.m|p\.m|u\.s|u\.k|dept|fig|min|max|avg)
    | \b[a-z]
    )\.$""",
    re.VERBOSE,
)
_LONGEST_ABBREVIATION = 8
_CLOSERS = {'"': '"', "“": "”", "«": "»", "(": ")", "[": "]", "{": "}", "`": "`", "‘": "’", "'": "'"}
_WORD = re.compile(r"[a-z]{1,30}(?:-[a-z]{1,30})?")
_NO_OBJECT = re.compile(r"\s{0,8}(?:[,:]|and\b|of\b|is\b|are\b|was\b)")
_PARTICLES = "to|up|out|off|on|in|down|back|over|for|with|at|by|into|from|if|how|what|whether|that|which|who|when|where|about"
_PRONOUNS = "me|us|him|her|them|it|its|this|that|these|those|my|our|your|his|their"
_DETERMINERS = "the|a|an|all|any|each|every|both|another|one|two|three|some|everyone|everything"
_AFTER_VERB = re.compile(
    rf"\s{{1,8}}(?:{_PARTICLES}|{_PRONOUNS}|{_DETERMINERS})\b"
    r"|\s{1,8}[\"“'‘`\[(#@$€£/\d]|\s{1,8}[\w-]{1,60}[._/@]\w|\s{0,8}$"
)
_RELATIVE = re.compile(r"(?:where|which|who|whom|whose|when)\b")
_NAMED = re.compile(r"(?:[^,.]{0,60},\s{1,8})?[a-z]{1,30}\s{1,8}[A-Z0-9]\w")
_COMMA = re.compile(r"[,:]\s*(?:so\s+)?")
_REFERS = re.compile(
    r"""\b(?:
    it|its|itself|they|them|their|theirs|those|these|that|this|he|she|him|his|her|hers|there
    | the\s+(?:same|results?|outcome|answer|output|total|sum|average|product|first|last|latter|former|other|new|cheapest|nearest
        |closest|best|previous|resulting|above)
    | (?:each|one|both|all|any|none|some)\s+of\s+(?:them|those|these)
    | whichever|whoever|again|accordingly|instead
    )\b""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Clause:
    """One thing that is asked for.

    Attributes:
        text: the words, without what joins them to the clause before.
        start, end: where they stand in the goal.
        refers: whether words of it point at something outside it ("it", "the cheapest one").
    """

    text: str
    start: int
    end: int
    refers: bool


def clauses(goal: str) -> list[Clause]:
    """The clauses of a goal, in order; one for all of it where it asks for one thing.

    Time grows with the length of the goal, whatever stands in it.

    Args:
        goal: what the user said.
    """
    low, closed = lowered(goal), _closed(goal)
    spans = [piece for begin, end in _sentences(goal, low, closed) for piece in _pieces(goal, low, begin, end, closed)]
    found: list[Clause] = []
    for span in _merged(low, spans):
        begin, end = _trimmed(goal, low, *span)
        if begin < end:
            refers = bool(found) and _REFERS.search(low, begin, end) is not None
            found.append(Clause(goal[begin:end], begin, end, refers))
    return found or [whole(goal)]


def whole(goal: str) -> Clause:
    """A goal as one clause."""
    return Clause(goal, 0, len(goal), False)


def _closed(goal: str) -> list[bool]:
    """For each character, whether it is inside quotes or brackets, with the mark that closes them; unclosed ones are none."""
    last = {closer: at for at, closer in enumerate(goal) if closer in _CLOSERS.values() and _closes(goal, at)}
    inside, until = [False] * len(goal), ""
    for at, character in enumerate(goal):
        if until:
            inside[at] = True
            if character == until and _closes(goal, at):
                until = ""
        elif character in _CLOSERS and last.get(_CLOSERS[character], -1) > at and _opens(goal, at):
            until = _CLOSERS[character]
    return inside


def _opens(goal: str, at: int) -> bool:
    """Whether what may be an apostrophe is none here."""
    return goal[at] not in "'‘`" or not at or not goal[at - 1].isalnum()


def _closes(goal: str, at: int) -> bool:
    """Whether what may be an apostrophe is none here."""
    return goal[at] not in "'’" or not goal[at + 1 : at + 2].isalnum()


def _sentences(goal: str, low: str, closed: list[bool]) -> list[Span]:
    found, begin = [], 0
    for end in _END.finditer(goal):
        at = end.start()
        if closed[at] or (goal[at] == "." and _ABBREVIATION.search(low, max(begin, at - _LONGEST_ABBREVIATION), at + 1)):
            continue
        found.append((begin, end.end()))
        begin = end.end()
    found.append((begin, len(goal)))
    return [(b - len(goal[a:b].lstrip()), b) for a, b in found if goal[a:b].strip()]


def _pieces(goal: str, low: str, begin: int, end: int, closed: list[bool]) -> list[Span]:
    """A sentence, cut in front of every further request."""
    found, start = [], begin
    for join in _JOIN.finditer(low, begin, end):
        if closed[join.start()] or closed[join.end() - 1] or join.end() >= end or join.start() <= start:
            continue
        if _RELATIVE.match(low, join.end(), end) and "and" not in join[0]:
            continue
        sure = _LATER.search(join[0]) is not None or _NAMED.match(goal, join.end(), end) is not None
        if _asks(low, join.end(), end, sure) and _asks(low, start, join.start(), True):
            found.append((start, join.start()))
            start = join.end()
    return [*found, (start, end)]


def _asks(low: str, begin: int, end: int, sure: bool = False) -> bool:
    """Whether a request begins here.

    Args:
        sure: the words before leave no doubt; otherwise a verb that is a noun as well needs an object behind it.
    """
    while begin < end and low[begin].isspace():
        begin += 1
    lead = _LEADING.match(low, begin, end)
    at = lead.end() if lead is not None else begin
    if _ASKING.match(low, at, end):
        return True
    word = _WORD.match(low, at, end)
    if word is None or VERBS.isdisjoint((word[0], word[0].replace("-", ""), word[0].split("-")[0])):
        return False
    if sure:
        return True
    if _NO_OBJECT.match(low, word.end(), end):
        return False
    return word[0] not in _NOUNS_TOO or _AFTER_VERB.match(low, word.end(), end) is not None


def _merged(low: str, spans: list[Span]) -> list[Span]:
    """The spans that ask for something, each with those around it that do not."""
    found: list[Span] = []
    waiting: int | None = None
    for begin, end in spans:
        if _has_request(low, begin, end):
            found.append((begin if waiting is None else waiting, end))
            waiting = None
        elif found:
            found[-1] = (found[-1][0], end)
        elif waiting is None:
            waiting = begin
    if waiting is not None:
        found.append((waiting, spans[-1][1]))
    return found


def _has_request(low: str, begin: int, end: int) -> bool:
    if _asks(low, begin, end, True):
        return True
    # "For Oslo, find ...", "I'm in Oslo, so book ..."
    return any(_asks(low, comma.end(), end) for comma in _COMMA.finditer(low, begin, end))


def _trimmed(goal: str, low: str, begin: int, end: int) -> Span:
    while begin < end and (goal[begin].isspace() or goal[begin] in ",;"):
        begin += 1
    lead = _LEADING.match(low, begin, end)
    if lead is not None and lead.end() < end:
        begin = lead.end()
    while begin < end and (goal[begin].isspace() or goal[begin] in ",;"):
        begin += 1
    while begin < end and (goal[end - 1].isspace() or goal[end - 1] in ",;"):
        end -= 1
    return begin, end
