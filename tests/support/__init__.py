"""What several tests share: small data sets, small networks, image files, published formulas."""
