"""What stock fairseq 0.12.2 needs on current Python, torch, numpy and hydra: one file per cause."""
