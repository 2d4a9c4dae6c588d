"""Versions of the pair, their judgements, and which of them is the champion."""
