"""The `biomedgpt` command, one file per sub-command."""
