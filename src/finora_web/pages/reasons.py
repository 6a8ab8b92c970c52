"""Who decided about a record, and why, in words."""

SOURCES = {
    "statement": "the statement",
    "match": "its other end",
    "rule": "a rule",
    "similar": "records like it",
    "model": "the language model",
    "human": "a person",
}

_REASONS = {
    "ALIKE": "it is like them",
    "CONFLICTING_CORRECTIONS": "people have corrected this merchant in different ways",
    "CONFLICT": "people have corrected this merchant in different ways",
    "CONTRADICTORY": "it gave two answers",
    "CORRECTED": "a person corrected this merchant, and nobody said otherwise since",
    "ENTERED": "who entered it said so",
    "EXCHANGE": "it is one side of an exchange",
    "KNOWN_MERCHANT": "the same merchant was decided about before",
    "MODEL_AMOUNT": "by its amount",
    "MODEL_BUDGET": "the budget for asking is used up",
    "MODEL_COUNTERPARTY": "by who is on the other side",
    "MODEL_DATE": "by its date",
    "MODEL_DESCRIPTION": "by its description",
    "MODEL_DIRECTION": "by its direction",
    "MODEL_GUESS": "it is a guess",
    "MODEL_REFUSED": "there is nobody to ask",
    "MODEL_UNAVAILABLE": "it did not answer",
    "NAMED_BY_FILE": "the file names it",
    "NOTHING_LIKE_IT": "nothing is like it yet",
    "NOVEL_MERCHANT": "a merchant that was never seen",
    "NO_ANSWER": "it did not answer",
    "NO_CATEGORIES": "there are no categories to choose from",
    "NO_CATEGORY_FITS": "no category fits",
    "NO_SUCH_CATEGORY": "it named a category that you do not have",
    "OPENING": "it is an opening balance",
    "RULE": "it fits the rule",
    "RULE_RUN": "a run of the rules over the past",
    "RULE_RUN_UNDONE": "that run was undone",
    "SAME_MERCHANT": "people gave this merchant that category",
    "SIMILAR_WORDS": "a new merchant with words that are known",
    "SPLIT": "the rule divides it",
    "SPLIT_UNFIT": "the rule's split does not add up to its amount",
    "TAKEN_BACK": "it was taken back",
    "TRANSFER": "its other end is in another account",
    "UNLOCKED": "it was handed back",
}


def reason(rationale: str) -> str:
    """A rationale's code in words; one that is not known here as words of its own."""
    return _REASONS.get(rationale) or rationale.replace("_", " ").lower()
