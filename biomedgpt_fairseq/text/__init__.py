"""Text: vocabulary, byte-pair encoding, normalisation, instructions and the answer trie."""
