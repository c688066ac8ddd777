"""stub"""

LAYERS = {}
