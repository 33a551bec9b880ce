"""Which cause files concern which fairseq module; a cause is imported with its first module."""

CAUSES: dict[str, tuple[str, ...]] = {
    "fairseq": ("quiet",),
    "fairseq.checkpoint_utils": ("atomic_save", "quoting"),
    "fairseq.data.data_utils": ("numpy_aliases",),
    "fairseq.data.huffman.huffman_coder": ("huffman",),
    "fairseq.data.iterators": ("grouped_batches",),
    "fairseq.data.language_pair_dataset": ("numpy_aliases",),
    "fairseq.data.token_block_dataset": ("numpy_aliases",),
    "fairseq.dataclass.configs": ("dataclass_hash",),
    "fairseq.dataclass.utils": ("hydra_compose", "quoting"),
    "fairseq.distributed.utils": ("cpu_distributed",),
    "fairseq.file_io": ("atomic_save",),
    "fairseq.models.distributed_fairseq_model": ("cpu_ddp",),
    "fairseq.models.ema.ema": ("ema_buffers",),
    "fairseq.modules.dynamic_crf_layer": ("numpy_aliases",),
    "fairseq.modules.transformer_layer": ("fast_path",),
    "fairseq.optim.fp16_optimizer": ("bf16",),
    "fairseq.options": ("bf16",),
    "fairseq.trainer": ("overflow_on_cpu",),
    "fairseq.utils": ("user_dir",),
    "fairseq_cli.hydra_train": ("quoting",),
}
