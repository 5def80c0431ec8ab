from .checkpoint_page import CheckpointPage as CheckpointPage
