"""Headers of packets, codec by codec: the order of pictures, proved without decoding them."""
