"""HTML report and plots of an evaluation."""
