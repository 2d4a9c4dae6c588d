"""The consultation: triage, independent opinions, decision."""
