"""What both engines raise where 32 bits do not hold a potential."""


class Overflow(ArithmeticError):
    """A potential came near the ends of its integers: the run must be repeated with wider ones."""
