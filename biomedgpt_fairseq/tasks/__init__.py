"""Tasks: one small file each on shared machinery."""
