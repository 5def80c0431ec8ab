from .loading import loader_sides as loader_sides
from .loading import loader_sizes as loader_sizes
from .loading import many_view_sides as many_view_sides
from .network import model_sides as model_sides
from .network import peak_memory as peak_memory
from .network import train_sides as train_sides
from .scores import score_views as score_views
