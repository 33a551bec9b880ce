"""What the benchmarks compare with: the same weights, in plain idiomatic torch and fairseq."""
