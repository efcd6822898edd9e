"""Numbers about pictures: arrays in, floats out. No model is ever loaded here, and numpy and OpenCV are all that is
needed.
"""
