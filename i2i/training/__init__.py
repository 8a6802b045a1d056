"""Training: a run from its settings (`build`), its loop (`trainer`), and what the loop is made of.

From Python, with the settings of the command line as arguments:

    from i2i import Callbacks, build_run, run_config, translate

    def log(step, losses):
        print(step, losses["generator/l1"], losses["fake_accuracy"])

    config = run_config("pix2pix", "my_pairs", image_size=256, steps=20_000, l1_weight=50)
    trainer = build_run(config, None, "runs/mine", callbacks=Callbacks(on_log=log))
    model = trainer.fit()
    translated = translate("my_pairs/val/0.png", model)

Instead of None, `build_run` takes what `find_layout` found, a Hugging Face dataset of images, or any
`torch.utils.data.Dataset` of {"a": ..., "b": ...}.
"""
