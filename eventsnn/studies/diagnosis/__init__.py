"""Why a converted network is below its ANN: verdicts by layer, and remedies that were tried.

`diagnosing.diagnose` is where it begins; `measured` is what the verdicts are made from. A family of
verdicts is a file with one function, from `Measured` to verdicts.
"""
