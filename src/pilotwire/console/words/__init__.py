"""What stations say, in plain words: answers to commands (`answers`), codes of every OCPP version (`codes`), and what
people may do here (`people`)."""

from .answers import Said, of_answer, of_problem
from .codes import Word
from .people import PERMISSIONS
from .tables import TABLES, word

__all__ = ["PERMISSIONS", "TABLES", "Said", "Word", "of_answer", "of_problem", "word"]
