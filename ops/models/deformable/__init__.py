"""Deformable convolutions: a layer, and the back ends that compute it."""
