"""What scores are: plain functions on pictures and features, and the intervals that resampling gives them."""
