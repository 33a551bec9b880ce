"""The unified encoder-decoder transformer."""
