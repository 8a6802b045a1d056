"""Training: a run from its settings (`build`), its loop (`trainer`), and what the loop is made of."""
