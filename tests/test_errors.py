from i2i.errors import ImageError, UsageError, setting


def test_settings_are_spelt_as_the_caller_types_them():
    error = UsageError(f"size 250: use {setting('image_size', 256)}, or {setting('resume')} the run of <a--b=c>")
    assert str(error) == "size 250: use image_size=256, or resume the run of <a--b=c>"
    assert error.with_flags() == "size 250: use --image-size 256, or --resume the run of <a--b=c>"


def test_a_tuple_is_spelt_as_the_caller_types_it():
    error = UsageError(f"use {setting('channels', (1, 3))} and {setting('domains', ('map', 'sat'))}")
    assert str(error) == "use channels=(1, 3) and domains=('map', 'sat')"
    assert error.with_flags() == "use --channels 1 3 and --domains map sat"


def test_a_value_that_is_false_is_shown():
    assert str(ImageError(setting("ema_decay", 0))) == "ema_decay=0"
