"""Pictures <-> grids of image codes: the VQ-GAN of arXiv:2012.09841."""
