"""Submission to Slurm: nothing here knows what is run, and what runs knows nothing of it."""
