"""The papers' claims, each judged by a measurement with an interval."""
