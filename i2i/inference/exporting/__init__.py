"""Export a trained generator to a file that libraries for deployment run, without PyTorch."""
