"""Why a network says what it says of a video: what it computed on its way to the answer."""
