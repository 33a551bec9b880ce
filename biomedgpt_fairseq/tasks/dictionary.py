"""fairseq's view of the vocabulary."""

from fairseq.data import Dictionary

from biomedgpt_fairseq.text.vocab import SPECIAL_SYMBOLS, Vocabulary


def build_dictionary(vocab: Vocabulary) -> Dictionary:
    """fairseq dictionary with the symbols of the vocabulary at the same ids."""
    dictionary = Dictionary()
    for symbol in vocab.symbols[len(SPECIAL_SYMBOLS) :]:
        dictionary.add_symbol(symbol)
    if dictionary.symbols != list(vocab.symbols):
        raise ValueError("the vocabulary holds a symbol twice; its ids cannot be kept")
    return dictionary
