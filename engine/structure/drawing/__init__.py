"""Drawings of a network: nodes become boxes, boxes blocks, blocks a plan, the plan a picture or a page."""
