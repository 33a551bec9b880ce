"""Adapters, prefix prompts, classification heads and trainable sets, attached from outside."""
