"""Official downloads -> lists, frames, small videos."""
