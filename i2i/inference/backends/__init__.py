"""What a `Translator` computes with."""
