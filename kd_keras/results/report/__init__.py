"""`report.html`: what a run found, for people, with a section in each module."""
