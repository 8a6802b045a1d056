"""What scores are: plain functions on images and features, and the intervals that resampling gives them."""
