"""What stations say, in plain words: answers to commands (`answers`) and codes of every OCPP version (`codes`)."""

from .answers import Said, of_answer, of_problem
from .codes import TABLES, Word, word

__all__ = ["TABLES", "Said", "Word", "of_answer", "of_problem", "word"]
