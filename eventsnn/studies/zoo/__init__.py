"""Conversion methods of many papers as rows of one registry, and what is measured of each."""
