"""The replies that supervised training teaches: a word of reasoning, then the answer.

Saying the option's word before its letter helps a tiny model: the word is what it sees in the
image, and the letter follows from the list of options.
"""

from mmedagent.cases.case import LETTERS, Case, Question, Specialty


def triage_completion(case: Case) -> str:
    """Return the reply that sends `case` to its specialty, naming the modality as the reason."""
    return completion(case.modality, case.specialty)


def specialty_completion(reason: str, specialty: Specialty) -> str:
    """Return the reply that names `specialty` because of `reason`."""
    return completion(reason, specialty)


def option_completion(question: Question | Case, letter: str) -> str:
    """Return the reply that chooses `letter`, naming the option's text as the reason."""
    return completion(question.options[LETTERS.index(letter)], letter)


def completion(reasoning: str, answer: str) -> str:
    """Return a well-formed reply; the leading blanks make the words the prompt's own tokens."""
    return f"<think> {reasoning}</think><answer> {answer}</answer>"
